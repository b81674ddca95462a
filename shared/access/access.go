// Package access says who calls: a token's claims become a Principal with a tenant and a role. The embedded mode
// takes bearer tokens that its own key signed, though it hands out none: people have sessions and programs API tokens.
// Those of an identity provider are verified in package oidc.
package access

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Source is through what a person or the platform acts (product facts, section 7: "source UI / API token / node").
type Source string

// The sources.
const (
	FromConsole  Source = "console"
	FromAPIToken Source = "api_token"
	FromPlatform Source = "platform" // its own engineers and programs: the bus, a command on the machine
	FromSystem   Source = "system"   // Tocsin itself, such as when it disables a failing integration
	FromMail     Source = "mail"     // the link of a mail, by which its receiver leaves it
)

// Principal is who calls.
type Principal struct {
	Tenant     string // the one that is acted for
	Home       string // the one that the credentials are of; only a global role acts for another
	ClientName string // the tenant's company name
	Role       Role
	Email      string
	Name       string
	Subject    string    // the claim sub, for the log of who has no address
	Issued     time.Time // of the token, zero = it does not say; what it says of a person is of that time
	Source     Source    // "" = FromConsole
	Token      string    // the name of the API token, where Source is FromAPIToken
	TokenID    string    // its id
	// Reach are the only tenants that an API token acts for, EveryLinked for all that its role does; nil = as the role.
	Reach []string
	// HomeName is the company name of Home where another tenant is acted for.
	HomeName  string
	RequestID string // of this call, for the activity log
	Session   string // the digest of the session's id, where a cookie said who calls
}

// EveryLinked in Reach stands for Home and all tenants that are linked to it.
const EveryLinked = "*"

// AtHome is the caller as the home tenant knows that person: what belongs to a person, such as a profile, is there.
func (p Principal) AtHome() Principal {
	if p.Tenant != p.Home && p.Home != "" {
		p.Tenant, p.ClientName = p.Home, p.HomeName
	}
	return p
}

// Reaches reports whether an API token is for a tenant, as far as the token says; who calls without one is bounded by
// the role alone.
func (p Principal) Reaches(tenant string) bool {
	return p.Reach == nil || slices.Contains(p.Reach, tenant) || slices.Contains(p.Reach, EveryLinked)
}

// May reports whether the role has a right.
func (p Principal) May(right Right) bool { return p.Role.May(right) }

// Administers reports whether the role may see and manage integrations.
func (p Principal) Administers() bool { return p.May(Administer) }

// Who names the caller in the log: the address, else the subject.
func (p Principal) Who() string { return cmp.Or(p.Email, p.Subject) }

// UnauthorizedError says why a caller is not known, without showing the credentials.
type UnauthorizedError struct {
	Reason string
	None   bool // the request bears no credentials of the kind that was looked for
}

func (e *UnauthorizedError) Error() string { return e.Reason }

// ForgedError says that good credentials came with a request that their owner did not make.
type ForgedError struct{ Reason string }

func (e *ForgedError) Error() string { return e.Reason }

// Authenticator finds out who makes a request. Its errors are *UnauthorizedError, *ForgedError, or a fault of ours.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// Chain asks each Authenticator in turn until one finds credentials of its kind: those decide, good or bad.
type Chain []Authenticator

// Authenticate is the first answer that is not "there are none".
func (c Chain) Authenticate(r *http.Request) (Principal, error) {
	none := &UnauthorizedError{Reason: "sign in, or send an API token as Authorization: Bearer …", None: true}
	for _, a := range c {
		p, err := a.Authenticate(r)
		if errors.As(err, &none) && none.None {
			continue
		}
		return p, err
	}
	return Principal{}, none
}

// Audience of the Console API's tokens.
const Audience = "tocsin"

// leeway for clocks that differ.
const leeway = time.Minute

type claims struct {
	jwt.RegisteredClaims
	Tenant     string `json:"tenant"`
	ClientName string `json:"client_name,omitempty"`
	Role       Role   `json:"role"`
	Email      string `json:"email,omitempty"`
	Name       string `json:"name,omitempty"`
}

// Keys signs and verifies tokens (JWT, EdDSA).
type Keys struct {
	issuer string
	// the first signs and verifies; the others only tell a token of theirs from a strange one
	keys []ed25519.PrivateKey
	now  func() time.Time
}

// NewKeys makes a key from each seed of 32 bytes. Only the first signs anybody in: a key is rotated because somebody
// may know it, and who knows it can make a token for any tenant and role. Whom that signs out gets a new link.
func NewKeys(issuer string, seeds [][]byte, now func() time.Time) (*Keys, error) {
	k := &Keys{issuer: issuer, now: now}
	for _, s := range seeds {
		if len(s) != ed25519.SeedSize {
			return nil, fmt.Errorf("a seed for tokens must have %d bytes, has %d", ed25519.SeedSize, len(s))
		}
		k.keys = append(k.keys, ed25519.NewKeyFromSeed(s))
	}
	if len(k.keys) == 0 {
		return nil, errors.New("no seed for tokens")
	}
	return k, nil
}

// Issue makes a token that is good for the time given.
func (k *Keys) Issue(p Principal, good time.Duration) (string, error) {
	now := k.now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: k.issuer, Audience: jwt.ClaimStrings{Audience}, Subject: p.Email,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(good)),
		},
		Tenant: p.Tenant, ClientName: p.ClientName, Role: p.Role, Email: p.Email, Name: p.Name,
	}).SignedString(k.keys[0])
	if err != nil {
		return "", fmt.Errorf("issue a token: %w", err)
	}
	return token, nil
}

// Authenticate reads the bearer token of a request.
func (k *Keys) Authenticate(r *http.Request) (Principal, error) {
	header := r.Header.Get("Authorization")
	scheme, token, ok := strings.Cut(header, " ")
	if header == "" {
		return Principal{},
			&UnauthorizedError{Reason: "a token is needed: send it as Authorization: Bearer …", None: true}
	}
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, &UnauthorizedError{Reason: "the Authorization header must be Bearer and a token"}
	}
	return k.Verify(strings.TrimSpace(token))
}

// Verify checks a token: signature, issuer, audience, expiry, tenant.
func (k *Keys) Verify(token string) (Principal, error) {
	for n, key := range k.keys {
		var c claims
		_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key.Public(), nil },
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(k.issuer),
			jwt.WithAudience(Audience),
			jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(k.now))
		switch {
		case errors.Is(err, jwt.ErrTokenSignatureInvalid):
			continue
		case err != nil:
			return Principal{}, &UnauthorizedError{Reason: reason(err)}
		case n > 0:
			return Principal{}, &UnauthorizedError{
				Reason: "the token was signed with a key that has been rotated out: sign in again",
			}
		case c.Tenant == "":
			return Principal{}, &UnauthorizedError{Reason: "the token names no tenant"}
		}
		p := Principal{
			Tenant: c.Tenant, Home: c.Tenant, ClientName: c.ClientName, Role: ParseRole(string(c.Role)),
			Email: c.Email, Name: c.Name, Subject: c.Subject,
		}
		if c.IssuedAt != nil {
			p.Issued = c.IssuedAt.Time
		}
		return p, nil
	}
	return Principal{}, &UnauthorizedError{Reason: reason(jwt.ErrTokenSignatureInvalid)}
}

// ClaimNames are the claims of an identity provider's tokens that decide what a person may do. Whoever can write one of
// them is an administrator of every tenant: name claims that the provider alone writes. The zero value is `tenant`,
// `role`, `client_name` and `email`. Permissions is the claim of what a person with the role `custom` may do (see
// Custom), with spaces or commas between; "" = there is none, and such a person may do what the role itself lists
// (`custom:events.view,…`), or nothing.
//
// Amazon Cognito: an attribute `custom:role` is written by its user unless the app client has no write right on it
// ("Attribute permissions and scopes"; by default an app client may write every attribute), and so is `email`, which is
// taken only while it is verified. So no claim is looked for under a second name.
type ClaimNames struct{ Tenant, Role, ClientName, Email, Permissions string }

// emailClaim is the standard one (OpenID Connect Core 1.0, 5.1), of which email_verified tells whether it was proved.
const emailClaim = "email"

// Missing reports whether a token lacks one of the claims that say who a person is.
func (n ClaimNames) Missing(has func(name string) bool) bool {
	return !has(cmp.Or(n.Tenant, "tenant")) || !has(cmp.Or(n.Role, "role")) || !has(cmp.Or(n.Email, emailClaim)) ||
		n.Permissions != "" && !has(n.Permissions)
}

// FromClaims makes a Principal of claims that were verified elsewhere; claim returns one by its name, "" for none or
// one that is no text.
func FromClaims(names ClaimNames, claim func(name string) string) (Principal, error) {
	p := Principal{
		Tenant: claim(cmp.Or(names.Tenant, "tenant")), Role: ParseRole(claim(cmp.Or(names.Role, "role"))),
		ClientName: claim(cmp.Or(names.ClientName, "client_name")),
		Email:      claim(cmp.Or(names.Email, emailClaim)), Name: claim("name"), Subject: claim("sub"),
	}
	if p.Role == custom && names.Permissions != "" {
		split := func(r rune) bool { return r == ' ' || r == ',' }
		p.Role = Custom(strings.FieldsFunc(claim(names.Permissions), split)...)
	}
	if cmp.Or(names.Email, emailClaim) == emailClaim && claim("email_verified") == "false" {
		p.Email = "" // whoever claims another person's address must not get at that person's notifications
	}
	if s, err := strconv.ParseFloat(claim("iat"), 64); err == nil && s > 0 && s < 1<<40 {
		p.Issued = time.Unix(int64(s), 0).UTC()
	}
	p.Home = p.Tenant
	if p.Tenant == "" {
		return Principal{}, &UnauthorizedError{Reason: "the token names no tenant"}
	}
	return p, nil
}

func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "the token has expired: sign in again"
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "the token is not valid yet: check the clocks"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "the token was issued for another service"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "the token was not signed by this service: sign in again"
	default:
		return "the token can not be read"
	}
}
