package aws

import (
	"context"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
)

// joinedKeys bounds the ids of events in one row, in bytes: a row has at most 400 KB, and its attempts want room too.
const joinedKeys = 250 << 10

// joinTries is how often a span is looked at again because another function was joining it too.
const joinTries = 4

// gatheringRow is a row that gathers.
type gatheringRow struct {
	delivery.Gathered
	events []string
	kinds  []string
}

// ripe lists the ends of the spans that rows have gathered until now.
func (d *Deliveries) ripe(rows []item) []int64 {
	now := d.Now().UnixNano()
	var out []int64
	for _, r := range rows {
		due := numberOf(r, "due")
		if textOf(r, "state") == string(delivery.Pending) && due != 0 && due <= now && !slices.Contains(out, due) {
			out = append(out, due)
		}
	}
	return out
}

// join makes one delivery of what the parcel's integration gathered in each span.
func (d *Deliveries) join(ctx context.Context, p delivery.Parcel, spans []int64) error {
	for _, due := range spans {
		for range joinTries {
			done, err := d.joinSpan(ctx, p, due)
			if err != nil {
				return fmt.Errorf("join what integration %s gathered until %s: %w", p.Integration, time.Unix(0, due).UTC(), err)
			}
			if done {
				break
			}
		}
	}
	return nil
}

// joinSpan reports false when another function was at it as well: then look again.
func (d *Deliveries) joinSpan(ctx context.Context, p delivery.Parcel, due int64) (done bool, err error) {
	rows, err := d.span(ctx, p, due)
	if err != nil {
		return false, err
	}
	if rows, err = d.complete(ctx, p, rows); err != nil {
		return false, err
	}
	waiting := make([]delivery.Gathered, len(rows))
	by := map[string]gatheringRow{}
	for n, r := range rows {
		waiting[n], by[r.ID] = r.Gathered, r
	}
	for _, joined := range delivery.Join(waiting) {
		for _, group := range fitting(joined, by) {
			ok, err := d.merge(ctx, p, group)
			if err != nil || !ok {
				return false, err
			}
		}
	}
	return true, nil
}

// span reads the rows of a span that gather still, oldest first. A delivery's id begins with its time, so they are
// found without an index.
func (d *Deliveries) span(ctx context.Context, p delivery.Parcel, due int64) ([]gatheringRow, error) {
	end := time.Unix(0, due)
	pages := dynamodb.NewQueryPaginator(d.DB, &dynamodb.QueryInput{
		TableName: &d.Tables.Deliveries, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression: awssdk.String("lane = :lane AND id BETWEEN :first AND :last"),
		FilterExpression:       awssdk.String("#state = :pending AND due = :due"), ExpressionAttributeNames: map[string]string{"#state": "state"},
		ExpressionAttributeValues: item{
			":lane": text(laneKey(p.Tenant, p.Integration)), ":first": text(firstID(end.Add(-destination.File.Every))), ":last": text(firstID(end.Add(time.Second))),
			":pending": text(string(delivery.Pending)), ":due": number(due),
		},
	})
	var out []gatheringRow
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			out = append(out, gatheringRow{
				Gathered: delivery.Gathered{ID: textOf(r, "id"), Due: end, Count: int(numberOf(r, "count")), Size: int(numberOf(r, "size"))},
				events:   textsOf(r, "events"), kinds: textsOf(r, "kinds"),
			})
		}
	}
	return out, nil
}

// complete leaves out rows whose events are not all written yet: their fan-out is still at it, and they are opened by
// their own message. Those of the parcel itself are complete, since a message is sent last.
func (d *Deliveries) complete(ctx context.Context, p delivery.Parcel, rows []gatheringRow) ([]gatheringRow, error) {
	var keys []item
	for _, r := range rows {
		if !slices.Contains(p.IDs, r.ID) {
			for _, id := range r.events {
				keys = append(keys, item{"event": text(eventKey(p.Tenant, id))})
			}
		}
	}
	if len(keys) == 0 {
		return rows, nil
	}
	found, err := getAll(ctx, d.DB, d.Tables.Events, keys, true, "event")
	if err != nil {
		return nil, err
	}
	written := make(map[string]bool, len(found))
	for _, r := range found {
		written[textOf(r, "event")] = true
	}
	return slices.DeleteFunc(rows, func(r gatheringRow) bool {
		return !slices.Contains(p.IDs, r.ID) && slices.ContainsFunc(r.events, func(id string) bool { return !written[eventKey(p.Tenant, id)] })
	}), nil
}

// fitting parts a group where its ids would not fit in one row.
func fitting(group []delivery.Gathered, by map[string]gatheringRow) [][]gatheringRow {
	var out [][]gatheringRow
	size := 0
	for _, g := range group {
		r, n := by[g.ID], 0
		for _, id := range by[g.ID].events {
			n += len(id) + 3 // DynamoDB, "Item sizes and formats"
		}
		if len(out) == 0 || size+n > joinedKeys {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], r)
		size += n
	}
	return out
}

// merge lets the first of a group carry the events of all and removes the others, as many in each transaction as it
// takes; the last one lets it go. false: one of them has changed meanwhile.
func (d *Deliveries) merge(ctx context.Context, p delivery.Parcel, group []gatheringRow) (bool, error) {
	first, rest := group[0], group[1:]
	for {
		n := min(len(rest), transactLimit-1)
		var more []string
		for _, r := range rest[:n] {
			more = append(more, r.events...)
			first.Count, first.Size = first.Count+r.Count, first.Size+r.Size
			for _, k := range r.kinds {
				if !slices.Contains(first.kinds, k) {
					first.kinds = append(first.kinds, k)
				}
			}
		}
		writes := []types.TransactWriteItem{{Update: d.absorb(p, first, more, n == len(rest))}}
		for _, r := range rest[:n] {
			writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{
				TableName: &d.Tables.Deliveries, Key: deliveryKey(p.Tenant, p.Integration, r.ID), ConditionExpression: awssdk.String(stillGathers),
				ExpressionAttributeNames: map[string]string{"#state": "state"}, ExpressionAttributeValues: gathersUntil(r.Due),
			}})
		}
		unmet, err := transact(ctx, d.DB, writes, "")
		if err != nil || len(unmet) > 0 {
			return false, err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return true, nil
		}
	}
}

const stillGathers = "#state = :pending AND due = :due"

func gathersUntil(due time.Time) item {
	return item{":pending": text(string(delivery.Pending)), ":due": number(due.UnixNano())}
}

// absorb is the update of a group's first row; done lets it go.
func (d *Deliveries) absorb(p delivery.Parcel, first gatheringRow, more []string, done bool) *types.Update {
	values := gathersUntil(first.Due)
	values[":more"], values[":count"], values[":size"], values[":kinds"] = texts(more), number(first.Count), number(first.Size), texts(first.kinds)
	expression := "SET #events = list_append(#events, :more), #count = :count, #size = :size, kinds = :kinds"
	if done {
		expression += " REMOVE due"
	}
	return &types.Update{
		TableName: &d.Tables.Deliveries, Key: deliveryKey(p.Tenant, p.Integration, first.ID), ConditionExpression: awssdk.String(stillGathers),
		UpdateExpression: &expression, ExpressionAttributeNames: map[string]string{"#state": "state", "#events": "events", "#count": "count", "#size": "size"},
		ExpressionAttributeValues: values,
	}
}
