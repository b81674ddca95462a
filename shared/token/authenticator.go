package token

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/shared/access"
)

// DefaultHeader is the header of the platform's clients. A deployment can name another.
const DefaultHeader = "X-WallarmAPI-Token"

// CheckHeader says what is wrong with a name for Header.
func CheckHeader(name string) error {
	if name == "" || strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie") ||
		!headerName.MatchString(name) {
		return errors.New("must be the name of a header of its own, of letters, digits and hyphens, such as " +
			DefaultHeader)
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// usedEvery is how often the last use of a token is written at most.
const usedEvery = time.Minute

// Authenticator takes API tokens: from Authorization: Bearer, and from Header. It asks the store at each call, and
// keeps nothing: a revoked token ends with the next call.
type Authenticator struct {
	Store  Store
	Header string // "" = DefaultHeader
	Now    func() time.Time
	Log    *slog.Logger
}

var _ access.Authenticator = (*Authenticator)(nil)

// Authenticate finds out whose API token a request bears. Another bearer token (a JWT has dots, which base64 has not)
// is no credential of this kind.
func (a *Authenticator) Authenticate(r *http.Request) (access.Principal, error) {
	secret, err := a.secret(r)
	if err != nil {
		return access.Principal{}, err
	}
	if wrong := wellFormed(secret); wrong != "" {
		return access.Principal{}, &access.UnauthorizedError{Reason: wrong}
	}
	digest := Digest(secret)
	t, err := a.Store.ByDigest(r.Context(), digest)
	if errors.Is(err, ErrNotFound) || err == nil && subtle.ConstantTimeCompare(t.Digest, digest) != 1 {
		return access.Principal{}, &access.UnauthorizedError{
			Reason: "this API token is not known here: it was made elsewhere, ended more than 30 days ago, or its " +
				"person or tenant was erased"}
	}
	if err != nil {
		return access.Principal{}, err
	}
	now := a.Now()
	switch t.State(now) {
	case Revoked:
		return access.Principal{}, &access.UnauthorizedError{Reason: t.whyRevoked()}
	case Expired:
		return access.Principal{}, &access.UnauthorizedError{
			Reason: "this API token expired at " + t.ExpiresAt.UTC().Format(time.RFC3339) + ": make a new one"}
	}
	a.used(r.Context(), t, now)
	return t.principal(), nil
}

func (t Token) whyRevoked() string {
	at := t.RevokedAt.UTC().Format(time.RFC3339)
	switch t.Ended {
	case RoleLost:
		return "this API token ended at " + at + ", because its maker's role was changed"
	case PersonChanged:
		return "this API token ended at " + at + ", because its maker was disabled or got another role"
	case PersonGone:
		return "this API token ended at " + at + ", because its maker was disabled or removed"
	}
	return "this API token was revoked at " + at
}

// principal is who calls with the token.
func (t Token) principal() access.Principal {
	return access.Principal{
		Tenant: t.Tenant, Home: t.Tenant, ClientName: t.ClientName, Role: t.Role, Email: t.Email, Name: t.PersonName,
		Source: access.FromAPIToken, Token: t.Name, TokenID: t.ID, Reach: t.Tenants,
	}
}

// secret finds the one API token of a request.
func (a *Authenticator) secret(r *http.Request) (string, error) {
	name := a.Header
	if name == "" {
		name = DefaultHeader
	}
	own := r.Header.Values(name)
	secrets := slices.Clone(own)
	for _, v := range r.Header.Values("Authorization") {
		// A proxy's Basic, say, is no API token, and not ours to judge here.
		if scheme, rest, _ := strings.Cut(v, " "); strings.EqualFold(scheme, "Bearer") {
			secrets = append(secrets, strings.TrimSpace(rest))
		}
	}
	if len(secrets) == 0 {
		return "", none
	}
	for _, s := range secrets[1:] {
		if subtle.ConstantTimeCompare([]byte(s), []byte(secrets[0])) != 1 {
			return "", &access.UnauthorizedError{Reason: "the request bears two credentials that differ: send one, " +
				"as Authorization: Bearer or as " + name}
		}
	}
	if len(own) == 0 && strings.Contains(secrets[0], ".") {
		return "", none
	}
	return secrets[0], nil
}

var none = &access.UnauthorizedError{Reason: "no API token", None: true}

// used notes the use, once a minute. A store that can not take it down keeps nobody from what they came for.
func (a *Authenticator) used(ctx context.Context, t Token, now time.Time) {
	if now.Sub(t.LastUsedAt) < usedEvery {
		return
	}
	if err := a.Store.Used(ctx, t, now.UTC().Truncate(time.Second)); err != nil {
		a.Log.Error("note the use of an API token", "tenant", t.Tenant, "token", t.ID, "error", err.Error())
	}
}
