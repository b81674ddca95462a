package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/report"
)

// TenantHolds knows the rules of tenants by which what is sent to their integrations waits.
type TenantHolds interface {
	// Hold may answer from memory as long as a change shows within a minute.
	Hold(ctx context.Context, tenant string) hold.Rules
	// Fresh reads the rules.
	Fresh(ctx context.Context, tenant string) (hold.Rules, error)
}

// An event is held by the rules of the second in which it arrived: a fan-out that is made again makes the same of it.
// What is for one receiver alone is never held: a report comes at the hour that was chosen for it, and a test when
// somebody wants to see it. Nor is what a person asks for by hand, who wants it now (Recovery, replay). A trigger's
// notification is held as any other event of its kind is.

// holds are those of one tenant's events of a batch.
type holds struct {
	tenants hold.Rules
	some    bool
	// moments are of integrations that have no rules of their own.
	moments map[moment]*hold.Moment
}

type moment struct {
	at   int64 // Unix time
	read bool  // by people: see package hold
}

// holdsOf begins a batch of a tenant. It costs a look at what is remembered.
func (f *Fanout) holdsOf(ctx context.Context, tenant string) *holds {
	h := &holds{}
	if f.Holds != nil {
		h.tenants = f.Holds.Hold(ctx, tenant)
		h.some = !h.tenants.Zero()
	}
	return h
}

// rules are those of the tenant that count for an integration.
func rulesFor(tenants hold.Rules, i integration.Integration, s destination.System) hold.Rules {
	if !s.Class.Read() || report.KindOf(i.ID) != report.IntegrationReceiver {
		return hold.Rules{} // a person's own mails are their own affair
	}
	return tenants
}

// parted is what becomes of events for one integration.
type parted struct {
	now  []routed
	held []heldEvents
	left []LeftOut
}

// heldEvents are held for one reason, until one time.
type heldEvents struct {
	hold.Hold
	events []routed
	from   int  // the place of the first
	row    bool // they are the events from there on
}

// part tells events that are sent at once from those that are held, and those that are not sent at all. Where nothing
// can be held it costs nothing of an event.
func (f *Fanout) part(h *holds, i integration.Integration, events []routed) (out parted) {
	if len(events) == 0 || !h.some && i.Hold.Zero() {
		return parted{now: events}
	}
	s, _, _ := f.Systems.Lookup(i.System)
	tenants := rulesFor(h.tenants, i, s)
	if tenants.Zero() && i.Hold.Zero() {
		return parted{now: events}
	}
	var m *hold.Moment
	last := int64(-1)
	parts, ok := false, false
	var held hold.Hold
	var kind event.Kind
	var of event.Type
	for n, e := range events {
		at := exactly(e.Entry.At, i.Hold.Mute, tenants.Mute)
		if m == nil || at.Unix() != last {
			m, last, kind = h.moment(i, tenants, s, at), at.Unix(), ""
		}
		if kind != e.Event.Kind || of != e.as { // events of a kind come in a row
			if kind, of = e.Event.Kind, e.as; of == "" {
				of = e.Event.Type()
			}
			held, ok = m.Hold(kind, of)
		}
		if ok && !parts {
			out.now, parts = slices.Clone(events[:n]), true
		}
		switch {
		case !ok && parts:
			out.now = append(out.now, e)
		case !ok:
		case held.Then == hold.Drop:
			out.drop(i, held, e)
		default:
			out.hold(held, events, n)
		}
	}
	if !parts {
		out.now = events
	}
	return out
}

// exactly is a time by which the rules say what they say of the second of an event's arrival. Quiet hours begin and end
// at whole minutes, so that all of a minute is one, unless a mute ends in it.
func exactly(at time.Time, mutes ...*hold.Mute) time.Time {
	minute := at.Truncate(time.Minute)
	for _, m := range mutes {
		if m != nil && m.Until.After(minute) && m.Until.Before(minute.Add(time.Minute)) {
			return at.Truncate(time.Second).UTC()
		}
	}
	return minute.UTC()
}

// moment is what the rules say of an integration's events that arrived at a time.
func (h *holds) moment(i integration.Integration, tenants hold.Rules, s destination.System,
	at time.Time) *hold.Moment {
	if !i.Hold.Zero() {
		return hold.NewMoment(i.Hold, tenants, at)
	}
	key := moment{at.Unix(), s.Class.Read()}
	if h.moments == nil {
		h.moments = map[moment]*hold.Moment{}
	}
	if h.moments[key] == nil {
		h.moments[key] = hold.NewMoment(hold.Rules{}, tenants, at)
	}
	return h.moments[key]
}

// hold has the event at a place wait. Events that are held in a row, as all of a night are, are not copied.
func (p *parted) hold(h hold.Hold, events []routed, at int) {
	for n := range p.held {
		g := &p.held[n]
		switch {
		case g.Hold != h:
			continue
		case g.row && g.from+len(g.events) == at:
			g.events = events[g.from : at+1 : at+1]
		default:
			g.events, g.row = append(g.events, events[at]), false
		}
		return
	}
	p.held = append(p.held, heldEvents{Hold: h, events: events[at : at+1 : at+1], from: at, row: true})
}

// drop counts an event as left out, by what held it.
func (p *parted) drop(i integration.Integration, h hold.Hold, e routed) {
	by := filter.ID(h.By)
	for n := range p.left {
		if l := &p.left[n]; l.By == by {
			if l.Events++; e.Entry.At.After(l.At) {
				l.At = e.Entry.At
			}
			return
		}
	}
	p.left = append(p.left, LeftOut{Tenant: i.Tenant, Integration: i.ID, By: by, At: e.Entry.At, Events: 1})
}

// send adds to an intake what becomes of events that an integration is to get.
func (f *Fanout) send(in *Intake, h *holds, guard *stormGuard, i integration.Integration, events []routed) {
	if len(events) > 0 {
		f.goes(in, i)
	}
	p := f.part(h, i, events)
	in.Deliveries = append(in.Deliveries, f.gathering(h, i, f.deliveries(i, f.guard(guard, i, p.now)))...)
	in.LeftOut = append(in.LeftOut, p.left...)
	for _, held := range p.held {
		in.Deliveries = append(in.Deliveries, f.heldDeliveries(i, held)...)
	}
}

// gathering has deliveries wait on that gather until a moment at which they would be held: a message that is ready at
// night waits for the morning, though its events came before. None is dropped for it: they came when nothing held them.
// What the rules let pass then gathers apart from what they hold: it is told at the end of its minutes.
func (f *Fanout) gathering(h *holds, i integration.Integration, deliveries []delivery.Delivery) []delivery.Delivery {
	if !h.some && i.Hold.Zero() {
		return deliveries
	}
	s, _, _ := f.Systems.Lookup(i.System)
	tenants := rulesFor(h.tenants, i, s)
	out := make([]delivery.Delivery, 0, len(deliveries))
	for _, d := range deliveries {
		if d.Due.IsZero() {
			out = append(out, d)
			continue
		}
		for _, p := range apartBy(hold.NewMoment(i.Hold, tenants, d.Due), d.Events) {
			one := partOf(d, p.events)
			if by := p.held.AtMost(d.CreatedAt); by.Until.After(d.Due) {
				by.Merge, by.Gathers = true, d.Due
				one.Due, one.Held = by.Until, &by
			}
			out = append(out, one)
		}
	}
	return out
}

// heldApart are events of a delivery that one thing holds; nothing does where that is zero.
type heldApart struct {
	held   delivery.Held
	events []event.Event
}

// apartBy parts the events of a delivery by what holds each at a moment.
func apartBy(m *hold.Moment, events []event.Event) (out []heldApart) {
	for n, e := range events {
		var held delivery.Held
		if h, ok := m.Hold(e.Kind, e.Type()); ok {
			held = heldBy(h)
		}
		at := slices.IndexFunc(out, func(p heldApart) bool { return p.held == held })
		switch {
		case at < 0:
			out = append(out, heldApart{held, events[n : n+1 : n+1]})
		case len(out) == 1:
			out[0].events = events[: n+1 : n+1]
		default:
			out[at].events = append(out[at].events, e)
		}
	}
	return out
}

// partOf is a delivery with some of the events of one, in their order.
func partOf(d delivery.Delivery, events []event.Event) delivery.Delivery {
	if len(events) == len(d.Events) {
		return d
	}
	d.ID, d.Events, d.Count = newID(d.Integration, d.CreatedAt, events), events, len(events)
	d.Kinds = nil
	for _, e := range events {
		if !slices.Contains(d.Kinds, e.Kind) {
			d.Kinds = append(d.Kinds, e.Kind)
		}
	}
	return d
}

// heldDeliveries are those of events that are held. What may not join a digest is sent by itself after the hold. What
// is sent as it is then may still be too much for people at once: see delivery.Held.Join.
func (f *Fanout) heldDeliveries(i integration.Integration, h heldEvents) (out []delivery.Delivery) {
	s, _, _ := f.Systems.Lookup(i.System)
	alone, joined := h.events, []routed(nil)
	if h.Then == hold.Digest && s.Class.Read() {
		alone = nil
		for _, e := range h.events {
			if mayJoin(s, e.Event) {
				joined = append(joined, e)
			} else {
				alone = append(alone, e)
			}
		}
	}
	batch := f.batch(i)
	held := heldBy(h.Hold)
	if len(joined) == 0 && s.Class.Read() && i.StormGuard.Limit() > 0 {
		var counted []routed
		alone, counted = joinable(s, i, alone)
		one := held
		one.Join = true
		out = waiting(batched(i, counted, batch), one, "")
	}
	held.Merge = batch.Every > 0
	out = append(out, waiting(batched(i, alone, batch), held, "")...)
	held.Merge = true
	digests := batched(i, joined, destination.Batch{Count: destination.File.Count, Bytes: destination.File.Bytes})
	return append(out, waiting(digests, held, string(h.By))...)
}

// waiting has deliveries wait for the end of a hold, but those whose batch window is open for longer.
func waiting(deliveries []delivery.Delivery, held delivery.Held, digest string) []delivery.Delivery {
	for n := range deliveries {
		d := &deliveries[n]
		one := held.AtMost(d.CreatedAt)
		if d.Due.After(one.Until) {
			continue
		}
		d.Due, d.Held, d.Digest = one.Until, &one, digest
	}
	return deliveries
}

// Holder tells engines what the rules hold at the moment.
type Holder struct {
	Integrations interface {
		Get(ctx context.Context, tenant, id string) (integration.Integration, error)
	}
	Systems integration.Systems
	Tenants TenantHolds // nil: tenants have no rules
	Now     func() time.Time
}

var _ delivery.Holder = (*Holder)(nil)

// Holding reads the rules.
func (h *Holder) Holding(ctx context.Context, tenant, id string) (delivery.Holding, error) {
	i, err := h.Integrations.Get(ctx, tenant, id)
	if errors.Is(err, integration.ErrNotFound) || err == nil && !i.Enabled() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the rules of integration %s: %w", id, err)
	}
	var tenants hold.Rules
	if h.Tenants != nil {
		if tenants, err = h.Tenants.Fresh(ctx, tenant); err != nil {
			return nil, fmt.Errorf("read the rules of tenant %s: %w", tenant, err)
		}
	}
	s, _, _ := h.Systems.Lookup(i.System)
	m, of, now := (*hold.Moment)(nil), time.Time{}, h.Now()
	guard := 0
	if s.Class.Read() {
		guard = i.StormGuard.Limit()
	}
	return func(kinds []event.Kind, at time.Time) delivery.Held {
		if at.Before(now) {
			at = now
		}
		if m == nil || !at.Equal(of) {
			m, of = hold.NewMoment(i.Hold, rulesFor(tenants, i, s), at), at
		}
		held := longest(m, kinds)
		held.Guard = guard
		return held
	}, nil
}

// longest is what holds deliveries of some kinds for longest; zero where nothing does. A kind can be of several types,
// and a trigger's notification is of none: it is held as long as one of them is, which this one may be.
func longest(m *hold.Moment, kinds []event.Kind) (out delivery.Held) {
	for _, k := range kinds {
		types := k.Types()
		if len(types) == 0 || slices.Contains(event.Triggered(), k) {
			types = append(types, "")
		}
		for _, t := range types {
			if h, ok := m.Hold(k, t); ok && h.Until.After(out.Until) {
				out = heldBy(h)
			}
		}
	}
	return out
}

// heldBy is how a delivery keeps what holds it.
func heldBy(h hold.Hold) delivery.Held {
	return delivery.Held{By: string(h.By), Until: h.Until.UTC(), Zone: h.Zone, Tenant: h.Tenant}
}
