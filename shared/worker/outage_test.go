package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/worker"
)

var noWay = &egress.Failure{Kind: egress.Unreachable, Reason: "there is no way to its network"}

// TestADeadReceiverIsProbedAndNobodysWaitsAreUsedUp: while nothing answers, one delivery at a time is tried.
func TestADeadReceiverIsProbedAndNobodysWaitsAreUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var attempts []time.Duration
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, time.Since(began))
			if time.Since(began) < 5*time.Minute {
				return destination.Response{}, errors.New("connection refused")
			}
			return status(200)
		})
		r.integrations.set(integration.Integration{ID: "i", Tenant: "42", System: "plain", Name: "i", Revision: 1,
			Window:        0,
			Subscriptions: []integration.Subscription{{Event: event.System}}})
		var ids []string
		for n := range 200 {
			ids = append(ids, fmt.Sprintf("d%03d", n))
		}
		r.send("i", ids...)
		pass(5*time.Minute - time.Second) // a probe at five minutes would be answered already
		mu.Lock()
		tried := len(attempts)
		mu.Unlock()
		require.Less(t, tried, 80, "a probe in 15 seconds, and the waits of what was probed")
		require.Greater(t, tried, 15)
		untouched := 0
		for _, id := range ids {
			if len(r.queue.get(id).Attempts) == 0 {
				untouched++
			}
		}
		require.Greater(t, untouched, 150)
		require.Zero(t, r.queue.count(delivery.Dead))
		pass(40 * time.Minute)
		require.Equal(t, 200, r.queue.count(delivery.Delivered), "the first answer opens the way again")
		r.stop()
	})
}

// TestOneDeliveryKeepsTheProductsWaitsThoughNothingAnswers: 1, 3, 5, 10, 10 / 0, 1, 3, 5, 30 s.
func TestOneDeliveryKeepsTheProductsWaitsThoughNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var attempts []time.Duration
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			attempts = append(attempts, time.Since(began).Round(time.Second))
			return destination.Response{}, errors.New("connection refused")
		})
		r.integrations.set(integration.Integration{ID: "i", Tenant: "42", System: "plain", Name: "i", Revision: 1})
		r.send("i", "d")
		pass(time.Hour)
		want, at := []time.Duration{0}, time.Duration(0)
		for _, s := range []int{1, 3, 5, 10, 10, 0, 1, 3, 5, 30, 60, 60, 180, 300, 600, 1800} {
			at += time.Duration(s) * time.Second
			want = append(want, at)
		}
		require.Equal(t, want, attempts)
		require.Equal(t, delivery.Dead, r.queue.get("d").State)
		r.stop()
	})
}

// TestTheWayOutIsGoneForTenMinutesAcrossFiftyTenants: nobody is disabled for it, and no delivery pays for it.
func TestTheWayOutIsGoneForTenMinutesAcrossFiftyTenants(t *testing.T) { theWayOutIsGone(t, "") }

// TestTheWayOutIsGoneForWhatAsksForATokenFirst: only the requests behind a token were looked at.
func TestTheWayOutIsGoneForWhatAsksForATokenFirst(t *testing.T) { theWayOutIsGone(t, "#token") }

func theWayOutIsGone(t *testing.T, suffix string) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		gone := func() bool { return time.Since(began) > time.Minute && time.Since(began) < 11*time.Minute }
		r := start(t, worker.Limits{}, func(_ context.Context, q destination.Request) (destination.Response, error) {
			switch {
			case gone():
				return destination.Response{}, noWay
			case strings.HasSuffix(q.URL, "/token"):
				return destination.Response{Status: 200, Body: []byte(`{"access_token":"t","expires_in":1}`)}, nil
			}
			return status(200)
		})
		for tenant := range 50 {
			r.integrations.set(integration.Integration{ID: fmt.Sprintf("i%d", tenant), Tenant: fmt.Sprint(tenant),
				System: "plain",
				Name:   fmt.Sprintf("https://host%d.example/%s", tenant, suffix), Revision: 1, Window: 1})
		}
		n := 0
		for time.Since(began) < 15*time.Minute { // an event a tenant in twenty seconds
			for tenant := range 50 {
				id := fmt.Sprintf("d%05d", n)
				n++
				lane := delivery.Lane{Tenant: fmt.Sprint(tenant), Integration: fmt.Sprintf("i%d", tenant)}
				r.queue.put(delivery.Delivery{ID: id, Tenant: lane.Tenant, Integration: lane.Integration,
					State: delivery.Pending, Count: 1, Events: []event.Event{user(id)}})
				r.Wake(lane)
			}
			pass(20 * time.Second)
		}
		pass(time.Minute)
		require.Equal(t, n, r.queue.count(delivery.Delivered),
			"all of it arrived within a minute after the way was back")
		failed := 0
		for k := range n {
			d := r.queue.get(fmt.Sprintf("d%05d", k))
			failed += len(d.Attempts) - 1
		}
		require.Less(t, failed, 50, "only what failed before it was noticed has an attempt for it")
		for tenant := range 50 {
			i, err := r.integrations.Get(t.Context(), fmt.Sprint(tenant), fmt.Sprintf("i%d", tenant))
			require.NoError(t, err)
			require.True(t, i.Enabled())
		}
		r.stop()
	})
}

// TestTheOutageOfOneSystemIsNotOurs: fifty channels share a host that can not be reached.
func TestTheOutageOfOneSystemIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, worker.Limits{}, func(_ context.Context, q destination.Request) (destination.Response, error) {
			if q.URL == "https://hooks.slack.com/x" {
				return destination.Response{}, noWay
			}
			return status(200)
		})
		for tenant := range 50 {
			r.integrations.set(integration.Integration{ID: fmt.Sprintf("i%d", tenant), Tenant: fmt.Sprint(tenant),
				System: "plain",
				Name:   "https://hooks.slack.com/x", Revision: 1, Window: 1})
			id := fmt.Sprintf("d%02d", tenant)
			r.queue.put(delivery.Delivery{ID: id, Tenant: fmt.Sprint(tenant), Integration: fmt.Sprintf("i%d", tenant),
				State: delivery.Pending, Count: 1, Events: []event.Event{user(id)}})
			r.Wake(delivery.Lane{Tenant: fmt.Sprint(tenant), Integration: fmt.Sprintf("i%d", tenant)})
		}
		pass(40 * time.Second)
		for tenant := range 50 {
			require.GreaterOrEqual(t, len(r.queue.get(fmt.Sprintf("d%02d", tenant)).Attempts), 5)
		}
		r.stop()
	})
}

// TestABatchToADeadReceiverIsProbedWithOneMember is the same for the batch worker: a function's time costs money.
func TestABatchToADeadReceiverIsProbedWithOneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := true
		requests := 0
		var mu sync.Mutex
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			requests++
			if dead {
				return destination.Response{}, errors.New("connection refused")
			}
			return status(200)
		})
		var list []string
		for n := range 50 {
			list = append(list, fmt.Sprintf("d%02d", n))
		}
		s.deliver(s.pending(list...))
		require.LessOrEqual(t, requests, 5, "the first that get no answer are enough")
		require.NotEmpty(t, s.batches.enqueued, "the others are handed out again")
		require.GreaterOrEqual(t, slices.Max(s.batches.after), 30*time.Second)
		members := s.batches.count(delivery.Retrying)
		round, err := s.Retry(t.Context(), worker.Round{Batch: "batch-1"})
		require.NoError(t, err)
		requests = 0
		pass(time.Minute)
		round, err = s.Retry(t.Context(), round)
		require.NoError(t, err)
		require.Equal(t, 1, requests, "a round probes with one of %d members", members)
		require.True(t, round.More)
		dead, requests = false, 0
		for range 10 {
			pass(time.Duration(round.Seconds) * time.Second)
			if round, err = s.Retry(t.Context(), round); !round.More {
				break
			}
			require.NoError(t, err)
		}
		require.Equal(t, members, s.batches.count(delivery.Delivered), "the first answer opens the way again")
	})
}

// TestTheWayOutIsGoneForABatchWorker: deliveries go back to the queue as they were.
func TestTheWayOutIsGoneForABatchWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := true
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			if gone {
				return destination.Response{}, noWay
			}
			return status(200)
		})
		var messages []worker.MessageBatch
		for tenant := range 20 {
			id, name := fmt.Sprintf("i%d", tenant), fmt.Sprint(tenant)
			s.integrations.set(integration.Integration{ID: id, Tenant: name, System: "plain",
				Name: fmt.Sprintf("https://host%d.example/", tenant), Revision: 1, Window: 1})
			d := fmt.Sprintf("d%02d", tenant)
			s.batches.put(delivery.Delivery{ID: d, Tenant: name, Integration: id, State: delivery.Pending, Count: 1,
				Events: []event.Event{user(d)}})
			messages = append(messages, worker.MessageBatch{Tenant: name, Integration: id, IDs: []string{d}})
		}
		s.deliver(messages...)
		require.GreaterOrEqual(t, s.batches.count(delivery.Pending), 15, "as they were, all but the first few")
		require.GreaterOrEqual(t, len(s.batches.enqueued), 15, "and handed out again")
		gone = false
		pass(time.Minute)
		s.deliver(s.batches.enqueued...)
		require.Zero(t, s.batches.count(delivery.Pending))
	})
}

// TestAFaultThatIsCertainlyOursCountsAgainstNobodyHoweverFewItMeets: one integration behind a proxy that refuses our
// password.
func TestAFaultThatIsCertainlyOursCountsAgainstNobodyHoweverFewItMeets(t *testing.T) {
	for _, ours := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
				time.Sleep(10 * time.Millisecond)
				return destination.Response{}, &egress.Failure{Kind: egress.ByProxy, Reason: "407", Ours: ours}
			})
			defer r.stop()
			r.add("a")
			for n := range 200 {
				r.send("a", fmt.Sprintf("d%03d", n))
			}
			pass(20 * time.Minute)
			i, err := r.integrations.Get(t.Context(), "42", "a")
			require.NoError(t, err)
			require.Equal(t, ours, i.Enabled())
			if ours {
				require.NotZero(t, r.queue.count(delivery.Retrying)+r.queue.count(delivery.Pending), "it is tried on")
			}
		})
	}
}
