package worker_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/worker"
)

// day is a time of day that can be set; timers do not notice.
type day struct{ shift atomic.Int64 }

func (d *day) now() time.Time       { return time.Now().Round(0).Add(time.Duration(d.shift.Load())) }
func (d *day) set(by time.Duration) { d.shift.Add(int64(by)) }

func TestH27RetriesKeepTheirTimeWhateverTheClockDoes(t *testing.T) {
	for name, c := range map[string]struct {
		step time.Duration
		at   time.Duration // when the clock is set, after the first attempt
		want []float64
	}{
		"nothing happens":         {0, 0, []float64{0, 1, 4, 9, 19, 29}},
		"it goes back by an hour": {-time.Hour, 10500 * time.Millisecond, []float64{0, 1, 4, 9, 19, 29}},
		"it goes back by half a minute": {-30 * time.Second, 10500 * time.Millisecond,
			[]float64{0, 1, 4, 9, 19, 29}},
		"it goes back by a day": {-24 * time.Hour, 10500 * time.Millisecond,
			[]float64{0, 1, 4, 9, 19, 29}},
		"the machine sleeps for 25 minutes": {25 * time.Minute, 10500 * time.Millisecond,
			[]float64{0, 1, 4, 9, 11, 21}},
		"it goes back by less than it counts": {-time.Second, 10500 * time.Millisecond, []float64{0, 1, 4, 9, 20, 30}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, d := time.Now(), &day{}
				var at []float64
				r := startOn(t, newMemory(), worker.Limits{}, slog.New(slog.DiscardHandler), d.now,
					func(context.Context, destination.Request) (destination.Response, error) {
						at = append(at, time.Since(begin).Seconds())
						return status(503)
					})
				defer r.stop()
				r.add("a")
				r.send("a", "d1")
				pass(c.at)
				d.set(c.step)
				pass(31*time.Second - c.at)
				r.stop()
				require.GreaterOrEqual(t, len(at), len(c.want), at)
				for n, want := range c.want {
					require.InDelta(t, want, at[n], 1.1, "attempt %d of %v", n, at)
				}
			})
		})
	}
}

func TestH27WhatAClockOfTomorrowLeftIsSentAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, sent := time.Now(), time.Duration(-1)
		queue := newMemory()
		queue.put(delivery.Delivery{ID: "d1", Tenant: "42", Integration: "a", State: delivery.Retrying, Count: 1,
			Due:    begin.Add(24 * time.Hour),
			Events: []event.Event{user("d1")}})
		ready := make(chan struct{})
		now := func() time.Time { <-ready; return time.Now() }
		r := startOn(t, queue, worker.Limits{}, slog.New(slog.DiscardHandler), now,
			func(context.Context, destination.Request) (destination.Response, error) {
				sent = time.Since(begin)
				return status(200)
			})
		defer r.stop()
		r.add("a")
		close(ready)
		pass(time.Minute)
		require.GreaterOrEqual(t, sent, time.Duration(0), "it was sent")
		require.Less(t, sent, 5*time.Second, "not in 24 hours")
	})
}
