package deliveries

import (
	"context"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

var _ fanout.EventLog = (*Store)(nil)

// Arrived reads the events that arrived within a range of time: see IntakeStore.Arrived.
func (d *Store) Arrived(
	ctx context.Context, tenant string, from, to time.Time, after string, limit int,
) (out []fanout.Accepted, next string, err error) {
	return d.Intakes().Arrived(ctx, tenant, from, to, after, limit)
}

// Carried reads the keys of the events of deliveries that can carry these.
func (d *Store) Carried(
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
	in := table.Between("lane", table.LaneKey(tenant, integration), delivery.FirstID(first.Add(-fanout.CarriedWithin)),
		delivery.FirstID(last.Add(time.Millisecond)))
	in.TableName, in.ConsistentRead = &d.Tables.Deliveries, awssdk.Bool(true)
	in.ProjectionExpression = awssdk.String("#k, #id, #events, #expires")
	in.ExpressionAttributeNames["#events"], in.ExpressionAttributeNames["#expires"] = "events", "expires"
	err := d.Each(ctx, in, 1<<62, func(row table.Item) (bool, error) {
		for _, id := range table.TextsOf(row, "events") {
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
func (d *Store) Recover(
	ctx context.Context, deliveries []delivery.Delivery, events []fanout.Accepted,
) (made int, err error) {
	from := make(map[string]string, len(events))
	for _, a := range events {
		from[a.Event.ID] = a.Intake
	}
	rows := make([]table.Item, len(deliveries))
	var expires int64
	for n, v := range deliveries {
		if n == 0 || v.Tenant != deliveries[n-1].Tenant {
			expires = d.DeliveriesExpire(ctx, v.Tenant)
		}
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
	if err := d.Outbox().MarkBatches(ctx, messageBatches(deliveries)); err != nil {
		return 0, fmt.Errorf("mark %d deliveries: %w", len(deliveries), err)
	}
	ready, err := d.rewrite(ctx, deliveries, rows, false)
	if err != nil {
		return 0, fmt.Errorf("write %d deliveries: %w", len(deliveries), err)
	}
	return len(ready), d.Send(ctx, ready, true)
}
