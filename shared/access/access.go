// Package access says who calls: claims become a Principal with a tenant and a role. An identity provider's tokens are
// verified in package oidc; people have sessions, and programs API tokens.
package access

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
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
	// ProviderSession is the identity provider's name of its session (claim sid), while somebody signs in there.
	ProviderSession string
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

// Who names the caller in the log: the address, or else what is known of it.
func (p Principal) Who() string { return cmp.Or(p.Email, p.Subject, p.Name, p.Token) }

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

// StrangeBearer ends a Chain's search at a bearer token that nobody before it knows: a cookie beside bad credentials
// does not make them good.
type StrangeBearer struct{}

// Authenticate refuses a bearer token, and finds none in another request.
func (StrangeBearer) Authenticate(r *http.Request) (Principal, error) {
	for _, v := range r.Header.Values("Authorization") {
		if scheme, _, _ := strings.Cut(v, " "); strings.EqualFold(scheme, "Bearer") {
			return Principal{}, &UnauthorizedError{Reason: "the bearer token is no API token: make one in the Console"}
		}
	}
	return Principal{}, &UnauthorizedError{Reason: "no bearer token", None: true}
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
