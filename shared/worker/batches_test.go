package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/worker"
)

// TestABatchIsTakenUpAgainByAnExecutionOfAnotherName: the name of the one that broke off stays used up for 90 days.
func TestABatchIsTakenUpAgainByAnExecutionOfAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
			if sent++; sent < 4 {
				return status(500)
			}
			return status(200)
		})
		s.deliver(s.pending("a"))
		round, err := s.Retry(t.Context(), s.batches.rounds[0])
		require.NoError(t, err)
		require.Equal(t, worker.Round{Batch: "batch-1", Execution: "batch-1", Round: 2, Seconds: 3, More: true}, round)

		require.NoError(t, s.Resume(t.Context(), "batch-1", "m1"))
		require.NoError(t, s.Resume(t.Context(), "batch-1", "m1"), "its message came twice")
		require.Equal(t, []string{"batch-1", "batch-1-m1"}, s.batches.started)
		before := sent
		old, err := s.Retry(t.Context(), round)
		require.NoError(t, err)
		require.False(t, old.More, "the first execution is not at work any more, or ends now")
		require.Equal(t, before, sent, "and sends nothing beside the other")

		require.NoError(t, s.Resume(t.Context(), "batch-1", "m2"))
		s.machine("batch-1-m1")
		require.Equal(t, before, sent)
		s.machine("batch-1-m2")
		require.Equal(t, delivery.Delivered, s.batches.get("a").State)
		require.NoError(t, s.Resume(t.Context(), "batch-2", "m3"), "a batch that is kept no more is done with")
		require.Len(t, s.batches.started, 3)
	})
}

func TestAResumeThatBrokeOffIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(500) })
		s.deliver(s.pending("a"))
		s.batches.failNext["Start"] = errors.New("Step Functions is away")
		require.Error(t, s.Resume(t.Context(), "batch-1", "m1"))
		require.NoError(t, s.Resume(t.Context(), "batch-1", "m1"))
		require.Equal(t, []string{"batch-1", "batch-1-m1"}, s.batches.started)
	})
}

// TestWhatDoesNotFitInOneBatchGoesIntoSeveral: an engine's transaction has an end.
func TestWhatDoesNotFitInOneBatchGoesIntoSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, func(context.Context, destination.Request) (destination.Response, error) { return status(500) })
		s.batches.most = 2
		s.deliver(s.pending("a", "b", "c", "d", "e"))
		require.Equal(t, []string{"batch-1", "batch-2", "batch-3"}, s.batches.started)
		require.Equal(t, 5, s.batches.count(delivery.Retrying))
		for _, name := range s.batches.started {
			require.Len(t, s.machine(name), len(allWaits()))
		}
		require.Equal(t, 5, s.batches.count(delivery.Dead))
	})
}
