package queue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// A message that failed comes again after 10 s, and after twice as long each time, up to 5 min. With the template's
// maxReceiveCount of 100 that is about six to eight hours until it is a dead letter.
const (
	againFirst = 5 * time.Second // before the first doubling
	againMost  = 5 * time.Minute
)

// Visibility decides when messages that a function could not take come again. Without it they would wait for the whole
// visibility timeout of their queue, which is six times the function's (Lambda developer guide, "Using Lambda with
// Amazon SQS"): minutes, for a moment of throttling.
type Visibility struct {
	SQS    *sqs.Client
	Queues []string // the URLs of the queues that the function reads
	Log    *slog.Logger
}

// Again makes messages visible after a wait that grows with the number of their receives. What it can not change comes
// again after the visibility timeout, and is only logged. A nil Visibility changes nothing. The answer is the
// function's: it names these messages.
func (v *Visibility) Again(ctx context.Context, failed []events.SQSMessage) (out events.SQSEventResponse) {
	for _, m := range failed {
		out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
	}
	if v == nil {
		return out
	}
	byQueue := map[string][]types.ChangeMessageVisibilityBatchRequestEntry{}
	for n, m := range failed {
		receives, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		if err != nil {
			receives = 1
		}
		queue := v.url(m.EventSourceARN)
		byQueue[queue] = append(byQueue[queue], types.ChangeMessageVisibilityBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(n)), ReceiptHandle: &m.ReceiptHandle,
			VisibilityTimeout: int32(again(receives, rand.Float64()) / time.Second),
		})
	}
	for queue, entries := range byQueue {
		if queue == "" {
			v.Log.Error("messages come again late: their queue is not known", "messages", len(entries))
			continue
		}
		for chunk := range slices.Chunk(entries, SendLimit) {
			out, err := v.SQS.ChangeMessageVisibilityBatch(ctx,
				&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queue, Entries: chunk})
			switch {
			case err != nil:
				v.Log.Warn("messages come again late", "messages", len(chunk), "error", err.Error())
			case len(out.Failed) > 0:
				f := out.Failed[0]
				v.Log.Warn("messages come again late", "messages", len(out.Failed), "code", awssdk.ToString(f.Code),
					"error", awssdk.ToString(f.Message))
			}
		}
	}
	return out
}

// Grouped splits messages by a key, in their order.
func Grouped(messages []events.SQSMessage, key func(events.SQSMessage) string) (groups [][]events.SQSMessage) {
	place := map[string]int{}
	for _, m := range messages {
		k := key(m)
		n, ok := place[k]
		if !ok {
			n = len(groups)
			place[k], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], m)
	}
	return groups
}

// SideBySide takes groups of messages, so many at once, and returns the messages that are to come again.
func SideBySide(
	groups [][]events.SQSMessage, limit int, take func([]events.SQSMessage) (failed []events.SQSMessage),
) []events.SQSMessage {
	left := make([][]events.SQSMessage, len(groups))
	var work errgroup.Group
	work.SetLimit(limit)
	for n, messages := range groups {
		work.Go(func() error {
			left[n] = take(messages)
			return nil
		})
	}
	_ = work.Wait() // what failed is in left
	return slices.Concat(left...)
}

// again is the wait after so many receives: min(2^receives × 5 s, 5 min), of which random (0 to 1) takes up to a half
// away, so that what failed together does not come again together.
func again(receives int, random float64) time.Duration {
	wait := min(againFirst<<min(max(receives, 1), 10), againMost)
	return wait - time.Duration(random*float64(wait)/2)
}

// url finds the queue of an ARN: both end with the queue's name. "" when it is none of the function's.
func (v *Visibility) url(arn string) string {
	name := arn[strings.LastIndex(arn, ":")+1:]
	for _, u := range v.Queues {
		if u[strings.LastIndex(u, "/")+1:] == name {
			return u
		}
	}
	return ""
}
