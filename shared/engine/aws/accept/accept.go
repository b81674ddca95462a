// Package accept is fanout.Store on DynamoDB: it commits what fan-out made of a batch of events, and a sweeper
// finishes what was left behind.
package accept

import (
	"context"
	"errors"
	"fmt"

	"tocsin/shared/command"
	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/deadletters"
	"tocsin/shared/engine/aws/deliveries"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
)

// Store is fanout.Store, and finishes what fan-out left behind.
//
// In order: the events are claimed; a marker says in the outbox that the intake began; the intake's row is committed;
// its consequences are made; the marker goes. Whatever breaks off is either not committed, and its events are free
// again when the intake is aborted, or committed, and finished by the sweeper. Nothing depends on the receipts or ids
// of messages, so that a repeat, a redrive, a purge and a restore are all the same case.
type Store struct {
	deliveries.Store
	Commands *settings.Commands
	// Counting is told of what was accepted; nil = nothing is counted.
	Counting Counting
	// Arrivals counts events for the overview of a day; nil = they are not counted.
	Arrivals Arrivals
	// Marks is needed by the sweeper: what was not counted gets its message again. nil = that is not looked after.
	Marks Marks
}

// Counting is told of each intake that was committed, perhaps more than once.
type Counting interface {
	Enqueue(ctx context.Context, tenant, intake string, events []event.Event) error
}

// Arrivals counts what came in.
type Arrivals interface {
	Add(ctx context.Context, counts []health.Count) error
}

// Begin claims events: see IntakeStore.Begin.
func (s *Store) Begin(ctx context.Context, events []fanout.Accepted) ([]fanout.Standing, error) {
	return s.Intakes().Begin(ctx, events)
}

// Abort aborts the intakes of events.
func (s *Store) Abort(ctx context.Context, events []fanout.Accepted) error {
	return s.Intakes().Abort(ctx, events)
}

// tenantIntake is the intake of one tenant.
type tenantIntake struct {
	intakes.Intake
	leftOut []fanout.LeftOut
	fresh   bool // it is to be accepted
	own     bool // begun by Accept itself
}

// Accept commits the intake of each tenant and makes its deliveries ready. Entries that hold no event come last:
// however many there are, they stop no event.
func (s *Store) Accept(ctx context.Context, in fanout.Intake) error {
	if len(in.Records) > 0 || !in.Triggers.Empty() {
		return errors.New("accept an intake: this engine counts apart, see package counting: fan-out must have no " +
			"Triggers and no Recorder")
	}
	split, err := s.split(ctx, in)
	if err != nil {
		return err
	}
	for _, one := range split {
		if !one.fresh {
			continue
		}
		if err := s.accept(ctx, one); err != nil {
			err = fmt.Errorf("accept %d events of tenant %s: %w", len(one.Events), one.Tenant, err)
			if one.own {
				err = errors.Join(err, s.Abort(context.WithoutCancel(ctx), one.Events))
			}
			return err
		}
	}
	dead := deadletters.Store{Set: s.Set}
	if err := dead.Reject(ctx, in.Rejected); err != nil {
		entries := make([]delivery.Entry, len(in.Rejected))
		for n, r := range in.Rejected {
			entries[n] = r.Entry
		}
		return &fanout.Unfinished{Entries: entries, Err: err}
	}
	return nil
}

// split splits an Intake by tenant. What was accepted before, as a whole, is not fresh.
func (s *Store) split(ctx context.Context, in fanout.Intake) (out []*tenantIntake, err error) {
	by := map[string]*tenantIntake{}
	tenants, places := intakes.ByTenant(in.Accepted)
	for _, tenant := range tenants {
		one := &tenantIntake{Intake: intakes.Intake{Tenant: tenant}}
		for _, n := range places[tenant] {
			one.Events = append(one.Events, in.Accepted[n])
		}
		if err := s.begun(ctx, one); err != nil {
			return nil, err
		}
		by[tenant], out = one, append(out, one)
	}
	for _, v := range in.Deliveries {
		one := by[v.Tenant]
		if one == nil {
			return nil, fmt.Errorf("the intake means something to tenant %s, and has no event of theirs", v.Tenant)
		}
		one.Deliveries = append(one.Deliveries, v)
	}
	for _, l := range in.LeftOut {
		if one := by[l.Tenant]; one != nil {
			one.leftOut = append(one.leftOut, l)
		}
	}
	return out, nil
}

// begun sees to it that the events are claimed.
func (s *Store) begun(ctx context.Context, one *tenantIntake) error {
	if one.ID = one.Events[0].Intake; one.ID != "" {
		one.fresh = true
		return nil
	}
	standings, err := s.Begin(ctx, one.Events)
	if err != nil {
		return err
	}
	one.own = true
	count := map[fanout.Standing]int{}
	for _, standing := range standings {
		count[standing]++
	}
	switch len(one.Events) {
	case count[fanout.Fresh]:
		one.ID, one.fresh = one.Events[0].Intake, true
		return nil
	case count[fanout.Known]:
		return nil
	}
	err = fmt.Errorf("accept %d events of tenant %s, of which some were accepted meanwhile: %w", len(one.Events),
		one.Tenant, fanout.ErrBusy)
	return errors.Join(err, s.Abort(ctx, one.Events))
}

func (s *Store) accept(ctx context.Context, one *tenantIntake) error {
	m := one.Intake
	row, before, err := s.Intakes().Rows(ctx, m)
	if err != nil {
		return err
	}
	marker, err := s.Outbox().IntakeMarker(m.Tenant, m.ID)
	if err != nil {
		return err
	}
	if err := table.PutAll(ctx, s.DB, append([]table.Write{marker}, before...)); err != nil {
		return fmt.Errorf("begin the intake: %w", err)
	}
	if err := s.Intakes().Commit(ctx, row); err != nil {
		return err
	}
	s.count(ctx, one)
	if err := s.finish(ctx, m, false); err != nil {
		// It is accepted: the sweeper finishes it. To hand the entries in again would bring nothing.
		s.Logger().Error("the deliveries of an intake are not ready: the sweeper finishes it",
			"tenant", m.Tenant, "intake", m.ID, "deliveries", len(m.Deliveries), "error", err.Error())
	}
	return nil
}

// count counts the events of a committed intake, and those that filters stopped. A count that fails, or that a process
// does not come to, is missing in the overview and nowhere else: in the intake's own row it would cost a transaction.
func (s *Store) count(ctx context.Context, m *tenantIntake) {
	if s.Arrivals == nil {
		return
	}
	in := fanout.Intake{Accepted: m.Events, LeftOut: m.leftOut}
	if err := s.Arrivals.Add(ctx, in.Counts()); err != nil {
		s.Logger().Warn("events are missing in the overview", "tenant", m.Tenant, "intake", m.ID, "events",
			len(m.Events), "error", err.Error())
	}
}

// finish makes what follows from a committed intake: its commands, its deliveries' rows and messages, and the message
// that has it counted. All of it can be done again, with one difference: again sends the messages of rows that are
// there, and pending, as well.
func (s *Store) finish(ctx context.Context, m intakes.Intake, again bool) error {
	for _, a := range m.Events {
		c, ok := command.Of(a.Event)
		if !ok {
			continue
		}
		if err := s.Commands.Put(ctx, c, s.Expires()); err != nil {
			return fmt.Errorf("keep command %s of tenant %s: %w", c.ID, c.Tenant, err)
		}
	}
	if _, err := s.Ready(ctx, m, again, false); err != nil {
		return err
	}
	if s.Counting != nil {
		if err := s.Counting.Enqueue(ctx, m.Tenant, m.ID, eventsOf(m.Events)); err != nil {
			return fmt.Errorf("have an intake of tenant %s counted: %w", m.Tenant, err)
		}
	}
	id := intakes.ID(m.Tenant, m.ID)
	if len(m.Deliveries) == 0 && (s.Counting == nil || counts(m.Events) == 0) {
		return s.Outbox().Remove(ctx, id)
	}
	return s.Outbox().Postpone(ctx, id, 0)
}

func eventsOf(list []fanout.Accepted) []event.Event {
	out := make([]event.Event, len(list))
	for n, a := range list {
		out[n] = a.Event
	}
	return out
}

// counts is how many of the events count for triggers or reports.
func counts(events []fanout.Accepted) (n int) {
	for _, a := range events {
		if counting.Counts(a.Event.Kind) {
			n++
		}
	}
	return n
}
