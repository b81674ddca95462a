package stack

import (
	"crypto/rand"
	"fmt"
	"time"

	"tocsin/shared/engine/aws/accounts"
	"tocsin/shared/engine/aws/counters"
	"tocsin/shared/ratelimit"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

func (s *Stack) tokenStore() *accounts.Tokens {
	return &accounts.Tokens{DB: s.db, Table: s.env.need("TOCSIN_TABLE_ACCOUNTS"),
		Activity: s.env.get("TOCSIN_TABLE_ACTIVITY")}
}

func (s *Stack) tenantStore() *accounts.Tenants {
	return &accounts.Tenants{DB: s.db, Table: s.env.need("TOCSIN_TABLE_ACCOUNTS"),
		Activity: s.env.get("TOCSIN_TABLE_ACTIVITY")}
}

// Tokens makes API tokens, and ends those of people who lose their role.
func (s *Stack) Tokens() *token.Service {
	return &token.Service{Store: s.tokenStore(), Links: s.tenantStore(), Random: rand.Reader,
		Now: time.Now, NewID: newID, Log: s.Log}
}

// TokenHeader is the header that API tokens may come in.
func (s *Stack) TokenHeader() string {
	name := s.env.get("TOCSIN_TOKEN_HEADER")
	if name == "" {
		name = token.DefaultHeader
	}
	if err := token.CheckHeader(name); err != nil {
		s.env.wrong = append(s.env.wrong, fmt.Errorf("TOCSIN_TOKEN_HEADER (the parameter TokenHeader): %w", err))
	}
	return name
}

// APITokens lets API tokens in.
func (s *Stack) APITokens() *token.Authenticator {
	return &token.Authenticator{Store: s.tokenStore(), Header: s.TokenHeader(), Now: time.Now, Log: s.Log}
}

// TokenRequests bounds the calls of each API token over all functions.
func (s *Stack) TokenRequests() *ratelimit.Limiter {
	return &ratelimit.Limiter{
		Counter: &counters.Requests{DB: s.db, Table: s.env.need("TOCSIN_TABLE_COUNTERS")}, Now: time.Now, Log: s.Log,
		Limit: s.env.number("TOCSIN_TOKEN_REQUESTS", 0),
	}
}

// Tenants knows which tenants are linked.
func (s *Stack) Tenants() *tenant.Service {
	return &tenant.Service{Store: s.tenantStore(), Now: time.Now, NewID: newID, Log: s.Log}
}

// TokenNotices tells people of API tokens that expire.
func (s *Stack) TokenNotices() *token.Notices {
	n := &token.Notices{Store: s.tokenStore(), Bus: s.Bus(), Now: time.Now, Log: s.Log}
	if s.mails() {
		n.People = s.people()
	}
	return n
}
