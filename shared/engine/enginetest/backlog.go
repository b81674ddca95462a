package enginetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/integration"
)

// Backlog is the suite of integration.Backlog over the deliveries of a log.
func Backlog(t *testing.T, open func(t *testing.T) (Log, integration.Backlog)) {
	t.Run("what waits for a retry is counted up to the limit, with the time of the next one", func(t *testing.T) {
		t.Parallel()
		log, backlog := open(t)
		r := &Rig{T: t, Log: log}
		waiting := func(id string, limit int) integration.Waiting {
			t.Helper()
			w, err := backlog.CountWaiting(t.Context(), "42", id, limit)
			require.NoError(t, err)
			w.Floor = false // the engines differ
			return w
		}
		require.Zero(t, waiting("i", 10))
		all := r.Accept(5)
		due := At.Add(time.Hour)
		r.Ready(5)
		for n := range all {
			d := &all[n]
			d.State, d.Failures, d.Due, d.Batch = delivery.Retrying, 1, due.Add(time.Duration(n)*time.Minute), "b"
			d.Attempts = []delivery.Attempt{{At: At, Status: 503}}
		}
		all[4].State, all[4].Due, all[4].Batch = delivery.Dead, time.Time{}, ""
		require.NoError(t, log.Settle(t.Context(), all))
		require.Equal(t, integration.Waiting{Count: 4, Next: due.UTC()}, waiting("i", 10))
		require.Equal(t, 3, waiting("i", 3).Count)
		require.Zero(t, waiting("another", 10))
		w, err := backlog.CountWaiting(t.Context(), "43", "i", 10)
		require.NoError(t, err)
		require.Zero(t, w.Count, "another tenant's")
		countsManyAsOne(t, backlog)
	})
	t.Run("what is dead is counted from a time on, up to the limit", func(t *testing.T) {
		t.Parallel()
		log, backlog := open(t)
		r := &Rig{T: t, Log: log}
		dead := func(tenant, id string, from time.Time, limit int) int {
			t.Helper()
			n, err := backlog.CountDead(t.Context(), tenant, id, from, limit)
			require.NoError(t, err)
			return n
		}
		require.Zero(t, dead("42", "i", At.Add(-time.Hour), 10))
		all := r.Accept(5)
		r.Ready(5)
		for n := range all {
			all[n].State, all[n].Reason, all[n].Attempts = delivery.Dead, "503",
				[]delivery.Attempt{{At: At, Status: 503}}
		}
		all[0].State = delivery.Delivered
		all[0].Attempts = []delivery.Attempt{{At: At, Status: 200, Delivered: true}}
		require.NoError(t, log.Settle(t.Context(), all))
		require.Equal(t, 4, dead("42", "i", At.Add(-time.Hour), 10))
		require.Equal(t, 3, dead("42", "i", At.Add(-time.Hour), 3))
		require.Equal(t, 2, dead("42", "i", all[3].CreatedAt, 10), "those made before are not of it")
		require.Zero(t, dead("42", "i", At.Add(time.Hour), 10))
		require.Zero(t, dead("42", "another", At.Add(-time.Hour), 10))
		require.Zero(t, dead("43", "i", At.Add(-time.Hour), 10), "another tenant's")
	})
}

// countsManyAsOne holds the count of many integrations to that of each. They are more than an engine reads in a call.
func countsManyAsOne(t *testing.T, backlog integration.Backlog) {
	t.Helper()
	ids := []string{"another", "i", "nowhere"}
	of := func(tenant, id string) integration.Waiting {
		w, err := backlog.CountWaiting(t.Context(), tenant, id, 3)
		require.NoError(t, err)
		return w
	}
	for n := range 230 {
		ids = append(ids, fmt.Sprint("nowhere ", n))
	}
	ids[1], ids[217] = ids[217], ids[1] // the one that something waits for
	for _, tenant := range []string{"42", "43"} {
		nothing := of(tenant, "nowhere")
		for _, few := range []int{0, 3, len(ids)} {
			several, err := backlog.CountWaitingOf(t.Context(), tenant, ids[:few], 3)
			require.NoError(t, err)
			require.Len(t, several, few)
			for n, id := range ids[:few] {
				want := nothing
				if id == "i" || id == "another" {
					want = of(tenant, id)
				}
				require.Equal(t, want, several[n], "%s of %s", id, tenant)
			}
		}
		several, err := backlog.CountWaitingOf(t.Context(), tenant, []string{"another", "i", "nowhere"}, 3)
		require.NoError(t, err)
		require.Equal(t, []integration.Waiting{of(tenant, "another"), of(tenant, "i"), nothing}, several)
	}
}
