package fanout

import (
	"log/slog"
	"slices"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// LeftOut counts events of one batch that an integration takes by their type and that one of its filters stopped: the
// first that did.
type LeftOut struct {
	Tenant, Integration string
	By                  filter.ID
	At                  time.Time // when the last of them came
	Events              int
}

// compiled is an integration's filters as they were at a revision.
type compiled struct {
	revision int64
	matcher  *filter.Matcher
}

// maxCompiled bounds the integrations whose filters are remembered. One has a few hundred bytes, or some tens of
// thousands with all values.
const maxCompiled = 2000

type filters struct {
	of cache.LRU[integration.Key, compiled]
}

// passing are the events that the integration takes and that pass its filters. left counts those that do not pass, in
// the order of the filters.
func (f *Fanout) passing(i integration.Integration, events []routed) (out []routed, left []LeftOut) {
	if len(i.Filters) == 0 {
		return subscribed(i, events), nil
	}
	m, err := f.filters.matcher(i)
	if err != nil { // a later release saved it: what is sent too much is better than what is missed
		f.sample(slog.LevelError, i.Tenant, i.ID, "the filters of an integration are left out", "tenant", i.Tenant,
			"integration", i.ID, "error", err.Error())
		return subscribed(i, events), nil
	}
	left = make([]LeftOut, len(i.Filters))
	for n := range events {
		e := &events[n]
		if !takes(i, *e) {
			continue
		}
		if e.subject == nil { // once for all integrations
			s := filter.See(e.Event)
			e.subject = &s
		}
		by := m.Stopped(e.subject)
		if by == "" {
			out = append(out, *e)
			continue
		}
		l := &left[slices.IndexFunc(i.Filters, func(f filter.Filter) bool { return f.ID == by })]
		l.Tenant, l.Integration, l.By = i.Tenant, i.ID, by
		l.Events++
		if e.Entry.At.After(l.At) {
			l.At = e.Entry.At
		}
	}
	return out, slices.DeleteFunc(left, func(l LeftOut) bool { return l.Events == 0 })
}

// matcher is that of an integration, compiled once for a revision of a stored one.
func (c *filters) matcher(i integration.Integration) (*filter.Matcher, error) {
	if i.ID == "" {
		return filter.Compile(i.Filters)
	}
	key := integration.Key{Tenant: i.Tenant, ID: i.ID}
	if have, ok := c.of.Get(key); ok && have.revision == i.Revision {
		return have.matcher, nil
	}
	m, err := filter.Compile(i.Filters)
	if err == nil {
		c.of.Keep(key, compiled{i.Revision, m}, maxCompiled)
	}
	return m, err
}

// filteredBy is the filter of the integration, as it is set up now, that stops an event; "" when none does.
func filteredBy(i integration.Integration, e event.Event) filter.ID {
	m, err := filter.Compile(i.Filters)
	if err != nil {
		return "" // as passing has it
	}
	s := filter.See(e)
	return m.Stopped(&s)
}

// Counts are what the batch adds to the counters of health for the overview of a day: the events that came in, and
// those that filters stopped.
func (in *Intake) Counts() []health.Count {
	counts := in.arrived()
	for _, l := range in.LeftOut {
		counts = append(counts, health.LeftOut(l.Tenant, l.Integration, string(l.By), l.At, l.Events))
	}
	return counts
}
