package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

// Tokens keeps API tokens.
type Tokens struct{ e *Engine }

// Tokens returns them.
func (e *Engine) Tokens() *Tokens { return &Tokens{e} }

// Tenants keeps which tenants are linked.
type Tenants struct{ e *Engine }

// Tenants returns the links.
func (e *Engine) Tenants() *Tenants { return &Tenants{e} }

var (
	_ token.Store  = (*Tokens)(nil)
	_ tenant.Store = (*Tenants)(nil)
)

// Create adds a token.
func (s *Tokens) Create(_ context.Context, t token.Token, entries ...activity.Entry) error {
	defer s.e.lock()()
	s.e.activity = append(s.e.activity, clone(entries)...)
	s.e.tokens[key{t.Tenant, t.ID}] = t.Clone()
	return nil
}

// where returns the tokens that a test says, the newest first.
func (s *Tokens) where(test func(token.Token) bool) (out []token.Token) {
	defer s.e.lock()()
	for _, t := range s.e.tokens {
		if test(t) {
			out = append(out, t.Clone())
		}
	}
	slices.SortFunc(out, func(a, b token.Token) int { return cmp.Compare(b.ID, a.ID) })
	return out
}

func onlyToken(found []token.Token) (token.Token, error) {
	if len(found) == 0 {
		return token.Token{}, fmt.Errorf("read an API token: %w", token.ErrNotFound)
	}
	return found[0], nil
}

// ByDigest finds the token of a digest.
func (s *Tokens) ByDigest(_ context.Context, digest []byte) (token.Token, error) {
	return onlyToken(s.where(func(t token.Token) bool { return bytes.Equal(t.Digest, digest) }))
}

// Get returns one token.
func (s *Tokens) Get(_ context.Context, tenant, id string) (token.Token, error) {
	return onlyToken(s.where(func(t token.Token) bool { return t.Tenant == tenant && t.ID == id }))
}

// List returns a page of a tenant's tokens.
func (s *Tokens) List(_ context.Context, tenant, before string, limit int) ([]token.Token, error) {
	all := s.where(func(t token.Token) bool { return t.Tenant == tenant && (before == "" || t.ID < before) })
	return all[:min(limit, len(all))], nil
}

// Save replaces the token of the revision before.
func (s *Tokens) Save(_ context.Context, t token.Token, entries ...activity.Entry) error {
	defer s.e.lock()()
	is, ok := s.e.tokens[key{t.Tenant, t.ID}]
	if !ok || is.Revision != t.Revision-1 {
		return fmt.Errorf("save API token %s: %w", t.ID, token.ErrConflict)
	}
	t.LastUsedAt = is.LastUsedAt
	s.e.activity = append(s.e.activity, clone(entries)...)
	s.e.tokens[key{t.Tenant, t.ID}] = t.Clone()
	return nil
}

// Used notes a use.
func (s *Tokens) Used(_ context.Context, t token.Token, at time.Time) error {
	defer s.e.lock()()
	if is, ok := s.e.tokens[key{t.Tenant, t.ID}]; ok && at.After(is.LastUsedAt) {
		is.LastUsedAt = at
		s.e.tokens[key{t.Tenant, t.ID}] = is
	}
	return nil
}

// Expiring returns the tokens whose people are to be told.
func (s *Tokens) Expiring(_ context.Context, until time.Time, limit int) ([]token.Token, error) {
	all := s.where(func(t token.Token) bool {
		return !t.ExpiresAt.IsZero() && !t.Quiet() && !t.ExpiresAt.After(until)
	})
	slices.SortFunc(all, func(a, b token.Token) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.ID, b.ID))
	})
	return all[:min(limit, len(all))], nil
}

// Link adds or replaces a link.
func (s *Tenants) Link(_ context.Context, l tenant.Link, entries ...activity.Entry) error {
	defer s.e.lock()()
	s.e.activity = append(s.e.activity, clone(entries)...)
	s.e.links[key{l.Technical, l.Tenant}] = l
	return nil
}

// Unlink removes a link.
func (s *Tenants) Unlink(_ context.Context, technical, linked string, entries ...activity.Entry) error {
	defer s.e.lock()()
	if _, ok := s.e.links[key{technical, linked}]; !ok {
		return fmt.Errorf("unlink tenant %s: %w", linked, tenant.ErrNotFound)
	}
	delete(s.e.links, key{technical, linked})
	s.e.activity = append(s.e.activity, clone(entries)...)
	return nil
}

// Get returns one link.
func (s *Tenants) Get(_ context.Context, technical, linked string) (tenant.Link, error) {
	defer s.e.lock()()
	l, ok := s.e.links[key{technical, linked}]
	if !ok {
		return l, fmt.Errorf("read the link of tenant %s: %w", linked, tenant.ErrNotFound)
	}
	return l, nil
}

// List returns a page of links.
func (s *Tenants) List(_ context.Context, technical, after string, limit int) (out []tenant.Link, err error) {
	defer s.e.lock()()
	for k, l := range s.e.links {
		if k.tenant == technical && k.id > after {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b tenant.Link) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return out[:min(limit, len(out))], nil
}
