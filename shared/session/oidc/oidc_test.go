package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/engine/memory/sessions"
	"tocsin/shared/session/oidc"
)

// fake is a provider that sends what a test wants, also what no good one would.
type fake struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	key      *ecdsa.PrivateKey
	kid      string
	keys     oidctest.Server
	document map[string]any // besides or instead
	info     map[string]any // of UserInfo
	token    string         // the next ID token, as it is
	status   int            // of the token endpoint, 0 = 200
	asked    map[string]int // by path
	now      time.Time
}

func startFake(t *testing.T) *fake {
	f := &fake{t: t, asked: map[string]int{}, now: time.Unix(1_700_000_000, 0)}
	f.rotate("1")
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) rotate(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f.t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key, f.kid = key, kid
	f.keys = oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: kid,
		Algorithm: gooidc.ES256}}}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.URL.Path]++
	var out map[string]any
	switch r.URL.Path {
	case "/keys":
		f.keys.ServeHTTP(w, r)
		return
	case "/.well-known/openid-configuration":
		out = map[string]any{"issuer": f.URL, "authorization_endpoint": f.URL + "/auth",
			"token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/keys", "end_session_endpoint": f.URL + "/end?a=b",
			"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}}
		maps.Copy(out, f.document)
	case "/token":
		if f.status != 0 {
			w.WriteHeader(f.status)
			return
		}
		_, secret, _ := r.BasicAuth()
		if secret != "secret" || r.FormValue("code_verifier") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		out = map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": f.token}
	case "/userinfo":
		out = f.info
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// sign makes a token of claims.
func (f *fake) sign(claims map[string]any) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]any{"iss": f.URL, "aud": "console", "sub": "u1", "iat": f.now.Unix(),
		"exp": f.now.Add(time.Hour).Unix(), "tenant": "42", "role": "admin", "email": "ada@example.com"}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(all)
	require.NoError(f.t, err)
	return oidctest.SignIDToken(f.key, f.kid, gooidc.ES256, string(raw))
}

func (f *fake) provider(change func(*oidc.Config)) *oidc.Provider {
	f.t.Helper()
	c := oidc.Config{Issuer: f.URL, Audience: "api", ClientID: "console", Secret: "secret",
		Base: "https://console.example", Keys: [][]byte{make([]byte, 32)}, Once: sessions.New(),
		Now:    func() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now },
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	p, err := oidc.New(c)
	require.NoError(f.t, err)
	return p
}

func (f *fake) ahead(d time.Duration) { f.set(func() { f.now = f.now.Add(d) }) }

// answers is the status of the token endpoint.
func (f *fake) answers(status int) { f.set(func() { f.status = status }) }

// set changes what is sent.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// callback begins a sign-in, and makes the request that the provider sends the browser back with. The ID token has the
// nonce that was asked for.
func (f *fake) callback(p *oidc.Provider, claims map[string]any, query string) *http.Request {
	f.t.Helper()
	address, cookie, err := p.Begin(f.t.Context(), "/reports")
	require.NoError(f.t, err)
	u, err := url.Parse(address)
	require.NoError(f.t, err)
	q := u.Query()
	require.Equal(f.t, "S256", q.Get("code_challenge_method"))
	require.Equal(f.t, "https://console.example/sign-in/callback", q.Get("redirect_uri"))
	require.Equal(f.t, "openid email profile", q.Get("scope"))
	all := map[string]any{"nonce": q.Get("nonce")}
	maps.Copy(all, claims)
	token := f.sign(all)
	f.set(func() { f.token = token })
	r := httptest.NewRequest(http.MethodGet, "https://console.example/sign-in/callback?code=c&state="+q.Get("state")+
		query, nil)
	r.AddCookie(cookie)
	return r
}

func TestAnIDTokenIsHeldToTheSpecification(t *testing.T) {
	for name, c := range map[string]struct {
		claims map[string]any
		want   oidc.Problem // "" = signed in
	}{
		"good":                         {nil, ""},
		"a wrong nonce":                {map[string]any{"nonce": "x"}, oidc.Rejected},
		"no nonce":                     {map[string]any{"nonce": nil}, oidc.Rejected},
		"another client's":             {map[string]any{"aud": "other"}, oidc.Rejected},
		"several, and no party":        {map[string]any{"aud": []string{"console", "other"}}, oidc.Rejected},
		"several, and we are it":       {map[string]any{"aud": []string{"console", "other"}, "azp": "console"}, ""},
		"another party":                {map[string]any{"azp": "other"}, oidc.Rejected},
		"another issuer":               {map[string]any{"iss": "https://evil.example"}, oidc.Rejected},
		"nobody":                       {map[string]any{"sub": nil}, oidc.Rejected},
		"expired":                      {map[string]any{"exp": 1_700_000_000 - 61}, oidc.Rejected},
		"expired within the skew":      {map[string]any{"exp": 1_700_000_000 - 59}, ""},
		"no end":                       {map[string]any{"exp": nil}, oidc.Rejected},
		"of the future":                {map[string]any{"iat": 1_700_000_000 + 61}, oidc.Rejected},
		"of the future, in the skew":   {map[string]any{"iat": 1_700_000_000 + 59}, ""},
		"not yet":                      {map[string]any{"nbf": 1_700_000_000 + 61}, oidc.Rejected},
		"another access token":         {map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, oidc.Rejected},
		"no tenant":                    {map[string]any{"tenant": nil}, oidc.NoTenant},
		"S14: a list is no tenant":     {map[string]any{"tenant": []string{"42"}}, oidc.NoTenant},
		"S14: nor is an object":        {map[string]any{"tenant": map[string]string{"a": "42"}}, oidc.NoTenant},
		"S14: under a user's own name": {map[string]any{"tenant": nil, "custom:tenant": "42"}, oidc.NoTenant},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			p := f.provider(nil)
			r := f.callback(p, c.claims, "")
			who, to, gone, err := p.Finish(r)
			require.Equal(t, -1, gone.MaxAge)
			require.Equal(t, "/reports", to)
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, []any{"42", "42", access.Administrator, "ada@example.com", "u1"}, []any{who.Tenant,
					who.Home, who.Role, who.Email, who.Subject})
				_, _, _, err = p.Finish(r)
				require.Equal(t, oidc.Replayed, refusal(t, err), "a state is good once, whatever the provider takes")
				var refused *oidc.NotSignedIn
				require.ErrorAs(t, err, &refused)
				require.Equal(t, "ada@example.com", refused.Person.Email, "whose it was is known, for the activity log")
				return
			}
			require.Equal(t, c.want, refusal(t, err))
			require.Empty(t, who.Tenant)
		})
	}
}

func refusal(t *testing.T, err error) oidc.Problem {
	t.Helper()
	var refused *oidc.NotSignedIn
	require.ErrorAs(t, err, &refused)
	return refused.Problem
}

func TestATokenOfAnotherSignatureSignsNobodyIn(t *testing.T) {
	f := startFake(t)
	p := f.provider(nil)
	claims := jwt.MapClaims{"iss": f.URL, "aud": "console", "sub": "u1", "tenant": "42", "role": "admin",
		"exp": f.now.Add(time.Hour).Unix()}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	secret, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("secret"))
	require.NoError(t, err)
	stranger := startFake(t)
	stranger.rotate("1")
	for _, token := range []string{none, secret, stranger.sign(map[string]any{"iss": f.URL}), "", "x", "a.b.c"} {
		r := f.callback(p, nil, "")
		f.set(func() { f.token = token })
		_, _, _, err := p.Finish(r)
		require.Equal(t, oidc.Rejected, refusal(t, err))
	}
}

func TestACallbackIsHeldToItsSignIn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *fake, r *http.Request)
		query  string
		want   oidc.Problem
	}{
		"no cookie":             {func(_ *fake, r *http.Request) { r.Header.Del("Cookie") }, "", oidc.Expired},
		"too late":              {func(f *fake, _ *http.Request) { f.ahead(601 * time.Second) }, "", oidc.Expired},
		"two states":            {nil, "&state=x", oidc.Expired},
		"two codes":             {nil, "&code=d", oidc.Rejected},
		"another issuer":        {nil, "&iss=https://evil.example", oidc.Rejected},
		"refused":               {nil, "&error=access_denied", oidc.Refused},
		"away, it says":         {nil, "&error=temporarily_unavailable", oidc.Away},
		"away":                  {func(f *fake, _ *http.Request) { f.Close() }, "", oidc.Away},
		"a code it takes not":   {func(f *fake, _ *http.Request) { f.answers(400) }, "", oidc.Rejected},
		"a fault of it":         {func(f *fake, _ *http.Request) { f.answers(502) }, "", oidc.Away},
		"a cookie of ours, cut": {func(_ *fake, r *http.Request) { cut(r) }, "", oidc.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			p := f.provider(nil)
			r := f.callback(p, nil, c.query)
			if c.change != nil {
				c.change(f, r)
			}
			_, _, _, err := p.Finish(r)
			require.Equal(t, c.want, refusal(t, err))
			require.NotContains(t, err.Error(), "secret")
		})
	}
	t.Run("RFC 9207: a provider that names itself must", func(t *testing.T) {
		f := startFake(t)
		f.set(func() { f.document = map[string]any{"authorization_response_iss_parameter_supported": true} })
		p := f.provider(nil)
		_, _, _, err := p.Finish(f.callback(p, nil, ""))
		require.Equal(t, oidc.Rejected, refusal(t, err))
		_, _, _, err = p.Finish(f.callback(p, nil, "&iss="+url.QueryEscape(f.URL)))
		require.NoError(t, err)
	})
	t.Run("a cookie that another key sealed", func(t *testing.T) {
		f := startFake(t)
		r := f.callback(f.provider(nil), nil, "")
		other := f.provider(func(c *oidc.Config) { c.Keys = [][]byte{[]byte(strings.Repeat("k", 32))} })
		_, _, _, err := other.Finish(r)
		require.Equal(t, oidc.Expired, refusal(t, err))
	})
}

func cut(r *http.Request) {
	v := r.Header.Get("Cookie")
	r.Header.Set("Cookie", v[:len(v)-2])
}

func TestClaimsThatTheTokenLacksAreAskedFor(t *testing.T) {
	f := startFake(t)
	f.set(func() { f.document = map[string]any{"userinfo_endpoint": f.URL + "/userinfo"} })
	names := access.ClaimNames{Tenant: "org", Email: "upn"}
	p := f.provider(func(c *oidc.Config) { c.Claims = names })
	f.set(func() {
		f.info = map[string]any{"sub": "u1", "org": 42, "upn": "ada@example.com", "role": "auditor",
			"email": "x@example.com", "email_verified": false}
	})
	who, _, _, err := p.Finish(f.callback(p, nil, ""))
	require.NoError(t, err)
	require.Equal(t, []any{"42", access.Administrator, "ada@example.com"}, []any{who.Tenant, who.Role, who.Email},
		"what is signed goes before")
	f.set(func() { f.info = map[string]any{"sub": "another", "org": "42"} })
	_, _, _, err = p.Finish(f.callback(p, nil, ""))
	require.Equal(t, oidc.Rejected, refusal(t, err), "OpenID Connect Core 1.0, 5.3.2")
}

// An endpoint of the provider that leads on to another host gets our secret, the code and the access token; the other
// host gets none of them.
func TestNoSecretFollowsARedirectToAnotherHost(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	leading := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer leading.Close()
	for _, methods := range [][]string{nil, {"client_secret_post"}} {
		f := startFake(t)
		f.set(func() {
			f.document = map[string]any{"token_endpoint": leading.URL + "/token",
				"token_endpoint_auth_methods_supported": methods}
		})
		p := f.provider(nil)
		_, _, _, err := p.Finish(f.callback(p, nil, ""))
		require.Error(t, err)
	}
	f := startFake(t)
	f.set(func() { f.document = map[string]any{"userinfo_endpoint": leading.URL + "/userinfo"} })
	p := f.provider(func(c *oidc.Config) { c.Claims = access.ClaimNames{Tenant: "org"} })
	_, _, _, err := p.Finish(f.callback(p, nil, ""))
	require.Error(t, err)
	require.Zero(t, elsewhere.Load())
}

func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v1/session", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestBearerTokens(t *testing.T) {
	f := startFake(t)
	p := f.provider(nil)
	api := func(more map[string]any) string {
		all := map[string]any{"aud": "api"}
		maps.Copy(all, more)
		return f.sign(all)
	}
	who, err := p.Authenticate(bearer(api(map[string]any{"tenant": 42, "email_verified": false})))
	require.NoError(t, err)
	require.Equal(t, "42", who.Tenant, "a number is the text that it is written as")
	require.Empty(t, who.Email)
	require.Equal(t, f.now.Unix(), who.Issued.Unix())
	var unauthorized *access.UnauthorizedError
	for _, claims := range []map[string]any{{"aud": "console"}, {"aud": nil}, {"aud": []string{}}, {"aud": nil,
		"client_id": "console"}, {"aud": "console", "client_id": "api"}, {"tenant": nil}, {"tenant": 4.2},
		{"tenant": []string{"42"}}, {"exp": f.now.Add(-61 * time.Second).Unix()}} {
		_, err := p.Authenticate(bearer(api(claims)))
		require.ErrorAs(t, err, &unauthorized, claims)
		require.False(t, unauthorized.None)
	}
	_, err = p.Authenticate(bearer(api(map[string]any{"aud": nil, "client_id": "api"})))
	require.NoError(t, err)
	for _, other := range []string{"", strings.Repeat("A", 64), "a.b"} {
		_, err := p.Authenticate(bearer(other))
		require.ErrorAs(t, err, &unauthorized)
		require.True(t, unauthorized.None, "a bearer that is no JWT is somebody else's to read")
	}
}

func TestKeysAreRotatedAndStrangersMakeNoStorm(t *testing.T) {
	f := startFake(t)
	p := f.provider(nil)
	good := func() error {
		_, err := p.Authenticate(bearer(f.sign(map[string]any{"aud": "api"})))
		return err
	}
	// A call that comes while the last reading of the keys is being put away is answered from it (go-oidc's inflight):
	// what is signed with a key of this instant may need a second try.
	soon := func(why string) {
		require.Eventually(t, func() bool { return good() == nil }, time.Minute, time.Millisecond, why)
	}
	require.NoError(t, good())
	old := f.sign(map[string]any{"aud": "api", "exp": f.now.Add(5 * time.Hour).Unix()})
	f.rotate("2")
	soon("a new key is asked for")
	stranger := startFake(t)
	stranger.rotate("3")
	for range 200 {
		_, err := p.Authenticate(bearer(stranger.sign(map[string]any{"iss": f.URL, "aud": "api"})))
		require.Error(t, err)
	}
	f.set(func() { require.LessOrEqual(t, f.asked["/keys"], 6) })
	require.NoError(t, good())
	f.rotate("4")
	f.ahead(11 * time.Second)
	soon("and a newer one soon after")
	f.ahead(2 * time.Hour)
	_, err := p.Authenticate(bearer(old))
	require.Error(t, err, "a key that was taken away")
	require.NoError(t, good())
	f.Close()
	f.ahead(2 * time.Hour)
	_, err = p.Authenticate(bearer(f.sign(map[string]any{"aud": "api"})))
	require.NoError(t, err, "the document and the keys from before stay in use")
}

func TestAProviderThatIsAwayIsNoFaultOfTheToken(t *testing.T) {
	f := startFake(t)
	p := f.provider(nil)
	token := f.sign(map[string]any{"aud": "api"})
	f.Close()
	_, err := p.Authenticate(bearer(token))
	var unauthorized *access.UnauthorizedError
	require.Error(t, err)
	require.False(t, errors.As(err, &unauthorized))
	_, _, err = p.Begin(t.Context(), "/")
	require.ErrorContains(t, err, "can not be reached")
	require.Empty(t, p.SignOut(t.Context()))
}

func TestSignOutIsAtTheProvider(t *testing.T) {
	f := startFake(t)
	require.Equal(t, f.URL+"/end?a=b&client_id=console&post_logout_redirect_uri="+
		"https%3A%2F%2Fconsole.example%2Fsign-in", f.provider(nil).SignOut(t.Context()))
	f.set(func() { f.document = map[string]any{"end_session_endpoint": "http://evil.example/end"} })
	require.Empty(t, f.provider(nil).SignOut(t.Context()), "not without TLS")
	var none *oidc.Provider
	require.Empty(t, none.SignOut(t.Context()))
	require.False(t, none.SignsIn())
}

func TestIssuersThatAStrangerCouldPlayAreRefused(t *testing.T) {
	for issuer, good := range map[string]bool{
		"https://login.example.com": true, "https://login.example.com/realms/a/": true, "http://127.0.0.1:8080": true,
		"http://localhost:8080": true, "http://[::1]:1": true, "http://login.example.com": false, "": false,
		"login.example.com": false, "https://a.example/?x=1": false, "https://a.example/#x": false,
		"https://u:p@a.example": false, "ftp://a.example": false, "http://127.0.0.1.evil.example": false,
	} {
		require.Equal(t, good, oidc.CheckIssuer(issuer) == nil, issuer)
	}
}
