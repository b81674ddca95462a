package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/sending/reachability"
	"tocsin/shared/worker"
)

// oneEach is a worker of one process for each integration: none sees more than one.
func oneEach(t *testing.T, count int, c transport) (send func(n int, id string), state func(id string) delivery.State) {
	s := sender(t, c)
	shared := &reachability.Memory{}
	var processes []*worker.Handler
	for n := range count {
		sender := &sending.Sender{
			Destinations: systems{}, Transport: c, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Reachability: shared,
		}
		processes = append(processes, &worker.Handler{
			BatchStore: s.batches,
			Retries:    s.batches,
			Sender:     sender,
			Targets:    sending.NewTargetCache(sender, s.integrations, opener{}),
			Log:        slog.New(slog.DiscardHandler),
			Monitor:    s.Monitor,
			NewID:      s.NewID,
		})
		s.integrations.set(integration.Integration{ID: fmt.Sprintf("i%d", n), Tenant: fmt.Sprint(n), System: "plain",
			Name: fmt.Sprintf("https://host%d.example/", n), Revision: 1, Window: 1})
	}
	send = func(n int, id string) {
		t.Helper()
		tenant, name := fmt.Sprint(n), fmt.Sprintf("i%d", n)
		s.batches.put(
			delivery.Delivery{
				ID:          id,
				Tenant:      tenant,
				Integration: name,
				State:       delivery.Pending,
				Count:       1,
				Events:      []event.Event{user(id)},
			},
		)
		require.NoError(
			t,
			processes[n].Deliver(t.Context(),
				[]worker.MessageBatch{{Tenant: tenant, Integration: name, IDs: []string{id}}})[0],
		)
	}
	return send, func(id string) delivery.State { return s.batches.get(id).State }
}

// TestProcessesThatKnowOneIntegrationEachNoticeThatTheWayOutIsGone: each alone would take it for the fault of its one
// system.
func TestProcessesThatKnowOneIntegrationEachNoticeThatTheWayOutIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 20
		gone := false
		send, state := oneEach(t, count, func(context.Context, destination.Request) (destination.Response, error) {
			if gone {
				return destination.Response{}, noWay
			}
			return status(200)
		})
		for n := range count {
			send(n, fmt.Sprintf("well-%02d", n))
		}
		pass(2 * time.Minute)
		gone = true
		failed := 0
		for n := range count {
			id := fmt.Sprintf("lost-%02d", n)
			if send(n, id); state(id) != delivery.Pending {
				failed++
			}
			pass(100 * time.Millisecond)
		}
		require.LessOrEqual(t, failed, 6, "those before it was noticed")
		gone = false
		for n := range count {
			pass(15 * time.Second)
			id := fmt.Sprintf("back-%02d", n)
			send(n, id)
			require.Equal(t, delivery.Delivered, state(id))
		}
	})
}

// TestDeadSystemsAmongSomeThatWorkAreNotOurFault: six cannot be reached, of six tenants, and fourteen answer elsewhere.
func TestDeadSystemsAmongSomeThatWorkAreNotOurFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, dead = 20, 6
		send, state := oneEach(t, count, func(_ context.Context, q destination.Request) (destination.Response, error) {
			for n := range dead {
				if q.URL == fmt.Sprintf("https://host%d.example/", n) {
					return destination.Response{}, noWay
				}
			}
			return status(200)
		})
		for round := range 5 {
			for n := count - 1; n >= 0; n-- {
				id := fmt.Sprintf("d%d-%02d", round, n)
				send(n, id)
				if n < dead {
					require.NotEqual(t, delivery.Delivered, state(id))
					if round < 3 { // then its breaker spares it
						require.Equal(t, delivery.Retrying, state(id), "its failure counts")
					}
				} else {
					require.Equal(t, delivery.Delivered, state(id))
				}
			}
			pass(20 * time.Second)
		}
	})
}
