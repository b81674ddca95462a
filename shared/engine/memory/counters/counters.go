// Package counters keeps counts of attempts in memory.
package counters

import (
	"context"
	"slices"
	"time"

	"tocsin/shared/health"
)

// Key is the bucket of a series.
type Key struct {
	Tenant string
	health.SeriesKey
	at int64 // Unix time
}

// Buckets are those of all tenants. Whoever uses them sees to it that nobody else does.
type Buckets map[Key]health.Count

// Count adds to a bucket.
func (b Buckets) Count(n health.Count) {
	k := Key{n.Tenant, health.SeriesKey{Integration: n.Integration, Window: n.Window},
		n.At.Truncate(health.Bucket).Unix()}
	sum := b[k]
	sum.Merge(n)
	b[k] = sum
}

// Store is health.Counters.
type Store struct {
	Buckets Buckets
	Lock    func() (unlock func())
}

var _ health.Counters = Store{}

// Add adds each count to its bucket.
func (s Store) Add(_ context.Context, counts []health.Count) error {
	defer s.Lock()()
	for _, n := range counts {
		s.Buckets.Count(n)
	}
	return nil
}

// Series lists the buckets of a window in the order of time.
func (s Store) Series(ctx context.Context, tenant, integration string, window int64,
	since time.Time) (out []health.Point, err error) {
	return out, s.Several(ctx, tenant, []health.SeriesKey{{Integration: integration, Window: window}}, since,
		func(_ int, p health.Point) { out = append(out, p) })
}

// Several passes once through all buckets.
func (s Store) Several(_ context.Context, tenant string, of []health.SeriesKey, since time.Time,
	visit func(n int, p health.Point)) error {
	points := make(map[health.SeriesKey][]health.Point, len(of))
	for _, k := range of {
		points[k] = nil
	}
	defer s.Lock()()
	for k, n := range s.Buckets {
		if known, ok := points[k.SeriesKey]; ok && k.Tenant == tenant && k.at >= since.Unix() {
			points[k.SeriesKey] = append(known, health.Point{
				At: time.Unix(k.at, 0).UTC(), Tally: health.Tally{Attempts: n.Attempts, Failures: n.Failures},
				FirstFailure: n.FirstFailure, LastFailure: n.LastFailure, LastSuccess: n.LastSuccess, Answer: n.Answer,
				Ended: n.Ended,
			})
		}
	}
	for n, k := range of {
		slices.SortFunc(points[k], func(a, b health.Point) int { return a.At.Compare(b.At) })
		for _, p := range points[k] {
			visit(n, p)
		}
	}
	return nil
}
