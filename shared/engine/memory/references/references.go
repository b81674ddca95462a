// Package references keeps what systems call what was made of objects, in memory.
package references

import (
	"context"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/memory/parts"
	"tocsin/shared/sending/reference"
)

// Store is reference.Store.
type Store struct {
	mu  sync.Mutex
	now func() time.Time
	all map[key]Reference
}

// New makes an empty one with a clock.
func New(now func() time.Time) *Store { return &Store{now: now, all: map[key]Reference{}} }

// Part is what tenants have of it.
func (s *Store) Part() parts.Part {
	p := parts.Map("references", s.all, func(k key, _ Reference) string { return k.tenant })
	return p.Locked(&s.mu)
}

var _ reference.Store = (*Store)(nil)

type key struct{ tenant, integration, object string }

// Reference is one, with its version.
type Reference struct {
	reference.Reference
	version int64
}

// Reference reads one.
func (s *Store) Reference(_ context.Context, l delivery.Lane, object string) (reference.Reference, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.all[key{l.Tenant, l.Integration, object}]
	if !r.Expires.After(s.now()) {
		return reference.Reference{}, 0, nil
	}
	return r.Reference, r.version, nil
}

// Swap replaces one.
func (s *Store) Swap(_ context.Context, l delivery.Lane, object string, version int64,
	to reference.Reference) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, now := key{l.Tenant, l.Integration, object}, s.now()
	r := s.all[k]
	if !r.Expires.After(now) {
		r = Reference{}
	}
	if r.version != version {
		return 0, reference.ErrChanged
	}
	next := max(now.UnixNano(), version+1)
	to.Since, to.Begun, to.Expires = utc(to.Since), utc(to.Begun), utc(to.Expires)
	s.all[k] = Reference{to, next}
	return next, nil
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
