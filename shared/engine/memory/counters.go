package memory

import (
	"context"
	"slices"
	"time"

	"tocsin/shared/health"
)

// Counters keeps the counts of attempts.
type Counters struct{ e *Engine }

// Counters returns the counters.
func (e *Engine) Counters() *Counters { return &Counters{e} }

var _ health.Counters = (*Counters)(nil)

type bucket struct {
	key
	window int64
	at     int64 // Unix time
}

// Add adds each count to its bucket.
func (c *Counters) Add(_ context.Context, counts []health.Count) error {
	defer c.e.lock()()
	for _, n := range counts {
		c.e.count(n)
	}
	return nil
}

// count adds a count; the lock is held.
func (e *Engine) count(n health.Count) {
	b := bucket{key{n.Tenant, n.Integration}, n.Window, n.At.Truncate(health.Bucket).Unix()}
	sum := e.counters[b]
	sum.Merge(n)
	e.counters[b] = sum
}

// Series lists the buckets of a window in the order of time.
func (c *Counters) Series(_ context.Context, tenant, integration string, window int64,
	since time.Time) (out []health.Point, err error) {
	defer c.e.lock()()
	for b, n := range c.e.counters {
		if b.key == (key{tenant, integration}) && b.window == window && b.at >= since.Unix() {
			out = append(out, health.Point{
				At: time.Unix(b.at, 0).UTC(), Tally: health.Tally{Attempts: n.Attempts, Failures: n.Failures},
				FirstFailure: n.FirstFailure, LastFailure: n.LastFailure, LastSuccess: n.LastSuccess, Answer: n.Answer,
				Ended: n.Ended,
			})
		}
	}
	slices.SortFunc(out, func(a, b health.Point) int { return a.At.Compare(b.At) })
	return out, nil
}
