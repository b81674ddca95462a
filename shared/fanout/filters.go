package fanout

import (
	"cmp"
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
	ends := endings{in: f.Systems, to: i}
	if len(i.Filters) == 0 {
		return subscribed(i, events, &ends), nil
	}
	m, err := f.filters.matcher(i)
	if err != nil { // a later release saved it: what is sent too much is better than what is missed
		f.sample(slog.LevelError, i.Tenant, i.ID, "the filters of an integration are left out", "tenant", i.Tenant,
			"integration", i.ID, "error", err.Error())
		return subscribed(i, events, nil), nil
	}
	ends.matcher = m
	left = make([]LeftOut, len(i.Filters))
	for n := range events {
		e := &events[n]
		if !takes(i, *e) {
			if ends.has(e) {
				out = append(out, *e)
			}
			continue
		}
		by := m.Stopped(e.see())
		if by == "" || ends.has(e) {
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

// see is what filters see of the event, read once for all integrations.
func (e *routed) see() *filter.Subject {
	if e.subject == nil {
		s := filter.See(e.Event)
		e.subject = &s
	}
	return e.subject
}

// endings are the events that close what an integration could have been told of, though it would not take them by their
// severity or kind: a system that keeps one thing of an object would keep that open for ever. Where nothing was told of
// the object, nothing is made of it: see package sending.
type endings struct {
	in      integration.Systems
	to      integration.Integration
	matcher *filter.Matcher // nil: of no filters
	keeps   *bool           // whether the system keeps something; nil: not known yet
}

var noFilters = &filter.Matcher{}

func (n *endings) has(e *routed) bool {
	if n == nil || event.Openings(e.Event.Kind) == nil || about(e.Event, n.to.ID) {
		return false
	}
	if n.keeps == nil {
		keeps := keepsObjects(n.in, n.to)
		n.keeps = &keeps
	}
	return *n.keeps && n.to.Ends(cmp.Or(n.matcher, noFilters), e.see(), e.Event)
}

// keepsObjects reports whether the integration leads to a system that keeps one thing of an object.
func keepsObjects(in integration.Systems, i integration.Integration) bool {
	if in == nil {
		return false
	}
	s, _, _ := in.Lookup(i.System)
	p, err := s.Parameters.Open(i.Parameters)
	if err != nil { // they were checked when they were saved
		return false
	}
	k, ok := p.(integration.Keeper)
	return ok && k.KeepsObjects()
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
