package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tocsin/shared/command"
	"tocsin/shared/counting"
	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/logsample"
	"tocsin/shared/metrics"
	"tocsin/shared/sleep"
	"tocsin/shared/trace"
	"tocsin/shared/trigger"
)

// Enabler finds receivers: the part of integration.Store that fan-out reads.
type Enabler interface {
	Get(ctx context.Context, tenant, id string) (integration.Integration, error)
	Enabled(ctx context.Context, tenant string) ([]integration.Integration, error)
}

// Fanout decides which integrations receive which events. Events of one batch that go to the same integration travel
// together as far as its system's limits allow. With an engine that counts as it accepts, what the events mean to
// triggers and add to the record is part of the Intake; with one that counts apart, Recorder and Triggers are nil here:
// see package counting.
type Fanout struct {
	Integrations Enabler
	Systems      integration.Systems
	Store        Store
	Logger       *slog.Logger
	Recorder     counting.Recorder // nil: the record is made elsewhere
	People       People            // nil: nobody has personal notifications
	Triggers     counting.Triggers // nil: they are evaluated elsewhere
	Holds        TenantHolds       // nil: tenants have no rules that hold what is sent
	Messages     MessageCounter    // nil: no storm guard
	Now          func() time.Time  // of log lines and of the storm guard; nil = time.Now
	Meter        metrics.Sink      // takes what batches came to; nil: nobody counts
	Tracer       *trace.Tracer     // nil: nothing is traced

	filters filters
	lines   logsample.Sampler
}

// People learns of the people of a tenant from its events. It may see an event more than once.
type People interface {
	Observe(ctx context.Context, e event.Event) error
}

// Process validates a batch of entries, records it and makes its deliveries ready. It returns the lanes that have new
// work. After an error hand in the same entries again, or, when it is *Unfinished, those that it names: nothing is sent
// twice for it but under the same ids.
func (f *Fanout) Process(ctx context.Context, entries []delivery.Entry) ([]delivery.Lane, error) {
	began := f.now()
	in, busy, err := f.begin(ctx, entries)
	if err != nil {
		return nil, err
	}
	lanes, err := f.accept(ctx, in)
	var unfinished *Unfinished
	switch {
	case errors.As(err, &unfinished):
		busy = append(busy, unfinished.Entries...)
	case err != nil:
		if aborted := f.Store.Abort(context.WithoutCancel(ctx), in.Accepted); aborted != nil {
			return nil, errors.Join(err, fmt.Errorf("give up an intake of %d events: %w", len(in.Accepted), aborted))
		}
		return nil, err
	}
	f.trace(in.Accepted, busy, began)
	if len(busy) > 0 {
		if err == nil {
			err = ErrBusy
		}
		return lanes, &Unfinished{Entries: busy, Err: err}
	}
	return lanes, nil
}

// A batch whose triggers somebody changed meanwhile is evaluated again so many times, after pauses of chance that grow
// (sleep.Random): see trigger.ErrStale.
const (
	staleTries = 12
	firstPause = 10 * time.Millisecond
	lastPause  = 120 * time.Millisecond
)

// accept makes an Intake of what was begun, anew when the states of triggers changed meanwhile.
func (f *Fanout) accept(ctx context.Context, begun Intake) ([]delivery.Lane, error) {
	pauses := sleep.Random(firstPause, lastPause)
	guard := &stormGuard{}
	for try := 1; ; try++ {
		lanes, err := f.try(ctx, begun, guard)
		if !errors.Is(err, trigger.ErrStale) || try == staleTries {
			return lanes, err
		}
		sleep.For(ctx, pauses.NextBackOff())
	}
}

// try is one try at a batch. Error: trigger.ErrStale.
func (f *Fanout) try(ctx context.Context, in Intake, guard *stormGuard) ([]delivery.Lane, error) {
	if err := f.learn(ctx, &in); err != nil {
		return nil, err
	}
	if err := f.address(ctx, &in, guard); err != nil {
		return nil, err
	}
	err := f.Store.Accept(ctx, in)
	var unfinished *Unfinished
	if err != nil && !errors.As(err, &unfinished) {
		return nil, fmt.Errorf("accept %d events with %d deliveries: %w", len(in.Accepted), len(in.Deliveries), err)
	}
	f.tell(in)
	f.meter(ctx, in, unfinished)
	return lanes(in.Deliveries), err
}

// tell logs what a batch came to. What upstream or a trigger can repeat a thousand times a second is sampled.
func (f *Fanout) tell(in Intake) {
	for _, r := range in.Rejected {
		f.sample(slog.LevelWarn, r.Tenant, logsample.Class(r.Reason), "event kept as dead letter",
			"tenant", r.Tenant, "detail_type", cut.Keep(r.Entry.DetailType, 64), "event", cut.Keep(r.ID, 64), "reason",
			r.Reason)
	}
	for _, s := range in.Triggers.Spans {
		f.Tracer.Record(s)
	}
	for _, e := range in.Triggers.Publish {
		f.sample(slog.LevelInfo, e.Tenant, string(e.Kind), "trigger fired", "tenant", e.Tenant, "event", e.ID, "kind",
			e.Kind)
	}
}

func (f *Fanout) sample(level slog.Level, tenant, class, text string, args ...any) {
	f.lines.Add(f.Logger, f.now(), level, logsample.Kind{Group: tenant, Class: class}, text, args...)
}

// begin parses the entries, sets aside the bad and the known ones, and claims the others. busy are those that another
// fan-out is at.
func (f *Fanout) begin(ctx context.Context, entries []delivery.Entry) (in Intake, busy []delivery.Entry, err error) {
	type key struct{ tenant, id string }
	first := make(map[key]int, len(entries))
	valid := slices.Grow([]Accepted(nil), len(entries))
	var copies []Accepted
	for _, entry := range entries {
		e, err := event.Parse(entry.DetailType, entry.Detail)
		if f.Tracer != nil {
			e.Trace = entry.Trace
		}
		k := key{e.Tenant, e.ID}
		if err != nil {
			in.Rejected = append(in.Rejected, Rejected{Entry: entry, Tenant: event.KnownTenant(e.Tenant), ID: e.ID,
				Reason: err.Error()})
		} else if _, ok := first[k]; ok {
			copies = append(copies, Accepted{Entry: entry, Event: e})
		} else {
			first[k] = len(valid)
			valid = append(valid, Accepted{Entry: entry, Event: e})
		}
	}
	standings, err := f.Store.Begin(ctx, valid)
	if err != nil {
		return in, nil, fmt.Errorf("claim %d events: %w", len(valid), err)
	}
	in.Accepted = slices.Grow(in.Accepted, len(valid))
	for i, a := range valid {
		switch standings[i] {
		case Fresh:
			in.Accepted = append(in.Accepted, a)
		case Known:
			in.Repeated = append(in.Repeated, a)
		case Busy:
			busy = append(busy, a.Entry)
		}
	}
	for _, c := range copies { // a copy is as good as its event: it comes again where that does
		if standings[first[key{c.Event.Tenant, c.Event.ID}]] == Busy {
			busy = append(busy, c.Entry)
		} else {
			in.Repeated = append(in.Repeated, c)
		}
	}
	return in, busy, nil
}

// learn tells of people who came and went, and counts where it is to be done here.
func (f *Fanout) learn(ctx context.Context, in *Intake) error {
	events := make([]event.Event, 0, len(in.Accepted))
	for _, a := range in.Accepted {
		events = append(events, a.Event)
		if c, ok := command.Of(a.Event); ok {
			in.Commands = append(in.Commands, c)
		}
		if f.People == nil {
			continue
		}
		if _, ok := a.Event.Reaction(); ok {
			continue // a trigger's copy, which can be late: the person may have gone since
		}
		switch a.Event.Kind {
		case event.CreateUser, event.UpdateUser, event.DeleteUser:
			if err := f.People.Observe(ctx, a.Event); err != nil {
				return fmt.Errorf("note the people of tenant %s: %w", a.Event.Tenant, err)
			}
		}
	}
	var err error
	if f.Triggers != nil {
		seen := make([]trigger.Seen, len(in.Accepted))
		for n, a := range in.Accepted {
			seen[n] = trigger.Seen{Event: a.Event, At: a.Entry.At}
		}
		if in.Triggers, err = f.Triggers.Evaluate(ctx, seen); err != nil {
			return fmt.Errorf("evaluate triggers on %d events: %w", len(events), err)
		}
	}
	if f.Recorder == nil {
		return nil
	}
	if in.Records, err = f.Recorder.Records(ctx, events); err != nil {
		return fmt.Errorf("record %d events: %w", len(events), err)
	}
	return nil
}

// address makes the deliveries.
func (f *Fanout) address(ctx context.Context, in *Intake, guard *stormGuard) error {
	guard.waiting = nil
	byTenant := map[string][]routed{}
	var order []string
	reactions := map[delivery.Lane][]routed{}
	var reacting []delivery.Lane
	for _, a := range in.Accepted {
		if r, ok := a.Event.Reaction(); ok {
			for _, id := range r.Integrations {
				l := delivery.Lane{Tenant: a.Event.Tenant, Integration: id}
				if reactions[l] == nil {
					reacting = append(reacting, l)
				}
				reactions[l] = append(reactions[l], routed{Accepted: a})
			}
			continue
		}
		t := a.Event.Type()
		if t == "" {
			continue
		}
		if receiver, ok := a.Event.Direct(); ok {
			if err := f.direct(ctx, in, receiver, routed{Accepted: a, as: t}); err != nil {
				return err
			}
			continue
		}
		if _, ok := byTenant[a.Event.Tenant]; !ok {
			order = append(order, a.Event.Tenant)
		}
		byTenant[a.Event.Tenant] = append(byTenant[a.Event.Tenant], routed{Accepted: a, as: t})
	}
	for _, tenant := range order {
		integrations, err := f.Integrations.Enabled(ctx, tenant)
		if err != nil {
			return fmt.Errorf("list the enabled integrations of tenant %s: %w", tenant, err)
		}
		held := f.holdsOf(ctx, tenant)
		for _, i := range integrations {
			if !i.Enabled() {
				if err := f.instead(ctx, in, held, i, integrations, byTenant[tenant]); err != nil {
					return err
				}
				continue
			}
			events, left := f.passing(i, byTenant[tenant])
			in.LeftOut = append(in.LeftOut, left...)
			f.send(in, held, guard, i, events)
		}
	}
	for _, l := range reacting {
		if err := f.react(ctx, in, guard, l, reactions[l]); err != nil {
			return err
		}
	}
	f.settle(ctx, in, guard)
	return nil
}

// react makes the deliveries of a trigger's notifications to an integration that it names, subscribed or not.
func (f *Fanout) react(ctx context.Context, in *Intake, guard *stormGuard, l delivery.Lane,
	events []routed) error {
	i, err := f.Integrations.Get(ctx, l.Tenant, l.Integration)
	skip := func(why string) {
		r, _ := events[0].Event.Reaction()
		f.sample(slog.LevelWarn, l.Tenant, r.Trigger+" "+l.Integration, "a trigger's notification is not sent",
			"tenant", l.Tenant, "trigger", r.Trigger, "integration", l.Integration, "events", len(events), "reason",
			why)
	}
	switch {
	case errors.Is(err, integration.ErrNotFound):
		skip("the integration was deleted")
	case err != nil:
		return fmt.Errorf("find the integration %s of a trigger of tenant %s: %w", l.Integration, l.Tenant, err)
	case !i.Enabled() && i.Fallback != "":
		return f.fallBack(ctx, in, f.holdsOf(ctx, l.Tenant), i, nil, events)
	case !i.Enabled():
		skip("the integration is disabled")
	default:
		f.send(in, f.holdsOf(ctx, l.Tenant), guard, i, events)
	}
	return nil
}

// direct makes the delivery of an event that is for one receiver.
func (f *Fanout) direct(ctx context.Context, in *Intake, id string, e routed) error {
	i, err := f.Integrations.Get(ctx, e.Event.Tenant, id)
	if errors.Is(err, integration.ErrNotFound) || err == nil && !i.Enabled() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the receiver %s of a %s event of tenant %s: %w", id, e.Event.Kind, e.Event.Tenant, err)
	}
	f.goes(in, i)
	in.Deliveries = append(in.Deliveries, f.deliveries(i, subscribed(i, []routed{e}, nil))...)
	return nil
}

// Limits of the fan-out loop.
const (
	intakeLimit = 512 // entries of one batch
	intakePause = time.Second
)

// Run processes what arrives in the inbox until the context ends. arrived wakes it; wake is told of new work. A
// batch that fails (a full disk) is tried again: its entries stay in the inbox.
func (f *Fanout) Run(ctx context.Context, inbox Inbox, arrived <-chan struct{}, wake func(...delivery.Lane)) {
	for ctx.Err() == nil {
		entries, err := inbox.Receive(ctx, intakeLimit)
		var lanes []delivery.Lane
		if err == nil && len(entries) > 0 {
			lanes, err = f.Process(ctx, entries)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			f.Logger.Error("fan out: trying again", "entries", len(entries), "error", err.Error())
			sleep.For(ctx, intakePause)
		case len(entries) == 0:
			select {
			case <-arrived:
			case <-ctx.Done():
			}
		default:
			wake(lanes...)
		}
	}
}
