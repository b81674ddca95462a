package oidc_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logout is a logout token of a provider with further claims, nil for none.
func (f *fake) logout(more map[string]any) string {
	all := map[string]any{"aud": "console", "jti": "j1", "sid": "s1", "tenant": nil, "role": nil, "email": nil,
		"events": map[string]any{logoutEvent: map[string]any{}}}
	maps.Copy(all, more)
	return f.sign(all)
}

func TestALogoutTokenIsHeldToTheSpecification(t *testing.T) {
	f := startFake(t)
	p := f.provider(nil)
	for name, c := range map[string]struct {
		claims map[string]any
		says   string // "" = taken
		ends   string
	}{
		"a session":       {nil, "", session.ByProviderSession("s1")},
		"a person":        {map[string]any{"sid": nil}, "", session.BySubject("u1")},
		"a session alone": {map[string]any{"sub": nil}, "", session.ByProviderSession("s1")},
		"several audiences": {map[string]any{"aud": []string{"x", "console"}}, "",
			session.ByProviderSession("s1")},
		"no exp":                  {map[string]any{"exp": nil}, "", session.ByProviderSession("s1")},
		"for bearer tokens":       {map[string]any{"aud": "api"}, "another service", ""},
		"of another issuer":       {map[string]any{"iss": "https://evil.example"}, "not signed by", ""},
		"of nobody":               {map[string]any{"sid": nil, "sub": nil}, "neither a session nor a person", ""},
		"a name that is a number": {map[string]any{"sid": 7, "sub": nil}, "neither a session nor a person", ""},
		"an ID token":             {map[string]any{"events": nil}, "lacks the event", ""},
		"of another event": {map[string]any{"events": map[string]any{"x": map[string]any{}}},
			"lacks the event", ""},
		"an event that is a text": {map[string]any{"events": map[string]any{logoutEvent: "x"}}, "lacks the event", ""},
		"events that are a text":  {map[string]any{"events": logoutEvent}, "lacks the event", ""},
		"a nonce":                 {map[string]any{"nonce": "n"}, "has no nonce", ""},
		"an empty nonce":          {map[string]any{"nonce": ""}, "has no nonce", ""},
		"no jti":                  {map[string]any{"jti": nil}, "no jti", ""},
		"no iat":                  {map[string]any{"iat": nil}, "when it was issued", ""},
		"issued later":            {map[string]any{"iat": f.now.Add(2 * time.Minute).Unix()}, "check the clocks", ""},
		"expired":                 {map[string]any{"exp": f.now.Add(-2 * time.Minute).Unix()}, "has expired", ""},
		"expired, within the skew": {map[string]any{"exp": f.now.Add(-59 * time.Second).Unix()}, "",
			session.ByProviderSession("s1")},
		"old, without exp": {map[string]any{"exp": nil, "iat": f.now.Add(-12 * time.Minute).Unix()},
			"has expired", ""},
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"jti": name}
			maps.Copy(claims, c.claims)
			ends, err := p.Logout(t.Context(), f.logout(claims))
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.ends, ends)
			_, err = p.Logout(t.Context(), f.logout(claims))
			require.ErrorContains(t, err, "has been used already")
		})
	}
}

func TestALogoutTokenOfAnotherSignatureEndsNothing(t *testing.T) {
	f, stranger := startFake(t), startFake(t)
	p := f.provider(nil)
	for _, token := range []string{"", "x", "a.b.c", stranger.logout(map[string]any{"iss": f.URL}),
		f.logout(nil) + "x"} {
		_, err := p.Logout(t.Context(), token)
		require.Error(t, err, token)
	}
	away := f.provider(func(c *oidc.Config) { c.Issuer = "http://127.0.0.1:1" })
	_, err := away.Logout(t.Context(), f.logout(nil))
	require.ErrorContains(t, err, "can not be reached")
}
