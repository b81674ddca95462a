// Package erasures keeps the erasures that the API is asked for, in memory.
package erasures

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/erasure"
)

// Store is erasure.Jobs.
type Store struct {
	mu  sync.Mutex
	log func([]activity.Entry)
	all map[string]erasure.Job
}

var _ erasure.Jobs = (*Store)(nil)

// New makes an empty one; log takes the entries of changes.
func New(log func([]activity.Entry)) *Store { return &Store{log: log, all: map[string]erasure.Job{}} }

func clone(j erasure.Job) erasure.Job {
	j.Rows, j.Person, j.Called = maps.Clone(j.Rows), slices.Clone(j.Person), slices.Clone(j.Called)
	j.Integrations, j.Secret = slices.Clone(j.Integrations), slices.Clone(j.Secret)
	return j
}

// Job reads one.
func (s *Store) Job(_ context.Context, key string) (erasure.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.all[key]
	if !ok {
		return j, fmt.Errorf("read the erasure of tenant %s: %w", key, erasure.ErrNotFound)
	}
	return clone(j), nil
}

// SaveJob replaces one, with the entries of it.
func (s *Store) SaveJob(_ context.Context, j erasure.Job, entries ...activity.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[j.Key()].Revision != j.Revision-1 {
		return fmt.Errorf("save the erasure of tenant %s: %w", j.Key(), erasure.ErrConflict)
	}
	s.all[j.Key()] = clone(j)
	s.log(entries)
	return nil
}

// DueJobs lists those that are due.
func (s *Store) DueJobs(_ context.Context, now time.Time, limit int) (out []erasure.Job, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.all {
		if !j.Due.IsZero() && !j.Due.After(now) {
			out = append(out, clone(j))
		}
	}
	slices.SortFunc(out, func(a, b erasure.Job) int { return a.Due.Compare(b.Due) })
	return out[:min(limit, len(out))], nil
}
