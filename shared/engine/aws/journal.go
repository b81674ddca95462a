package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
)

var _ fanout.EventLog = (*Deliveries)(nil)

// journalRow names an intake of a tenant. Its id, which is the intake's, begins with the time of the oldest event: so
// recovery finds what arrived when. It is written before the intake is committed, so that none is missing; one whose
// intake was aborted names nothing that can be read. Rows of version 1 hold the ids and times of a batch's events,
// which have rows of their own.
type journalRow struct {
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`
	Count   int    `dynamodbav:"count,omitempty"`  // of the intake's events
	Events  []byte `dynamodbav:"events,omitempty"` // version 1: compressed JSON of []journaled
	Version int    `dynamodbav:"v,omitempty"`
	Expires int64  `dynamodbav:"expires"`
}

// journaled is an event in a row of version 1.
type journaled struct {
	ID string `json:"i"`
	At int64  `json:"a"` // Unix nanoseconds
}

// journalRow is the row of an intake.
func (d *Deliveries) journalRow(s *share) (tableWrite, error) {
	row, err := marshal(journalRow{Tenant: s.tenant, ID: s.id, Count: len(s.events), Version: 2, Expires: d.expires()})
	return tableWrite{d.Tables.Journal, row}, err
}

// journal visits the rows that can hold events which arrived within a range of time, oldest first. after is the id to
// go on from, "" at first; page is how many rows are read at once.
func (d *Deliveries) journal(
	ctx context.Context, tenant string, from, to time.Time, after string, page int,
	visit func(journalRow) (more bool, err error),
) error {
	first, last := nanos(max(0, from.Add(-fanout.CarriedWithin).UnixNano())), nanos(max(0, to.UnixNano()))
	if after != "" {
		first = after + "\x00"
	}
	if first > last {
		return nil
	}
	in := between("tenant", tenant, first, last)
	in.TableName, in.ConsistentRead, in.Limit = &d.Tables.Journal, awssdk.Bool(true), awssdk.Int32(int32(page))
	return d.each(ctx, in, 1<<62, func(i item) (bool, error) {
		row, err := unmarshal[journalRow](i)
		if err != nil {
			return false, err
		}
		return visit(row)
	})
}

// Arrived reads rows of the journal and the events that they name.
func (d *Deliveries) Arrived(
	ctx context.Context, tenant string, from, to time.Time, after string, limit int,
) (out []fanout.Accepted, next string, err error) {
	within := func(a fanout.Accepted) bool { return !a.Entry.At.Before(from) && a.Entry.At.Before(to) }
	for next = after; ; {
		rows, through, err := d.journalPage(ctx, tenant, from, to, &next, limit)
		if err != nil {
			return nil, "", fmt.Errorf("list the events of tenant %s: %w", tenant, err)
		}
		events, err := d.eventsIn(ctx, tenant, rows)
		if err != nil {
			return nil, "", err
		}
		for _, a := range events {
			if within(a) {
				out = append(out, a)
			}
		}
		if through {
			next = ""
		}
		if through || len(out) > 0 {
			break
		}
	}
	slices.SortStableFunc(out, func(a, b fanout.Accepted) int { return a.Entry.At.Compare(b.Entry.At) })
	return out, next, nil
}

// journalPage reads rows that hold about limit events and moves the place on.
func (d *Deliveries) journalPage(
	ctx context.Context, tenant string, from, to time.Time, next *string, limit int,
) (rows []journalRow, through bool, err error) {
	through, count := true, 0
	err = d.journal(ctx, tenant, from, to, *next, min(limit+1, 1000), func(row journalRow) (bool, error) {
		rows = append(rows, row)
		*next = row.ID
		count += max(1, row.Count)
		through = count < limit
		return through, nil
	})
	return rows, through, err
}

// eventsIn reads the events of rows of the journal, each once.
func (d *Deliveries) eventsIn(
	ctx context.Context, tenant string, rows []journalRow,
) (out []fanout.Accepted, err error) {
	var ids []string
	for _, row := range rows {
		if row.Version >= 2 {
			ids = append(ids, intakeID(tenant, row.ID))
		}
	}
	packs, err := d.packs(ctx, ids)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, row := range rows {
		var events []fanout.Accepted
		if row.Version >= 2 {
			events, err = packs[intakeID(tenant, row.ID)].accepted(row.ID)
		} else {
			events, err = d.eventsOfRow(ctx, row)
		}
		if err != nil {
			return nil, fmt.Errorf("row %s of the journal of tenant %s: %w", row.ID, tenant, err)
		}
		for _, a := range events {
			if !seen[a.Event.ID] {
				seen[a.Event.ID] = true
				out = append(out, a)
			}
		}
	}
	return out, nil
}

// eventsOfRow reads the events of a row of version 1.
func (d *Deliveries) eventsOfRow(ctx context.Context, row journalRow) (out []fanout.Accepted, err error) {
	var list []journaled
	raw, err := inflate(row.Events)
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	ids := make([]string, len(list))
	for n, e := range list {
		ids[n] = e.ID
	}
	var s sources
	s.add(row.Tenant, ids, nil)
	events, err := d.load(ctx, s)
	for _, e := range list {
		if found, ok := events[eventKey(row.Tenant, e.ID)]; ok {
			out = append(out, fanout.Accepted{Event: found, Entry: delivery.Entry{DetailType: string(found.Kind),
				At: time.Unix(0, e.At).UTC()}})
		}
	}
	return out, err
}

// Carried reads the keys of the events of deliveries that can carry these.
func (d *Deliveries) Carried(
	ctx context.Context, tenant, integration string, events []fanout.Accepted,
) ([]bool, error) {
	out := make([]bool, len(events))
	if len(events) == 0 {
		return out, nil
	}
	place := make(map[string]int, len(events))
	first, last := events[0].Entry.At, events[0].Entry.At
	for n, a := range events {
		place[a.Event.ID] = n
		if a.Entry.At.Before(first) {
			first = a.Entry.At
		}
		if a.Entry.At.After(last) {
			last = a.Entry.At
		}
	}
	in := between("lane", laneKey(tenant, integration), firstID(first.Add(-fanout.CarriedWithin)),
		firstID(last.Add(time.Millisecond)))
	in.TableName, in.ConsistentRead = &d.Tables.Deliveries, awssdk.Bool(true)
	in.ProjectionExpression = awssdk.String("#k, #id, #events, #expires")
	in.ExpressionAttributeNames["#events"], in.ExpressionAttributeNames["#expires"] = "events", "expires"
	err := d.each(ctx, in, 1<<62, func(row item) (bool, error) {
		for _, id := range textsOf(row, "events") {
			if n, ok := place[id]; ok {
				out[n] = true
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for the deliveries of %d events to integration %s: %w", len(events), integration,
			err)
	}
	return out, nil
}

// Recover writes the rows of new deliveries and sends their messages. A row that is there, and waits for its first
// request, gets its message again: it may have been lost between the two writes.
func (d *Deliveries) Recover(
	ctx context.Context, deliveries []delivery.Delivery, events []fanout.Accepted,
) (made int, err error) {
	from := make(map[string]string, len(events))
	for _, a := range events {
		from[a.Event.ID] = a.Intake
	}
	rows := make([]item, len(deliveries))
	expires := d.expires()
	for n, v := range deliveries {
		var intakes []string
		for _, e := range v.Events {
			if id := from[e.ID]; id != "" && !slices.Contains(intakes, id) {
				intakes = append(intakes, id)
			}
		}
		if rows[n], err = d.write(v, intakes, expires); err != nil {
			return 0, err
		}
	}
	if err := d.markParcels(ctx, parcels(deliveries)); err != nil {
		return 0, fmt.Errorf("mark %d deliveries: %w", len(deliveries), err)
	}
	ready, err := d.reshelve(ctx, deliveries, rows, false)
	if err != nil {
		return 0, fmt.Errorf("write %d deliveries: %w", len(deliveries), err)
	}
	return len(ready), d.hand(ctx, ready, true)
}
