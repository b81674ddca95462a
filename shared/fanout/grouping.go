package fanout

import (
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// grouped parts the events of an integration in those that are sent as they come, and those that wait for company to
// become one message (see integration.Grouping).
func (f *Fanout) grouped(i integration.Integration, events []routed) (now, together []routed) {
	if i.Grouping.Every() == 0 {
		return events, nil
	}
	system, _, _ := f.Systems.Lookup(i.System)
	if !system.Class.Read() {
		return events, nil
	}
	return joinable(system, i, events)
}

// joinable parts events in those that never wait to become a message with others, and those that can.
func joinable(s destination.System, i integration.Integration, events []routed) (alone, others []routed) {
	apart, passes := false, false
	var kind event.Kind
	var of event.Type
	for n, e := range events {
		if kind != e.Event.Kind || of != e.as { // events of a kind come in a row
			kind, of = e.Event.Kind, e.as
			passes = hold.Never(kind) || i.Hold.Passes(kind, of)
		}
		byItself := passes || !mayJoin(s, e.Event)
		if byItself && !apart {
			others, apart = slices.Clone(events[:n]), true
		}
		switch {
		case byItself:
			alone = append(alone, e)
		case apart:
			others = append(others, e)
		}
	}
	if !apart {
		others = events
	}
	return alone, others
}

// mayJoin reports whether an event may be told of in a message with others. An incident manager closes the incident of
// an object when it is told of that object alone.
func mayJoin(s destination.System, e event.Event) bool {
	if s.Group != destination.Incidents {
		return true
	}
	o, ok := e.Object()
	return !ok || o.Step != event.Closed
}

// groups are the deliveries of events that become one message for each span of the clock.
func groups(i integration.Integration, events []routed) []delivery.Delivery {
	batch := destination.Batch{Count: i.Grouping.UpTo(), Bytes: destination.File.Bytes, Every: i.Grouping.Every()}
	out := batched(i, events, batch)
	for n := range out {
		out[n].Digest = delivery.DigestUpTo(i.Grouping.UpTo(), i.Grouping.Every())
	}
	return out
}
