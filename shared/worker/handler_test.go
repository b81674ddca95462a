package worker_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// batches is the least engine that a Handler can run on, with faults on demand.
type batches struct {
	*memory
	mu       sync.Mutex
	rounds   []worker.Round // the first of each execution
	running  map[string]bool
	most     int // that one Claim takes; 0 = all
	enqueued []worker.MessageBatch
	after    []time.Duration
	started  []string
	failNext map[string]error // by the method's name
}

func (s *batches) fault(method string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.failNext[method]
	delete(s.failNext, method)
	return err
}

func (s *batches) Load(ctx context.Context, p worker.MessageBatch) ([]delivery.Delivery, error) {
	out, err := s.memory.Load(ctx, p)
	return out, cmp.Or(s.fault("Load"), err)
}

func (s *batches) Claim(ctx context.Context, batch string, deliveries []delivery.Delivery) (int, []delivery.Delivery,
	error) {
	if err := s.fault("Claim"); err != nil {
		return 0, nil, err
	}
	var rest []delivery.Delivery
	if s.most > 0 && len(deliveries) > s.most {
		deliveries, rest = deliveries[:s.most], deliveries[s.most:]
	}
	claimed, _, err := s.memory.Claim(ctx, batch, deliveries)
	return claimed, rest, err
}

func (s *batches) Enqueue(_ context.Context, messages []worker.MessageBatch, after time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range messages {
		s.enqueued, s.after = append(s.enqueued, p), append(s.after, after)
	}
	return nil
}

func (s *batches) Start(_ context.Context, first worker.Round) error {
	if err := s.fault("Start"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.started, first.Execution) {
		s.started, s.rounds = append(s.started, first.Execution), append(s.rounds, first)
	}
	return nil
}

func (s *batches) Running(_ context.Context, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[name], nil
}

type handling struct {
	*worker.Handler
	t            *testing.T
	batches      *batches
	integrations *integrations
}

func sender(t *testing.T, c transport) *handling {
	s := &handling{
		t: t,
		batches: &batches{
			memory:   newMemory(),
			running:  map[string]bool{},
			failNext: map[string]error{},
		},
		integrations: &integrations{all: map[string]integration.Integration{}},
	}
	sender := &sending.Sender{
		Destinations: systems{},
		Transport:    c,
		Schedule:     retry.Schedule{},
		Now:          time.Now,
		Log:          slog.New(slog.DiscardHandler),
	}
	var n atomic.Int64
	s.Handler = &worker.Handler{
		BatchStore: s.batches,
		Retries:    s.batches,
		Sender:     sender,
		Targets:    sending.NewTargetCache(sender, s.integrations, opener{}),
		Log:        slog.New(slog.DiscardHandler),
		Monitor: &health.Monitor{
			Counters: &tallies{by: map[string]health.Count{}},
			Switch:   s.integrations,
			Rule:     health.Rule{Minimum: 1000},
			Now:      time.Now,
		},
		NewID: func() string { return fmt.Sprintf("batch-%d", n.Add(1)) },
	}
	s.integrations.set(
		integration.Integration{
			ID:            "i",
			Tenant:        "42",
			System:        "plain",
			Name:          "i",
			Revision:      1,
			Window:        1,
			Subscriptions: []integration.Subscription{{Event: event.System}},
		},
	)
	return s
}

func (s *handling) pending(ids ...string) worker.MessageBatch {
	for _, id := range ids {
		s.batches.put(
			delivery.Delivery{
				ID:          id,
				Tenant:      "42",
				Integration: "i",
				State:       delivery.Pending,
				Count:       1,
				Events:      []event.Event{user(id)},
			},
		)
	}
	return worker.MessageBatch{Tenant: "42", Integration: "i", IDs: ids}
}

func (s *handling) deliver(messages ...worker.MessageBatch) {
	s.t.Helper()
	for _, err := range s.Deliver(s.t.Context(), messages) {
		require.NoError(s.t, err)
	}
}

// machine runs an execution as the state machine does, and returns its waits.
func (s *handling) machine(execution string) (waits []time.Duration) {
	s.t.Helper()
	n := slices.Index(s.batches.started, execution)
	require.GreaterOrEqual(s.t, n, 0, "it was started")
	for r := s.batches.rounds[n]; r.More; {
		wait := time.Duration(r.Seconds) * time.Second
		time.Sleep(wait)
		waits = append(waits, wait)
		next, err := s.Retry(s.t.Context(), r)
		require.NoError(s.t, err)
		require.Equal(s.t, r.Execution, next.Execution)
		r = next
	}
	return waits
}

func allWaits() (out []time.Duration) {
	for _, c := range retry.Cycles() {
		out = append(out, c...)
	}
	return out
}

func TestABatchIsRetriedInTheThreeCyclesToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(503) })
		s.deliver(s.pending("a", "b", "c"))
		require.Equal(t, []string{"batch-1"}, s.batches.started, "one execution for all that failed")
		require.Equal(t, allWaits(), s.machine("batch-1"))
		for _, id := range []string{"a", "b", "c"} {
			d := s.batches.get(id)
			require.Equal(t, delivery.Dead, d.State)
			require.Len(t, d.Attempts, 17)
			for n, a := range d.Attempts[1:] {
				require.Equal(t, allWaits()[n], a.Waited)
				require.Zero(t, a.Late)
			}
		}
	})
}

func TestALongerRetryAfterLengthensTheWaitOfTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			if n++; n == 1 {
				return destination.Response{Status: 429, Header: map[string][]string{"Retry-After": {"90"}}}, nil
			}
			return status(200)
		})
		s.deliver(s.pending("a"))
		require.Equal(t, []time.Duration{90 * time.Second}, s.machine("batch-1"))
		require.Equal(t, delivery.Delivered, s.batches.get("a").State)
	})
}

func TestARoundThatBreaksOffIsTakenAgainWithoutSendingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			sent.Add(1)
			return status(500)
		})
		s.deliver(s.pending("a", "b"))
		first, err := s.Retry(t.Context(), worker.Round{Batch: "batch-1"})
		require.NoError(t, err)
		require.Equal(t, worker.Round{Batch: "batch-1", Round: 1, Seconds: 1, More: true}, first)
		next, err := s.Retry(t.Context(), first)
		require.NoError(t, err)
		again, err := s.Retry(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, next, again)
		require.EqualValues(t, 4, sent.Load(), "two deliveries, a first attempt and a round")
	})
}

func TestAMessageBatchThatComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		s := sender(
			t,
			func(context.Context, destination.Request) (destination.Response, error) { sent++; return status(500) },
		)
		p := s.pending("a")
		s.batches.failNext["Start"] = errors.New("Step Functions is away")
		errs := s.Deliver(t.Context(), []worker.MessageBatch{p})
		require.ErrorContains(t, errs[0], "start the retries of batch batch-1 as batch-1: Step Functions is away")
		require.Empty(t, s.batches.started)
		s.deliver(p)
		require.Equal(t, []string{"batch-1"}, s.batches.started, "it makes sure that the batch's execution exists")
		s.deliver(p, p)
		require.Equal(t, 1, sent, "and sends nothing")
		require.Equal(t, []string{"batch-1"}, s.batches.started)
	})
}

func TestAnIntegrationThatIsOffEndsWhatWaits(t *testing.T) {
	for name, off := range map[string]func(s *handling){
		"disabled": func(s *handling) {
			i := s.integrations.all["i"]
			i.Off = &integration.Off{By: integration.ByPerson}
			s.integrations.set(i)
		},
		"deleted": func(s *handling) { delete(s.integrations.all, "i") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := 0
				s := sender(
					t,
					func(context.Context, destination.Request) (destination.Response, error) {
						sent++
						return status(500)
					},
				)
				s.deliver(s.pending("a"))
				p := s.pending("b")
				off(s)
				s.deliver(p)
				require.Equal(t, allWaits()[:1], s.machine("batch-1"), "its next round ends it")
				require.Equal(t, 1, sent)
				for _, id := range []string{"a", "b"} {
					require.Equal(t, delivery.Dead, s.batches.get(id).State)
					require.Contains(t, s.batches.get(id).Reason, "the integration was "+name)
				}
			})
		})
	}
}

func TestWhatThereIsNoTimeForIsHandedOutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			time.Sleep(15 * time.Second)
			return status(500)
		})
		s.PerLane, s.Budget = 2, 40*time.Second
		s.deliver(s.pending("a", "b", "c", "d", "e", "f", "g", "h"))
		require.Equal(
			t,
			[]worker.MessageBatch{{Tenant: "42", Integration: "i", IDs: []string{"f", "g", "h"}}},
			s.batches.enqueued,
			"one alone, then two at a time",
		)
		require.Equal(t, 5, s.batches.count(delivery.Retrying))
		next, err := s.Retry(t.Context(), worker.Round{Batch: "batch-1", Round: 1})
		require.NoError(t, err)
		require.Equal(t, 2, next.Round, "a round that ends in time goes on")
	})
}

func TestAFailureOfTheEngineHandsTheMessageBatchBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(200) })
		p := s.pending("a")
		s.batches.failNext["Load"] = errors.New("throttled")
		other := worker.MessageBatch{Tenant: "43", Integration: "j"}
		errs := s.Deliver(t.Context(), []worker.MessageBatch{p, other})
		require.ErrorContains(t, errs[0], "throttled")
		require.NoError(t, errs[1], "the others are done with")
		s.deliver(p)
		require.Equal(t, delivery.Delivered, s.batches.get("a").State)
	})
}

func TestABrokenIntegrationIsDisabledByItsMessageBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(500) })
		s.Monitor.Rule = atOnce
		var list []string
		for n := range 25 {
			list = append(list, fmt.Sprintf("d%02d", n))
		}
		s.deliver(s.pending(list...))
		i, err := s.integrations.Get(t.Context(), "42", "i")
		require.NoError(t, err)
		require.False(t, i.Enabled())
		require.Equal(t, allWaits()[:1], s.machine("batch-1"), "its next round ends it")
		require.Equal(t, 25, s.batches.count(delivery.Dead))
	})
}
