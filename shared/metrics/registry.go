package metrics

import (
	"context"
	"slices"
	"sort"
	"sync"
)

// Registry adds batches up, for Prometheus. Make it with NewRegistry.
type Registry struct {
	systems []string

	mu       sync.Mutex
	series   map[seriesKey]*Series
	collects []func(context.Context, *Gathering)
}

type seriesKey struct {
	metric *Metric
	values Values
}

// Series is one line of a metric's figures.
type Series struct {
	Values Values
	Value  float64
	Distribution
}

// NewRegistry makes one; systems are those of the catalogue.
func NewRegistry(systems []string) *Registry {
	r := &Registry{systems: systems, series: map[seriesKey]*Series{}}
	for _, m := range []*Metric{Accepted, Repeated, Rejected, LeftOut, Throttled} {
		r.at(m, Values{})
	}
	return r
}

// Add adds what a batch came to.
func (r *Registry) Add(_ context.Context, b *Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range b.Counts {
		r.at(c.Metric, c.Values).Value += float64(c.N)
	}
	for n := range b.Times {
		r.at(b.Times[n].Metric, b.Times[n].Values).Merge(b.Times[n].Distribution)
	}
}

// at finds a series; the lock is held.
func (r *Registry) at(m *Metric, v Values) *Series {
	k := seriesKey{m, r.bounded(m, v)}
	s, ok := r.series[k]
	if !ok {
		s = &Series{Values: k.values}
		r.series[k] = s
	}
	return s
}

// bounded replaces values that a label can not have.
func (r *Registry) bounded(m *Metric, v Values) Values {
	if m == Build {
		return v
	}
	for n, l := range m.Labels {
		values := l.Values
		if values == nil {
			values = r.systems
		}
		if !slices.Contains(values, v[n]) {
			v[n] = Other
		}
	}
	return v
}

// perSystem are the counters that begin at 0 when a system is first used: an increase from nothing is none.
var perSystem = []*Metric{FannedOut, Delivered, Dead, Attempts, Failed}

// Expect makes the counters of a system.
func (r *Registry) Expect(system string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range perSystem {
		if len(m.Labels) == 1 {
			r.at(m, Values{system})
			continue
		}
		for _, v := range m.Labels[1].Values {
			r.at(m, Values{system, v})
		}
	}
}

// Collect has a function asked for figures whenever they are read. It takes no longer than memory does.
func (r *Registry) Collect(f func(context.Context, *Gathering)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collects = append(r.collects, f)
}

// Gathering takes the figures of one reading.
type Gathering struct {
	registry *Registry
	by       map[*Metric][]Series
}

// Set gives a figure.
func (g *Gathering) Set(m *Metric, value float64, values ...string) {
	var v Values
	copy(v[:], values)
	g.by[m] = append(g.by[m], Series{Values: g.registry.bounded(m, v), Value: value})
}

// Distribution gives a histogram.
func (g *Gathering) Distribution(m *Metric, d Distribution) {
	g.by[m] = append(g.by[m], Series{Distribution: d})
}

// Family is a metric with its figures.
type Family struct {
	*Metric
	Series []Series
}

// Gather reads all that there is.
func (r *Registry) Gather(ctx context.Context) []Family {
	g := &Gathering{registry: r, by: map[*Metric][]Series{}}
	r.mu.Lock()
	for k, s := range r.series {
		g.by[k.metric] = append(g.by[k.metric], Series{Values: k.values, Value: s.Value, Distribution: s.Clone()})
	}
	collects := slices.Clone(r.collects)
	r.mu.Unlock()
	for _, f := range collects {
		f(ctx, g)
	}
	out := make([]Family, 0, len(g.by))
	for _, m := range All() {
		if len(g.by[m]) == 0 {
			continue
		}
		all := g.by[m]
		sort.Slice(all, func(i, j int) bool {
			a, b := all[i].Values, all[j].Values
			return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
		})
		out = append(out, Family{m, all})
	}
	return out
}
