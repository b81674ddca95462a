package deliverylog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// Trace is what became of an event.
type Trace struct {
	Event      Event
	Deliveries []Carried // in the order of the integrations
	LeftOut    []LeftOut // likewise
}

// Carried is a delivery that carries the event, with its events.
type Carried struct {
	delivery.Delivery

	To integration.Integration
	// Route is why it went there. One that does not lead there says that the integration was set up otherwise then.
	Route fanout.Route
}

// LeftOut is an integration that no delivery carries the event to.
type LeftOut struct {
	To    integration.Integration
	Cause Reason
	// Route is the one of today; Filter is what stops the event there (fanout.Filtered).
	Route  fanout.Route
	Filter filter.ID
	// Since is when it was disabled, or added.
	Since time.Time
}

// Reason says why an integration did not get an event.
type Reason string

// The reasons. One that is about its settings tells of those of today: the earlier ones are not kept.
const (
	NotRouted Reason = "not_routed" // see LeftOut.Route
	Disabled  Reason = "disabled"   // it has been disabled since before the event came
	Added     Reason = "added"      // it was added after the event had come
	Quiet     Reason = "quiet"      // it came in quiet hours, whose events are not sent
	Muted     Reason = "mute"       // it came while the integration was muted, and such events are not sent
	// Missed: it takes the event now, and did not when that came: it was disabled, or set up otherwise.
	Missed Reason = "missed"
	// Unknown: so much was sent to it within minutes that not all of it was looked at (Looked).
	Unknown Reason = "unknown"
)

// Looked is how many deliveries of one integration are looked at for an event, those next to its arrival first.
const Looked = 2000

// looking is how many integrations are looked at side by side.
const looking = 16

// Trace tells what became of an event: every delivery of it to the integrations of today, and why it did not go to the
// others. Error: ErrNoEvent.
func (l *Log) Trace(ctx context.Context, tenant, id string) (Trace, error) {
	to, err := l.integrations(ctx, tenant, nil)
	if err != nil {
		return Trace{}, fmt.Errorf("list the integrations of tenant %s: %w", tenant, err)
	}
	return l.trace(ctx, tenant, id, to)
}

func (l *Log) trace(ctx context.Context, tenant, id string, to []integration.Integration) (t Trace, err error) {
	if t.Event, err = l.Store.Event(ctx, tenant, id); err != nil {
		return t, fmt.Errorf("find event %s: %w", id, err)
	}
	// First those whose ids are known: what fan-out made, and the deliveries of this event alone.
	names := slices.Clone(t.Event.Made)
	for _, i := range to {
		names = append(names, Name{i.ID, fanout.SingleID(i.ID, t.Event.Accepted)})
	}
	found, err := l.carrying(ctx, tenant, t.Event, names)
	if err != nil {
		return t, err
	}
	through, err := l.lookFor(ctx, tenant, t.Event, to, found)
	if err != nil {
		return t, err
	}
	if err := l.fallen(ctx, tenant, t.Event, found); err != nil {
		return t, err
	}
	for n, i := range to {
		route, by := fanout.RouteOf(l.Systems, i, t.Event.Accepted.Event)
		list := found[i.ID]
		for _, d := range list {
			way := route
			if d.From != nil {
				way = fanout.ByFallback
			}
			t.Deliveries = append(t.Deliveries, Carried{d, i, way})
		}
		if len(list) == 0 {
			t.LeftOut = append(t.LeftOut, l.leftOut(i, route, by, t.Event, through[n]))
		}
	}
	return t, nil
}

// carrying reads those of the named deliveries that carry the event, by their integrations.
func (l *Log) carrying(ctx context.Context, tenant string, e Event, names []Name) (map[string][]delivery.Delivery,
	error) {
	slices.SortFunc(names, func(a, b Name) int {
		return strings.Compare(a.Integration+" "+a.ID, b.Integration+" "+b.ID)
	})
	list, err := l.Store.Lookup(ctx, tenant, slices.Compact(names))
	if err != nil {
		return nil, fmt.Errorf("find the deliveries of event %s: %w", e.Accepted.Event.ID, err)
	}
	out := map[string][]delivery.Delivery{}
	for _, d := range list {
		for _, carried := range d.Events {
			if carried.ID == e.Accepted.Event.ID {
				out[d.Integration] = append(out[d.Integration], d)
				break
			}
		}
	}
	return out, nil
}

// lookFor looks for the event in what went to the integrations that nothing was found of, at the time of its arrival:
// it can have been one of several events of a delivery. It adds to found; through says of each integration whether all
// was looked at that can carry the event.
func (l *Log) lookFor(ctx context.Context, tenant string, e Event, to []integration.Integration,
	found map[string][]delivery.Delivery) (through []bool, err error) {
	ids := make([]string, len(to))
	through = make([]bool, len(to))
	group, ctx2 := errgroup.WithContext(ctx)
	group.SetLimit(looking)
	for n, i := range to {
		if len(found[i.ID]) > 0 {
			continue
		}
		group.Go(func() (err error) {
			ids[n], through[n], err = l.Store.Carrying(ctx2, tenant, i.ID, e, Looked)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("look for the deliveries of event %s: %w", e.Accepted.Event.ID, err)
	}
	var names []Name
	for n, id := range ids {
		if id != "" {
			names = append(names, Name{to[n].ID, id})
		}
	}
	if len(names) == 0 {
		return through, nil
	}
	more, err := l.carrying(ctx, tenant, e, names)
	for id, list := range more {
		found[id] = append(found[id], list...)
	}
	return through, err
}

// fallen adds to found what was made of dead deliveries: it can be beside what the fallback itself was sent.
func (l *Log) fallen(ctx context.Context, tenant string, e Event, found map[string][]delivery.Delivery) error {
	var names []Name
	for _, list := range found {
		for _, d := range list {
			f := d.Fallback
			if f != nil && f.Delivery != "" && !slices.ContainsFunc(found[f.Integration],
				func(o delivery.Delivery) bool { return o.ID == f.Delivery }) {
				names = append(names, Name{f.Integration, f.Delivery})
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	more, err := l.carrying(ctx, tenant, e, names)
	for id, list := range more {
		found[id] = append(found[id], list...)
	}
	return err
}

func (l *Log) leftOut(i integration.Integration, route fanout.Route, by filter.ID, e Event, through bool) LeftOut {
	out := LeftOut{To: i, Route: route, Filter: by, Cause: NotRouted}
	came := e.Entry.At
	switch {
	case !route.Leads():
	case i.Off != nil && i.Off.At.Before(came):
		out.Cause, out.Since = Disabled, i.Off.At
	case i.CreatedAt.After(came):
		out.Cause, out.Since = Added, i.CreatedAt
	case !through:
		out.Cause = Unknown
	default:
		out.Cause = Missed
		if l.Dropper == nil {
			break
		}
		switch by, _ := l.Dropper.Drops(i, route, e.Accepted); by {
		case hold.ByQuiet:
			out.Cause = Quiet
		case hold.ByMute:
			out.Cause = Muted
		}
	}
	return out
}
