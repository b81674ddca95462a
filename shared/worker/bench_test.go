package worker_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/metrics"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/trace"
	"tocsin/shared/worker"
)

// supply is a queue that holds as many deliveries of one lane as a benchmark asks for.
type supply struct {
	mu            sync.Mutex
	left, settled int
	all           chan struct{} // closed when the last one is settled
	want          int
	events        []event.Event
}

func (s *supply) Waiting(context.Context, time.Time) ([]delivery.Lane, time.Time, error) {
	return nil, time.Time{}, nil
}

func (s *supply) Lease(_ context.Context, l delivery.Lane, limit int, _, now, _ time.Time) ([]delivery.Delivery,
	error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Retry {
		return nil, nil
	}
	out := make([]delivery.Delivery, min(limit, s.left))
	for n := range out {
		out[n] = delivery.Delivery{ID: strconv.Itoa(s.left - n), Tenant: l.Tenant, Integration: l.Integration,
			State: delivery.Pending, CreatedAt: now, Count: 1, Events: s.events}
	}
	s.left -= len(out)
	return out, nil
}

func (s *supply) Closes(delivery.Lane) time.Time { return time.Time{} }

func (s *supply) Hasten(context.Context, time.Time, time.Time, time.Duration) error { return nil }

func (s *supply) Release(context.Context, []delivery.Delivery) error { return nil }

func (s *supply) Settle(_ context.Context, deliveries []delivery.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled += len(deliveries); s.settled == s.want {
		close(s.all)
	}
	return nil
}

// BenchmarkHotPathPool is the worker's share of one delivery: lease, limit, encode, judge, settle and count, without
// an engine and without a network.
func BenchmarkHotPathPool(b *testing.B) { benchmarkPool(b, nil, nil) }

// BenchmarkHotPathPoolMetered is the same with metrics.
func BenchmarkHotPathPoolMetered(b *testing.B) {
	benchmarkPool(b, metrics.NewRegistry([]string{"plain"}), nil)
}

// BenchmarkHotPathPoolTraced is the same with a span for each attempt, which nobody receives.
func BenchmarkHotPathPoolTraced(b *testing.B) {
	benchmarkPool(b, nil, trace.New(&trace.Config{Ratio: 1}, nil, slog.New(slog.DiscardHandler)))
}

func benchmarkPool(b *testing.B, meter metrics.Sink, tracer *trace.Tracer) {
	queue := &supply{left: b.N, want: b.N, all: make(chan struct{}), events: []event.Event{user("e")}}
	all := &integrations{all: map[string]integration.Integration{}}
	all.set(integration.Integration{ID: "i", Tenant: "42", System: "plain", Name: "i", Revision: 1, Window: 1})
	pool := worker.NewPool(worker.PoolConfig{
		Queue: queue, Outcomes: queue, Integrations: all, Opener: opener{}, Meter: meter,
		Logger: slog.New(slog.DiscardHandler),
		Sender: &sending.Sender{Destinations: systems{}, Schedule: retry.Schedule{}, Now: time.Now, Tracer: tracer,
			Transport: transport(func(context.Context, destination.Request) (destination.Response, error) {
				return destination.Response{Status: 200}, nil
			}), Log: slog.New(slog.DiscardHandler)},
		Monitor: &health.Monitor{Counters: &tallies{by: map[string]health.Count{}}, Switch: all, Now: time.Now},
	})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(done)
		pool.Run(ctx)
	}()
	pool.Wake(delivery.Lane{Tenant: "42", Integration: "i"})
	<-queue.all
	b.StopTimer()
	cancel()
	<-done
}
