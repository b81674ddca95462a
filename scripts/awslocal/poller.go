package awslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Poller is an event source mapping of Lambda: it receives from a queue, gathers a batch, calls the function, and
// deletes what the answer does not name as failed (Lambda developer guide, "Using Lambda with Amazon SQS").
type Poller struct {
	SQS       *sqs.Client
	Queue     string
	Function  *Function
	BatchSize int
	Window    time.Duration
	Log       *slog.Logger
	// Empty counts the receives that brought nothing: they depend on how long one looks, not on the deliveries.
	Empty *atomic.Int64
}

// receiveLimit is what one call brings. SQS, API reference, "ReceiveMessage".
const receiveLimit = 10

// Run polls until the context ends.
func (p *Poller) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.once(ctx); err != nil && ctx.Err() == nil {
			p.Log.Error("poll", "queue", p.Queue, "error", err.Error())
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (p *Poller) once(ctx context.Context) error {
	batch, err := p.gather(ctx)
	if err != nil || len(batch) == 0 {
		return err
	}
	failed, err := p.invoke(ctx, batch)
	if err != nil {
		return err // nothing is deleted: all of it comes again
	}
	batch = slices.DeleteFunc(batch, func(m types.Message) bool { return slices.Contains(failed, *m.MessageId) })
	for chunk := range slices.Chunk(batch, receiveLimit) {
		var entries []types.DeleteMessageBatchRequestEntry
		for n, m := range chunk {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: awssdk.String(strconv.Itoa(n)),
				ReceiptHandle: m.ReceiptHandle})
		}
		if _, err := p.SQS.DeleteMessageBatch(ctx,
			&sqs.DeleteMessageBatchInput{QueueUrl: &p.Queue, Entries: entries}); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

// gather receives until the batch is full or the window has passed.
func (p *Poller) gather(ctx context.Context) ([]types.Message, error) {
	var batch []types.Message
	var until time.Time
	for len(batch) < p.BatchSize {
		wait := int32(2)
		if !until.IsZero() {
			left := time.Until(until)
			if left <= 0 {
				break
			}
			wait = int32(left / time.Second)
		}
		out, err := p.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &p.Queue, MaxNumberOfMessages: int32(min(receiveLimit, p.BatchSize-len(batch))),
			WaitTimeSeconds:             wait,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
			MessageAttributeNames:       []string{"All"},
		})
		if err != nil {
			return nil, fmt.Errorf("receive: %w", err)
		}
		if len(out.Messages) == 0 {
			p.Empty.Add(1)
			if until.IsZero() {
				return nil, nil
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			continue
		}
		if batch = append(batch, out.Messages...); until.IsZero() {
			until = time.Now().Add(p.Window)
		}
	}
	return batch, nil
}

// traceHeader is a system attribute of SQS. fauxqs keeps none that a sender gives, so it goes as one of the message's.
const traceHeader = "AWSTraceHeader"

func (p *Poller) invoke(ctx context.Context, batch []types.Message) (failed []string, err error) {
	var in events.SQSEvent
	for _, m := range batch {
		attributes := map[string]events.SQSMessageAttribute{}
		for name, v := range m.MessageAttributes {
			if name == traceHeader {
				m.Attributes[name] = *v.StringValue
				continue
			}
			attributes[name] = events.SQSMessageAttribute{StringValue: v.StringValue, BinaryValue: v.BinaryValue,
				DataType: *v.DataType}
		}
		in.Records = append(in.Records, events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
			MessageAttributes: attributes,
			EventSource:       "aws:sqs", EventSourceARN: "arn:aws:sqs:" + region + ":000000000000:" +
				p.Queue[strings.LastIndex(p.Queue, "/")+1:], AWSRegion: region,
		})
	}
	payload, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	answer, err := p.Function.Invoke(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("the function failed: %w", err)
	}
	var out events.SQSEventResponse
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, errors.New("the function answered no batch response")
	}
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, nil
}
