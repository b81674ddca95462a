package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
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

// webhook is the pool's configuration of a webhook at an address, with one event a request.
func webhook(b *testing.B, address string) worker.PoolConfig {
	systems := catalogue.Default()
	system, _, ok := systems.Lookup("web_hooks")
	require.True(b, ok)
	full, err := system.Parameters.Complete(json.RawMessage(`{"url":"` + address + `","max_events":1}`))
	require.NoError(b, err)
	parameters, err := system.Parameters.Open(full)
	require.NoError(b, err)
	all := &integrations{all: map[string]integration.Integration{}}
	all.set(integration.Integration{ID: "i", Tenant: "42", System: "web_hooks", Revision: 1, Window: 1})
	silent := slog.New(slog.DiscardHandler)
	return worker.PoolConfig{
		Integrations: all, Logger: silent, Opener: openedAs{System: system, Parameters: parameters},
		Sender: &sending.Sender{Destinations: systems, Now: time.Now, Log: silent, Transport: egress.New(
			egress.Policy{Allow: []string{strings.TrimPrefix(address, "http://")}}, egress.Options{})},
		Monitor: &health.Monitor{Counters: &tallies{by: map[string]health.Count{}}, Rule: atOnce, Switch: all,
			Now: time.Now},
	}
}

// hit is an event of the kind that nearly all are of.
func hit(id string) event.Event {
	return event.Event{ID: id, Tenant: "42", Kind: event.NewHits, Time: time.Unix(1677628800, 0),
		Data: []byte(`{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1"}}`)}
}

// answers takes requests with a length and a body on loopback, each read at once, and answers them. It allocates
// nothing, so that what a benchmark counts is the sender's.
func answers(b *testing.B) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { _ = l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Wed, 01 Mar 2023 00:00:00 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 2\r\n\r\nok")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 64<<10)
				for {
					if n, err := conn.Read(buf); err != nil || buf[n-1] != ']' { // the end of a payload
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// BenchmarkHotPathWebhook is the worker's share of a delivery and the way out: lease, limit, message, request with its
// answer over loopback, judgement, outcome. The queue and the receiver do next to nothing; cpu-µs/op is of all, user
// and system.
func BenchmarkHotPathWebhook(b *testing.B) {
	c := webhook(b, answers(b))
	queue := &supply{left: b.N, want: b.N, all: make(chan struct{}), events: []event.Event{hit("e")}}
	c.Queue, c.Outcomes = queue, queue
	pool := worker.NewPool(c)
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	running.Go(func() { pool.Run(ctx) })
	pool.Wake(delivery.Lane{Tenant: "42", Integration: "i"})
	<-queue.all
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	b.StopTimer()
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/1e3/float64(b.N), "cpu-µs/op")
	cancel()
	running.Wait()
}

// BenchmarkHotPathDelivery sends one event at a time to a webhook over loopback: the queue's lease, the message, the
// request with its answer, and the outcome, by as many workers as one integration has. The queue is in memory.
func BenchmarkHotPathDelivery(b *testing.B) {
	var arrived sync.WaitGroup
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Done() }))
	defer receiver.Close()
	c := webhook(b, receiver.URL)
	queue := newMemory()
	c.Queue, c.Outcomes = queue, queue
	pool := worker.NewPool(c)
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
				Events: []event.Event{hit(id)}}
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
