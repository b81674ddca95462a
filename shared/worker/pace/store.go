package pace

import (
	"context"
	"errors"
	"sync"
	"time"

	"tocsin/shared/delivery"
)

// ErrVersionConflict says that a pace was changed since it was read.
var ErrVersionConflict = errors.New("the pace was changed by another process")

// Store keeps the paces of integrations for all processes of a worker. Only those have one whose systems asked to be
// spared or gave no answer: a healthy integration costs neither a read nor a write. Implementations are safe for
// concurrent use, and may forget a pace after Pace.Keep.
type Store interface {
	// Pace returns an integration's pace and its version: a zero Pace and 0 when there is none. Lane.Retry does not
	// matter: the system does not tell first attempts and retries apart.
	Pace(ctx context.Context, l delivery.Lane) (p Pace, version int64, err error)
	// Paces are those of many integrations of a tenant, in their order: a zero Pace where there is none.
	Paces(ctx context.Context, tenant string, integrations []string) ([]Pace, error)
	// Swap replaces the pace whose version is the given one, 0 for none, and returns the new version. Error:
	// ErrVersionConflict.
	Swap(ctx context.Context, l delivery.Lane, version int64, p Pace) (next int64, err error)
}

// Holds tells people which systems are spared.
type Holds struct {
	Store Store
	Now   func() time.Time
}

// HeldUntil is when the next request may begin to each of some integrations: see Pace.Held.
func (h Holds) HeldUntil(ctx context.Context, tenant string, integrations []string) ([]time.Time, error) {
	all, err := h.Store.Paces(ctx, tenant, integrations)
	if err != nil {
		return nil, err
	}
	now := h.Now()
	out := make([]time.Time, len(all))
	for n, p := range all {
		out[n] = p.current(now).Held(now)
	}
	return out, nil
}

// Memory is the Store of a worker that is one process. The zero value is ready.
type Memory struct {
	mu   sync.Mutex
	all  map[delivery.Lane]kept
	last int64
	Now  func() time.Time // nil = time.Now
}

type kept struct {
	pace    Pace
	version int64
	keep    time.Time
}

// prunedFrom is how many paces are kept before those are looked for that say nothing any more.
const prunedFrom = 1024

func (s *Memory) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Pace reads one.
func (s *Memory) Pace(_ context.Context, l delivery.Lane) (Pace, int64, error) {
	l.Retry = false
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.all[l]
	if !ok || !p.keep.After(s.now()) {
		return Pace{}, 0, nil
	}
	return p.pace, p.version, nil
}

// Paces reads some.
func (s *Memory) Paces(ctx context.Context, tenant string, integrations []string) (out []Pace, err error) {
	out = make([]Pace, len(integrations))
	for n, id := range integrations {
		if out[n], _, err = s.Pace(ctx, delivery.Lane{Tenant: tenant, Integration: id}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Swap writes one.
func (s *Memory) Swap(_ context.Context, l delivery.Lane, version int64, p Pace) (int64, error) {
	l.Retry = false
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	was, ok := s.all[l]
	if ok && !was.keep.After(now) {
		was = kept{}
	}
	if was.version != version {
		return 0, ErrVersionConflict
	}
	if s.all == nil {
		s.all = map[delivery.Lane]kept{}
	}
	if len(s.all) >= prunedFrom {
		for k, v := range s.all {
			if !v.keep.After(now) {
				delete(s.all, k)
			}
		}
	}
	s.last++
	s.all[l] = kept{p, s.last, p.Keep(now)}
	return s.last, nil
}
