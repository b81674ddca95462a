package aws_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/fanout"
	"tocsin/shared/trigger"
)

// processor does what a test says for a batch's first entry that it has something to say of.
type processor struct {
	mu      sync.Mutex
	outcome map[string]error // by receipt; errPanic panics
	batches [][]string
}

var errPanic = errors.New("panic")

func (p *processor) Process(_ context.Context, entries []delivery.Entry) ([]delivery.Lane, error) {
	var receipts []string
	for _, e := range entries {
		receipts = append(receipts, e.Receipt)
	}
	p.mu.Lock()
	p.batches = append(p.batches, receipts)
	p.mu.Unlock()
	var unfinished fanout.Unfinished
	for _, e := range entries {
		switch err := p.outcome[e.Receipt]; {
		case errors.Is(err, errPanic):
			panic("a case that nobody thought of")
		case errors.Is(err, fanout.ErrBusy):
			unfinished.Entries, unfinished.Err = append(unfinished.Entries, e), err
		case err != nil:
			return nil, fmt.Errorf("wrapped: %w", err)
		}
	}
	if len(unfinished.Entries) > 0 {
		return nil, &unfinished
	}
	return nil, nil
}

// messagesOf are so many messages of each tenant, named tenant/number, taking turns.
func messagesOf(count int, tenants ...string) (in events.SQSEvent) {
	for n := range count {
		for _, tenant := range tenants {
			in.Records = append(in.Records, events.SQSMessage{
				MessageId: fmt.Sprintf("%s/%d", tenant, n), Attributes: map[string]string{"MessageGroupId": tenant},
				Body: fmt.Sprintf(`{"detail-type":"new_hits","detail":{"tenant":%q},"time":"2026-03-01T12:00:00Z"}`,
					tenant),
			})
		}
	}
	return in
}

// fanOut returns the messages that failed.
func fanOut(t *testing.T, p *processor, in events.SQSEvent) (failed []string) {
	t.Helper()
	out, err := handlers.Fanout(p, nil, slog.New(slog.DiscardHandler))(t.Context(), in)
	require.NoError(t, err)
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	slices.Sort(failed)
	return failed
}

func TestOnlyTheTenantThatFailsComesAgain(t *testing.T) {
	for name, err := range map[string]error{
		"throttled": &smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"},
		"no answer": &smithy.OperationError{ServiceID: "DynamoDB", OperationName: "PutItem",
			Err: errors.New("connection reset")},
		"out of time": context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			p := &processor{outcome: map[string]error{"noisy/3": err}}
			require.Equal(t, []string{"noisy/0", "noisy/1", "noisy/2", "noisy/3", "noisy/4"},
				fanOut(t, p, messagesOf(5, "quiet", "noisy", "other")))
			require.Len(t, p.batches, 3, "a batch for each tenant, and none one by one: it is not the entries")
		})
	}
}

func TestAPoisonousEntryComesBackAlone(t *testing.T) {
	for name, err := range map[string]error{"poison": errors.New("poison"), "panic": errPanic,
		"too large": &smithy.GenericAPIError{Code: "ValidationException"}} {
		t.Run(name, func(t *testing.T) {
			p := &processor{outcome: map[string]error{"42/3": err}}
			require.Equal(t, []string{"42/3"}, fanOut(t, p, messagesOf(10, "42", "43")))
			p = &processor{outcome: map[string]error{}}
			for n := range 10 {
				p.outcome[fmt.Sprint("42/", n)] = err
			}
			require.Len(t, fanOut(t, p, messagesOf(10, "42", "43")), 10)
			require.Len(t, p.batches, 1+1+3, "when it is not the entries, the rest is left for another time")
		})
	}
}

func TestAnEntryThatAnotherFunctionIsAtComesBackAlone(t *testing.T) {
	p := &processor{outcome: map[string]error{"42/1": fanout.ErrBusy, "42/2": fanout.ErrBusy}}
	require.Equal(t, []string{"42/1", "42/2"}, fanOut(t, p, messagesOf(5, "42")))
	require.Len(t, p.batches, 1)
}

func TestMessagesWithoutAGroupAreSplitByWhatTheyHold(t *testing.T) {
	in := messagesOf(2, "42", "43")
	for n := range in.Records {
		in.Records[n].Attributes = nil
	}
	in.Records = append(in.Records, events.SQSMessage{MessageId: "odd", Body: "no JSON"})
	p := &processor{outcome: map[string]error{"odd": trigger.ErrStale}}
	require.Equal(t, []string{"odd"}, fanOut(t, p, in))
	require.Len(t, p.batches, 3)
	for _, b := range p.batches {
		for _, id := range b {
			require.Equal(t, strings.Split(b[0], "/")[0], strings.Split(id, "/")[0])
		}
	}
}
