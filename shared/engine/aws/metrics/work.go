package metrics

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"tocsin/shared/metrics"
)

// Sink takes what batches of work came to into the line of the call that the context belongs to.
var Sink metrics.Sink = sink{}

type sink struct{}

// Add adds a batch. Outside of a call it does nothing.
func (sink) Add(ctx context.Context, b *metrics.Batch) {
	c, ok := ctx.Value(key{}).(*call)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range b.Counts {
		s := c.work.of(n.Metric, n.Values)
		s.counts[figureOf(n.Metric, n.Values)] += n.N
		if n.Metric == metrics.Failed {
			s.causes[n.Values[1]] += n.N
		}
	}
	for k := range b.Times {
		t := &b.Times[k]
		s := c.work.of(t.Metric, t.Values)
		d := s.times[t.Metric]
		d.Merge(t.Distribution)
		s.times[t.Metric] = d
	}
}

// figure is a metric, by reason where CloudWatch has it by reason.
type figure struct {
	*metrics.Metric
	reason string
}

// figureOf is where something counts. Why deliveries died is a dimension: one that was given up is to be alarmed, one
// whose integration is off is not.
func figureOf(m *metrics.Metric, v metrics.Values) figure {
	if m == metrics.Dead {
		return figure{m, v[1]}
	}
	return figure{m, ""}
}

// work is what a call came to, by system; "" is what is of none.
type work map[string]*came

// came is what the work for one system came to.
type came struct {
	counts map[figure]int
	causes map[string]int // of the attempts that failed
	times  map[*metrics.Metric]metrics.Distribution
}

func nothing() *came {
	return &came{counts: map[figure]int{}, causes: map[string]int{},
		times: map[*metrics.Metric]metrics.Distribution{}}
}

func (w *work) of(m *metrics.Metric, v metrics.Values) *came {
	system := ""
	if len(m.Labels) > 0 {
		system = cmp.Or(v[0], metrics.Other)
	}
	if *w == nil {
		*w = work{}
	}
	if (*w)[system] == nil {
		(*w)[system] = nothing()
	}
	return (*w)[system]
}

// sum is that of all systems.
func (w work) sum() *came {
	out := nothing()
	for _, c := range w {
		for f, n := range c.counts {
			out.counts[f] += n
		}
		for cause, n := range c.causes {
			out.causes[cause] += n
		}
		for m, d := range c.times {
			sum := out.times[m]
			sum.Merge(d)
			out.times[m] = sum
		}
	}
	return out
}

// most is how many values a metric of a line can have. CloudWatch, User Guide, "Specification: Embedded metric format".
const most = 100

// work writes what work came to into a line; observations that it has no room for follow in lines of their own, and
// what is counted by reason too. The causes of failures are a member that is no metric: they are found by Logs
// Insights, and cost nothing.
func (m *Meter) work(l *line, c *came) {
	rest := map[*metrics.Metric][]float64{}
	for _, name := range written() {
		if n, ok := c.counts[figure{name, ""}]; ok {
			l.put(Metric(name.Name), "Count", n)
		}
		if d, ok := c.times[name]; ok {
			rest[name] = values(d)
		}
	}
	if len(c.causes) > 0 {
		l.members["causes"] = c.causes
	}
	of := l.dimensions
	for {
		for _, name := range written() {
			if of := rest[name]; len(of) > 0 {
				n := min(most, len(of))
				l.put(Metric(name.Name), "Seconds", of[:n])
				rest[name] = of[n:]
			}
		}
		m.out(l)
		if maps.DeleteFunc(rest, func(_ *metrics.Metric, of []float64) bool { return len(of) == 0 }); len(rest) == 0 {
			break
		}
		l = newLine(of...)
	}
	for _, f := range slices.SortedFunc(maps.Keys(c.counts), func(a, b figure) int {
		return cmp.Compare(a.reason, b.reason)
	}) {
		if f.reason != "" {
			l := newLine(append(slices.Clone(of), dimension{"reason", f.reason})...)
			l.put(Metric(f.Name), "Count", c.counts[f])
			m.out(l)
		}
	}
}

// written are the metrics that functions write.
func written() []*metrics.Metric {
	return slices.DeleteFunc(metrics.All(), func(m *metrics.Metric) bool { return !m.AWS })
}

// values are the observations, each as the middle of its bucket: 5 % off at the most.
func values(d metrics.Distribution) (out []float64) {
	d.Each(func(begin, end float64, count uint64) {
		middle := (begin + end) / 2
		digits := math.Pow(10, 2-math.Floor(math.Log10(middle))) // three of them
		out = append(out, slices.Repeat([]float64{math.Round(middle*digits) / digits}, int(count))...)
	})
	return out
}
