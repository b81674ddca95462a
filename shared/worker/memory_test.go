package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// memory is the least engine that a dispatcher can run on, for tests in which time is not real. What an engine
// must do is tested by the contract suites, on the engines.
type memory struct {
	mu         sync.Mutex
	deliveries map[string]delivery.Delivery
	leased     map[string]bool
	settled    []delivery.Delivery
	fail       error  // of the next Settle
	late       string // a delivery that Settle finds ended
}

func newMemory() *memory {
	return &memory{deliveries: map[string]delivery.Delivery{}, leased: map[string]bool{}}
}

func (m *memory) Settle(_ context.Context, deliveries []delivery.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return err
	}
	var late []string
	for _, d := range deliveries {
		delete(m.leased, d.ID)
		if d.ID == m.late {
			late = append(late, d.ID)
		}
		m.deliveries[d.ID] = d
		m.settled = append(m.settled, d)
	}
	if len(late) > 0 {
		return fmt.Errorf("settle: %w", &delivery.NotWaitingError{IDs: late})
	}
	return nil
}

func (m *memory) Waiting(_ context.Context, now time.Time) (lanes []delivery.Lane, next time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		switch {
		case d.State == delivery.Pending, d.State == delivery.Retrying && !d.Due.After(now):
			l := delivery.Lane{Tenant: d.Tenant, Integration: d.Integration, Retry: d.State == delivery.Retrying}
			if !slices.Contains(lanes, l) {
				lanes = append(lanes, l)
			}
		case d.State == delivery.Retrying && (next.IsZero() || d.Due.Before(next)):
			next = d.Due
		}
	}
	return lanes, next, nil
}

func (m *memory) Lease(_ context.Context, lane delivery.Lane, limit int, due, _, _ time.Time) ([]delivery.Delivery,
	error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Delivery
	for id, d := range m.deliveries {
		mine := d.Tenant == lane.Tenant && d.Integration == lane.Integration && !m.leased[id]
		if mine && (!lane.Retry && d.State == delivery.Pending || lane.Retry && d.State == delivery.Retrying &&
			!d.Due.After(due)) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return strings.Compare(a.ID, b.ID) })
	out = out[:min(limit, len(out))]
	for _, d := range out {
		m.leased[d.ID] = true
	}
	return out, nil
}

func (m *memory) Release(_ context.Context, deliveries []delivery.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range deliveries {
		delete(m.leased, d.ID)
	}
	return nil
}

func (m *memory) Hasten(_ context.Context, now, after time.Time, by time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range m.deliveries {
		if d.State == delivery.Retrying && d.Due.After(after) {
			if d.Due = d.Due.Add(-by); d.Due.Before(now) {
				d.Due = now
			}
			m.deliveries[id] = d
		}
	}
	return nil
}

func (m *memory) put(deliveries ...delivery.Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range deliveries {
		m.deliveries[d.ID] = d
	}
}

func (m *memory) get(id string) delivery.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deliveries[id]
}

func (m *memory) count(s delivery.State) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, d := range m.deliveries {
		if d.State == s {
			n++
		}
	}
	return n
}

// integrations is a fixed set that can be switched off.
type integrations struct {
	mu  sync.Mutex
	all map[string]integration.Integration
}

func (s *integrations) Get(_ context.Context, tenant, id string) (integration.Integration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.all[id]
	if !ok || i.Tenant != tenant {
		return i, integration.ErrNotFound
	}
	return i, nil
}

func (s *integrations) set(i integration.Integration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[i.ID] = i
}

func (s *integrations) BeginFailing(context.Context, string, string, int64, time.Time, health.Answer) (bool, error) {
	return false, nil
}

func (s *integrations) EndFailing(context.Context, string, string, int64) (bool, error) {
	return false, nil
}

func (s *integrations) DisableBroken(_ context.Context, _, id string, window int64, reason string,
	_ health.Answer) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.all[id]
	if !ok || !i.Enabled() || i.Window != window {
		return false, nil
	}
	i.Off = &integration.Off{By: integration.ByPlatform, Reason: reason, At: time.Now()}
	s.all[id] = i
	return true, nil
}

// tallies counts in the buckets of the rule.
type tallies struct {
	mu      sync.Mutex
	by      map[string]health.Count
	buckets map[string][]health.Count // oldest first; At is the bucket's
}

func (c *tallies) Add(_ context.Context, counts []health.Count) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range counts {
		sum := c.by[n.Integration]
		sum.Merge(n)
		c.by[n.Integration] = sum
		if c.buckets == nil {
			c.buckets = map[string][]health.Count{}
		}
		at, all := n.At.Truncate(health.Bucket), c.buckets[n.Integration]
		if len(all) == 0 || !all[len(all)-1].At.Equal(at) {
			all = append(all, health.Count{At: at})
		}
		all[len(all)-1].Merge(n)
		c.buckets[n.Integration] = all
	}
	return nil
}

func (c *tallies) Series(_ context.Context, _, id string, _ int64, since time.Time) (out []health.Point, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.buckets[id] {
		if !n.At.Before(since) {
			out = append(out, health.Point{
				At: n.At, Tally: health.Tally{Attempts: n.Attempts, Failures: n.Failures},
				FirstFailure: n.FirstFailure, LastFailure: n.LastFailure, LastSuccess: n.LastSuccess, Answer: n.Answer,
			})
		}
	}
	return out, nil
}

func (c *tallies) tally(id string) health.Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return health.Tally{Attempts: c.by[id].Attempts, Failures: c.by[id].Failures}
}

// atOnce is the rule without its time: one bad batch disables.
var atOnce = health.Rule{Spread: 1, Lasting: -1}

// pass lets time go by in a bubble, and what it set off come to rest: the race detector knows of the second alone.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
