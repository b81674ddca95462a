package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// What can not be delivered to an integration goes to its fallback: what died on it (Fallbacks, whom package worker
// asks), and what comes while it is disabled (Fanout). The fallback's subscriptions and filters do not count: somebody
// said by hand that it gets what the other can not have, as with what a trigger sends. Its quiet hours and mutes do
// count: they say when its people want to be left alone, and what falls back is only held by them, never dropped. Its
// rate counts, its grouping does not: what people read is one message a minute as it is.

// reasonLimit is in bytes: a fallback's reader wants to know why, and not the whole answer.
const reasonLimit = 300

// Getter finds an integration. Error: integration.ErrNotFound.
type Getter interface {
	Get(ctx context.Context, tenant, id string) (integration.Integration, error)
}

// Fallbacks makes the deliveries of what died.
type Fallbacks struct {
	Integrations Getter
	Systems      integration.Systems
	Tenants      TenantHolds // nil: tenants have no rules that hold what is sent
	Now          func() time.Time
}

// Of says where the events of a delivery go that died on an integration; nil = nowhere, because that has no fallback.
// It may be asked again and says the same. The delivery has its events.
func (f *Fallbacks) Of(ctx context.Context, i integration.Integration, d delivery.Delivery) (*delivery.Fallback,
	error) {
	if i.Fallback == "" || d.Fallback != nil && d.Fallback.Delivery != "" || nothingLeft(d) {
		return d.Fallback, nil
	}
	out := &delivery.Fallback{Integration: i.Fallback}
	to, why, err := receiver(ctx, f.Integrations, i)
	switch {
	case err != nil:
		return nil, err
	case d.From != nil:
		why = delivery.FallbackOnce
	}
	if out.Why = why; why != "" {
		return out, nil
	}
	made := delivery.Delivery{ID: delivery.FallbackID(d, to.ID), Tenant: d.Tenant, Integration: to.ID,
		State: delivery.Pending, CreatedAt: d.CreatedAt,
		From: &delivery.From{Integration: i.ID, Name: i.Name, Delivery: d.ID, Reason: cut.Keep(d.Reason, reasonLimit)}}
	for _, n := range d.Undelivered() {
		e := d.Events[n]
		if _, direct := e.Direct(); direct || about(e, to.ID) {
			continue
		}
		made.Events = append(made.Events, e)
		if !slices.Contains(made.Kinds, e.Kind) {
			made.Kinds = append(made.Kinds, e.Kind)
		}
	}
	if made.Count = len(made.Events); made.Count == 0 {
		out.Why = delivery.FallbackDirect
		return out, nil
	}
	if err := f.hold(ctx, &made, to); err != nil {
		return nil, err
	}
	out.Delivery, out.Made = made.ID, &made
	return out, nil
}

// nothingLeft reports whether a dead delivery has no event that did not arrive: those that are missing are kept no
// longer.
func nothingLeft(d delivery.Delivery) bool {
	arrived := len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].Delivered
	return len(d.Events) < d.Count && (arrived || len(d.Events) == 0)
}

// receiver is the fallback of an integration, or why it gets nothing.
func receiver(ctx context.Context, from Getter, i integration.Integration) (to integration.Integration,
	why delivery.NotFallback, err error) {
	to, err = from.Get(ctx, i.Tenant, i.Fallback)
	switch {
	case errors.Is(err, integration.ErrNotFound):
		return to, delivery.FallbackDeleted, nil
	case err != nil:
		return to, "", fmt.Errorf("find the fallback %s of integration %s: %w", i.Fallback, i.ID, err)
	case !to.Enabled():
		return to, delivery.FallbackDisabled, nil
	}
	return to, "", nil
}

// hold has a delivery wait where the rules of its integration say so, and where people read it for the end of the
// minute: what falls back meanwhile travels with it. What is to be known at once is not held.
func (f *Fallbacks) hold(ctx context.Context, d *delivery.Delivery, to integration.Integration) error {
	s, _, _ := f.Systems.Lookup(to.System)
	var tenants hold.Rules
	if f.Tenants != nil {
		var err error
		if tenants, err = f.Tenants.Fresh(ctx, to.Tenant); err != nil {
			return fmt.Errorf("read the rules of tenant %s: %w", to.Tenant, err)
		}
	}
	now := f.Now()
	m := hold.NewMoment(to.Hold, rulesFor(tenants, to, s), now)
	held := delivery.Held{}
	if mayWait(s, to, d.Events) {
		d.Digest = delivery.FallbackDigest(d.From.Integration)
		held = delivery.Held{By: delivery.HeldByFallback, Until: spanEnd(now, delivery.FallbackSpan), Merge: true}
	}
	var by delivery.Held // of the event that is held for longest
	for _, p := range apartBy(m, d.Events) {
		if p.held.Until.After(by.Until) {
			by = p.held
		}
	}
	if by = by.AtMost(d.CreatedAt); by.Until.After(held.Until) {
		by.Merge = held.Merge
		held = by
	}
	if !held.Until.IsZero() {
		d.Due, d.Held = held.Until, &held
	}
	return nil
}

// mayWait reports whether events may become one message for people with others.
func mayWait(s destination.System, to integration.Integration, events []event.Event) bool {
	return s.Class.Read() && !slices.ContainsFunc(events, func(e event.Event) bool {
		return hold.Never(e.Kind) || to.Hold.Passes(e.Kind, e.Type()) || !mayJoin(s, e)
	})
}

// instead sends what a disabled integration would have got to its fallback. all are the tenant's integrations.
func (f *Fanout) instead(ctx context.Context, in *Intake, h *holds, i integration.Integration,
	all []integration.Integration, events []routed) error {
	events, _ = f.passing(i, events)
	return f.fallBack(ctx, in, h, i, all, events)
}

// fallBack sends events that came for a disabled integration to its fallback, unless that gets them anyway: it is known
// that the integration is disabled, so that a second copy tells nothing new. all are the tenant's integrations, or nil.
func (f *Fanout) fallBack(ctx context.Context, in *Intake, h *holds, i integration.Integration,
	all []integration.Integration, events []routed) error {
	if len(events) == 0 {
		return nil
	}
	n := slices.IndexFunc(all, func(o integration.Integration) bool { return o.ID == i.Fallback && o.Enabled() })
	var to integration.Integration
	if n >= 0 {
		to = all[n]
	} else {
		var why delivery.NotFallback
		var err error
		if to, why, err = receiver(ctx, f.Integrations, i); err != nil || why != "" {
			return err
		}
	}
	own := f.gets(h, to, events)
	events = slices.DeleteFunc(slices.Clone(events), func(e routed) bool {
		return about(e.Event, to.ID) || own[e.Event.ID]
	})
	from := delivery.From{Integration: i.ID, Name: i.Name, Reason: cut.Keep(i.Off.Ends(), reasonLimit)}
	if len(events) > 0 {
		f.goes(in, to)
	}
	now, held := f.heldOf(h, to, events)
	end := spanEnd(f.now(), delivery.FallbackSpan)
	for _, d := range f.fallen(to, from, now) {
		if d.Digest != "" {
			d.Due, d.Held = end, &delivery.Held{By: delivery.HeldByFallback, Until: end, Merge: true}
		}
		in.Deliveries = append(in.Deliveries, d)
	}
	for _, g := range held {
		for _, d := range f.fallen(to, from, g.events) {
			one := heldBy(g.Hold).AtMost(d.CreatedAt)
			one.Merge = d.Digest != ""
			d.Due, d.Held = one.Until, &one
			in.Deliveries = append(in.Deliveries, d)
		}
	}
	return nil
}

// gets are the ids of the events that an integration is sent or held for itself. What its rules drop it does not get.
func (f *Fanout) gets(h *holds, to integration.Integration, events []routed) map[string]bool {
	own, _ := f.passing(to, events)
	own = slices.Clip(own)
	for _, e := range events {
		if r, reaction := e.Event.Reaction(); reaction && slices.Contains(r.Integrations, to.ID) {
			own = append(own, e)
		}
	}
	p := f.part(h, to, own)
	ids := map[string]bool{}
	for _, e := range p.now {
		ids[e.Event.ID] = true
	}
	for _, held := range p.held {
		for _, e := range held.events {
			ids[e.Event.ID] = true
		}
	}
	return ids
}

// heldOf parts events in those that are sent at once and those that the rules of their receiver hold; none is dropped.
func (f *Fanout) heldOf(h *holds, to integration.Integration, events []routed) (now []routed, held []heldEvents) {
	s, _, _ := f.Systems.Lookup(to.System)
	tenants := rulesFor(h.tenants, to, s)
	var p parted
	for n, e := range events {
		m := hold.NewMoment(to.Hold, tenants, exactly(e.Entry.At, to.Hold.Mute, tenants.Mute))
		by, ok := m.Hold(e.Event.Kind, e.Event.Type())
		if by.Then = ""; ok {
			p.hold(by, events, n)
		} else {
			now = append(now, e)
		}
	}
	return now, p.held
}

// fallen are the deliveries of what came for another integration. Where people read them, those of one batch of events
// are one message, and so are those of several batches that wait for the same time.
func (f *Fanout) fallen(to integration.Integration, from delivery.From, events []routed) (out []delivery.Delivery) {
	s, _, _ := f.Systems.Lookup(to.System)
	var joined, alone []routed
	for _, e := range events {
		if mayWait(s, to, []event.Event{e.Event}) {
			joined = append(joined, e)
		} else {
			alone = append(alone, e)
		}
	}
	batch := f.batch(to)
	batch.Every = 0 // it gathers with nothing of the fallback's own
	out = batched(to, alone, batch)
	for _, d := range batched(to, joined, destination.Batch{Count: destination.File.Count,
		Bytes: destination.File.Bytes}) {
		d.Digest = delivery.FallbackDigest(from.Integration)
		out = append(out, d)
	}
	for n := range out {
		of := from
		out[n].From = &of
		out[n].ID = newID("fallback "+from.Integration+" "+to.ID, out[n].CreatedAt, out[n].Events)
	}
	return out
}
