package settings

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/trace"
)

// outboxPrefix begins the names of the partitions of events that are to be published still. They can be no tenant's:
// those have no space. Writers of all tenants write here in their transactions, and a partition takes 1,000 write units
// a second (DynamoDB, "Best practices for designing and using partition keys effectively"): hence the shards, by
// tenant. What an earlier release left in the one partition without a number is published, too.
const (
	outboxPrefix = " announcements"
	outboxShards = 16
)

func outboxShard(n int) string { return fmt.Sprintf("%s %02d", outboxPrefix, n) }

// outboxOf is the partition of a tenant's.
func outboxOf(tenant string) string {
	sum := sha256.Sum256([]byte(tenant))
	return outboxShard(int(sum[0]) % outboxShards)
}

// relayAfter is when an event that is still there was left behind: its writer publishes at once.
const relayAfter = time.Minute

// Limits of a row of events: an item has 400 KB (DynamoDB, "Constraints in Amazon DynamoDB", "Item size"), and an event
// beside its data has ids, the client's name and the names of members.
const rowEvents, rowBytes, envelopeBytes = 40, 300 << 10, 1 << 10

// outboxChunks cuts events into what one row holds.
func outboxChunks(events []event.Event) iter.Seq[[]event.Event] {
	return func(yield func([]event.Event) bool) {
		for len(events) > 0 {
			n, size := 0, 0
			for ; n < len(events) && n < rowEvents; n++ {
				if size += len(events[n].Data) + envelopeBytes; size > rowBytes && n > 0 {
					break
				}
			}
			if !yield(events[:n]) {
				return
			}
			events = events[n:]
		}
	}
}

// OutboxRows is how many rows events take.
func OutboxRows(events []event.Event) (n int) {
	for range outboxChunks(events) {
		n++
	}
	return n
}

// EventOutbox keeps events that are written in one transaction with what they tell of, in the table of Integrations.
// They are published after it and removed; if the process ends in between, Relay publishes them.
type EventOutbox struct {
	DB        *dynamodb.Client
	Table     string
	Activity  string // the table of the activity log; "" where only events are written
	Publisher event.Publisher
	Now       func() time.Time
	Log       *slog.Logger
}

// Write makes the rows of events, for a transaction.
func (a EventOutbox) Write(events []event.Event) ([]types.TransactWriteItem, error) {
	var out []types.TransactWriteItem
	for chunk := range outboxChunks(events) {
		r := outboxRow{Tenant: outboxOf(chunk[0].Tenant), ID: chunk[0].ID, Since: a.Now().Unix()}
		for _, e := range chunk {
			detail, err := e.Encode()
			if err != nil {
				return nil, fmt.Errorf("encode event %s for the outbox: %w", e.ID, err)
			}
			r.Events = append(r.Events, outboxEvent{string(e.Kind), detail, e.Trace})
		}
		row, err := table.Marshal(r)
		if err != nil {
			return nil, err
		}
		out = append(out, types.TransactWriteItem{Put: &types.Put{TableName: &a.Table, Item: row}})
	}
	return out, nil
}

// WriteRecord makes the rows of a change's event and of its entry of the activity log, for the transaction of the
// change.
func (a EventOutbox) WriteRecord(r activity.Record) ([]types.TransactWriteItem, error) {
	writes, err := a.Write([]event.Event{r.Event})
	if err != nil {
		return nil, err
	}
	entry, err := activitylog.Put(a.Activity, r.Entry)
	return append(writes, entry), err
}

// Publish publishes what write wrote. A failure is logged: Relay makes up for it.
func (a EventOutbox) Publish(ctx context.Context, events []event.Event) {
	for chunk := range outboxChunks(events) {
		if err := a.hand(ctx, outboxOf(chunk[0].Tenant), chunk); err != nil {
			a.Log.Error("publish an event of a change: the relay publishes it later", "tenant", chunk[0].Tenant,
				"event", chunk[0].ID, "events", len(chunk), "error", err.Error())
		}
	}
}

// hand publishes the events of a row and removes it.
func (a EventOutbox) hand(ctx context.Context, partition string, events []event.Event) error {
	if err := a.Publisher.Publish(ctx, events...); err != nil {
		return err
	}
	_, err := a.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &a.Table,
		Key: table.TenantKey(partition, events[0].ID)})
	return err
}

// Relay publishes the events whose writer ended before it could, and returns how many. Call it every few
// minutes.
func (a EventOutbox) Relay(ctx context.Context) (count int, err error) {
	var wrong []error
	for n := range outboxShards + 1 {
		partition := outboxPrefix
		if n < outboxShards {
			partition = outboxShard(n)
		}
		published, err := a.relay(ctx, partition)
		count += published
		if err != nil { // it keeps no other from going out
			wrong = append(wrong, err)
		}
	}
	return count, errors.Join(wrong...)
}

func (a EventOutbox) relay(ctx context.Context, partition string) (count int, err error) {
	pages := dynamodb.NewQueryPaginator(a.DB, &dynamodb.QueryInput{
		TableName: &a.Table, KeyConditionExpression: awssdk.String("tenant = :t"), ConsistentRead: awssdk.Bool(true),
		FilterExpression: awssdk.String("since <= :since"),
		ExpressionAttributeValues: table.Item{":t": table.Text(partition),
			":since": table.Number(a.Now().Add(-relayAfter).Unix())},
	})
	var wrong []error
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return count,
				errors.Join(append(wrong, fmt.Errorf("look for events that were left behind: %w", err))...)
		}
		for _, row := range page.Items {
			events, err := readOutboxRow(row)
			if err == nil {
				err = a.hand(ctx, partition, events)
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("publish the row %s of the outbox: %w", table.TextOf(row, "id"), err))
				continue
			}
			count += len(events)
		}
	}
	return count, errors.Join(wrong...)
}

// outboxRow holds events that are to be published still.
//
//tocsin:table IntegrationsTable
type outboxRow struct {
	table.First
	Tenant string        `dynamodbav:"tenant"` // see outboxOf
	ID     string        `dynamodbav:"id"`     // of the first event
	Events []outboxEvent `dynamodbav:"events"`
	Since  int64         `dynamodbav:"since"` // epoch seconds
}

type outboxEvent struct {
	Kind   string       `dynamodbav:"kind"`
	Detail []byte       `dynamodbav:"detail"` // as the bus takes it
	Trace  trace.Parent `dynamodbav:"trace,omitempty"`
}

func readOutboxRow(row table.Item) ([]event.Event, error) {
	r, err := table.Unmarshal[outboxRow](row)
	if err == nil && len(r.Events) == 0 {
		err = errors.New("it holds no event")
	}
	out := make([]event.Event, len(r.Events))
	for n := 0; err == nil && n < len(r.Events); n++ {
		out[n], err = event.Decode(r.Events[n].Kind, r.Events[n].Detail)
		out[n].Trace = r.Events[n].Trace
	}
	if err != nil {
		return nil, fmt.Errorf("read the row %q of the outbox: %w", table.TextOf(row, "id"), err)
	}
	return out, nil
}
