//go:build awslocal

package aws_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/eventbus"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/event"
)

// TestPublisher has moto's EventBridge pass what is put on a bus to a queue, from where the fan-out function reads it.
func TestPublisher(t *testing.T) {
	statetest.Publisher(t, func(t *testing.T) (event.Publisher, func(t *testing.T) []delivery.Entry) {
		config, err := awslocal.Config(t.Context(), servers.Moto)
		require.NoError(t, err)
		bus := &eventbus.Publisher{Events: eventbridge.NewFromConfig(config), Bus: "bus-" + uuid.NewString()}
		q := queueBehind(t, bus, sqs.NewFromConfig(config))
		return bus, q.taken
	})
}

// busQueue is a queue to which a rule passes what Tocsin puts on a bus.
type busQueue struct {
	sqs *sqs.Client
	url string
}

func queueBehind(t *testing.T, bus *eventbus.Publisher, client *sqs.Client) *busQueue {
	t.Helper()
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &bus.Bus})
	require.NoError(t, err)
	about, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	require.NoError(t, err)
	_, err = bus.Events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &bus.Bus})
	require.NoError(t, err)
	_, err = bus.Events.PutRule(t.Context(), &eventbridge.PutRuleInput{
		Name: &bus.Bus, EventBusName: &bus.Bus, EventPattern: awssdk.String(`{"source":["` + eventbus.Source + `"]}`),
	})
	require.NoError(t, err)
	_, err = bus.Events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{
		Rule: &bus.Bus, EventBusName: &bus.Bus,
		Targets: []types.Target{{Id: awssdk.String("queue"), Arn: awssdk.String(about.Attributes["QueueArn"])}},
	})
	require.NoError(t, err)
	return &busQueue{sqs: client, url: *made.QueueUrl}
}

// entries keeps what the fan-out function reads.
type entries struct {
	mu   sync.Mutex
	list []delivery.Entry
}

func (e *entries) Process(_ context.Context, list []delivery.Entry) ([]delivery.Lane, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, list...)
	return nil, nil
}

// taken reads the queue empty.
func (q *busQueue) taken(t *testing.T) []delivery.Entry {
	t.Helper()
	read, log := &entries{}, slog.New(slog.DiscardHandler)
	fanout := handlers.Fanout(read, &queue.Visibility{SQS: q.sqs, Queues: []string{q.url}, Log: log}, log)
	for {
		got, err := q.sqs.ReceiveMessage(t.Context(),
			&sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10})
		require.NoError(t, err)
		if len(got.Messages) == 0 {
			return read.list
		}
		var in events.SQSEvent
		for _, m := range got.Messages {
			in.Records = append(in.Records, events.SQSMessage{MessageId: *m.MessageId, Body: *m.Body})
			_, err := q.sqs.DeleteMessage(t.Context(),
				&sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle})
			require.NoError(t, err)
		}
		out, err := fanout(t.Context(), in)
		require.NoError(t, err)
		require.Empty(t, out.BatchItemFailures)
	}
}
