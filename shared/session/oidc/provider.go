// Package oidc signs people in at an identity provider: OpenID Connect Core 1.0, authorization code flow with PKCE
// (RFC 7636), discovery, rotation of keys, and logout at the provider (RP-Initiated Logout 1.0).
//
// A sign-in that is under way is kept in a cookie of the browser that began it, sealed with a key of ours: state,
// nonce, PKCE's verifier and where to return to. So nobody else's browser can finish it, and strangers who begin
// thousands cost no row. A state is noted once it has signed somebody in, and is not good a second time.
//
// No token of the provider is kept: a session of ours is begun of an ID token's claims, and goes on while the provider
// is away. Whose rights change at the provider keeps the old ones until that session ends (session.Service, Longest).
package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"tocsin/shared/access"
	"tocsin/shared/session"
)

// skew is how far the provider's clock may be from ours.
const skew = time.Minute

// Of the provider's document (OpenID Connect Discovery 1.0, 4): how long it is good, and when it is asked for again
// after a failure, with an older one in hand and without.
const (
	documentGood        = time.Hour
	documentAgain       = time.Minute
	documentAgainAtOnce = 2 * time.Second
)

// answerIn bounds a call of the provider.
const answerIn = 5 * time.Second

// Config is what a deployment says of its provider.
type Config struct {
	Issuer string // an https address; on this machine http too
	// Audience of bearer tokens: claim aud, or client_id where there is no aud. "" = ClientID.
	Audience string
	ClientID string // "" = nobody signs in here, only bearer tokens are verified
	Secret   string // "" = a public client
	// Scopes are asked for beside openid; nil = email and profile.
	Scopes []string
	// Claims are the claims that decide what a person may do: see access.ClaimNames.
	Claims access.ClaimNames
	// Base is our own address, to which the provider sends browsers back: CallbackPath below it, and SignInPath after a
	// logout. Both have to be registered there.
	Base string
	// Keys of 32 bytes seal the cookies of sign-ins under way: the first seals, all open.
	Keys [][]byte
	// Once remembers states that were used.
	Once session.Once
	// Proxy is the way out; nil = none.
	Proxy  func(*http.Request) (*url.URL, error)
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
}

// Paths of ours.
const (
	SignInPath   = "/sign-in"
	StartPath    = SignInPath + "/provider"
	CallbackPath = SignInPath + "/callback"
)

// Provider is an identity provider.
type Provider struct {
	Config
	client *http.Client

	flight singleflight.Group
	mu     sync.Mutex
	found  *document
	next   time.Time // when the document is asked for again
	failed error     // why there is none
}

// document is what the provider says of itself.
type document struct {
	*gooidc.Provider
	keys       gooidc.KeySet
	algorithms []string

	EndSession  string   `json:"end_session_endpoint"`
	UserInfo    string   `json:"userinfo_endpoint"`
	Keys        string   `json:"jwks_uri"`
	Methods     []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	NamesItself bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207, 3
}

// New makes a Provider. It asks it nothing: a provider that is away at the start keeps nothing from starting.
func New(c Config) (*Provider, error) {
	if err := CheckIssuer(c.Issuer); err != nil {
		return nil, err
	}
	for _, k := range c.Keys {
		if len(k) != keyBytes {
			return nil, fmt.Errorf("a key for sign-ins must have %d bytes, has %d", keyBytes, len(k))
		}
	}
	if c.ClientID != "" && (c.Base == "" || len(c.Keys) == 0) {
		return nil, errors.New("to sign people in, our own address and a key are needed")
	}
	if c.Scopes == nil {
		c.Scopes = []string{"email", "profile"}
	}
	c.Base = strings.TrimSuffix(c.Base, "/")
	transport := &http.Transport{Proxy: c.Proxy, ForceAttemptHTTP2: true, MaxIdleConns: 4, IdleConnTimeout: time.Minute}
	return &Provider{Config: c, client: &http.Client{Timeout: answerIn, Transport: &throttle{next: transport,
		now: c.Now}}}, nil
}

// CheckIssuer refuses an issuer that a stranger on the way could play.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("the issuer %q must be an address as https://login.example.com, without ? and #", issuer)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return fmt.Errorf("the issuer %q must begin with https://: who is on the way could sign anybody in", issuer)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name is the provider as a person knows it: its host.
func (p *Provider) Name() string {
	u, err := url.Parse(p.Issuer)
	if err != nil {
		return p.Issuer
	}
	return u.Host
}

// SignsIn reports whether people can sign in here.
func (p *Provider) SignsIn() bool { return p != nil && p.ClientID != "" }

// awayError says that the provider did not answer as one.
type awayError struct{ cause error }

func (e *awayError) Error() string {
	return "the identity provider can not be reached: " + e.cause.Error()
}
func (e *awayError) Unwrap() error { return e.cause }

// discover is what the provider says of itself. An older document stays in use while it is away.
func (p *Provider) discover(ctx context.Context) (*document, error) {
	p.mu.Lock()
	found, failed, due := p.found, p.failed, !p.Now().Before(p.next)
	p.mu.Unlock()
	if !due {
		if found == nil {
			return nil, &awayError{failed}
		}
		return found, nil
	}
	fetched, err, _ := p.flight.Do("", func() (any, error) { return p.fetch(context.WithoutCancel(ctx)) })
	if err != nil {
		return nil, err
	}
	return fetched.(*document), nil
}

func (p *Provider) fetch(ctx context.Context) (*document, error) {
	ctx, cancel := context.WithTimeout(gooidc.ClientContext(ctx, p.client), answerIn)
	defer cancel()
	got, err := gooidc.NewProvider(ctx, p.Issuer)
	d := &document{Provider: got}
	if err == nil {
		err = d.complete(gooidc.ClientContext(context.WithoutCancel(ctx), p.client))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := p.Now(); {
	case err == nil:
		p.found, p.failed, p.next = d, nil, now.Add(documentGood)
	case p.found != nil:
		p.next = now.Add(documentAgain)
		p.Log.Warn("the identity provider's document can not be read: the one from before stays in use", "issuer",
			p.Issuer, "error", err.Error())
	default:
		p.failed, p.next = err, now.Add(documentAgainAtOnce)
		p.Log.Error("the identity provider's document can not be read: nobody can sign in there now", "issuer",
			p.Issuer, "error", err.Error())
		return nil, &awayError{err}
	}
	return p.found, nil
}

// complete reads the rest of the document. The keys are asked for when they are needed, and again when the document is
// an hour old: a key that the provider has taken away is good no longer than that.
func (d *document) complete(ctx context.Context) error {
	if err := d.Claims(d); err != nil {
		return fmt.Errorf("read the provider's document: %w", err)
	}
	if d.Keys == "" {
		return errors.New("the provider's document names no jwks_uri")
	}
	d.keys = keySet{gooidc.NewRemoteKeySet(ctx, d.Keys)}
	for _, a := range d.Algorithms {
		if asymmetric[a] {
			d.algorithms = append(d.algorithms, a)
		}
	}
	return nil
}

// asymmetric are the algorithms of signatures that only the provider can make (RFC 7518, 3.1; RFC 8037, 3.1).
var asymmetric = map[string]bool{
	gooidc.RS256: true, gooidc.RS384: true, gooidc.RS512: true, gooidc.ES256: true, gooidc.ES384: true,
	gooidc.ES512: true, gooidc.PS256: true, gooidc.PS384: true, gooidc.PS512: true, gooidc.EdDSA: true,
}

// oauth is the client of the provider.
func (p *Provider) oauth(d *document) *oauth2.Config {
	endpoint := d.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default of client metadata (OpenID Connect Registration, 2)
	if p.Secret == "" || len(d.Methods) > 0 && !has(d.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.Secret, Endpoint: endpoint,
		RedirectURL: p.Base + CallbackPath, Scopes: append([]string{gooidc.ScopeOpenID}, p.Scopes...)}
}

func has(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// SignOut is where a browser signs out at the provider, "" where there is no such place or it is not known now. The
// provider asks the person first: a hint that would make it not ask is the ID token, which is not kept.
func (p *Provider) SignOut(ctx context.Context) string {
	if !p.SignsIn() {
		return ""
	}
	d, err := p.discover(ctx)
	if err != nil || d.EndSession == "" {
		return ""
	}
	u, err := url.Parse(d.EndSession)
	if err != nil || u.Scheme != "https" && !loopback(u.Hostname()) {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.ClientID)
	q.Set("post_logout_redirect_uri", p.Base+SignInPath)
	u.RawQuery = q.Encode()
	return u.String()
}

// audience of bearer tokens.
func (p *Provider) audience() string { return cmp.Or(p.Audience, p.ClientID) }
