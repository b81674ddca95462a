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
	var out []delivery.Delivery
	var open []routed
	size := 0
	flush := func() {
		if len(open) > 0 {
			out = append(out, newDelivery(i, open, batch.Every))
		}
		open, size = nil, 0
	}
	for _, e := range events {
		n := len(e.Event.Data) + delivery.EnvelopeOverhead
		if len(open) == batch.Limit() || batch.Bytes > 0 && len(open) > 0 && size+n > batch.Bytes {
			flush()
		}
		if len(open) > 0 && !spanEnd(e.Entry.At, batch.Every).Equal(spanEnd(open[0].Entry.At, batch.Every)) {
			flush() // one delivery holds one span of the clock
		}
		if len(open) > 0 && e.Entry.At.Sub(open[0].Entry.At) > max(apart, batch.Every) {
			flush()
		}
		open = append(open, e)
		size += n
	}
	flush()
	return out
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

func newDelivery(i integration.Integration, events []routed, every time.Duration) delivery.Delivery {
	at := events[0].Entry.At
	d := delivery.Delivery{
		Tenant: i.Tenant, Integration: i.ID, State: delivery.Pending, CreatedAt: at, Count: len(events),
		Events: make([]event.Event, len(events)), Due: spanEnd(at, every),
	}
	for k, e := range events {
		d.Events[k] = e.Event
		if !slices.Contains(d.Kinds, e.Event.Kind) {
			d.Kinds = append(d.Kinds, e.Event.Kind)
		}
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

// subscribed are the events that the integration takes by their types.
func subscribed(i integration.Integration, events []routed) []routed {
	var out []routed
	for _, e := range events {
		if takes(i, e) {
			out = append(out, e)
		}
	}
	return out
}

func takes(i integration.Integration, e routed) bool {
	sub, ok := i.Subscribed(e.as)
	return ok && sub.Takes(e.Event.Kind) && !about(e.Event, i.ID)
}
