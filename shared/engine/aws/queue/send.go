// Package queue sends batches of messages to SQS and decides when messages that failed come again.
package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/sleep"
)

// SendLimit is how many messages one call takes. SQS, API reference, "SendMessageBatch".
const SendLimit = 10

// sendTries is how often messages are sent that SQS refused for a fault of its own.
const sendTries = 4

// SendBatch sends a batch, again what SQS could not take.
func SendBatch(ctx context.Context, client *sqs.Client, queue string,
	entries []types.SendMessageBatchRequestEntry) error {
	pause := table.UnprocessedPause
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
		if sleep.For(ctx, pause); ctx.Err() != nil {
			return ctx.Err()
		}
		pause *= 2
	}
	return errors.New("the queue takes no more at the moment")
}

func Digest(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d %s", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil))
}
