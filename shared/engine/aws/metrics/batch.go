package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// delayAttribute of a message says for how many seconds it was hidden on purpose. SQS tells a receiver when a message
// was sent, and not how long it was to wait.
const delayAttribute = "delay"

// Delay is what a message carries that is hidden for so many seconds; nil for none.
func Delay(seconds int32) map[string]types.MessageAttributeValue {
	if seconds <= 0 {
		return nil
	}
	return map[string]types.MessageAttributeValue{
		delayAttribute: {DataType: awssdk.String("Number"), StringValue: awssdk.String(strconv.Itoa(int(seconds)))},
	}
}

// batch handles the messages of a queue that Lambda brings.
type batch = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// Batch is a handler of a queue's batches that writes a line after each. The items that it names as failed count:
// Lambda takes such a call for a success.
func Batch(m *Meter, handle batch) batch {
	return func(ctx context.Context, in events.SQSEvent) (out events.SQSEventResponse, err error) {
		ctx, end := m.begin(ctx)
		defer end()
		now := m.Now()
		for _, r := range in.Records {
			Most(ctx, Late, late(r, now))
		}
		out, err = handle(ctx, in)
		failed := len(out.BatchItemFailures)
		if err != nil {
			failed = len(in.Records)
		}
		Count(ctx, FailedItems, failed)
		Count(ctx, Processed, len(in.Records)-failed)
		return out, err
	}
}

// late is how long after its time a message came; 0 when it came in time, or nobody knows.
func late(r events.SQSMessage, now time.Time) time.Duration {
	sent, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return 0
	}
	var hidden int64
	if v := r.MessageAttributes[delayAttribute].StringValue; v != nil {
		hidden, _ = strconv.ParseInt(*v, 10, 64) // what is no number hides nothing
	}
	return max(0, now.Sub(time.UnixMilli(sent))-time.Duration(hidden)*time.Second)
}
