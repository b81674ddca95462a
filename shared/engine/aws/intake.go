package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// An intake is what fan-out made of a batch of one tenant's events. It is accepted by one conditional write, of its
// row in the table of intakes: that row holds the events, compressed together, and the deliveries that they go into.
// So it is three things at once. It is the outbox, from which the rows and messages of its deliveries are made,
// however often that is begun (see outbox.go); it is what deliveries load their events from; and it is what recovery
// reads.
//
// In order: the events are claimed (claims.go); a marker says in the outbox that the intake began; the row is
// committed; its consequences are made; the marker goes. Whatever breaks off is either not committed, and its events
// are free again when the intake is aborted, or committed, and finished by the sweeper. Nothing depends on the
// receipts or ids of messages, so that a repeat, a redrive, a purge and a restore are all the same case.
//
// The rows are spread over the table's partitions by tenant and id: one tenant's events are not bounded by what one
// partition takes (1,000 write units a second; DynamoDB, "Best practices for designing and using partition keys
// effectively").

// errAborted: the intake took longer than claimFor and was aborted by somebody else. Its entries come again.
var errAborted = errors.New("the intake was aborted, because it took too long")

// intakeRow is the row of an intake, or the tombstone of one that was aborted.
type intakeRow struct {
	Intake  string `dynamodbav:"intake"` // see intakeID
	Aborted bool   `dynamodbav:"aborted,omitempty"`
	Body    []byte `dynamodbav:"body,omitempty"` // a pack; what is larger than partSize goes on in so many rows
	Parts   int    `dynamodbav:"parts,omitempty"`
	Version int    `dynamodbav:"v"`
	Expires int64  `dynamodbav:"expires"`
}

// intakeID is unique: neither a tenant nor the id of an intake holds a space.
func intakeID(tenant, intake string) string { return tenant + " " + intake }

func intakeKey(tenant, intake string) item { return item{"intake": text(intakeID(tenant, intake))} }

// outlives is when the row of an intake expires: after all that names it.
func (d *Deliveries) outlives() int64 { return d.expires() + 24*60*60 }

// share is an intake of one tenant.
type share struct {
	tenant, id string
	own        bool // begun by Accept itself
	events     []fanout.Accepted
	deliveries []delivery.Delivery
}

// Accept commits the intake of each tenant and makes its deliveries ready. Entries that hold no event come last:
// however many there are, they stop no event.
func (d *Deliveries) Accept(ctx context.Context, in fanout.Intake) error {
	if len(in.Records) > 0 || !in.Triggers.Empty() {
		return errors.New("accept an intake: this engine counts apart, see package counting: fan-out must have no " +
			"Triggers and no Recorder")
	}
	shares, err := d.shares(ctx, in)
	if err != nil {
		return err
	}
	for _, s := range shares {
		if err := d.accept(ctx, s); err != nil {
			err = fmt.Errorf("accept %d events of tenant %s: %w", len(s.events), s.tenant, err)
			if s.own {
				err = errors.Join(err, d.Abort(context.WithoutCancel(ctx), s.events))
			}
			return err
		}
	}
	if err := d.reject(ctx, in.Rejected); err != nil {
		entries := make([]delivery.Entry, len(in.Rejected))
		for n, r := range in.Rejected {
			entries[n] = r.Entry
		}
		return &fanout.Unfinished{Entries: entries, Err: err}
	}
	return nil
}

// shares splits an Intake by tenant. What was accepted before, as a whole, is left out.
func (d *Deliveries) shares(ctx context.Context, in fanout.Intake) ([]*share, error) {
	var out []*share
	by := map[string]*share{}
	tenants, places := byTenant(in.Accepted)
	for _, tenant := range tenants {
		s := &share{tenant: tenant}
		for _, n := range places[tenant] {
			s.events = append(s.events, in.Accepted[n])
		}
		fresh, err := d.begun(ctx, s)
		if err != nil {
			return nil, err
		}
		if by[tenant] = s; fresh {
			out = append(out, s)
		}
	}
	of := func(tenant string) (*share, error) {
		if by[tenant] == nil {
			return nil, fmt.Errorf("the intake means something to tenant %s, and has no event of theirs", tenant)
		}
		return by[tenant], nil
	}
	for _, v := range in.Deliveries {
		s, err := of(v.Tenant)
		if err != nil {
			return nil, err
		}
		s.deliveries = append(s.deliveries, v)
	}
	return out, nil
}

// begun sees to it that the events are claimed; fresh is false when all of them were accepted before.
func (d *Deliveries) begun(ctx context.Context, s *share) (fresh bool, err error) {
	if s.id = s.events[0].Intake; s.id != "" {
		return true, nil
	}
	standings, err := d.Begin(ctx, s.events)
	if err != nil {
		return false, err
	}
	s.own = true
	count := map[fanout.Standing]int{}
	for _, standing := range standings {
		count[standing]++
	}
	switch len(s.events) {
	case count[fanout.Fresh]:
		s.id = s.events[0].Intake
		return true, nil
	case count[fanout.Known]:
		return false, nil
	}
	err = fmt.Errorf("accept %d events of tenant %s, of which some were accepted meanwhile: %w", len(s.events),
		s.tenant, fanout.ErrBusy)
	return false, errors.Join(err, d.Abort(ctx, s.events))
}

func (d *Deliveries) accept(ctx context.Context, s *share) error {
	rows, err := d.rows(s)
	if err != nil {
		return err
	}
	marker, err := d.mark(s.tenant, s.id)
	if err != nil {
		return err
	}
	entry, err := d.journalRow(s)
	if err != nil {
		return err
	}
	before := []tableWrite{marker, entry}
	for _, part := range rows[1:] {
		before = append(before, tableWrite{d.Tables.Intakes, part})
	}
	if err := putAll(ctx, d.DB, before); err != nil {
		return fmt.Errorf("begin the intake: %w", err)
	}
	if err := d.commit(ctx, rows[0]); err != nil {
		return err
	}
	if err := d.finish(ctx, finishing{s.tenant, s.id, s.deliveries, eventsOf(s.events)}, false); err != nil {
		// It is accepted: the sweeper finishes it. To hand the entries in again would bring nothing.
		d.log().Error("the deliveries of an intake are not ready: the sweeper finishes it",
			"tenant", s.tenant, "intake", s.id, "deliveries", len(s.deliveries), "error", err.Error())
	}
	return nil
}

func eventsOf(list []fanout.Accepted) []event.Event {
	out := make([]event.Event, len(list))
	for n, a := range list {
		out[n] = a.Event
	}
	return out
}

func (d *Deliveries) log() *slog.Logger {
	if d.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.Log
}

// rows are the row of an intake and, after it, those of its parts.
func (d *Deliveries) rows(s *share) ([]item, error) {
	p, err := packOf(s)
	if err != nil {
		return nil, err
	}
	body, err := p.encode()
	if err != nil {
		return nil, fmt.Errorf("pack %d events: %w", len(s.events), err)
	}
	head := intakeRow{Intake: intakeID(s.tenant, s.id), Body: body[:min(partSize, len(body))], Version: 2,
		Expires: d.outlives()}
	var parts []item
	for rest := body[len(head.Body):]; len(rest) > 0; rest = rest[min(partSize, len(rest)):] {
		head.Parts++
		part, err := marshal(intakeRow{Intake: partKey(head.Intake, head.Parts), Body: rest[:min(partSize, len(rest))],
			Version: 2, Expires: head.Expires})
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	row, err := marshal(head)
	return append([]item{row}, parts...), err
}

// commit writes the row of an intake. What its events add to the record and mean to triggers is counted apart: see
// package counting. Error: errAborted.
func (d *Deliveries) commit(ctx context.Context, row item) error {
	there, err := putNew(ctx, d.DB, d.Tables.Intakes, "intake", row)
	if err != nil {
		return fmt.Errorf("commit the intake: %w", err)
	}
	if fateOf(there) == aborted {
		return errAborted
	}
	return nil // also where it was there: our own call, whose answer was lost
}
