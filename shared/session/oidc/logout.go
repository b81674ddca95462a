package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tocsin/shared/session"
)

// LogoutPath is where the provider tells of sessions that ended there (OpenID Connect Back-Channel Logout 1.0). It has
// to be registered as backchannel_logout_uri.
const LogoutPath = SignInPath + "/logout"

// logoutEvent is the event of a logout token (Back-Channel Logout 1.0, 2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutGood is how old a logout token may be that does not say when it expires.
const logoutGood = 10 * time.Minute

// Logout reads a logout token, and returns what it ends: session.ByProviderSession where it names a session of the
// provider, else session.BySubject. A token is good once (Back-Channel Logout 1.0, 2.6).
func (p *Provider) Logout(ctx context.Context, token string) (ends string, err error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	t, c, err := p.signed(ctx, d, token)
	if err != nil {
		return "", err
	}
	until := t.IssuedAt.Add(logoutGood)
	if !t.Expiry.IsZero() {
		until = t.Expiry
	}
	subject, sid, id := c.string("sub"), c.string("sid"), c.string("jti")
	switch _, nonce := c["nonce"]; {
	case !has(c.list("aud"), p.ClientID):
		return "", errAudience
	case t.IssuedAt.IsZero():
		return "", errors.New("the logout token does not say when it was issued")
	case p.Now().Add(-skew).After(until):
		return "", errors.New("the logout token has expired")
	case id == "":
		return "", errors.New("the logout token has no jti")
	case !c.logsOut():
		return "", errors.New("the token is of no logout: it lacks the event")
	case nonce:
		return "", errors.New("a logout token has no nonce")
	case subject == "" && sid == "":
		return "", errors.New("the logout token names neither a session nor a person")
	}
	first, err := p.Once.Use(ctx, session.Digest("logout "+id), until.Add(skew))
	switch {
	case err != nil:
		return "", fmt.Errorf("note a logout: %w", err)
	case !first:
		return "", errors.New("this logout token has been used already")
	case sid != "":
		return session.ByProviderSession(sid), nil
	}
	return session.BySubject(subject), nil
}

// string is a claim that has to be a text, "" for another.
func (c claims) string(name string) (s string) {
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// logsOut reports whether the claim events has the one of a logout, whose value is an object.
func (c claims) logsOut() bool {
	var events map[string]map[string]json.RawMessage
	return json.Unmarshal(c["events"], &events) == nil && events[logoutEvent] != nil
}
