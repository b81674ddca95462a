package aws

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/worker"
)

// joinedKeys bounds the ids of events in one row, in bytes: a row has at most 400 KB, and its attempts want room too.
const joinedKeys = 250 << 10

// joinTries is how often a span is looked at again because another function was joining it too.
const joinTries = 4

// gatheringRow is a row that gathers.
type gatheringRow struct {
	delivery.Windowed
	events  []string
	kinds   []string
	intakes []string
	joined  bool // it gathers no more
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

// A span is a span of the clock in which deliveries to one integration gather. The fan-out that makes the span's row
// in the outbox sends its one message, delayed until the span is over; the others only add their deliveries' rows.
// The message is a parcel with one id, the span's. When it is opened the row is marked first and the span read then:
// who adds rows and finds the mark sends another message.

// spanRow is the row of a span.
type spanRow struct {
	Shard   string `dynamodbav:"shard"`        // see spanShard: a lane has its own, which holds no markers
	ID      string `dynamodbav:"id"`           // a spanID
	By      string `dynamodbav:"by,omitempty"` // the delivery that the row was made for
	Opened  bool   `dynamodbav:"opened,omitempty"`
	Version int    `dynamodbav:"v"`
	Expires int64  `dynamodbav:"expires"`
}

func spanShard(tenant, integration string) string { return "span " + laneKey(tenant, integration) }

const spanPrefix = "span-"

// spanID stands in a parcel for the deliveries that gathered until a time. It is no delivery's: those are ULIDs.
func spanID(due time.Time) string { return spanPrefix + nanos(due.UnixNano()) }

// spanDue is the reverse of spanID.
func spanDue(id string) (int64, bool) {
	digits, ok := strings.CutPrefix(id, spanPrefix)
	if !ok {
		return 0, false
	}
	due, err := strconv.ParseInt(digits, 10, 64)
	return due, err == nil
}

// spans are the parcels of spans that need a message, now that deliveries were added to them. again is true where the
// message may have been lost.
func (d *Deliveries) spans(
	ctx context.Context, added []delivery.Delivery, again bool,
) (out []worker.MessageBatch, err error) {
	seen := map[string]bool{}
	for _, v := range added {
		p := worker.MessageBatch{Tenant: v.Tenant, Integration: v.Integration, IDs: []string{spanID(v.Due)},
			Due: v.Due}
		if key := laneKey(v.Tenant, v.Integration) + " " + p.IDs[0]; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		needed, err := d.spanNeeds(ctx, p, v.ID)
		if err != nil {
			return nil, fmt.Errorf("look at the span of integration %s until %s: %w", v.Integration, v.Due, err)
		}
		if needed || again {
			out = append(out, p)
		}
	}
	return out, nil
}

// spanNeeds tells whether a span needs a message: nobody has made its row before, or it was opened already.
func (d *Deliveries) spanNeeds(ctx context.Context, p worker.MessageBatch, by string) (bool, error) {
	key := item{"shard": text(spanShard(p.Tenant, p.Integration)), "id": text(p.IDs[0])}
	found, err := d.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Tables.Outbox, Key: key,
		ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return false, err
	}
	there := found.Item
	if there == nil {
		row, err := marshal(spanRow{Shard: spanShard(p.Tenant, p.Integration), ID: p.IDs[0], By: by, Version: 1,
			Expires: d.expires()})
		if err != nil {
			return false, err
		}
		if there, err = putNew(ctx, d.DB, d.Tables.Outbox, "id", row); err != nil || there == nil {
			return err == nil, err
		}
	}
	row, err := unmarshal[spanRow](there)
	return row.Opened || row.By == by, err // the latter: our own call, whose answer was lost
}

// openSpans puts the deliveries that gathered in the place of the spans that a parcel names. A span that is not over
// is handed out again.
func (d *Deliveries) openSpans(ctx context.Context, p worker.MessageBatch) (worker.MessageBatch, error) {
	var ids []string
	for _, id := range p.IDs {
		due, ok := spanDue(id)
		if !ok {
			ids = append(ids, id)
			continue
		}
		one := worker.MessageBatch{Tenant: p.Tenant, Integration: p.Integration, IDs: []string{id},
			Due: time.Unix(0, due).UTC()}
		if one.Due.After(d.Now()) {
			if err := d.Enqueue(ctx, []worker.MessageBatch{one}, 0); err != nil {
				return p, err
			}
			continue
		}
		files, err := d.openSpan(ctx, one)
		if err != nil {
			return p, fmt.Errorf("open the span of integration %s until %s: %w", p.Integration, one.Due, err)
		}
		ids = append(ids, files[:min(1, len(files))]...)
		// A file can be large, so that each of the others gets a message of its own.
		for _, file := range files[min(1, len(files)):] {
			alone := worker.MessageBatch{Tenant: p.Tenant, Integration: p.Integration, IDs: []string{file}}
			if err := d.Enqueue(ctx, []worker.MessageBatch{alone}, 0); err != nil {
				return p, err
			}
		}
	}
	p.IDs = ids
	return p, nil
}

// openSpan joins what gathered and returns the ids of all deliveries of the span that are to be sent.
func (d *Deliveries) openSpan(ctx context.Context, p worker.MessageBatch) ([]string, error) {
	_, err := d.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &d.Tables.Outbox, Key: item{"shard": text(spanShard(p.Tenant, p.Integration)), "id": text(p.IDs[0])},
		UpdateExpression: awssdk.String("SET opened = :yes, expires = :expires, v = :v"),
		ExpressionAttributeValues: item{":yes": &types.AttributeValueMemberBOOL{Value: true},
			":expires": number(d.expires()),
			":v":       number(1)},
	})
	if err != nil {
		return nil, err
	}
	if err := d.join(ctx, p.Tenant, p.Integration, []int64{p.Due.UnixNano()}); err != nil {
		return nil, err
	}
	rows, err := d.span(ctx, p.Tenant, p.Integration, p.Due.UnixNano())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rows {
		if r.joined {
			out = append(out, r.ID)
		}
	}
	return out, nil
}

// join makes one delivery of what the integration gathered in each span.
func (d *Deliveries) join(ctx context.Context, tenant, integration string, spans []int64) error {
	for _, due := range spans {
		for range joinTries {
			done, err := d.joinSpan(ctx, tenant, integration, due)
			if err != nil {
				return fmt.Errorf("join what integration %s gathered until %s: %w", integration,
					time.Unix(0, due).UTC(), err)
			}
			if done {
				break
			}
		}
	}
	return nil
}

// joinSpan reports false when another function was at it as well: then look again.
func (d *Deliveries) joinSpan(ctx context.Context, tenant, integration string, due int64) (done bool, err error) {
	rows, err := d.span(ctx, tenant, integration, due)
	if err != nil {
		return false, err
	}
	var waiting []delivery.Windowed
	by := map[string]gatheringRow{}
	for _, r := range rows {
		if !r.joined {
			waiting, by[r.ID] = append(waiting, r.Windowed), r
		}
	}
	for _, joined := range delivery.Coalesce(waiting) {
		for _, group := range fitting(joined, by) {
			ok, err := d.merge(ctx, tenant, integration, group)
			if err != nil || !ok {
				return false, err
			}
		}
	}
	return true, nil
}

// span reads the rows of a span that are pending, oldest first: those that gather still, and those that were joined. A
// delivery's id begins with its time, so they are found without an index.
func (d *Deliveries) span(ctx context.Context, tenant, integration string, due int64) ([]gatheringRow, error) {
	end := time.Unix(0, due).UTC()
	in := between("lane", laneKey(tenant, integration), firstID(end.Add(-destination.File.Every)),
		firstID(end.Add(time.Second)))
	in.TableName, in.ConsistentRead = &d.Tables.Deliveries, awssdk.Bool(true)
	in.FilterExpression = awssdk.String("#state = :pending AND (due = :due OR span = :due)")
	in.ExpressionAttributeNames["#state"] = "state"
	in.ExpressionAttributeValues[":pending"] = text(string(delivery.Pending))
	in.ExpressionAttributeValues[":due"] = number(due)
	var out []gatheringRow
	err := d.each(ctx, in, 1<<62, func(r item) (bool, error) {
		if err := known(r, "a delivery", deliveryVersion); err != nil {
			return false, err
		}
		out = append(out, gatheringRow{
			Windowed: delivery.Windowed{ID: textOf(r, "id"), Due: end, Count: int(numberOf(r, "count")),
				Size: int(numberOf(r, "size"))},
			events: textsOf(r, "events"), kinds: textsOf(r, "kinds"), intakes: textsOf(r, "intakes"),
			joined: numberOf(r, "due") == 0,
		})
		return true, nil
	})
	return out, err
}

// fitting parts a group where its ids would not fit in one row.
func fitting(group []delivery.Windowed, by map[string]gatheringRow) [][]gatheringRow {
	var out [][]gatheringRow
	size := 0
	for _, g := range group {
		r, n := by[g.ID], 0
		for _, id := range slices.Concat(r.events, r.intakes) {
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
func (d *Deliveries) merge(ctx context.Context, tenant, integration string, group []gatheringRow) (bool, error) {
	first, rest := group[0], group[1:]
	for {
		n := min(len(rest), transactLimit-1)
		var events, intakes []string
		for _, r := range rest[:n] {
			events, intakes = append(events, r.events...), append(intakes, r.intakes...)
			first.Count, first.Size = first.Count+r.Count, first.Size+r.Size
			for _, k := range r.kinds {
				if !slices.Contains(first.kinds, k) {
					first.kinds = append(first.kinds, k)
				}
			}
		}
		key := deliveryKey(tenant, integration, first.ID)
		writes := []types.TransactWriteItem{{Update: d.absorb(key, first, events, intakes, n == len(rest))}}
		for _, r := range rest[:n] {
			writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{
				TableName: &d.Tables.Deliveries, Key: deliveryKey(tenant, integration, r.ID),
				ConditionExpression:       awssdk.String(stillGathers),
				ExpressionAttributeNames:  map[string]string{"#state": "state"},
				ExpressionAttributeValues: gathersUntil(r.Due),
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
func (d *Deliveries) absorb(key item, first gatheringRow, events, intakes []string, done bool) *types.Update {
	values := gathersUntil(first.Due)
	values[":events"], values[":intakes"], values[":none"] = texts(events), texts(intakes), texts(nil)
	values[":count"], values[":size"], values[":kinds"] = number(first.Count), number(first.Size), texts(first.kinds)
	expression := "SET #events = list_append(#events, :events), " +
		"intakes = list_append(if_not_exists(intakes, :none), :intakes), " +
		"#count = :count, #size = :size, kinds = :kinds, span = :due"
	if done {
		expression += " REMOVE due"
	}
	return &types.Update{
		TableName: &d.Tables.Deliveries, Key: key, ConditionExpression: awssdk.String(stillGathers),
		UpdateExpression: &expression,
		ExpressionAttributeNames: map[string]string{"#state": "state", "#events": "events", "#count": "count",
			"#size": "size"},
		ExpressionAttributeValues: values,
	}
}
