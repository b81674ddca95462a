package counters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// Messages is fanout.MessageCounter in the table of counters. A batch costs a write unit for each integration whose
// minute has no more than its guard lets through, and each process a read unit for each integration and minute.
type Messages struct {
	DB    *dynamodb.Client
	Table string

	mu      sync.Mutex
	minutes map[int64]map[delivery.Lane]minuteSeen // by their beginnings, Unix time
}

var _ fanout.MessageCounter = (*Messages)(nil)

// messagesRow is the row of an integration's messages in a minute, for the storm guard.
//
//tocsin:table CountersTable
type messagesRow struct {
	table.First
	Window   string `dynamodbav:"window"` // see messagesKey
	Bucket   int64  `dynamodbav:"bucket"` // the beginning of the minute, epoch seconds
	Messages int    `dynamodbav:"messages"`
	Batch    string `dynamodbav:"batch"` // the first delivery of the last batch that was counted
	Expires  int64  `dynamodbav:"expires"`
}

// messagesKey is no windowKey, which ends in a number.
func messagesKey(l delivery.Lane, minute time.Time) table.Item {
	return table.Item{"window": table.Text(l.Tenant + " " + l.Integration + " messages"),
		"bucket": table.Number(minute.Unix())}
}

// minuteSeen is what this process knows of a minute.
type minuteSeen struct {
	messages, last int
	asked          bool // last was read
}

// messagesKeep is how long a row outlives its minute: a function whose clock is behind still finds it.
const messagesKeep = time.Hour

// messagesAtOnce is how many rows are written at the same time.
const messagesAtOnce = 16

// CountMessages counts.
func (c *Messages) CountMessages(ctx context.Context, batches []fanout.BatchMessages) ([]fanout.MinuteMessages, error) {
	out := make([]fanout.MinuteMessages, len(batches))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(messagesAtOnce)
	for n, b := range batches {
		work.Go(func() error {
			var err error
			if out[n], err = c.count(ctx, b); err != nil {
				return fmt.Errorf("count %d messages of integration %s: %w", b.Messages, b.Integration, err)
			}
			return nil
		})
	}
	return out, work.Wait()
}

func (c *Messages) count(ctx context.Context, b fanout.BatchMessages) (out fanout.MinuteMessages, err error) {
	l := delivery.Lane{Tenant: b.Tenant, Integration: b.Integration}
	seen, before := c.seen(l, b.Minute), c.seen(l, b.Minute.Add(-fanout.StormSpan))
	if !seen.asked {
		if seen.last = before.messages; seen.last <= b.Enough { // others may have counted on
			row, _, err := table.Get[messagesRow](ctx, c.DB, c.Table,
				messagesKey(l, b.Minute.Add(-fanout.StormSpan)))
			if err != nil {
				return out, fmt.Errorf("read those of the minute before: %w", err)
			}
			seen.last = row.Messages
		}
		seen.asked = true
	}
	out = fanout.MinuteMessages{Before: seen.messages, Last: seen.last}
	if seen.messages <= b.Enough {
		if seen.messages, err = c.add(ctx, l, b); err != nil {
			return out, err
		}
		out.Before = seen.messages - b.Messages
	}
	c.keep(l, b.Minute, seen)
	return out, nil
}

// add returns how many messages the minute has with the batch's.
func (c *Messages) add(ctx context.Context, l delivery.Lane, b fanout.BatchMessages) (int, error) {
	out, err := c.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &c.Table, Key: messagesKey(l, b.Minute),
		ConditionExpression:      awssdk.String("attribute_not_exists(#b) OR #b <> :b"),
		UpdateExpression:         awssdk.String("ADD messages :n SET #b = :b, #e = :e"),
		ExpressionAttributeNames: map[string]string{"#b": "batch", "#e": "expires"},
		ExpressionAttributeValues: table.Item{":n": table.Number(b.Messages), ":b": table.Text(b.Batch),
			":e": table.Number(b.Minute.Add(messagesKeep).Unix())},
		ReturnValues:                        types.ReturnValueUpdatedNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var counted *types.ConditionalCheckFailedException // by a call whose answer was lost
	if errors.As(err, &counted) {
		return int(table.NumberOf(counted.Item, "messages")), nil
	}
	if err != nil {
		return 0, err
	}
	return int(table.NumberOf(out.Attributes, "messages")), nil
}

func (c *Messages) seen(l delivery.Lane, minute time.Time) minuteSeen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.minutes[minute.Unix()][l]
}

// keep remembers a minute. What is a minute older than the one that goes before it is forgotten.
func (c *Messages) keep(l delivery.Lane, minute time.Time, seen minuteSeen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := minute.Unix()
	if c.minutes[at] == nil {
		for m := range c.minutes {
			if m < minute.Add(-fanout.StormSpan).Unix() {
				delete(c.minutes, m)
			}
		}
		if c.minutes == nil {
			c.minutes = map[int64]map[delivery.Lane]minuteSeen{}
		}
		c.minutes[at] = map[delivery.Lane]minuteSeen{}
	}
	c.minutes[at][l] = seen
}
