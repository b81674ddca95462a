package fanout

import (
	"slices"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// Route says whether an event goes to an integration as that is set up, and why.
type Route string

// The routes. The first three lead to the integration.
const (
	BySubscription Route = "subscription" // it takes events of this type
	ByTrigger      Route = "trigger"      // it is a trigger's notification, and the trigger names the integration
	ByAddress      Route = "address"      // the event is for this integration alone
	// ByFallback is never said by RouteOf: it could not be delivered to an integration whose fallback this one is.
	ByFallback Route = "fallback"

	NotSubscribed Route = "not_subscribed" // it does not take events of this type
	NotNamed      Route = "not_named"      // it is a trigger's notification, for others
	ForAnother    Route = "for_another"    // the event is for one other receiver
	AboutItself   Route = "about_itself"   // it would be told of a change of itself
	Filtered      Route = "filtered"       // it takes events of this type, and one of its filters stops this one
	ForTriggers   Route = "for_triggers"   // nobody can subscribe to this kind: triggers count it
)

// Leads reports whether the event goes to the integration.
func (r Route) Leads() bool { return r == BySubscription || r == ByTrigger || r == ByAddress }

// RouteOf tells the route of an event to an integration of some systems as it is set up now, enabled or not. With
// Filtered, by is the first filter that stops it.
func RouteOf(in integration.Systems, i integration.Integration, e event.Event) (r Route, by filter.ID) {
	if r, ok := e.Reaction(); ok {
		if slices.Contains(r.Integrations, i.ID) {
			return ByTrigger, ""
		}
		return NotNamed, ""
	}
	t := e.Type()
	if t == "" {
		return ForTriggers, ""
	}
	if receiver, ok := e.Direct(); ok {
		if receiver == i.ID {
			return ByAddress, ""
		}
		return ForAnother, ""
	}
	if about(e, i.ID) {
		return AboutItself, ""
	}
	sub, ok := i.Subscribed(t)
	if ok = ok && sub.Takes(e.Kind); ok {
		by = filteredBy(i, e)
	}
	switch {
	case ok && by == "", i.OnlyEnds(e) && keepsObjects(in, i):
		return BySubscription, ""
	case !ok:
		return NotSubscribed, ""
	}
	return Filtered, by
}

// Dropper tells which events were not sent because quiet hours or a mute dropped them.
type Dropper struct {
	Systems integration.Systems
	Tenants hold.Rules // of the events' tenant
}

// Drops tells what drops an event for an integration that it is routed to, by the rules of today: the earlier ones are
// not kept. A mute drops nothing that came before it. ok is false where nothing does.
func (d Dropper) Drops(i integration.Integration, r Route, a Accepted) (by hold.By, ok bool) {
	if r != BySubscription && r != ByTrigger {
		return "", false
	}
	s, _, _ := d.Systems.Lookup(i.System)
	own, tenants := since(i.Hold, a.Entry.At), since(rulesFor(d.Tenants, i, s), a.Entry.At)
	m := hold.NewMoment(own, tenants, exactly(a.Entry.At, own.Mute, tenants.Mute))
	h, held := m.Hold(a.Event.Kind, a.Event.Type())
	if !held || h.Then != hold.Drop {
		return "", false
	}
	return h.By, true
}

// since takes a mute away that began after the time.
func since(r hold.Rules, at time.Time) hold.Rules {
	if r.Mute != nil && at.Before(r.Mute.At) {
		r.Mute = nil
	}
	return r
}

// SingleID is the id of the delivery that carries this event alone to an integration.
func SingleID(integration string, a Accepted) string {
	return newID(integration, a.Entry.At, []event.Event{a.Event})
}
