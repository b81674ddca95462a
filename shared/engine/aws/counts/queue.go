package counts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/counting"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/event"
)

// Queue is the queue of intakes that are to be counted: first in, first out, and the message group is the
// tenant, so that one evaluator at a time counts for it. A message that is sent twice is dropped within five minutes
// (SQS, "Exactly-once processing") and finds the intake's mark later.
type Queue struct {
	SQS         *sqs.Client
	Queue       string // URL
	DeadLetters string // URL; of who reads the queue
}

// countingMessage is a message of the queue.
type countingMessage struct {
	Tenant string `json:"tenant"`
	Intake string `json:"intake"`
}

// Enqueue has a committed intake counted, unless nothing of it counts.
func (q *Queue) Enqueue(ctx context.Context, tenant, intake string, list []event.Event) error {
	if !slices.ContainsFunc(list, func(e event.Event) bool { return counting.Counts(e.Kind) }) {
		return nil
	}
	body, err := json.Marshal(countingMessage{tenant, intake})
	if err == nil {
		_, err = q.SQS.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: &q.Queue, MessageBody: awssdk.String(string(body)),
			MessageGroupId:         awssdk.String(queue.Digest(tenant)),
			MessageDeduplicationId: awssdk.String(queue.Digest(tenant, intake)),
		})
	}
	if err != nil {
		return fmt.Errorf("have intake %s of tenant %s counted: %w", intake, tenant, err)
	}
	return nil
}

// giveUp moves a message to the dead letters, with the reason.
func (q *Queue) giveUp(ctx context.Context, m events.SQSMessage, reason string) error {
	_, err := q.SQS.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &q.DeadLetters, MessageBody: &m.Body, MessageGroupId: awssdk.String(m.Attributes["MessageGroupId"]),
		MessageDeduplicationId: awssdk.String(queue.Digest(m.MessageId)),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"reason": {DataType: awssdk.String("String"), StringValue: awssdk.String(sendable(reason))},
		},
	})
	if err != nil {
		return fmt.Errorf("put a message into the dead letters: %w", err)
	}
	return nil
}

// sendable is a text that an attribute of SQS takes (API reference, "SendMessage": no control characters, not empty),
// cut.
func sendable(s string) string {
	const most = 1 << 10 // bytes
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), most)])
	return cmp.Or(strings.TrimSpace(s), "no reason was given")
}

// poisonAfter is how often an intake that can not be counted is tried before the later ones of its tenant go on without
// it.
const poisonAfter = 5

// Counter counts intakes of a tenant: counting.Counter.
type Counter interface {
	Count(ctx context.Context, tenant string, ids []string) (done int, err error)
}

// Handler answers batches of the queue: up to ten messages, of one tenant or of several. Tenants are counted side
// by side. After a message that failed, the later ones of its tenant fail too: they keep their order (Lambda developer
// guide, "Handling errors for an SQS event source", FIFO queues).
//
// An intake that itself is the reason goes to the dead letters after poisonAfter receives, put there by this function:
// were it left to the queue's maxReceiveCount, all that is behind it would be received as often and would go there with
// it. What fails for a service that is away only comes again.
func Handler(c Counter, q *Queue, again *queue.Visibility, log *slog.Logger) func(context.Context,
	events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		// What is not done in time comes again soon, not after the visibility timeout.
		working, cancel := context.WithCancel(ctx)
		if end, ok := ctx.Deadline(); ok {
			working, cancel = context.WithDeadline(ctx, end.Add(-countMargin))
		}
		defer cancel()
		h := countHandler{c, q, log}
		groups := queue.Grouped(in.Records, func(m events.SQSMessage) string { return m.Attributes["MessageGroupId"] })
		failed := queue.SideBySide(groups, countAtOnce, func(messages []events.SQSMessage) []events.SQSMessage {
			return h.tenant(working, messages)
		})
		return again.Again(ctx, failed), nil
	}
}

// countMargin is left of the function's time when it stops counting.
const countMargin = 5 * time.Second

// countAtOnce bounds the tenants that a function counts for at once, and with it what is in memory.
const countAtOnce = 3

type countHandler struct {
	counter Counter
	queue   *Queue
	log     *slog.Logger
}

// tenant counts for one tenant, and returns the messages that are to come again.
func (h countHandler) tenant(ctx context.Context, messages []events.SQSMessage) []events.SQSMessage {
	for len(messages) > 0 {
		done, err := h.count(ctx, messages)
		if messages = messages[done:]; err == nil {
			continue
		}
		first := messages[0]
		var poison *counting.IntakeError
		receives, wrong := strconv.Atoi(first.Attributes["ApproximateReceiveCount"])
		if errors.As(err, &poison) && wrong == nil && receives >= poisonAfter {
			h.log.Error("counting gives an intake up: it is a dead letter", "message", first.MessageId, "body",
				first.Body, "receives", receives, "error", err.Error())
			if err = h.queue.giveUp(ctx, first, err.Error()); err == nil {
				messages = messages[1:]
				continue
			}
		}
		h.log.Error("count: the messages come again", "message", first.MessageId, "messages", len(messages), "receives",
			receives, "error", err.Error())
		return messages
	}
	return nil
}

// count counts messages as far as they can be read.
func (h countHandler) count(ctx context.Context, messages []events.SQSMessage) (done int, err error) {
	tenant, ids := "", make([]string, 0, len(messages))
	for _, r := range messages {
		var m countingMessage
		err := json.Unmarshal([]byte(r.Body), &m)
		if err == nil && (m.Tenant == "" || m.Intake == "") {
			err = errors.New("it names no intake")
		}
		if err != nil && len(ids) == 0 {
			return 0, &counting.IntakeError{Err: fmt.Errorf("it is no message of counting: %w", err)}
		}
		if err != nil || tenant != "" && m.Tenant != tenant {
			break // the others come after these
		}
		tenant, ids = m.Tenant, append(ids, m.Intake)
	}
	return h.counter.Count(ctx, tenant, ids)
}
