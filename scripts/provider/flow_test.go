//go:build provider

package provider_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/provider"
	"tocsin/shared/access"
	"tocsin/shared/console"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/memory"
	"tocsin/shared/engine/memory/sessions"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
)

var accounts = map[string]map[string]any{
	"ada": {"tenant": "42", "role": "admin", "client_name": "Acme", "name": "Ada", "email": "ada@example.com",
		"email_verified": true},
	"eve":    {"tenant": "43", "role": "auditor", "email": "ada@example.com", "email_verified": false},
	"nobody": {"role": "admin", "email": "nobody@example.com", "email_verified": true},
}

// site is a Console at which people sign in.
type site struct {
	*httptest.Server
	t     *testing.T
	ahead atomic.Int64 // of the clock
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// open makes sites at one provider, with a client of each method.
func open(t *testing.T, inToken bool) (*provider.Provider, map[string]*site) {
	t.Helper()
	methods := []string{"client_secret_basic", "client_secret_post", "none"}
	sites, o := map[string]*site{}, provider.Options{Accounts: accounts, InToken: inToken}
	for _, m := range methods {
		s := &site{Server: httptest.NewUnstartedServer(nil), t: t}
		s.URL = "http://" + s.Listener.Addr().String()
		sites[m] = s
		o.Clients = append(o.Clients, provider.At(s.URL, "console-"+m, secretOf(m), m))
	}
	p, err := provider.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	for _, m := range methods {
		sites[m].serve(p.Issuer, "console-"+m, secretOf(m))
	}
	return p, sites
}

func secretOf(method string) string {
	if method == "none" {
		return ""
	}
	return "a secret of: " + method + " with +/%&" // RFC 6749, 2.3.1: it is encoded
}

func (s *site) serve(issuer, client, secret string) {
	log, store := slog.New(slog.DiscardHandler), sessions.New()
	at, err := oidc.New(oidc.Config{Issuer: issuer, ClientID: client, Secret: secret, Base: s.URL,
		Keys: [][]byte{make([]byte, 32)}, Once: store, Now: s.now, Random: rand.Reader, Log: log})
	require.NoError(s.t, err)
	sessions := &session.Service{Store: store, Now: s.now, Random: rand.Reader, Log: log}
	service := &integration.Service{Store: memory.New(nil).Integrations(), Systems: catalogue.Default(), Now: s.now,
		Log: log}
	s.Config.Handler = console.New(console.Config{Platform: "Tocsin", Integrations: service,
		Health:  &health.Monitor{Counters: memory.New(nil).Counters(), Switch: service, Now: s.now},
		Systems: catalogue.Default(), Sessions: sessions, Provider: at, Authenticator: access.Chain{sessions},
		Now: s.now, NewID: func() string { return "id" }, Log: log})
	base := s.URL
	s.URL = ""
	s.Start()
	require.Equal(s.t, base, s.URL)
	s.t.Cleanup(s.Close)
}

// browser keeps cookies, and says where it was led.
type browser struct {
	http.Client
	t *testing.T
}

func start(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{Client: http.Client{Jar: jar}, t: t}
}

func (b *browser) get(address string) (at *url.URL, status int, body string) {
	b.t.Helper()
	answer, err := b.Get(address)
	require.NoError(b.t, err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(b.t, err)
	return answer.Request.URL, answer.StatusCode, string(raw)
}

// signIn goes to the provider, says who one is there, and returns where that leads.
func (b *browser) signIn(s *site, who, returnTo string) *url.URL {
	b.t.Helper()
	at, status, body := b.get(s.URL + "/sign-in/provider?" + url.Values{"return": {returnTo}}.Encode())
	require.Equal(b.t, 200, status, body)
	if !strings.HasPrefix(at.Path, "/interaction/") {
		return at // the provider knows this browser
	}
	return b.say(at, url.Values{"login": {who}})
}

func (b *browser) say(at *url.URL, form url.Values) *url.URL {
	b.t.Helper()
	answer, err := b.PostForm(at.String(), form)
	require.NoError(b.t, err)
	defer answer.Body.Close()
	return answer.Request.URL
}

// who is whom the site takes the browser for; nil for nobody.
func (b *browser) who(s *site) map[string]any {
	b.t.Helper()
	_, status, body := b.get(s.URL + "/v1/session")
	if status == 401 {
		return nil
	}
	var v map[string]any
	require.Equal(b.t, 200, status, body)
	require.NoError(b.t, json.Unmarshal([]byte(body), &v))
	return v
}

func problem(at *url.URL) string { return at.Path + " " + at.Query().Get("problem") }

func TestPeopleSignInAndOut(t *testing.T) {
	for _, inToken := range []bool{true, false} {
		_, sites := open(t, inToken)
		for method, s := range sites {
			t.Run(fmt.Sprintf("%s, claims in the token: %v", method, inToken), func(t *testing.T) {
				b := start(t)
				require.Nil(t, b.who(s))
				at := b.signIn(s, "ada", "/triggers?tab=log")
				require.Equal(t, s.URL+"/triggers?tab=log", at.String())
				me := b.who(s)
				require.Equal(t, []any{"42", "administrator", "Acme", "ada@example.com", "Ada"}, []any{me["tenant"],
					me["role"], me["client_name"], me["email"], me["name"]})
				for other, elsewhere := range sites {
					if other != method {
						require.Nil(t, start(t).who(elsewhere))
					}
				}

				answer, err := b.Post(s.URL+"/v1/session/end", "application/json", strings.NewReader("{}"))
				require.NoError(t, err)
				defer answer.Body.Close()
				var end struct{ Next string }
				require.NoError(t, json.NewDecoder(answer.Body).Decode(&end))
				require.Nil(t, b.who(s), "signed out here")
				b.signOutThere(t, s, end.Next)
				require.Equal(t, "/sign-in refused", problem(b.signIn(s, "a stranger", "/")),
					"signed out there: the provider asks again")
			})
		}
	}
}

// TestASignOutAtTheProviderEndsSessionsHere: the provider names the session, or the person for a client that asked for
// none ("none").
func TestASignOutAtTheProviderEndsSessionsHere(t *testing.T) {
	_, sites := open(t, true)
	for method, s := range sites {
		hers, other, eve, gone := start(t), start(t), start(t), start(t)
		for b, who := range map[*browser]string{hers: "ada", other: "ada", eve: "eve", gone: "eve"} {
			b.signIn(s, who, "/")
			require.NotNil(t, b.who(s))
		}
		answer, err := gone.Post(s.URL+"/v1/session/end", "application/json", strings.NewReader("{}"))
		require.NoError(t, err)
		defer answer.Body.Close()
		var end struct{ Next string }
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&end))
		hers.signOutThere(t, s, end.Next)
		require.Eventually(t, func() bool { return hers.who(s) == nil }, time.Minute, 20*time.Millisecond, method)
		require.Equal(t, method == "none", other.who(s) == nil, "%s: another browser of hers", method)
		require.NotNil(t, eve.who(s), method)
	}
}

// signOutThere follows the provider's page, which asks first.
func (b *browser) signOutThere(t *testing.T, s *site, next string) {
	t.Helper()
	at, status, body := b.get(next)
	require.Equal(t, 200, status, body)
	_, rest, _ := strings.Cut(body, `name="xsrf" value="`)
	xsrf, _, _ := strings.Cut(rest, `"`)
	require.NotEmpty(t, xsrf, body)
	answer, err := b.PostForm(at.Scheme+"://"+at.Host+"/session/end/confirm",
		url.Values{"xsrf": {xsrf}, "logout": {"yes"}})
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, s.URL+"/sign-in", answer.Request.URL.String())
}

func TestWhoIsNotSignedIn(t *testing.T) {
	p, sites := open(t, true)
	s := sites["client_secret_basic"]
	t.Run("without a tenant", func(t *testing.T) {
		b := start(t)
		at := b.signIn(s, "nobody", "/reports")
		require.Equal(t, "/sign-in no_tenant", problem(at))
		require.Equal(t, "/reports", at.Query().Get("return"))
		require.Nil(t, b.who(s))
	})
	t.Run("who says no", func(t *testing.T) {
		b := start(t)
		at, _, _ := b.get(s.URL + "/sign-in/provider")
		require.Equal(t, "/sign-in refused", problem(b.say(at, url.Values{"cancel": {"yes"}})))
		require.Nil(t, b.who(s))
	})
	t.Run("an address that is not verified is nobody's", func(t *testing.T) {
		b := start(t)
		b.signIn(s, "eve", "/")
		require.Nil(t, b.who(s)["email"])
		require.Equal(t, "read_only", b.who(s)["role"])
	})
	t.Run("the way out is local", func(t *testing.T) {
		for _, to := range []string{"//evil.example", "/\\evil.example", "/%2fevil.example", "https://evil.example",
			"/\t/evil.example", "/%5cevil.example", "/..//evil.example"} {
			require.Equal(t, s.URL+"/", start(t).signIn(s, "ada", to).String(), to)
		}
	})
	t.Run("the provider is away", func(t *testing.T) {
		in, out := start(t), start(t)
		in.signIn(s, "ada", "/")
		under, _, _ := out.get(s.URL + "/sign-in/provider?return=/reports")
		callback := out.stopAtCallback(t, under, "ada")
		p.Stop()
		at, _, _ := out.get(callback)
		require.Equal(t, "/sign-in provider_away", problem(at))
		require.Equal(t, "/reports", at.Query().Get("return"))
		require.NotNil(t, in.who(s), "who is signed in stays")
		require.NoError(t, p.Run(t.Context()))
		out = start(t) // the provider has forgotten everybody
		require.Equal(t, s.URL+"/reports", out.signIn(s, "ada", "/reports").String(), "with new keys: a rotation")
		require.NotNil(t, out.who(s))
		require.NotNil(t, in.who(s))
	})
}

// stopAtCallback signs in at the provider, and does not follow the last redirect.
func (b *browser) stopAtCallback(t *testing.T, at *url.URL, who string) (callback string) {
	t.Helper()
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == oidc.CallbackPath {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	answer, err := b.PostForm(at.String(), url.Values{"login": {who}})
	require.NoError(t, err)
	defer answer.Body.Close()
	b.CheckRedirect = nil
	require.NotEmpty(t, callback)
	return callback
}

// code is what a callback brings, by its name.
func code(t *testing.T, callback, name string) string {
	t.Helper()
	u, err := url.Parse(callback)
	require.NoError(t, err)
	return u.Query().Get(name)
}

// with is a callback with another value.
func with(t *testing.T, callback, name, value string) string {
	t.Helper()
	u, err := url.Parse(callback)
	require.NoError(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// under signs in as far as the callback.
func (b *browser) under(s *site, who string) (callback string) {
	b.t.Helper()
	page, _, _ := b.get(s.URL + "/sign-in/provider?return=/reports")
	return b.stopAtCallback(b.t, page, who)
}

// refused opens a callback that signs nobody in.
func (b *browser) refused(s *site, callback, want string) {
	b.t.Helper()
	at, _, _ := b.get(callback)
	require.Equal(b.t, "/sign-in "+want, problem(at))
	require.Nil(b.t, b.who(s))
}

func TestWhatIsTakenFromAnotherSignIn(t *testing.T) {
	_, sites := open(t, true)
	s, other := sites["client_secret_basic"], sites["client_secret_post"]
	t.Run("a callback in another browser", func(t *testing.T) {
		start(t).refused(s, start(t).under(s, "ada"), "expired")
	})
	t.Run("another's code with one's own state", func(t *testing.T) {
		b := start(t)
		b.refused(s, with(t, b.under(s, "ada"), "code", code(t, start(t).under(s, "eve"), "code")), "rejected")
	})
	t.Run("a code of another client", func(t *testing.T) {
		b := start(t)
		b.refused(s, with(t, b.under(s, "ada"), "code", code(t, start(t).under(other, "ada"), "code")), "rejected")
	})
	t.Run("another issuer's code", func(t *testing.T) {
		b := start(t)
		b.refused(s, with(t, b.under(s, "ada"), "iss", "https://evil.example"), "rejected")
	})
	t.Run("a state that is none", func(t *testing.T) {
		for _, state := range []string{"", "x", strings.Repeat("a", 43), "../../x"} {
			b := start(t)
			b.refused(s, with(t, b.under(s, "ada"), "state", state), "expired")
		}
	})
}

func TestTimesOfASignIn(t *testing.T) {
	_, sites := open(t, true)
	s := sites["client_secret_basic"]
	t.Run("too late", func(t *testing.T) {
		b := start(t)
		callback := b.under(s, "ada")
		s.ahead.Store(int64(11 * time.Minute))
		defer s.ahead.Store(0)
		b.refused(s, callback, "expired")
	})
	t.Run("the same callback twice", func(t *testing.T) {
		b := start(t)
		callback := b.under(s, "ada")
		base, err := url.Parse(s.URL)
		require.NoError(t, err)
		kept := b.Jar.Cookies(base)
		at, _, _ := b.get(callback)
		require.Equal(t, "/reports", at.Path)
		again := start(t)
		again.Jar.SetCookies(base, kept) // a browser that kept its cookie of the sign-in
		again.refused(s, callback, "rejected")
		start(t).refused(s, callback, "expired")
	})
	t.Run("clocks a minute apart", func(t *testing.T) {
		for _, ahead := range []time.Duration{55 * time.Second, -55 * time.Second} {
			s.ahead.Store(int64(ahead))
			b := start(t)
			require.Equal(t, "/", b.signIn(s, "ada", "/").Path)
			require.NotNil(t, b.who(s))
		}
		s.ahead.Store(0)
	})
}
