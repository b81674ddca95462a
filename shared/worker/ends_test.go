package worker_test

import (
	"context"
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
	"tocsin/shared/worker"
)

func latencies(took ...time.Duration) (l health.Latencies) {
	for _, d := range took {
		l.Add(d)
	}
	return l
}

func TestWhatEndsIsCountedWithTheTimeSinceItsEventArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		code.Store(200)
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			time.Sleep(200 * time.Millisecond)
			return status(int(code.Load()))
		})
		defer r.stop()
		r.add("a")
		var hold *delivery.Held
		put := func(id string, before ...delivery.Attempt) {
			r.queue.put(delivery.Delivery{ID: id, Tenant: "42", Integration: "a", State: delivery.Pending, Count: 1,
				CreatedAt: time.Now(), Events: []event.Event{user(id)}, Attempts: before,
				Held: hold})
			r.Wake(delivery.Lane{Tenant: "42", Integration: "a"})
			time.Sleep(300 * time.Millisecond)
		}
		put("at once")
		hold = &delivery.Held{By: "quiet", Until: time.Now()}
		put("held")
		hold = nil
		put("arrived before", delivery.Attempt{At: time.Now(), Status: 200, Delivered: true})
		code.Store(500)
		put("retried")
		code.Store(200)
		time.Sleep(time.Minute)
		require.Equal(t, health.Ended{Delivered: 4,
			Latencies: latencies(200*time.Millisecond, 1400*time.Millisecond)}, r.counted("a"))
		code.Store(500)
		put("off")
		i, _ := r.integrations.Get(t.Context(), "42", "a")
		i.Off = &integration.Off{By: integration.ByPerson}
		r.integrations.set(i)
		r.Recheck("42", "a")
		synctest.Wait()
		require.Equal(t, 1, r.counted("a").Dead, "what waited when it was disabled")
	})
}

func TestWhatMessageBatchesEndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(503) })
		s.deliver(s.pending("a", "b"))
		s.machine("batch-1")
		require.Equal(t, health.Ended{Dead: 2}, ended(s.Monitor.Counters, "i"), "their waits are used up")
		rest := s.pending("c")
		i := s.integrations.all["i"]
		i.Off = &integration.Off{By: integration.ByPerson}
		s.integrations.set(i)
		s.deliver(rest)
		require.Equal(t, health.Ended{Dead: 3}, ended(s.Monitor.Counters, "i"), "it is disabled")
	})
}

func (r *rig) counted(id string) health.Ended { return ended(r.counters, id) }

func ended(c health.Counters, id string) health.Ended {
	points, err := c.Series(context.Background(), "42", id, 1, time.Time{})
	if err != nil {
		panic(err)
	}
	var sum health.Ended
	for _, p := range points {
		sum.Merge(p.Ended)
	}
	return sum
}
