// Package intakes keeps what was accepted: intakes with their events, the claims of events, and the event log, by which
// recovery finds what arrived when.
package intakes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// An intake is what fan-out made of a batch of one tenant's events. It is accepted by one conditional write, of its
// row in the table of intakes: that row holds the events, compressed together, and the deliveries that they go into.
// So it is three things at once. It is the outbox, from which the rows and messages of its deliveries are made,
// however often that is begun; it is what deliveries load their events from; and it is what recovery
// reads.
//
// The rows are spread over the table's partitions by tenant and id: one tenant's events are not bounded by what one
// partition takes (1,000 write units a second; DynamoDB, "Best practices for designing and using partition keys
// effectively").

// ErrAborted: the intake took longer than claimFor and was aborted by somebody else. Its entries come again.
var ErrAborted = errors.New("the intake was aborted, because it took too long")

// intakeRow is the row of an intake, or the tombstone of one that was aborted.
//
//tocsin:table IntakesTable
type intakeRow struct {
	Intake  string `dynamodbav:"intake"` // see intakeID
	Aborted bool   `dynamodbav:"aborted,omitempty"`
	Body    []byte `dynamodbav:"body,omitempty"` // a pack; what is larger than partSize goes on in so many rows
	Parts   int    `dynamodbav:"parts,omitempty"`
	Version int    `dynamodbav:"v"`
	Expires int64  `dynamodbav:"expires"`
}

// Store keeps intakes, the claims of their events and the event log. A store of intakes of an earlier release's
// events reads those too.
type Store struct{ table.Set }

// ID is unique: neither a tenant nor the id of an intake holds a space.
func ID(tenant, intake string) string { return tenant + " " + intake }

func intakeKey(tenant, intake string) table.Item {
	return table.Item{"intake": table.Text(ID(tenant, intake))}
}

// outlives is when the row of an intake expires: after all that names it. See delivery.HeldAtMost.
func outlives(m Intake, expires int64) int64 {
	expires += 24 * 60 * 60
	if slices.ContainsFunc(m.Deliveries, func(v delivery.Delivery) bool { return v.Held != nil }) {
		expires += int64(delivery.HeldAtMost / time.Second)
	}
	return expires
}

// Intake is what fan-out made of events of one tenant.
type Intake struct {
	Tenant, ID string // of the intake
	Events     []fanout.Accepted
	Deliveries []delivery.Delivery
}

// Rows are the row of an intake, and what is written before it: its parts, and its row in the event log.
func (t *Store) Rows(ctx context.Context, m Intake) (row table.Item, before []table.Write, err error) {
	expires := t.EventsExpire(ctx, m.Tenant)
	logged, err := t.eventLogRow(m, expires)
	if err != nil {
		return nil, nil, err
	}
	row, parts, err := t.rows(m, expires)
	return row, append([]table.Write{logged}, parts...), err
}

// rows are the row of an intake and its parts.
func (t *Store) rows(m Intake, expires int64) (row table.Item, parts []table.Write, err error) {
	p, err := packOf(m)
	if err != nil {
		return nil, nil, err
	}
	body, err := p.encode()
	if err != nil {
		return nil, nil, fmt.Errorf("pack %d events: %w", len(m.Events), err)
	}
	head := intakeRow{Intake: ID(m.Tenant, m.ID), Body: body[:min(table.PartSize, len(body))], Version: 2,
		Expires: outlives(m, expires)}
	for rest := body[len(head.Body):]; len(rest) > 0; rest = rest[min(table.PartSize, len(rest)):] {
		head.Parts++
		part, err := table.Marshal(intakeRow{Intake: table.PartKey(head.Intake, head.Parts),
			Body:    rest[:min(table.PartSize, len(rest))],
			Version: 2, Expires: head.Expires})
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, table.Write{Table: t.Tables.Intakes, Item: part})
	}
	row, err = table.Marshal(head)
	return row, parts, err
}

// Keep writes the events of a delivery that is held as an intake of the delivery's own id, however often it is called:
// they outlive those that they came in with. No event and no log names it, so that nothing is counted or recovered of
// it.
func (t *Store) Keep(ctx context.Context, d delivery.Delivery) error {
	m := Intake{Tenant: d.Tenant, ID: d.ID, Deliveries: []delivery.Delivery{d}}
	for _, e := range d.Events {
		m.Events = append(m.Events, fanout.Accepted{Event: e, Entry: delivery.Entry{At: d.CreatedAt}})
	}
	row, parts, err := t.rows(m, t.EventsExpire(ctx, d.Tenant))
	if err != nil {
		return err
	}
	for _, p := range append(parts, table.Write{Table: t.Tables.Intakes, Item: row}) {
		if _, err := table.PutNew(ctx, t.DB, t.Tables.Intakes, "intake", p.Item); err != nil {
			return fmt.Errorf("keep the %d events of delivery %s, which is held: %w", d.Count, d.ID, err)
		}
	}
	return nil
}

// Commit writes the row of an intake. What its events add to the daily totals and mean to triggers is counted apart:
// see package counting. Error: ErrAborted.
func (t *Store) Commit(ctx context.Context, row table.Item) error {
	there, err := table.PutNew(ctx, t.DB, t.Tables.Intakes, "intake", row)
	if err != nil {
		return fmt.Errorf("commit the intake: %w", err)
	}
	if fateOf(there) == Aborted {
		return ErrAborted
	}
	return nil // also where it was there: our own call, whose answer was lost
}

func (intakeRow) Newest() int64 { return 2 }
