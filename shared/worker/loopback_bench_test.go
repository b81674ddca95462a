package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// openedAs opens every integration in the same way.
type openedAs integration.Opened

func (o openedAs) Open(context.Context, integration.Integration) (integration.Opened, error) {
	return integration.Opened(o), nil
}

// BenchmarkHotPathDelivery sends one event at a time to a webhook over loopback: the queue's lease, the message, the
// request with its answer, and the outcome, by as many workers as one integration has. The queue is in memory.
func BenchmarkHotPathDelivery(b *testing.B) {
	var arrived sync.WaitGroup
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Done() }))
	defer receiver.Close()
	systems := catalogue.Default()
	webhook, _, ok := systems.Lookup("web_hooks")
	require.True(b, ok)
	full, err := webhook.Parameters.Complete(json.RawMessage(`{"url":"` + receiver.URL + `","max_events":1}`))
	require.NoError(b, err)
	parameters, err := webhook.Parameters.Open(full)
	require.NoError(b, err)
	queue := newMemory()
	all := &integrations{all: map[string]integration.Integration{}}
	all.set(integration.Integration{ID: "i", Tenant: "42", System: "web_hooks", Revision: 1, Window: 1})
	silent := slog.New(slog.DiscardHandler)
	pool := worker.NewPool(worker.PoolConfig{
		Queue: queue, Outcomes: queue, Integrations: all, Logger: silent,
		Opener: openedAs{System: webhook, Parameters: parameters},
		Sender: &sending.Sender{Destinations: systems, Now: time.Now, Log: silent, Transport: egress.New(
			egress.Policy{Allow: []string{strings.TrimPrefix(receiver.URL, "http://")}}, egress.Options{})},
		Monitor: &health.Monitor{Counters: &tallies{by: map[string]health.Count{}}, Rule: atOnce, Switch: all,
			Now: time.Now},
	})
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { pool.Run(ctx) })
	const batch = 100
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		arrived.Add(batch)
		waiting := make([]delivery.Delivery, batch)
		for k := range waiting {
			n++
			id := fmt.Sprintf("%026d", n)
			waiting[k] = delivery.Delivery{ID: id, Tenant: "42", Integration: "i", State: delivery.Pending, Count: 1,
				Events: []event.Event{{ID: id, Tenant: "42", Kind: event.NewHits, Time: time.Unix(1677628800, 0),
					Data: []byte(`{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1"}}`)}}}
		}
		queue.put(waiting...)
		pool.Wake(delivery.Lane{Tenant: "42", Integration: "i"})
		arrived.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "µs/delivery")
	stop()
	running.Wait()
	require.Equal(b, n, queue.count(delivery.Delivered))
}
