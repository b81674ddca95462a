package metrics

import (
	"context"
	"slices"
	"time"
)

// Kind says how a metric is read.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric is one of those that names.go lists.
type Metric struct {
	Name   string
	Kind   Kind
	Unit   string // of OpenMetrics; the name ends with it
	Help   string
	Labels []Label
	// AWS: the functions write it for CloudWatch too.
	AWS bool
}

// Label is a name with its possible values; nil: the systems of the catalogue.
type Label struct {
	Name   string
	Values []string
}

// Other stands for a value that a label can not have.
const Other = "other"

// Values are those of a metric's labels, in their order.
type Values [3]string

// Sink takes what batches of work came to. Implementations are safe for concurrent use, and take no longer than memory.
type Sink interface {
	Add(ctx context.Context, b *Batch)
}

// Discard is a Sink for those who count nothing.
var Discard Sink = discard{}

type discard struct{}

func (discard) Add(context.Context, *Batch) {}

// Batch is what one batch of work came to. Its zero value is empty; it is not for concurrent use.
type Batch struct {
	Counts []Count
	Times  []Times
	last   int // where the newest count was found: the next is often of the same
}

// Count is what is added to a counter.
type Count struct {
	Metric *Metric
	Values Values
	N      int
}

// Times are observations of a histogram.
type Times struct {
	Metric *Metric
	Values Values
	Distribution
}

// Empty reports whether nothing was added.
func (b *Batch) Empty() bool { return len(b.Counts) == 0 && len(b.Times) == 0 }

// Count adds to a counter.
func (b *Batch) Count(m *Metric, n int, values ...string) {
	if n == 0 {
		return
	}
	var v Values
	copy(v[:], values)
	same := func(c Count) bool { return c.Metric == m && c.Values == v }
	if b.last < len(b.Counts) && same(b.Counts[b.last]) {
		b.Counts[b.last].N += n
		return
	}
	if b.last = slices.IndexFunc(b.Counts, same); b.last >= 0 {
		b.Counts[b.last].N += n
		return
	}
	b.last = len(b.Counts)
	b.Counts = append(b.Counts, Count{Metric: m, Values: v, N: n})
}

// Time adds an observation to a histogram of seconds.
func (b *Batch) Time(m *Metric, took time.Duration, values ...string) {
	var v Values
	copy(v[:], values)
	for n := range b.Times {
		if t := &b.Times[n]; t.Metric == m && t.Values == v {
			t.Observe(took.Seconds())
			return
		}
	}
	t := Times{Metric: m, Values: v}
	t.Observe(took.Seconds())
	b.Times = append(b.Times, t)
}
