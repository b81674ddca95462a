package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/delivery"
)

var _ delivery.Journal = (*Deliveries)(nil)

// A batch of a tenant's events is one row of the journal (keys `tenant` and `id`, which begins with the time of its oldest
// event): their ids and times. It is written in the transaction of the events, or before them where there is none, so that
// none is missing; a row whose events were never accepted names nothing that can be read. It costs a batch about a write unit.

// journaled is an event in a row of the journal.
type journaled struct {
	ID string `json:"i"`
	At int64  `json:"a"` // Unix nanoseconds
}

// note makes the rows of the journal for accepted events, by tenant.
func (d *Deliveries) note(accepted []delivery.Accepted, expires int64) (map[string]item, error) {
	by := map[string][]journaled{}
	for _, a := range accepted {
		by[a.Event.Tenant] = append(by[a.Event.Tenant], journaled{a.Event.ID, a.Entry.At.UnixNano()})
	}
	out := map[string]item{}
	for tenant, events := range by {
		oldest, sum := events[0].At, sha256.New()
		for _, e := range events {
			oldest = min(oldest, e.At)
			sum.Write([]byte(e.ID + "\x00"))
		}
		raw, err := json.Marshal(events)
		if err == nil {
			raw, err = deflate(raw)
		}
		if err != nil {
			return nil, fmt.Errorf("encode the journal of tenant %s: %w", tenant, err)
		}
		out[tenant] = item{
			"tenant": text(tenant), "id": text(nanos(oldest) + " " + hex.EncodeToString(sum.Sum(nil)[:8])),
			"events": blob(raw), "expires": number(expires),
		}
	}
	return out, nil
}

// Arrived reads rows of the journal and the events that they name.
func (d *Deliveries) Arrived(ctx context.Context, tenant string, from, to time.Time, after string, limit int) (out []delivery.Accepted, next string, err error) {
	first := nanos(max(0, from.Add(-delivery.CarriedWithin).UnixNano()))
	if after != "" {
		first = after + "\x00"
	}
	in := &dynamodb.QueryInput{
		TableName: &d.Tables.Journal, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("#k = :k AND #id BETWEEN :first AND :last"),
		ExpressionAttributeNames:  map[string]string{"#k": "tenant", "#id": "id"},
		ExpressionAttributeValues: item{":k": text(tenant), ":first": text(first), ":last": text(nanos(to.UnixNano()))},
	}
	if first > nanos(to.UnixNano()) {
		return nil, "", nil
	}
	times := map[string]int64{}
	var ids []string
	err = d.each(ctx, in, scanLimit, func(row item) (bool, error) {
		raw, err := inflate(blobOf(row, "events"))
		var events []journaled
		if err == nil {
			err = json.Unmarshal(raw, &events)
		}
		if err != nil {
			return false, fmt.Errorf("row %s of the journal of tenant %s is damaged: %w", textOf(row, "id"), tenant, err)
		}
		for _, e := range events {
			if _, known := times[e.ID]; !known && e.At >= from.UnixNano() && e.At < to.UnixNano() {
				times[e.ID] = e.At
				ids = append(ids, e.ID)
			}
		}
		if next = textOf(row, "id"); len(ids) >= limit {
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("list the events of tenant %s: %w", tenant, err)
	}
	if len(ids) < limit {
		next = "" // the rows are through
	}
	keys := make([]string, len(ids))
	for n, id := range ids {
		keys[n] = eventKey(tenant, id)
	}
	events, err := d.load(ctx, keys)
	if err != nil {
		return nil, "", err
	}
	for n, id := range ids {
		if e, ok := events[keys[n]]; ok {
			out = append(out, delivery.Accepted{Event: e, Entry: delivery.Entry{DetailType: string(e.Kind), At: time.Unix(0, times[id]).UTC()}})
		}
	}
	slices.SortStableFunc(out, func(a, b delivery.Accepted) int { return a.Entry.At.Compare(b.Entry.At) })
	return out, next, nil
}

// Carried reads the keys of the events of deliveries that can carry these.
func (d *Deliveries) Carried(ctx context.Context, tenant, integration string, events []delivery.Accepted) ([]bool, error) {
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
	in := between("lane", laneKey(tenant, integration), firstID(first.Add(-delivery.CarriedWithin)), firstID(last.Add(time.Millisecond)))
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
		return nil, fmt.Errorf("look for the deliveries of %d events to integration %s: %w", len(events), integration, err)
	}
	return out, nil
}

// Recover writes the rows of new deliveries and sends their messages. A row that is there, and waits for its first
// request, gets its message again: it may have been lost between the two writes.
func (d *Deliveries) Recover(ctx context.Context, deliveries []delivery.Delivery, _ []delivery.Accepted) (made int, err error) {
	ready, err := d.shelve(ctx, deliveries)
	if err != nil {
		return 0, fmt.Errorf("write %d deliveries: %w", len(deliveries), err)
	}
	return len(ready), d.Enqueue(ctx, parcels(ready), 0)
}
