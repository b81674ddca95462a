package oauth_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	_ "tocsin/shared/destination/destinationtest" // its flag -update, which the tests of all destinations are given
	"tocsin/shared/destination/oauth"
)

var now = time.Unix(1677628800, 0)

var authorizer = oauth.ClientCredentials{
	URL: "https://login.example.com/token", Form: oauth.Form("grant_type", "password", "password", "a b&c=d"),
	Who: "Example", Mend: "check the password",
}

func TestAsk(t *testing.T) {
	q, err := authorizer.Ask(t.Context(), now)
	require.NoError(t, err)
	form, err := url.ParseQuery(string(q.Body))
	require.NoError(t, err)
	require.Equal(t, "a b&c=d", form.Get("password"))
	require.Equal(t, "application/x-www-form-urlencoded", q.Header.Get("Content-Type"))
	require.NotContains(t, authorizer.Key(), "a b")
}

func TestAClientAuthenticatesItselfByAHeader(t *testing.T) {
	g := authorizer
	g.Basic = oauth.Basic("a client", "s:cr%t+&")
	q, err := g.Ask(t.Context(), now)
	require.NoError(t, err)
	r := http.Request{Header: q.Header}
	client, secret, ok := r.BasicAuth()
	require.True(t, ok)
	require.Equal(t, []string{"a+client", "s%3Acr%25t%2B%26"}, []string{client, secret})
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		life   time.Duration // of the token; 0 = refused
		says   string
	}{
		"a token with its life": {200, `{"access_token":"tok","expires_in":1799,"token_type":"Bearer"}`,
			1799 * time.Second, ""},
		"a life that is written as a text": {200, `{"access_token":"tok","expires_in":"3599"}`, 3599 * time.Second,
			""},
		"a token that no header can carry": {200, `{"access_token":"to\r\nk"}`, 0, "that no header can carry"},
		"a token of another type":          {200, `{"access_token":"tok","token_type":"mac"}`, 0, "not of the type Bearer"},
		"a type in small letters":          {200, `{"access_token":"tok","token_type":"bearer"}`, 10 * time.Minute, ""},
		"a type that is no word":           {200, `{"access_token":"tok","token_type":1}`, 10 * time.Minute, ""},
		"a token without a life":           {200, `{"access_token":"tok"}`, 10 * time.Minute, ""},
		"a life beyond reason is bounded":  {200, `{"access_token":"tok","expires_in":1e300}`, 24 * time.Hour, ""},
		"a negative life is none":          {200, `{"access_token":"tok","expires_in":-5}`, 10 * time.Minute, ""},
		"a refusal with its reason": {401, `{"error":"invalid_client","error_description":"bad\n secret"}`, 0,
			"Example answered 401 Unauthorized (invalid_client): check the password"},
		"a page in place of an answer": {200, `<html>`, 0,
			"the answer of Example holds none: check the address"},
		"an answer without a token": {200,
			`{"error":"server_error","error_description":"AADSTS90033: it says x"}`, 0,
			"holds none (server_error, AADSTS90033): check"},
		"too many requests":                   {429, ``, 0, "slow down"},
		"a fault of the server's":             {503, ``, 0, "fault of its own"},
		"nothing is there":                    {404, ``, 0, "check the address"},
		"a redirect, which nobody follows":    {302, ``, 0, "302 Found: redirects are not followed"},
		"an answer of another type is no one": {200, `[1]`, 0, "holds none"},
	} {
		t.Run(name, func(t *testing.T) {
			got, v := authorizer.Read(destination.Response{Status: c.status, Body: []byte(c.body)}, now)
			require.Equal(t, c.life != 0, v.Delivered, v.Reason)
			if c.life == 0 {
				require.Contains(t, v.Reason, c.says)
				require.Zero(t, got)
				return
			}
			require.Equal(t, destination.Credential{Secret: "tok", Expires: now.Add(c.life)}, got)
		})
	}
	_, v := authorizer.Read(destination.Response{Status: 429, Header: http.Header{"Retry-After": {"30"}}}, now)
	require.Equal(t, 30*time.Second, v.RetryAfter)
}

// TestATokenAddressThatLeadsToASignInSaysSo: it was told to check the address, which was the right one.
func TestATokenAddressThatLeadsToASignInSaysSo(t *testing.T) {
	_, v := authorizer.Read(destination.Response{Status: 302,
		Header: http.Header{"Location": {"https://sso.example/saml2?SAMLRequest=x"}}}, now)
	require.Equal(t, "no access token: Example answered 302 Found: it redirects to a sign-in page at sso.example, "+
		"which no machine can pass: enter the address of the API, or let this sender through without a sign-in",
		v.Reason)
}

func TestApplyLeavesTheRequestAsItWas(t *testing.T) {
	q := destination.Request{Header: http.Header{"Accept": {"x"}}}
	signed, err := authorizer.Apply(q, destination.Credential{Secret: "tok"}, now)
	require.NoError(t, err)
	require.Equal(t, "Bearer tok", signed.Header.Get("Authorization"))
	require.Empty(t, q.Header.Get("Authorization"))
	_, err = authorizer.Apply(destination.Request{}, destination.Credential{Secret: "tok"}, now)
	require.NoError(t, err)
}

func FuzzRead(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"tok","expires_in":"12"}`))
	f.Add(400, []byte(`{"error":"invalid_grant"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c, v := authorizer.Read(destination.Response{Status: status, Body: body}, now)
		if v.Delivered {
			require.NotEmpty(t, c.Secret)
			require.True(t, c.Expires.After(now) && !c.Expires.After(now.Add(24*time.Hour)))
		} else {
			require.NotEmpty(t, v.Reason)
		}
	})
}
