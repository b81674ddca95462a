package erasure

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Of looking through a queue. SQS has no search: each message is received, hidden meanwhile, and shown again after it.
const (
	receiveMost = 10 // SQS, "ReceiveMessage"
	hiddenFor   = 120
	lookMost    = 5000
)

// drop removes a tenant's messages of a queue of what failed.
func (s *Store) drop(ctx context.Context, tenant, name string) (removed int, err error) {
	url := s.DeadLetters[name]
	var others []string
	defer func() { s.show(context.WithoutCancel(ctx), url, others) }()
	for empty := 0; empty < 2; {
		got, err := s.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, VisibilityTimeout: hiddenFor,
			MaxNumberOfMessages: receiveMost, WaitTimeSeconds: 1})
		if err != nil {
			return removed, err
		}
		if len(got.Messages) == 0 {
			empty++ // SQS may have looked at some of its servers only
			continue
		}
		for _, m := range got.Messages {
			if !Names([]byte(awssdk.ToString(m.Body)), tenant) {
				others = append(others, awssdk.ToString(m.ReceiptHandle))
				continue
			}
			if _, err := s.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url,
				ReceiptHandle: m.ReceiptHandle}); err != nil {
				return removed, err
			}
			removed++
		}
		if len(others) > lookMost {
			return removed, fmt.Errorf("it has more than %d messages: redrive it or purge it first", lookMost)
		}
	}
	return removed, nil
}

// show lets others see messages again at once; else they do after hiddenFor.
func (s *Store) show(ctx context.Context, url string, receipts []string) {
	for len(receipts) > 0 {
		var batch []types.ChangeMessageVisibilityBatchRequestEntry
		n := min(receiveMost, len(receipts))
		for i := range receipts[:n] {
			id := fmt.Sprint(i)
			batch = append(batch, types.ChangeMessageVisibilityBatchRequestEntry{Id: &id, ReceiptHandle: &receipts[i]})
		}
		receipts = receipts[n:]
		if _, err := s.SQS.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url,
			Entries: batch}); err != nil {
			s.Log.Warn("messages are shown again later", "queue", url, "error", err.Error())
			return
		}
	}
}

// Names reports whether a message names a tenant: whether a member `tenant` of it is that, at any depth, also in JSON
// that a text of it holds.
func Names(body []byte, tenant string) bool {
	var v any
	return json.Unmarshal(body, &v) == nil && names(v, tenant, false)
}

func names(v any, tenant string, here bool) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			if names(one, tenant, strings.EqualFold(key, "tenant")) {
				return true
			}
		}
	case []any:
		for _, one := range v {
			if names(one, tenant, here) {
				return true
			}
		}
	case string:
		return here && v == tenant || strings.HasPrefix(v, "{") && Names([]byte(v), tenant)
	}
	return false
}
