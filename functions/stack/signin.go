package stack

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/engine/aws/accounts"
	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
)

// signIn is how people sign in, as the template's SignInSecret says it.
type signIn struct {
	Issuer           string `json:"issuer"`
	Audience         string `json:"audience"`
	ClientID         string `json:"client_id"`
	ClientSecret     string `json:"client_secret"`
	Scopes           string `json:"scopes"`
	TenantClaim      string `json:"tenant_claim"`
	RoleClaim        string `json:"role_claim"`
	ClientNameClaim  string `json:"client_name_claim"`
	EmailClaim       string `json:"email_claim"`
	PermissionsClaim string `json:"permissions_claim"`
	PublicURL        string `json:"public_url"`
	IdleMinutes      int    `json:"session_idle_minutes"`
	LongestMinutes   int    `json:"session_longest_minutes"`
}

// signIn reads the secret's value.
func (s *Stack) signIn() (v signIn, err error) {
	s.env.need("TOCSIN_SECRET_SIGN_IN")
	if err = json.Unmarshal([]byte(s.secrets.signIn), &v); err != nil {
		err = errors.New("it is no JSON object as the template writes it") // the value is not repeated
	}
	return v, err
}

func (s *Stack) sessionStore() *accounts.Sessions {
	return &accounts.Sessions{DB: s.db, Table: s.env.need("TOCSIN_TABLE_ACCOUNTS")}
}

// SignIn is the sessions of people, and the provider where they sign in and that signs bearer tokens.
func (s *Stack) SignIn() (*session.Service, *oidc.Provider) {
	v, err := s.signIn()
	var provider *oidc.Provider
	if err == nil {
		provider, err = s.provider(v)
	}
	if err != nil {
		s.env.wrong = append(s.env.wrong, fmt.Errorf("the secret of the identity provider (SignInSecret): %w", err))
	}
	return &session.Service{
		Store: s.sessionStore(), Now: time.Now, Random: rand.Reader, Log: s.Log,
		Secure: true, // an HTTP API speaks TLS only
		Idle:   time.Duration(v.IdleMinutes) * time.Minute, Longest: time.Duration(v.LongestMinutes) * time.Minute,
	}, provider
}

func (s *Stack) provider(v signIn) (*oidc.Provider, error) {
	keys, err := signInKeys(s.secrets.unsubscribe)
	if err != nil {
		return nil, err
	}
	c := oidc.Config{
		Issuer: v.Issuer, Audience: v.Audience, ClientID: v.ClientID, Secret: v.ClientSecret,
		Scopes: strings.Fields(v.Scopes),
		Claims: access.ClaimNames{Tenant: v.TenantClaim, Role: v.RoleClaim, ClientName: v.ClientNameClaim,
			Email: v.EmailClaim, Permissions: v.PermissionsClaim},
		Base: v.PublicURL, Keys: keys, Once: s.sessionStore(), Now: time.Now, Random: rand.Reader, Log: s.Log,
	}
	if s.proxy != nil {
		c.Proxy = s.proxy.For
	}
	return oidc.New(c)
}

// signInKeys derives the keys that seal sign-ins under way: all functions need the same, and the secret that they have
// in common is that of the links of mails.
func signInKeys(secrets []string) (keys [][]byte, err error) {
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "tocsin sign-in", 32)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
