package deliveries

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/worker"
)

// batchEvents bounds the events that one message batch makes its receiver load.
const batchEvents = 1000

// Message is the body of the deliveries queue: a message batch, or a retry batch to be taken up again.
type Message struct {
	Tenant      string   `json:"tenant,omitempty"`
	Integration string   `json:"integration,omitempty"`
	Deliveries  []string `json:"deliveries,omitempty"`
	Spared      int64    `json:"spared,omitempty"` // worker.MessageBatch.Spared, in Unix time
	Batch       string   `json:"batch,omitempty"`
}

// MessageBatch is what the message names.
func (m Message) MessageBatch() worker.MessageBatch {
	p := worker.MessageBatch{Tenant: m.Tenant, Integration: m.Integration, IDs: m.Deliveries}
	if m.Spared > 0 {
		p.Spared = time.Unix(m.Spared, 0).UTC()
	}
	return p
}

// messageBatches groups deliveries by integration, oldest first.
func messageBatches(deliveries []delivery.Delivery) []worker.MessageBatch {
	var out []worker.MessageBatch
	type key struct {
		delivery.Lane
		due time.Time
	}
	open := map[key]int{}
	events := map[int]int{}
	for _, v := range deliveries {
		l := key{delivery.Lane{Tenant: v.Tenant, Integration: v.Integration}, v.Due}
		n, ok := open[l]
		if !ok || len(out[n].IDs) == batchLimit || events[n]+v.Count > batchEvents {
			n = len(out)
			open[l] = n
			out = append(out, worker.MessageBatch{Tenant: v.Tenant, Integration: v.Integration, Due: v.Due})
		}
		out[n].IDs = append(out[n].IDs, v.ID)
		events[n] += v.Count
	}
	return out
}

// Enqueue sends a message for each message batch. The message group is the tenant, so that the queue is a fair one: a
// tenant with a backlog does not delay the others (SQS, "Amazon SQS fair queues").
func (d *Store) Enqueue(ctx context.Context, list []worker.MessageBatch, after time.Duration) error {
	least := int32(min(maxDelay, (after+time.Second-1)/time.Second))
	var entries []types.SendMessageBatchRequestEntry
	for _, p := range list {
		if len(p.IDs) == 0 {
			continue
		}
		m := Message{Tenant: p.Tenant, Integration: p.Integration, Deliveries: p.IDs}
		if !p.Spared.IsZero() {
			m.Spared = p.Spared.Unix()
		}
		body, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode a message batch for integration %s: %w", p.Integration, err)
		}
		hidden := max(least, delay(p.Due, d.Now()))
		entries = append(entries, types.SendMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(len(entries))), MessageBody: awssdk.String(string(body)),
			MessageGroupId: awssdk.String(p.Tenant),
			DelaySeconds:   hidden, MessageAttributes: metrics.Delay(hidden),
		})
	}
	for chunk := range slices.Chunk(entries, queue.SendLimit) {
		if err := queue.SendBatch(ctx, d.SQS, d.Queue, chunk); err != nil {
			return fmt.Errorf("send %d message batches to the deliveries queue: %w", len(list), err)
		}
	}
	return nil
}

// maxDelay of a message in seconds. SQS, API reference, "SendMessage", DelaySeconds.
const maxDelay = 900

// lateness is how long after its time a message batch that waits for its window is opened: what was on its way into it
// has come in by then.
const lateness = 5 * time.Second

// delay is how many seconds a message batch is hidden.
func delay(due, now time.Time) int32 {
	if !due.After(now) {
		return 0
	}
	return int32(min(maxDelay, (due.Sub(now)+lateness+time.Second-1)/time.Second))
}
