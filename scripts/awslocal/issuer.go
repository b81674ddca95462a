package awslocal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
)

// Issuer signs tokens as an identity provider does, and tells its key.
type Issuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

// NewIssuer starts one on loopback.
func NewIssuer() (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	provider := &oidctest.Server{Algorithms: []string{oidc.ES256},
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "1", Algorithm: oidc.ES256}}}
	server := httptest.NewServer(provider)
	provider.SetIssuer(server.URL)
	return &Issuer{Server: server, key: key}, nil
}

// Token is one for the template's audience, good for an hour, with claims besides or instead; nil takes one away.
func (i *Issuer) Token(claims map[string]any) string {
	all := map[string]any{"iss": i.URL, "aud": "tocsin", "sub": "u1", "iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err) // a test's claims are JSON
	}
	return oidctest.SignIDToken(i.key, "1", oidc.ES256, string(raw))
}
