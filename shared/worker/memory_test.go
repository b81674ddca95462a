package worker_test

import (
	"context"
	"sync"
	"testing/synctest"
	"time"

	"tocsin/shared/delivery"
	engine "tocsin/shared/engine/memory"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// memory is the engine in memory, with faults on demand, and with what it was told.
type memory struct {
	*engine.Deliveries
	mu      sync.Mutex
	settled []delivery.Delivery
	fail    error  // of the next Settle
	late    string // a delivery that Settle finds ended
}

func newMemory() *memory { return &memory{Deliveries: engine.New(nil).Deliveries()} }

func (m *memory) Settle(ctx context.Context, deliveries []delivery.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return err
	}
	for _, d := range deliveries {
		if d.ID == m.late {
			m.Put(d) // somebody else wrote it a moment before
		}
		m.settled = append(m.settled, d)
	}
	return m.Deliveries.Settle(ctx, deliveries)
}

func (m *memory) put(deliveries ...delivery.Delivery) { m.Put(deliveries...) }

func (m *memory) get(id string) delivery.Delivery { return m.Find(id) }

func (m *memory) count(s delivery.State) int { return m.Count(s) }

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

func (c *tallies) Several(context.Context, string, []health.SeriesKey, time.Time, func(int, health.Point)) error {
	panic("no worker asks for it")
}

func (c *tallies) Series(_ context.Context, _, id string, _ int64, since time.Time) (out []health.Point, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.buckets[id] {
		if !n.At.Before(since) {
			out = append(out, health.Point{
				At: n.At, Tally: health.Tally{Attempts: n.Attempts, Failures: n.Failures},
				FirstFailure: n.FirstFailure, LastFailure: n.LastFailure, LastSuccess: n.LastSuccess, Answer: n.Answer,
				Ended: n.Ended,
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
