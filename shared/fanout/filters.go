package fanout

import (
	"log/slog"
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

// passing are the events of those that the integration takes that pass its filters. stopped is told of the others.
func (f *Fanout) passing(i integration.Integration, events []routed, stopped func(routed, filter.ID)) []routed {
	takes := subscribed(i, events)
	if len(i.Filters) == 0 || len(takes) == 0 {
		return takes
	}
	m, err := f.filters.matcher(i)
	if err != nil { // a later release saved it: what is sent too much is better than what is missed
		f.sample(slog.LevelError, i.Tenant, i.ID, "the filters of an integration are left out", "tenant", i.Tenant,
			"integration", i.ID, "error", err.Error())
		return takes
	}
	out := takes[:0]
	for _, e := range takes {
		if by := m.Stopped(e.seen()); by != "" {
			stopped(e, by)
		} else {
			out = append(out, e)
		}
	}
	return out
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

// seen is what filters see of the event, made once for all integrations.
func (e routed) seen() *filter.Subject {
	if e.subject.Kind == "" {
		*e.subject = filter.See(e.Event)
	}
	return e.subject
}

// leftOut sums up what filters of an integration stopped.
type leftOut map[filter.ID]*LeftOut

func (l leftOut) add(i integration.Integration, e routed, by filter.ID) {
	n := l[by]
	if n == nil {
		n = &LeftOut{Tenant: i.Tenant, Integration: i.ID, By: by}
		l[by] = n
	}
	n.Events++
	if e.Entry.At.After(n.At) {
		n.At = e.Entry.At
	}
}

// in adds the sums to an Intake, in the order of the integration's filters.
func (l leftOut) in(in *Intake, i integration.Integration) {
	for _, f := range i.Filters {
		if n := l[f.ID]; n != nil {
			in.LeftOut = append(in.LeftOut, *n)
			delete(l, f.ID)
		}
	}
}

// FilteredBy is the filter of the integration, as it is set up now, that stops an event; "" when none does.
func FilteredBy(i integration.Integration, e event.Event) filter.ID {
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
