package intakes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// loggedRow names an intake of a tenant. Its id, which is the intake's, begins with the time of the oldest event: so
// recovery finds what arrived when. It is written before the intake is committed, so that none is missing; one whose
// intake was aborted names nothing that can be read. Rows of version 1 hold the ids and times of a batch's events,
// which have rows of their own.
//
//tocsin:table EventLogTable
type loggedRow struct {
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`
	Count   int    `dynamodbav:"count,omitempty"`  // of the intake's events
	Events  []byte `dynamodbav:"events,omitempty"` // version 1: compressed JSON of []loggedEvent
	Version int    `dynamodbav:"v,omitempty"`
	Expires int64  `dynamodbav:"expires"`
}

// loggedEvent is an event in a row of version 1.
type loggedEvent struct {
	ID string `json:"i"`
	At int64  `json:"a"` // Unix nanoseconds
}

// eventLogRow is the row of an intake in the event log.
func (t *Store) eventLogRow(m Intake, expires int64) (table.Write, error) {
	row, err := table.Marshal(loggedRow{Tenant: m.Tenant, ID: m.ID, Count: len(m.Events), Version: 2,
		Expires: expires})
	return table.Write{Table: t.Tables.EventLog, Item: row}, err
}

// scanLog visits the rows that can hold events which arrived within a range of time, oldest first. after is the id to
// go on from, "" at first; page is how many rows are read at once.
func (t *Store) scanLog(
	ctx context.Context, tenant string, from, to time.Time, after string, page int,
	visit func(loggedRow) (more bool, err error),
) error {
	first, last := table.Nanos(max(0, from.Add(-fanout.CarriedWithin).UnixNano())), table.Nanos(max(0, to.UnixNano()))
	if after != "" {
		first = after + "\x00"
	}
	if first > last {
		return nil
	}
	in := table.Between("tenant", tenant, first, last)
	in.TableName, in.ConsistentRead, in.Limit = &t.Tables.EventLog, awssdk.Bool(true), awssdk.Int32(int32(page))
	return t.Each(ctx, in, 1<<62, func(i table.Item) (bool, error) {
		row, err := table.Unmarshal[loggedRow](i)
		if err != nil {
			return false, err
		}
		return visit(row)
	})
}

// Arrived reads rows of the event log and the events that they name.
func (t *Store) Arrived(
	ctx context.Context, tenant string, from, to time.Time, after string, limit int,
) (out []fanout.Accepted, next string, err error) {
	within := func(a fanout.Accepted) bool { return !a.Entry.At.Before(from) && a.Entry.At.Before(to) }
	for next = after; ; {
		rows, through, err := t.logged(ctx, tenant, from, to, &next, limit)
		if err != nil {
			return nil, "", fmt.Errorf("list the events of tenant %s: %w", tenant, err)
		}
		events, err := t.eventsIn(ctx, tenant, rows)
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

// logged reads rows that hold about limit events and moves the place on.
func (t *Store) logged(
	ctx context.Context, tenant string, from, to time.Time, next *string, limit int,
) (rows []loggedRow, through bool, err error) {
	through, count := true, 0
	err = t.scanLog(ctx, tenant, from, to, *next, min(limit+1, 1000), func(row loggedRow) (bool, error) {
		rows = append(rows, row)
		*next = row.ID
		count += max(1, row.Count)
		through = count < limit
		return through, nil
	})
	return rows, through, err
}

// eventsIn reads the events of rows of the event log, each once.
func (t *Store) eventsIn(
	ctx context.Context, tenant string, rows []loggedRow,
) (out []fanout.Accepted, err error) {
	var ids []string
	for _, row := range rows {
		if row.Version >= 2 {
			ids = append(ids, ID(tenant, row.ID))
		}
	}
	packs, err := t.packs(ctx, ids)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, row := range rows {
		var events []fanout.Accepted
		if row.Version >= 2 {
			events, err = packs[ID(tenant, row.ID)].accepted(row.ID)
		} else {
			events, err = t.eventsOfRow(ctx, row)
		}
		if err != nil {
			return nil, fmt.Errorf("row %s of the event log of tenant %s: %w", row.ID, tenant, err)
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
func (t *Store) eventsOfRow(ctx context.Context, row loggedRow) (out []fanout.Accepted, err error) {
	var list []loggedEvent
	raw, err := table.Inflate(row.Events)
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
	var s Sources
	s.Add(row.Tenant, ids, nil)
	events, err := t.Load(ctx, s)
	for _, e := range list {
		if found, ok := events[EventKey(row.Tenant, e.ID)]; ok {
			out = append(out, fanout.Accepted{Event: found, Entry: delivery.Entry{DetailType: string(found.Kind),
				At: time.Unix(0, e.At).UTC()}})
		}
	}
	return out, err
}

func (loggedRow) Newest() int64 { return 2 }
