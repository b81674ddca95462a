package fanout

import (
	"crypto/sha256"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
)

// newID makes the id of a delivery: the time of its oldest entry and a digest of what it carries to whom, so that
// a fan-out done twice over the same entries makes the same delivery.
func newID(integration string, at time.Time, events []event.Event) string {
	h := sha256.New()
	h.Write([]byte(integration))
	for _, e := range events {
		h.Write([]byte{0})
		h.Write([]byte(e.ID))
	}
	return delivery.DerivedID(at, h.Sum(nil))
}

// spanEnd is the end of the span of the clock that holds at; zero when every is.
func spanEnd(at time.Time, every time.Duration) time.Time {
	if every <= 0 {
		return time.Time{}
	}
	return at.Truncate(every).Add(every).UTC()
}

type routed struct {
	Accepted
	as      event.Type
	subject *filter.Subject // what filters see of it, once one asked; see passing
}

// apart is the longest time between the arrivals of two events that travel together without a batch window, of which
// only the oldest counts for whether it is late. Only what is recovered lies as far apart. CarriedWithin is for those
// of a window, too.
const apart = 10 * time.Minute

func (f *Fanout) deliveries(i integration.Integration, events []routed) []delivery.Delivery {
	now, together := f.grouped(i, events)
	return append(batched(i, now, f.batch(i)), groups(i, together)...)
}

// batched lets events travel together as far as a batch takes them.
func batched(i integration.Integration, events []routed, batch destination.Batch) []delivery.Delivery {
	out := make([]delivery.Delivery, 0, len(events)/max(1, batch.Limit())+1)
	var open []routed // those of the next delivery: a run of events
	size, kinds := 0, kindLists{}
	for n, e := range events {
		bytes := len(e.Event.Data) + delivery.EnvelopeOverhead
		full := len(open) == batch.Limit() || batch.Bytes > 0 && size+bytes > batch.Bytes
		if len(open) > 0 && (full || !together(open[0].Entry.At, e.Entry.At, batch.Every)) {
			out = append(out, newDelivery(i, open, batch.Every, kinds))
			open, size = nil, 0
		}
		open = events[n-len(open) : n+1]
		size += bytes
	}
	if len(open) > 0 {
		out = append(out, newDelivery(i, open, batch.Every, kinds))
	}
	return out
}

// together reports whether an event may travel with an earlier one: one delivery holds one span of the clock.
func together(first, at time.Time, every time.Duration) bool {
	return spanEnd(at, every).Equal(spanEnd(first, every)) && at.Sub(first) <= max(apart, every)
}

// kindLists are the lists of kinds of deliveries that have one: most do, and share it. Nobody changes one in its place.
type kindLists map[event.Kind][]event.Kind

func (l kindLists) of(events []routed) []event.Kind {
	first := events[0].Event.Kind
	kinds := l[first]
	if kinds == nil {
		kinds = []event.Kind{first}
		l[first] = kinds
	}
	for _, e := range events[1:] {
		if !slices.Contains(kinds, e.Event.Kind) {
			kinds = append(slices.Clip(kinds), e.Event.Kind)
		}
	}
	return kinds
}

// batch is the integration's own limit where its parameters set one below its system's.
func (f *Fanout) batch(i integration.Integration) destination.Batch {
	s, _, _ := f.Systems.Lookup(i.System)
	batch := s.Batch
	if batch.Count <= 1 {
		return batch
	}
	// The parameters were checked when they were saved; without them the system's own limit holds.
	if p, err := s.Parameters.Open(i.Parameters); err == nil {
		if own, ok := p.(destination.BatchLimiter); ok && own.BatchLimit() > 0 {
			batch.Count = min(batch.Count, own.BatchLimit())
		}
	}
	return batch
}

// about reports whether an event tells of this very integration: it is not told that it was created, changed or
// switched off itself (facts, section 3: the others are).
func about(e event.Event, id string) bool {
	switch e.Kind {
	case event.CreateIntegration, event.UpdateIntegration, event.EnableIntegration,
		event.DisableIntegration, event.DeleteIntegration, event.IntegrationBroken, event.IntegrationFailing,
		event.IntegrationWorking:
		return event.Data[event.IntegrationData](e).Integration.ID == id
	}
	return false
}

func newDelivery(i integration.Integration, events []routed, every time.Duration, kinds kindLists) delivery.Delivery {
	at := events[0].Entry.At
	d := delivery.Delivery{
		Tenant: i.Tenant, Integration: i.ID, State: delivery.Pending, CreatedAt: at, Count: len(events),
		Events: make([]event.Event, len(events)), Due: spanEnd(at, every), Kinds: kinds.of(events),
	}
	for k, e := range events {
		d.Events[k] = e.Event
	}
	d.ID = newID(i.ID, at, d.Events)
	return d
}

func lanes(deliveries []delivery.Delivery) []delivery.Lane {
	var out []delivery.Lane
	seen := map[delivery.Lane]bool{}
	for _, d := range deliveries {
		l := delivery.Lane{Tenant: d.Tenant, Integration: d.Integration}
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

// subscribed are the events that the integration takes by their types, and ends: none where it is nil.
func subscribed(i integration.Integration, events []routed, ends *endings) []routed {
	var out []routed
	for n, e := range events {
		if !takes(i, e) && !ends.has(&events[n]) {
			continue
		}
		if out == nil {
			out = make([]routed, 0, len(events)-n)
		}
		out = append(out, e)
	}
	return out
}

func takes(i integration.Integration, e routed) bool {
	sub, ok := i.Subscribed(e.as)
	return ok && sub.Takes(e.Event.Kind) && !about(e.Event, i.ID)
}
