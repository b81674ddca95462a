package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trigger"
	"tocsin/shared/worker"
)

// Deliveries keeps deliveries, their queue, their message batches and their history.
type Deliveries struct{ e *Engine }

// Deliveries returns the deliveries.
func (e *Engine) Deliveries() *Deliveries { return &Deliveries{e} }

var (
	_ fanout.Store      = (*Deliveries)(nil)
	_ fanout.EventLog   = (*Deliveries)(nil)
	_ worker.Queue      = (*Deliveries)(nil)
	_ worker.BatchStore = (*Deliveries)(nil)
)

// accepted is an event that counted.
type accepted struct {
	At    time.Time
	Event event.Event
	Entry delivery.Entry
}

// Begin tells which events are known. One fan-out is at work here: nothing is claimed.
func (d *Deliveries) Begin(_ context.Context, events []fanout.Accepted) ([]fanout.Standing, error) {
	defer d.e.lock()()
	out := make([]fanout.Standing, len(events))
	for n, a := range events {
		if d.e.known[key{a.Event.Tenant, a.Event.ID}] {
			out[n] = fanout.Known
		}
	}
	return out, nil
}

// Abort has nothing to give up.
func (d *Deliveries) Abort(context.Context, []fanout.Accepted) error { return nil }

// Accept keeps what fan-out made of entries, all of it or nothing.
func (d *Deliveries) Accept(_ context.Context, in fanout.Intake) error {
	defer d.e.lock()()
	through, err := lastPlace(in)
	if err != nil {
		return err
	}
	if through > 0 && through <= d.e.passed {
		return nil // the same Intake again, after an answer that got lost
	}
	if err := d.e.checkStates(in.Triggers); err != nil {
		return err
	}
	if err := d.e.putOutcome(in.Triggers); err != nil {
		return err
	}
	for _, a := range in.Accepted {
		d.e.known[key{a.Event.Tenant, a.Event.ID}] = true
		d.e.accepted = append(d.e.accepted, accepted{a.Entry.At, a.Event, a.Entry})
	}
	for _, n := range in.Counts() {
		d.e.counters.Count(n)
	}
	for _, c := range in.Commands {
		if k := (key{c.Tenant, c.ID}); d.e.commands[k].ID == "" {
			d.e.commands[k] = clone(c)
		}
	}
	for _, r := range in.Rejected {
		d.e.deadLetters = append(d.e.deadLetters, delivery.DeadLetter{
			ID: strconv.Itoa(len(d.e.deadLetters) + 1), Tenant: r.Tenant, DetailType: r.Entry.DetailType,
			Detail: r.Entry.Detail, At: r.Entry.At.UTC(), Reason: r.Reason,
		})
	}
	for _, v := range in.Deliveries {
		d.e.insert(v)
	}
	for _, r := range in.Records {
		d.e.addDay(r)
	}
	d.e.passed = max(d.e.passed, through)
	return nil
}

// lastPlace is that of the last entry of an Intake, 0 where none says its place.
func lastPlace(in fanout.Intake) (last int, err error) {
	entries := make([]fanout.Accepted, 0, len(in.Rejected))
	for _, r := range in.Rejected {
		entries = append(entries, fanout.Accepted{Entry: r.Entry})
	}
	for _, e := range slices.Concat(in.Accepted, in.Repeated, entries) {
		if e.Entry.Receipt == "" {
			continue
		}
		place, err := strconv.Atoi(e.Entry.Receipt)
		if err != nil {
			return 0, fmt.Errorf("receipt %q is not of this engine: %w", e.Entry.Receipt, err)
		}
		last = max(last, place)
	}
	return last, nil
}

// insert keeps a new delivery; one whose id exists is left as it is.
func (e *Engine) insert(v delivery.Delivery) (made bool) {
	lane := key{v.Tenant, v.Integration}
	if e.deliveries[lane] == nil {
		e.deliveries[lane] = map[string]delivery.Delivery{}
	}
	if _, ok := e.deliveries[lane][v.ID]; ok || e.carried(v) {
		return false
	}
	if _, ok := e.merged[lane][v.ID]; ok {
		return false
	}
	if v.CreatedAt.IsZero() {
		v.CreatedAt, _ = delivery.MadeAt(v.ID) // a test may choose other ids
	}
	e.deliveries[lane][v.ID] = stored(v)
	return true
}

// carried reports whether the events of a delivery are in another one already: its batch window is closed. An event
// that falls back to an integration may have come to it by itself, too.
func (e *Engine) carried(v delivery.Delivery) bool {
	if v.Due.IsZero() || len(v.Events) == 0 || v.From != nil {
		return false
	}
	for _, other := range e.deliveries[key{v.Tenant, v.Integration}] {
		if other.From != nil {
			continue
		}
		for _, carried := range other.Events {
			if carried.ID == v.Events[0].ID && carried.Tenant == v.Events[0].Tenant {
				return true
			}
		}
	}
	return false
}

// stored is a delivery as it is kept: with nothing that is of the last attempt alone.
func stored(v delivery.Delivery) delivery.Delivery {
	if v.Fallback != nil {
		to := *v.Fallback
		v.Fallback = &to
	}
	if v.From != nil {
		from := *v.From
		v.From = &from
	}
	if v.Held != nil {
		held := *v.Held
		v.Held = &held
	}
	v.Attempts, v.Parts, v.Kinds, v.Events = slices.Clone(v.Attempts), slices.Clone(v.Parts), slices.Clone(v.Kinds),
		slices.Clone(v.Events)
	return v
}

// checkStates fails when a trigger's state is not as it was read.
func (e *Engine) checkStates(o trigger.Outcome) error {
	for _, s := range o.States {
		k := key{s.Tenant, s.Trigger}
		if e.states[k].Version != s.Version || s.Version == 0 && e.triggers[k].ID == "" {
			return fmt.Errorf("trigger %s of tenant %s: %w", s.Trigger, s.Tenant, trigger.ErrStale)
		}
	}
	return nil
}

// putOutcome writes states and publishes what triggers say.
func (e *Engine) putOutcome(o trigger.Outcome) error {
	if err := e.publish(o.Publish...); err != nil {
		return err
	}
	for _, f := range o.Firings {
		k := key{f.Tenant, f.Trigger}
		list := append(e.firings[k], f)
		slices.SortFunc(list, func(a, b trigger.Firings) int { return strings.Compare(a.Place, b.Place) })
		e.firings[k] = list
	}
	for _, s := range o.States {
		s.Version++
		s.Body = slices.Clone(s.Body)
		e.states[key{s.Tenant, s.Trigger}] = s
	}
	return nil
}
