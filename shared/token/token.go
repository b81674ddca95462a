// Package token is API tokens: what a program signs in with. A personal token acts as the person who made it and ends
// with that person's role; a shared one is the tenant's (product facts, section 7: "tokens"). The secret is shown once,
// where the token is made; what is kept is its digest. It has 384 random bits, so that a plain digest keeps it: nobody
// can try them.
package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/activity"
)

// Errors. Wrap them; callers use errors.Is.
var (
	ErrNotFound = errors.New("API token not found")
	// ErrConflict: the token changed since it was read.
	ErrConflict = errors.New("API token was changed meanwhile")
)

// Kind says whose a token is.
type Kind string

// The kinds.
const (
	Personal Kind = "personal" // of the person who made it
	Shared   Kind = "shared"   // of the tenant
)

// secretBytes are random; base64 makes 64 characters of them, which is what the platform's Terraform provider and its
// Go client take.
const secretBytes = 48

// SecretLength is the length of a token, in characters of standard base64.
const SecretLength = secretBytes / 3 * 4

// Limits of a token, in characters, and of a tenant's tokens.
const (
	maxName    = 100
	maxTenants = 100
	// MaxTokens is how many tokens of a tenant are kept, ended ones too.
	MaxTokens = 1000
)

// kept is how long a token that ended is listed, and answered by its own words.
const kept = 30 * 24 * time.Hour

// Token is an API token without its secret.
type Token struct {
	ID         string      `json:"id"`
	Tenant     string      `json:"tenant"` // the home of who made it
	ClientName string      `json:"client_name,omitempty"`
	Name       string      `json:"name"`
	Kind       Kind        `json:"kind"`
	Role       access.Role `json:"role"`
	// Tenants are those that it acts for: Tenant, linked ones, or access.EveryLinked.
	Tenants   []string  `json:"tenants"`
	Digest    []byte    `json:"digest"` // see Digest
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by,omitempty"` // an address, or the name of the token that made it
	// Email and PersonName are of the person whose token it is, of a personal one.
	Email      string    `json:"email,omitempty"`
	PersonName string    `json:"person_name,omitempty"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`   // zero = never
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // to the minute
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitempty"`
	Ended      Ended     `json:"ended,omitempty"` // why, where RevokedAt is set
	Warned     bool      `json:"warned,omitempty"`
	Revision   int64     `json:"revision"` // counts changes from 1; the last use is none
}

// Ended says why a token was revoked.
type Ended string

// The reasons.
const (
	ByHand     Ended = "revoked"        // a person did it
	RoleLost   Ended = "role_changed"   // the maker's role allows less than the token's
	PersonGone Ended = "person_removed" // the maker was disabled or deleted
	// PersonChanged is RoleLost or PersonGone: who told said only that one of them happened.
	PersonChanged Ended = "person_changed"
)

// State is how a token stands.
type State string

// The states.
const (
	Active  State = "active"
	Expired State = "expired"
	Revoked State = "revoked"
)

// State is that of a time.
func (t Token) State(now time.Time) State {
	switch {
	case !t.RevokedAt.IsZero():
		return Revoked
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return Expired
	}
	return Active
}

// Forget is when the token's row may go; zero = never.
func (t Token) Forget() time.Time {
	switch {
	case !t.RevokedAt.IsZero():
		return t.RevokedAt.Add(kept)
	case !t.ExpiresAt.IsZero():
		return t.ExpiresAt.Add(kept)
	}
	return time.Time{}
}

// Quiet reports whether there is nothing more to tell of the token's end.
func (t Token) Quiet() bool { return t.Warned || !t.RevokedAt.IsZero() }

// Clone is a copy that shares nothing with t.
func (t Token) Clone() Token {
	t.Tenants, t.Digest = slices.Clone(t.Tenants), slices.Clone(t.Digest)
	return t
}

// Store keeps tokens. What one call has changed every later one sees. Implementations are safe for concurrent use.
type Store interface {
	// Create adds a token of revision 1, with the entries of it.
	Create(ctx context.Context, t Token, entries ...activity.Entry) error
	// ByDigest finds the token of a digest. Error: ErrNotFound.
	ByDigest(ctx context.Context, digest []byte) (Token, error)
	// Get returns one token of a tenant. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Token, error)
	// List returns the tokens of a tenant, the newest first: at most limit of those whose id is less than before; ""
	// = from the newest on.
	List(ctx context.Context, tenant, before string, limit int) ([]Token, error)
	// Save replaces the token of the revision t.Revision-1, with the entries of it; its last use stays. Error:
	// ErrConflict.
	Save(ctx context.Context, t Token, entries ...activity.Entry) error
	// Used notes a use, unless a later one is noted. It changes no revision, and is no error when the token has gone.
	Used(ctx context.Context, t Token, at time.Time) error
	// Expiring returns tokens that expire until a time, were not revoked, and are not Warned: at most limit, the first
	// to expire first.
	Expiring(ctx context.Context, until time.Time, limit int) ([]Token, error)
}

// Digest is what is kept of a secret.
func Digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// wellFormed says what is wrong with the form of a secret; "" = nothing.
func wellFormed(secret string) string {
	const want = "an API token is 64 characters of base64"
	switch {
	case strings.ContainsAny(secret, "-_"):
		return want + " with + and /, not of the URL-safe kind: send it as it was shown"
	case len(secret) != SecretLength:
		return want + ": send all of it, and nothing else"
	}
	if raw, err := base64.StdEncoding.DecodeString(secret); err != nil || len(raw) != secretBytes {
		return want + ": send it as it was shown"
	}
	return ""
}
