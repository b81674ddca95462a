package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/counting"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/event"
)

// sqsCalls is a queue that keeps the calls that it is given, by their names.
type sqsCalls struct {
	mu    sync.Mutex
	calls map[string][]map[string]any
}

func (s *sqsCalls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body map[string]any
	_ = json.Unmarshal(raw, &body)
	_, call, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[string][]map[string]any{}
	}
	s.calls[call] = append(s.calls[call], body)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, _ = w.Write([]byte(`{}`))
}

func (s *sqsCalls) of(call string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

// steps counts what it is told to, in order, and says what is wrong with an intake.
type steps struct {
	mu     sync.Mutex
	wrong  map[string]error
	counts map[string][]string // by tenant
}

func (s *steps) Count(_ context.Context, tenant string, ids []string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, id := range ids {
		if err := s.wrong[id]; err != nil {
			return n, fmt.Errorf("wrapped: %w", err)
		}
		s.counts[tenant] = append(s.counts[tenant], id)
	}
	return len(ids), nil
}

func countMessage(tenant, intake string, receives int) events.SQSMessage {
	body := fmt.Sprintf(`{"tenant":%q,"intake":%q}`, tenant, intake)
	return events.SQSMessage{MessageId: tenant + intake, ReceiptHandle: tenant + intake, Body: body,
		EventSourceARN: "arn:aws:sqs:eu-west-1:1:counting.fifo",
		Attributes:     map[string]string{"MessageGroupId": tenant, "ApproximateReceiveCount": fmt.Sprint(receives)}}
}

// countedBatch is a batch of messages, what is wrong with intakes, and what becomes of the messages.
type countedBatch struct {
	wrong   map[string]error
	batch   []events.SQSMessage
	counts  map[string][]string
	failed  []string
	letters int
}

func (c countedBatch) test(t *testing.T) {
	calls := &sqsCalls{}
	server := httptest.NewServer(calls)
	defer server.Close()
	config, err := awslocal.Config(t.Context(), server.URL)
	require.NoError(t, err)
	client := sqs.NewFromConfig(config)
	s := &steps{wrong: c.wrong, counts: map[string][]string{}}
	log := slog.New(slog.DiscardHandler)
	q := &counts.Queue{
		SQS: client, Queue: server.URL + "/1/counting.fifo", DeadLetters: server.URL + "/1/dead.fifo",
	}
	handle := counts.Handler(s, q, &queue.Visibility{SQS: client, Queues: []string{q.Queue}, Log: log}, log)
	out, err := handle(t.Context(), events.SQSEvent{Records: c.batch})
	require.NoError(t, err)
	var failed []string
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	require.Equal(t, c.failed, failed)
	require.Equal(t, c.counts, s.counts)
	letters := calls.of("SendMessage")
	require.Len(t, letters, c.letters)
	for _, l := range letters {
		require.Equal(t, q.DeadLetters, l["QueueUrl"])
		require.NotEmpty(t, l["MessageAttributes"].(map[string]any)["reason"].(map[string]any)["StringValue"])
	}
	require.Equal(t, len(c.failed) > 0, len(calls.of("ChangeMessageVisibilityBatch")) > 0,
		"they come again soon")
}

func TestTheMessagesOfATenantKeepTheirOrderAndThoseOfOthersGoOn(t *testing.T) {
	poison := func(id string) error { return &counting.IntakeError{Intake: id, Err: errors.New("it is damaged")} }
	for name, c := range map[string]countedBatch{
		"all are counted, side by side": {
			batch: []events.SQSMessage{countMessage("a", "1", 1), countMessage("b", "1", 1),
				countMessage("a", "2", 1)},
			counts: map[string][]string{"a": {"1", "2"}, "b": {"1"}},
		},
		"a service is away: that tenant's come again, however often that was": {
			wrong: map[string]error{"2": errors.New("throttled")},
			batch: []events.SQSMessage{countMessage("a", "1", 99), countMessage("a", "2", 99),
				countMessage("b", "7", 1), countMessage("a", "3", 99)},
			counts: map[string][]string{"a": {"1"}, "b": {"7"}}, failed: []string{"a2", "a3"},
		},
		"an intake is the reason: at first it comes again": {
			wrong: map[string]error{"2": poison("2")},
			batch: []events.SQSMessage{countMessage("a", "1", 4), countMessage("a", "2", 4),
				countMessage("a", "3", 4)},
			counts: map[string][]string{"a": {"1"}}, failed: []string{"a2", "a3"},
		},
		"an intake is the reason for the fifth time: the others go on without it": {
			wrong: map[string]error{"2": poison("2")},
			batch: []events.SQSMessage{countMessage("a", "1", 5), countMessage("a", "2", 5),
				countMessage("a", "3", 5)},
			counts: map[string][]string{"a": {"1", "3"}}, letters: 1,
		},
		"what is no message of counting goes the same way": {
			batch: []events.SQSMessage{{MessageId: "x", Body: "what?",
				Attributes: map[string]string{"MessageGroupId": "a", "ApproximateReceiveCount": "5"}},
				countMessage("a", "3", 1)},
			counts: map[string][]string{"a": {"3"}}, letters: 1,
		},
	} {
		t.Run(name, c.test)
	}
}

func TestAnIntakeHasAMessageWhereSomethingOfItCounts(t *testing.T) {
	calls := &sqsCalls{}
	server := httptest.NewServer(calls)
	defer server.Close()
	config, err := awslocal.Config(t.Context(), server.URL)
	require.NoError(t, err)
	q := &counts.Queue{SQS: sqs.NewFromConfig(config), Queue: server.URL + "/1/counting.fifo"}
	require.NoError(t, q.Enqueue(t.Context(), "42", "none",
		[]event.Event{{Kind: event.IntegrationBroken}, {Kind: event.Report}}))
	require.Empty(t, calls.of("SendMessage"))
	for range 2 {
		require.NoError(t, q.Enqueue(t.Context(), "42", "one",
			[]event.Event{{Kind: event.IntegrationBroken}, {Kind: event.NewHits}}))
	}
	require.NoError(t, q.Enqueue(t.Context(), "43", "one", []event.Event{{Kind: event.NewHits}}))
	sent := calls.of("SendMessage")
	require.Len(t, sent, 3)
	require.JSONEq(t, `{"tenant":"42","intake":"one"}`, sent[0]["MessageBody"].(string))
	groups, ids := []any{}, []any{}
	for _, m := range sent {
		groups, ids = append(groups, m["MessageGroupId"]), append(ids, m["MessageDeduplicationId"])
	}
	require.Equal(t, groups[0], groups[1])
	require.NotEqual(t, groups[0], groups[2])
	require.Equal(t, ids[0], ids[1])
	require.Len(t, slices.Compact(ids), 2)
}
