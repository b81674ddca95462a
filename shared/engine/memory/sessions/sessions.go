// Package sessions keeps who is signed in, in memory.
package sessions

import (
	"context"
	"slices"
	"sync"
	"time"

	"tocsin/shared/session"
)

// Store is session.Store and session.Once.
type Store struct {
	mu   sync.Mutex
	all  map[string]session.Session
	used map[string]bool
}

var (
	_ session.Store = (*Store)(nil)
	_ session.Once  = (*Store)(nil)
)

// New returns a store with nobody in it.
func New() *Store {
	return &Store{all: map[string]session.Session{}, used: map[string]bool{}}
}

// Create keeps a session.
func (s *Store) Create(_ context.Context, v session.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[v.Digest] = v
	return nil
}

// Get reads a session.
func (s *Store) Get(_ context.Context, digest string) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.all[digest]
	if !ok {
		return v, session.ErrNotFound
	}
	return v, nil
}

// Extend moves the idle end of a session on.
func (s *Store) Extend(_ context.Context, digest string, idleEnd time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.all[digest]; ok && idleEnd.After(v.IdleEnd) {
		v.IdleEnd = idleEnd
		s.all[digest] = v
	}
	return nil
}

// Delete ends a session.
func (s *Store) Delete(_ context.Context, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, digest)
	return nil
}

// DeleteOf ends all sessions of a person.
func (s *Store) DeleteOf(_ context.Context, tenant, person string) (n int, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for digest, v := range s.all {
		if v.Tenant == tenant && v.Person() == person {
			delete(s.all, digest)
			n++
		}
	}
	return n, nil
}

// DeleteBy ends all that the identity provider names.
func (s *Store) DeleteBy(_ context.Context, logout string) (ended []session.Session, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for digest, v := range s.all {
		if slices.Contains(v.Logouts(), logout) {
			delete(s.all, digest)
			ended = append(ended, v)
		}
	}
	return ended, nil
}

// Use notes that something was used which is good once.
func (s *Store) Use(_ context.Context, digest string, _ time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.used[digest]
	s.used[digest] = true
	return first, nil
}
