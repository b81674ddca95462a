package worker_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/health"
	"tocsin/shared/worker"
)

// Stranded finds them in one group.
func (s *batches) Stranded(_ context.Context, before time.Time, visit func([]delivery.Delivery) error) error {
	return visit(delivery.StrandedOf(s.All(), before))
}

// Replay begins a new run of one.
func (s *batches) Replay(_ context.Context, r delivery.Replay) (int, string, error) {
	d := s.get(r.ID)
	d.State, d.Failures, d.Batch, d.Due = delivery.Pending, 0, "", time.Time{}
	s.put(d)
	return 1, "", nil
}

// TestRetriesThatNoExecutionWorksAtAreTakenUpAgain: one was stopped, one is at work and waits for Lambda, one lost its
// batch in a restore, one is not overdue.
func TestRetriesThatNoExecutionWorksAtAreTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		code := 500
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(code) })
		for _, id := range []string{"stopped", "working", "restored"} {
			s.deliver(s.pending(id)) // batch-1 to batch-3
		}
		s.batches.running["batch-2"] = true
		s.batches.Forget("batch-3")
		pass(2 * time.Hour)
		s.deliver(s.pending("young")) // batch-4
		code = 200
		w := &worker.Sweeper{
			Stranded: s.batches, Batches: s.batches, Retries: s.batches, Resume: s.Resume, Now: time.Now,
			Log: slog.New(slog.DiscardHandler),
		}
		want := worker.Swept{Deliveries: 3, Running: 1, Batches: 1, Alone: 1}
		got, err := w.Sweep(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Len(t, s.batches.started, 4, "a dry run only counts")
		require.Equal(t, delivery.Retrying, s.batches.get("restored").State)

		got, err = w.Sweep(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, delivery.Pending, s.batches.get("restored").State, "it begins a new run")
		require.Len(t, s.batches.started, 5)
		again := s.batches.started[4]
		require.Contains(t, again, "batch-1-swept-")
		_, err = w.Sweep(t.Context(), false)
		require.NoError(t, err)
		require.Len(t, s.batches.started, 5, "once an hour")
		s.machine(again)
		require.Equal(t, delivery.Delivered, s.batches.get("stopped").State)
		require.Equal(t, delivery.Retrying, s.batches.get("working").State, "it is left alone")
	})
}

// TestABadMinuteSwitchesNothingOff: two events meet a system that is down for a minute.
func TestABadMinuteSwitchesNothingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			if time.Since(began) < time.Minute {
				return status(503)
			}
			return status(200)
		})
		s.Monitor.Rule = health.Rule{} // the product's
		s.deliver(s.pending("a", "b"))
		s.machine("batch-1")
		i, err := s.integrations.Get(t.Context(), "42", "i")
		require.NoError(t, err)
		require.True(t, i.Enabled())
		for _, id := range []string{"a", "b"} {
			require.Equal(t, delivery.Delivered, s.batches.get(id).State, id)
		}
		require.Less(t, time.Since(began), 3*time.Minute)
	})
}
