package enginetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/integration"
)

// Backlog is the suite of integration.Backlog over the deliveries of a log.
func Backlog(t *testing.T, open func(t *testing.T) (Log, integration.Backlog)) {
	t.Run("what waits for a retry is counted up to the limit, with the time of the next one", func(t *testing.T) {
		log, backlog := open(t)
		r := &rig{t: t, log: log}
		waiting := func(id string, limit int) integration.Waiting {
			t.Helper()
			w, err := backlog.CountWaiting(t.Context(), "42", id, limit)
			require.NoError(t, err)
			return w
		}
		require.Zero(t, waiting("i", 10))
		all := r.accept(5)
		due := at.Add(time.Hour)
		r.ready(5)
		for n := range all {
			d := &all[n]
			d.State, d.Failures, d.Due, d.Batch = delivery.Retrying, 1, due.Add(time.Duration(n)*time.Minute), "b"
			d.Attempts = []delivery.Attempt{{At: at, Status: 503}}
		}
		all[4].State, all[4].Due, all[4].Batch = delivery.Dead, time.Time{}, ""
		require.NoError(t, log.Settle(t.Context(), all))
		require.Equal(t, integration.Waiting{Count: 4, Next: due.UTC()}, waiting("i", 10))
		require.Equal(t, 3, waiting("i", 3).Count)
		require.Zero(t, waiting("another", 10))
		w, err := backlog.CountWaiting(t.Context(), "43", "i", 10)
		require.NoError(t, err)
		require.Zero(t, w, "another tenant's")
	})
}
