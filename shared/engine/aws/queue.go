package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/worker"
)

// sendLimit is how many messages one call takes. SQS, API reference, "SendMessageBatch".
const sendLimit = 10

// parcelEvents bounds the events that one parcel makes its receiver load.
const parcelEvents = 1000

// sendTries is how often messages are sent that SQS refused for a fault of its own.
const sendTries = 4

// message is the body of the deliveries queue: a parcel, or a retry batch to be taken up again.
type message struct {
	Tenant      string   `json:"tenant,omitempty"`
	Integration string   `json:"integration,omitempty"`
	Deliveries  []string `json:"deliveries,omitempty"`
	Spared      int64    `json:"spared,omitempty"` // worker.MessageBatch.Spared, in Unix time
	Batch       string   `json:"batch,omitempty"`
}

// parcel is the message's parcel.
func (m message) parcel() worker.MessageBatch {
	p := worker.MessageBatch{Tenant: m.Tenant, Integration: m.Integration, IDs: m.Deliveries}
	if m.Spared > 0 {
		p.Spared = time.Unix(m.Spared, 0).UTC()
	}
	return p
}

// parcels groups deliveries by integration, oldest first.
func parcels(deliveries []delivery.Delivery) []worker.MessageBatch {
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
		if !ok || len(out[n].IDs) == worker.MessageBatchLimit || events[n]+v.Count > parcelEvents {
			n = len(out)
			open[l] = n
			out = append(out, worker.MessageBatch{Tenant: v.Tenant, Integration: v.Integration, Due: v.Due})
		}
		out[n].IDs = append(out[n].IDs, v.ID)
		events[n] += v.Count
	}
	return out
}

// Enqueue sends a message for each parcel. The message group is the tenant, so that the queue is a fair one: a
// tenant with a backlog does not delay the others (SQS, "Amazon SQS fair queues").
func (d *Deliveries) Enqueue(ctx context.Context, list []worker.MessageBatch, after time.Duration) error {
	least := int32(min(maxDelay, (after+time.Second-1)/time.Second))
	var entries []types.SendMessageBatchRequestEntry
	for _, p := range list {
		if len(p.IDs) == 0 {
			continue
		}
		m := message{Tenant: p.Tenant, Integration: p.Integration, Deliveries: p.IDs}
		if !p.Spared.IsZero() {
			m.Spared = p.Spared.Unix()
		}
		body, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode a parcel for integration %s: %w", p.Integration, err)
		}
		hidden := max(least, delay(p.Due, d.Now()))
		entries = append(entries, types.SendMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(len(entries))), MessageBody: awssdk.String(string(body)),
			MessageGroupId: awssdk.String(p.Tenant),
			DelaySeconds:   hidden, MessageAttributes: metrics.Delay(hidden),
		})
	}
	for chunk := range slices.Chunk(entries, sendLimit) {
		if err := sendBatch(ctx, d.SQS, d.Queue, chunk); err != nil {
			return fmt.Errorf("send %d parcels to the deliveries queue: %w", len(list), err)
		}
	}
	return nil
}

// maxDelay of a message in seconds. SQS, API reference, "SendMessage", DelaySeconds.
const maxDelay = 900

// lateness is how long after its time a parcel that gathers is opened: what was on its way into it has come in by then.
const lateness = 5 * time.Second

// delay is how many seconds a parcel is hidden.
func delay(due, now time.Time) int32 {
	if !due.After(now) {
		return 0
	}
	return int32(min(maxDelay, (due.Sub(now)+lateness+time.Second-1)/time.Second))
}

// sendBatch sends a batch, again what SQS could not take.
func sendBatch(ctx context.Context, client *sqs.Client, queue string,
	entries []types.SendMessageBatchRequestEntry) error {
	pause := unprocessedPause
	for range sendTries {
		out, err := client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &queue, Entries: entries})
		if err != nil {
			return err
		}
		if len(out.Failed) == 0 {
			return nil
		}
		if f := out.Failed[0]; f.SenderFault {
			return fmt.Errorf("%s: %s", awssdk.ToString(f.Code), awssdk.ToString(f.Message))
		}
		failed := map[string]bool{}
		for _, f := range out.Failed {
			failed[awssdk.ToString(f.Id)] = true
		}
		entries = slices.DeleteFunc(slices.Clone(entries),
			func(e types.SendMessageBatchRequestEntry) bool { return !failed[*e.Id] })
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause *= 2
	}
	return errors.New("the queue takes no more at the moment")
}
