// Package accesstest signs tests in: its tokens stand for those of an identity provider, whose claims become a
// Principal by the same rules. No deployable imports it.
package accesstest

import (
	"bytes"
	"crypto/ed25519"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
)

// Tokens signs and takes bearer tokens (JWT, EdDSA).
type Tokens struct{ key ed25519.PrivateKey }

var _ access.Authenticator = (*Tokens)(nil)

// New makes the tokens of a test.
func New() *Tokens { return &Tokens{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))} }

// Issue signs a token of an hour for a person.
func (k *Tokens) Issue(t *testing.T, p access.Principal) string {
	t.Helper()
	return k.Sign(t, map[string]any{"tenant": p.Tenant, "client_name": p.ClientName, "role": p.Role, "email": p.Email,
		"name": p.Name, "sub": p.Email, "iat": time.Now().Unix()})
}

// Sign signs claims of an hour, unless they say exp.
func (k *Tokens) Sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()}
	for name, v := range claims {
		all[name] = v
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, all).SignedString(k.key)
	require.NoError(t, err)
	return signed
}

// Authenticate reads the bearer token of a request.
func (k *Tokens) Authenticate(r *http.Request) (access.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return access.Principal{}, &access.UnauthorizedError{Reason: "no bearer token", None: true}
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return k.key.Public(), nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithExpirationRequired()); err != nil {
		return access.Principal{}, &access.UnauthorizedError{
			Reason: "the token was not signed by this service: sign in again"}
	}
	return access.FromClaims(access.ClaimNames{}, func(name string) string {
		text, _ := claims[name].(string)
		return text
	})
}
