package integration

import (
	"slices"

	"tocsin/shared/event"
	"tocsin/shared/filter"
)

// Keeper is a parameters struct of a system that keeps one thing of an object (destination.Follower,
// destination.Keyed). What was opened there stays open until its closing arrives, whatever the closing says of the
// severity: see Ends.
type Keeper interface {
	// KeepsObjects is false where these parameters lead to what keeps none.
	KeepsObjects() bool
}

// Ends reports whether an event closes an object whose opening the integration could have got: of another severity, and
// so of another type, or of another kind. Those can change while an object lives. Filters of what does not change
// count. A subject is what filters see of the event.
func (i Integration) Ends(m *filter.Matcher, s *filter.Subject, e event.Event) bool {
	if o, ok := e.Object(); !ok || o.Step != event.Closed {
		return false
	}
	return slices.ContainsFunc(event.Openings(e.Kind), func(k event.Kind) bool {
		return slices.ContainsFunc(k.Types(), func(t event.Type) bool {
			sub, ok := i.Subscribed(t)
			return ok && sub.Takes(k)
		}) && m.StoppedAs(s, k) == ""
	})
}

// OnlyEnds reports whether an event is nothing that the integration takes but for what it closes (Ends).
func (i Integration) OnlyEnds(e event.Event) bool {
	m, err := filter.Compile(i.Filters)
	if err != nil { // of a later release: fan-out leaves the filters out
		return false
	}
	s := filter.See(e)
	sub, ok := i.Subscribed(e.Type())
	return (!ok || !sub.Takes(e.Kind) || m.Stopped(&s) != "") && i.Ends(m, &s, e)
}
