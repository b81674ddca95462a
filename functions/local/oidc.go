package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
)

// signingIn is what flags say of sessions, and of the identity provider where people sign in.
type signingIn struct {
	issuer, client, secret, secretFile, scopes string
	claims                                     access.ClaimNames
	idle, longest                              time.Duration
}

// flags are those of signing in.
func (s *signingIn) flags(f *flag.FlagSet) {
	f.DurationVar(&s.idle, "session-idle", session.DefaultIdle, "how long a session lasts in which nothing is done")
	f.DurationVar(&s.longest, "session-longest", session.DefaultLongest, "how long a session lasts at most")
	f.StringVar(&s.issuer, "oidc-issuer", "", "address of the OpenID Connect provider where people sign in, as "+
		"https://login.example.com; there register as redirect URI /sign-in/callback below -public-url, and /sign-in "+
		"for after a logout (default: people sign in by links)")
	f.StringVar(&s.client, "oidc-client", "", "client id at the provider")
	f.StringVar(&s.secretFile, "oidc-secret-file", "", "file with the client secret, read at the start (default: a "+
		"public client)")
	f.StringVar(&s.secret, "oidc-secret", "", "the client secret; better given as TOCSIN_OIDC_SECRET or in a file")
	f.StringVar(&s.scopes, "oidc-scopes", "email profile", "scopes that are asked for beside openid")
	f.StringVar(&s.claims.Tenant, "claim-tenant", "tenant", "claim that names the tenant; who can write it reads "+
		"every tenant's data: the provider alone must write it, as the next two")
	f.StringVar(&s.claims.Role, "claim-role", "role", "claim that names the role")
	f.StringVar(&s.claims.Permissions, "claim-permissions", "", "claim with what a person of the role custom may do")
	f.StringVar(&s.claims.ClientName, "claim-client-name", "client_name", "claim with the company's name")
	f.StringVar(&s.claims.Email, "claim-email", "email", "claim with the person's address")
}

// check refuses what the flags can not mean, and reads the secret.
func (s *signingIn) check() error {
	if s.idle < time.Minute || s.longest < s.idle {
		return errors.New("-session-idle must be at least 1m, and -session-longest no shorter")
	}
	if s.issuer == "" {
		if s.client != "" || s.secret != "" || s.secretFile != "" {
			return errors.New("-oidc-client and -oidc-secret say nothing without -oidc-issuer")
		}
		return nil
	}
	if err := oidc.CheckIssuer(s.issuer); err != nil {
		return fmt.Errorf("-oidc-issuer: %w", err)
	}
	if s.client == "" {
		return errors.New("-oidc-issuer needs -oidc-client: the client id that the provider knows this program by")
	}
	if s.secretFile == "" {
		return nil
	}
	if s.secret != "" {
		return errors.New("give the client secret by -oidc-secret-file or by TOCSIN_OIDC_SECRET, not by both")
	}
	raw, err := os.ReadFile(s.secretFile)
	if err != nil {
		return fmt.Errorf("-oidc-secret-file: %w", err)
	}
	if s.secret = strings.TrimSpace(string(raw)); s.secret == "" {
		return fmt.Errorf("-oidc-secret-file: %s is empty", s.secretFile)
	}
	return nil
}

// signIn makes the sessions, and the provider if there is one.
func (p *program) signIn(own string) (err error) {
	p.sessions = &session.Service{Store: p.db.Sessions(), Now: time.Now, Random: rand.Reader, Log: p.log,
		Secure: strings.HasPrefix(own, "https://"), Idle: p.signing.idle, Longest: p.signing.longest}
	if p.signing.issuer == "" {
		return nil
	}
	keys, err := p.keys.Derive("sign-in")
	if err != nil {
		return err
	}
	c := oidc.Config{
		Issuer: p.signing.issuer, ClientID: p.signing.client, Secret: p.signing.secret,
		Scopes: strings.Fields(p.signing.scopes), Claims: p.signing.claims, Base: own,
		Keys: keys[:1], // an older key may be known to somebody; a sign-in takes minutes
		Once: p.db.Sessions(), Now: time.Now, Random: rand.Reader, Log: p.log,
	}
	if p.proxy != nil {
		c.Proxy = p.proxy.For
	}
	p.provider, err = oidc.New(c)
	return err
}
