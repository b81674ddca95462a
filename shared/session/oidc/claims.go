package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"tocsin/shared/access"
)

// claims are those of a token whose signature was verified.
type claims map[string]json.RawMessage

// text is a claim as a text: a text, a whole number or a truth as it is written; "" for none, and for a list or an
// object, of which no part is taken for the whole.
func (c claims) text(name string) string {
	var s string
	raw := c[name]
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n int64
	if json.Unmarshal(raw, &n) == nil {
		return strconv.FormatInt(n, 10)
	}
	var b bool
	if json.Unmarshal(raw, &b) == nil {
		return strconv.FormatBool(b)
	}
	return ""
}

// list is a claim that may be one text or several (RFC 7519, 4.1.3).
func (c claims) list(name string) (all []string) {
	if json.Unmarshal(c[name], &all) == nil {
		return all
	}
	if one := c.text(name); one != "" {
		return []string{one}
	}
	return nil
}

// early reports whether the time that a claim says is more than skew from now.
func (c claims) early(name string, now time.Time) bool {
	var seconds float64
	return json.Unmarshal(c[name], &seconds) == nil && seconds > float64(now.Add(skew).Unix())
}

var (
	errSignature = errors.New("the token was not signed by the identity provider, or not for this service")
	errExpired   = errors.New("the token has expired: sign in again")
	errEarly     = errors.New("the token is not valid yet: check the clocks")
	errAudience  = errors.New("the token was issued for another service")
)

// verify checks signature, issuer and times of a token, which says nothing of whom it is for.
func (p *Provider) verify(ctx context.Context, d *document, token string) (*gooidc.IDToken, claims, error) {
	t, c, err := p.signed(ctx, d, token)
	if err == nil && p.Now().Add(-skew).After(t.Expiry) {
		err = errExpired
	}
	return t, c, err
}

// signed checks signature and issuer of a token, and that its time has come.
func (p *Provider) signed(ctx context.Context, d *document, token string) (*gooidc.IDToken, claims, error) {
	var fault error
	verifier := gooidc.NewVerifier(p.Issuer, d.keys, &gooidc.Config{
		SkipClientIDCheck: true, SupportedSigningAlgs: d.algorithms, SkipExpiryCheck: true, // see verify
	})
	t, err := verifier.Verify(context.WithValue(ctx, keyFault{}, &fault), token)
	switch {
	case fault != nil:
		return nil, nil, &awayError{fault}
	case err != nil:
		return nil, nil, errSignature
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return nil, nil, fmt.Errorf("the token can not be read: %w", err)
	}
	if now := p.Now(); c.early("nbf", now) || c.early("iat", now) {
		return nil, nil, errEarly
	}
	return t, c, nil
}

// Authenticate verifies a bearer token of the provider as an HTTP API's JWT authorizer does (API Gateway developer
// guide, "Control access to HTTP APIs with JWT authorizers"): signature, issuer, exp, nbf, iat, and aud, or client_id
// where there is no aud. A bearer that is no JWT is somebody else's to read.
func (p *Provider) Authenticate(r *http.Request) (access.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || strings.Count(token, ".") != 2 {
		return access.Principal{}, &access.UnauthorizedError{
			Reason: "sign in, or send a token as Authorization: Bearer …", None: true}
	}
	ctx := r.Context()
	d, err := p.discover(ctx)
	if err != nil {
		return access.Principal{}, err
	}
	_, c, err := p.verify(ctx, d, token)
	if err == nil {
		err = p.forUs(c)
	}
	var away *awayError
	switch {
	case errors.As(err, &away):
		return access.Principal{}, err
	case err != nil:
		return access.Principal{}, &access.UnauthorizedError{Reason: err.Error()}
	}
	return access.FromClaims(p.Claims, c.text)
}

func (p *Provider) forUs(c claims) error {
	audience := p.audience()
	if _, there := c["aud"]; there {
		if !slices.Contains(c.list("aud"), audience) {
			return errAudience
		}
		return nil
	}
	if audience == "" || c.text("client_id") != audience {
		return errAudience
	}
	return nil
}

// person is who an ID token is about. What it does not say of the claims that count is asked for at the provider
// (OpenID Connect Core 1.0, 5.3): many put only the subject into the token.
func (p *Provider) person(ctx context.Context, d *document, t *gooidc.IDToken, c claims, more userInfo) (
	access.Principal, error) {
	if d.UserInfo != "" && p.Claims.Missing(func(name string) bool { _, ok := c[name]; return ok }) {
		said, err := more(ctx)
		if err != nil {
			return access.Principal{}, &awayError{fmt.Errorf("read the claims of a person: %w", err)}
		}
		if said.text("sub") != t.Subject { // 5.3.2: the claims are not to be used
			return access.Principal{}, errors.New("the provider told the claims of another person")
		}
		for name, value := range said {
			if _, signed := c[name]; !signed {
				c[name] = value
			}
		}
	}
	return access.FromClaims(p.Claims, c.text)
}

// userInfo reads the claims of who signs in.
type userInfo func(ctx context.Context) (claims, error)
