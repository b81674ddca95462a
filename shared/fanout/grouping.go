package fanout

import (
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
	for _, e := range events {
		if hold.Never(e.Event.Kind) || i.Hold.Passes(e.Event.Kind, e.as) || !mayJoin(system, e.Event) {
			now = append(now, e)
		} else {
			together = append(together, e)
		}
	}
	return now, together
}

// mayJoin reports whether an event may be told of in a message with others. An incident manager closes the incident of
// an object when it is told of that object alone.
func mayJoin(s destination.System, e event.Event) bool {
	o, ok := e.Object()
	return !ok || o.Step != event.Closed || s.Group != destination.Incidents
}

// groups are the deliveries of events that become one message for each span of the clock.
func groups(i integration.Integration, events []routed) []delivery.Delivery {
	batch := destination.Batch{Count: i.Grouping.UpTo(), Bytes: destination.File.Bytes, Every: i.Grouping.Every()}
	out := batched(i, events, batch)
	for n := range out {
		out[n].Digest = delivery.DigestUpTo(i.Grouping.UpTo())
	}
	return out
}
