package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
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

// toB lets what dies on "a" fall back to "b".
type toB struct {
	mu    sync.Mutex
	fails int // so many questions are not answered
	asked []delivery.Delivery
}

func (f *toB) Of(_ context.Context, i integration.Integration, d delivery.Delivery) (*delivery.Fallback, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i.ID == "b" {
		return nil, nil
	}
	if f.fails > 0 {
		f.fails--
		return nil, errors.New("the file is away")
	}
	f.asked = append(f.asked, d)
	made := delivery.Delivery{ID: "of " + d.ID, Tenant: d.Tenant, Integration: "b", State: delivery.Pending,
		Count: d.Count, Events: d.Events, From: &delivery.From{Integration: i.ID, Delivery: d.ID, Reason: d.Reason}}
	return &delivery.Fallback{Integration: "b", Delivery: made.ID, Made: &made}, nil
}

func (f *toB) reasons() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.asked {
		out = append(out, d.Reason)
	}
	return out
}

func (f *toB) transport() transport {
	return func(_ context.Context, q destination.Request) (destination.Response, error) {
		if q.URL == "b" {
			return status(200)
		}
		return status(503)
	}
}

func TestWhatDiesOnTheOneMachineFallsBackAndIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &toB{fails: 2}
		r := &rig{queue: newMemory(), integrations: &integrations{all: map[string]integration.Integration{}},
			counters: &tallies{by: map[string]health.Count{}}}
		sender := &sending.Sender{Destinations: systems{}, Schedule: retry.Schedule{}, Now: time.Now,
			Log: slog.New(slog.DiscardHandler), Transport: f.transport()}
		r.Pool = worker.NewPool(worker.PoolConfig{Queue: r.queue, Outcomes: r.queue, Integrations: r.integrations,
			Opener: opener{}, Logger: slog.New(slog.DiscardHandler), Sender: sender, Fallbacks: f,
			Monitor: &health.Monitor{Counters: r.counters, Rule: health.Rule{Minimum: 1000}, Switch: r.integrations,
				Now: time.Now}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		r.add("a")
		r.add("b")
		r.send("a", "tried")
		time.Sleep(2 * time.Hour)
		require.Equal(t, delivery.Dead, r.queue.get("tried").State)
		require.Equal(t, "of tried", r.queue.get("tried").Fallback.Delivery)
		require.Nil(t, r.queue.get("tried").Fallback.Made)
		require.Equal(t, delivery.Delivered, r.queue.get("of tried").State, "who fails to ask asks again")
		require.Equal(t, "a", r.queue.get("of tried").From.Integration)
		require.Equal(t, health.Tally{Attempts: 1}, r.counters.tally("b"), "it counts as any other")

		r.send("a", "waiting")
		time.Sleep(time.Minute)
		require.Equal(t, delivery.Retrying, r.queue.get("waiting").State)
		a, _ := r.integrations.Get(ctx, "42", "a")
		a.Off = &integration.Off{By: integration.ByPerson}
		r.integrations.set(a)
		r.Recheck("42", "a")
		time.Sleep(time.Second)
		require.Equal(t, delivery.Delivered, r.queue.get("of waiting").State, "it was disabled with that in wait")
		require.Equal(t, []string{"answered 503 Service Unavailable: the receiver is busy or down",
			"the integration was disabled"}, f.reasons())
	})
}

func TestWhatDiesInMessageBatchesFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &toB{}
		s := sender(t, f.transport())
		s.Fallbacks = f
		s.deliver(s.pending("x", "y"))
		s.machine("batch-1")
		require.Equal(t, delivery.Dead, s.batches.get("x").State)
		require.Equal(t, delivery.Pending, s.batches.get("of x").State)
		require.Equal(t, "of y", s.batches.get("y").Fallback.Delivery)
		rest := s.pending("z")
		i := s.integrations.all["i"]
		i.Off = &integration.Off{By: integration.ByPerson}
		s.integrations.set(i)
		f.fails = 1
		require.Error(t, errors.Join(s.Deliver(t.Context(), []worker.MessageBatch{rest})...))
		require.Equal(t, delivery.Pending, s.batches.get("z").State, "it comes again")
		s.deliver(rest)
		require.Equal(t, delivery.Dead, s.batches.get("z").State)
		require.Equal(t, "of z", s.batches.get("z").Fallback.Delivery)
		require.Equal(t, event.CreateUser, s.batches.get("of z").Events[0].Kind)
	})
}
