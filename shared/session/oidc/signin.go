package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"tocsin/shared/access"
	"tocsin/shared/session"
)

// stateGood is how long a sign-in may take at the provider.
const stateGood = 10 * time.Minute

// Problem is why somebody was not signed in. The sign-in page has words for each.
type Problem string

// The problems.
const (
	Away     Problem = "provider_away" // the provider does not answer: try again
	Expired  Problem = "expired"       // begun too long ago, or in another browser
	Refused  Problem = "refused"       // the provider, or the person there, said no
	Rejected Problem = "rejected"      // what the provider sent does not hold
	NoTenant Problem = "no_tenant"     // the provider says no tenant of the person
	Replayed Problem = "replayed"      // this sign-in has been finished already
	Disabled Problem = "disabled"      // the person is disabled here
	Failed   Problem = "failed"        // a fault of ours
)

// NotSignedIn is the error of Finish.
type NotSignedIn struct {
	Problem Problem
	Return  string // where the person wanted to go
	Person  *access.Principal
	cause   error
}

func (e *NotSignedIn) Error() string {
	return fmt.Sprintf("not signed in (%s): %v", e.Problem, e.cause)
}
func (e *NotSignedIn) Unwrap() error { return e.cause }

// attempt is a sign-in under way.
type attempt struct {
	State, Nonce, Verifier, Return string
	Began                          time.Time
}

// Begin is where the provider signs people in, and the cookie of a browser that goes there.
func (p *Provider) Begin(ctx context.Context, returnTo string) (address string, cookie *http.Cookie, err error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", nil, err
	}
	a := attempt{Return: session.Local(returnTo), Began: p.Now()}
	for _, into := range []*string{&a.State, &a.Nonce, &a.Verifier} {
		raw := make([]byte, 32) // PKCE's verifier is of 32 random bytes (RFC 7636, 4.1)
		if _, err := io.ReadFull(p.Random, raw); err != nil {
			return "", nil, fmt.Errorf("make a state: %w", err)
		}
		*into = base64.RawURLEncoding.EncodeToString(raw)
	}
	value, err := p.seal(a)
	if err != nil {
		return "", nil, err
	}
	cookie = p.cookie(a.State, value)
	cookie.MaxAge = int(stateGood / time.Second)
	return p.oauth(d).AuthCodeURL(a.State, gooidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), cookie, nil
}

// cookie has a name of each sign-in: those of two tabs do not undo each other.
func (p *Provider) cookie(state, value string) *http.Cookie {
	secure := p.secure()
	return &http.Cookie{Name: CookiePrefix(secure) + state[:8], Value: value, Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteLaxMode} // the provider sends the browser back by a link, so not Strict
}

// CookiePrefix begins the names of the cookies of sign-ins under way.
func CookiePrefix(secure bool) string {
	if secure {
		return "__Host-tocsin_signin_"
	}
	return "tocsin_signin_"
}

// secure reports whether our own address has TLS.
func (p *Provider) secure() bool {
	u, err := url.Parse(p.Base)
	return err == nil && u.Scheme == "https"
}

// stateForm is that of our states.
var stateForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// Finish reads what the provider sent a browser back with: who signed in, and where to go on. The cookie makes the
// browser forget the sign-in; it is nil where there was none. An error is *NotSignedIn.
func (p *Provider) Finish(r *http.Request) (who access.Principal, returnTo string, gone *http.Cookie, err error) {
	q := r.URL.Query()
	a, gone, err := p.attempt(r, q)
	if err != nil {
		return who, session.Home, gone, &NotSignedIn{Problem: Expired, Return: session.Home, cause: err}
	}
	who, problem, err := p.finish(r.Context(), q, a)
	if err == nil {
		return who, a.Return, gone, nil
	}
	var away *awayError
	if errors.As(err, &away) {
		problem = Away
	}
	e := &NotSignedIn{Problem: problem, Return: a.Return, cause: err}
	if who.Subject != "" {
		e.Person = &who
	}
	return who, a.Return, gone, e
}

// attempt is the sign-in that the request's state names, if this browser began it, and not too long ago.
func (p *Provider) attempt(r *http.Request, q url.Values) (a attempt, gone *http.Cookie, err error) {
	state := q.Get("state")
	if len(q["state"]) != 1 || !stateForm.MatchString(state) {
		return a, nil, errors.New("the state is none of ours")
	}
	gone = p.cookie(state, "")
	gone.MaxAge = -1
	c, err := r.Cookie(gone.Name)
	if err != nil {
		return a, nil, errors.New("this browser has no such sign-in under way")
	}
	if a, err = p.open(c.Value); err != nil {
		return a, gone, err
	}
	age := p.Now().Sub(a.Began)
	if subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 || age > stateGood || age < -skew {
		return attempt{}, gone, errors.New("this sign-in was begun too long ago, or elsewhere")
	}
	return a, gone, nil
}

// finish turns the code into a person.
func (p *Provider) finish(ctx context.Context, q url.Values, a attempt) (who access.Principal, _ Problem, err error) {
	if said := q.Get("error"); said != "" {
		return who, refusal(said), fmt.Errorf("the provider answered %.64q", said)
	}
	code := q.Get("code")
	if len(q["code"]) != 1 || code == "" || len(q["iss"]) > 1 {
		return who, Rejected, errors.New("the provider sent no code")
	}
	d, err := p.discover(ctx)
	if err != nil {
		return who, Away, err
	}
	if iss := q.Get("iss"); (iss != "" || d.NamesItself) && iss != p.Issuer { // RFC 9207, 2.4
		return who, Rejected, errors.New("the code is of another issuer")
	}
	tokens, err := p.exchange(ctx, d, code, a.Verifier)
	if err != nil {
		return who, Rejected, err
	}
	t, c, err := p.idToken(ctx, d, tokens, a.Nonce)
	if err != nil {
		return who, Rejected, err
	}
	first, err := p.Once.Use(ctx, session.Digest(a.State), a.Began.Add(stateGood+skew))
	switch {
	case err != nil:
		return who, Failed, fmt.Errorf("note a sign-in: %w", err)
	case !first:
		who, _ = access.FromClaims(p.Claims, c.text) // nobody where the token does not say
		return who, Replayed, errors.New("this sign-in has been finished already")
	}
	who, err = p.person(ctx, d, t, c, func(ctx context.Context) (claims, error) {
		info, err := d.Provider.UserInfo(gooidc.ClientContext(ctx, p.client), oauth2.StaticTokenSource(tokens))
		var said claims
		if err == nil {
			err = info.Claims(&said)
		}
		return said, err
	})
	who.ProviderSession = c.text("sid") // OpenID Connect Front-Channel Logout 1.0, 3
	var unauthorized *access.UnauthorizedError
	if errors.As(err, &unauthorized) {
		return access.Principal{Subject: t.Subject}, NoTenant, err
	}
	return who, Rejected, err
}

// refusal is what an error of the provider means (OpenID Connect Core 1.0, 3.1.2.6; RFC 6749, 4.1.2.1).
func refusal(said string) Problem {
	switch said {
	case "server_error", "temporarily_unavailable":
		return Away
	}
	return Refused
}

// exchange turns a code into tokens. What the provider said is told without the texts that it sent.
func (p *Provider) exchange(ctx context.Context, d *document, code, verifier string) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(gooidc.ClientContext(ctx, p.client), answerIn)
	defer cancel()
	tokens, err := p.oauth(d).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var told *oauth2.RetrieveError
	switch {
	case err == nil:
		return tokens, nil
	case !errors.As(err, &told):
		return nil, &awayError{err}
	case told.Response != nil && told.Response.StatusCode >= http.StatusInternalServerError:
		return nil, &awayError{fmt.Errorf("it answered %s", told.Response.Status)}
	case told.Response != nil:
		return nil, fmt.Errorf("the provider did not take the code: %s, %.64q", told.Response.Status, told.ErrorCode)
	}
	return nil, errors.New("the provider did not take the code")
}

// idToken checks the token that the provider signed (OpenID Connect Core 1.0, 3.1.3.7).
func (p *Provider) idToken(ctx context.Context, d *document, tokens *oauth2.Token, nonce string) (*gooidc.IDToken,
	claims, error) {
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return nil, nil, errors.New("the provider sent no ID token")
	}
	t, c, err := p.verify(ctx, d, raw)
	if err != nil {
		return nil, nil, err
	}
	audience, party := c.list("aud"), c.text("azp")
	switch {
	case !has(audience, p.ClientID), party != "" && party != p.ClientID, len(audience) > 1 && party == "":
		return nil, nil, errAudience
	case subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1:
		return nil, nil, errors.New("the ID token is of another sign-in: its nonce is not ours")
	case t.Subject == "":
		return nil, nil, errors.New("the ID token names nobody")
	}
	if t.AccessTokenHash != "" {
		if err := t.VerifyAccessToken(tokens.AccessToken); err != nil {
			return nil, nil, errors.New("the access token is not the ID token's")
		}
	}
	return t, c, nil
}
