package enginetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

func listing(run runner) {
	run("the list merges all states, newest first", func(t *testing.T, r *Rig) {
		all := r.Accept(8)
		leased := r.Ready(6)
		settled := []delivery.Delivery{Arrived(leased[0]), Failed(leased[1], At.Add(time.Hour)),
			Failed(leased[2], At).Kill("dead"), Arrived(leased[3])}
		require.NoError(t, r.Log.Settle(t.Context(), settled))
		list := func(q delivery.Query) []string {
			t.Helper()
			q.Tenant, q.Integration = "42", "i"
			if q.Limit == 0 {
				q.Limit = 100
			}
			got, err := r.Log.List(t.Context(), q)
			require.NoError(t, err)
			for _, d := range got {
				require.Equal(t, 1, d.Count)
				require.Equal(t, []event.Kind{event.CreateUser}, d.Kinds)
				require.Empty(t, d.Events)
			}
			return IDs(got)
		}
		reversed := func(index ...int) []string {
			out := []string{}
			for _, i := range index {
				out = append(out, all[i].ID)
			}
			return out
		}
		require.Equal(t, reversed(7, 6, 5, 4, 3, 2, 1, 0), list(delivery.Query{}))
		require.Equal(t, reversed(7, 6, 5), list(delivery.Query{Limit: 3}))
		require.Equal(t, reversed(4, 3, 2), list(delivery.Query{Limit: 3, Before: all[5].ID}))
		require.Equal(t, reversed(3, 0), list(delivery.Query{States: []delivery.State{delivery.Delivered}}))
		require.Equal(t, reversed(2), list(delivery.Query{States: []delivery.State{delivery.Dead}}))
		require.Equal(t, reversed(2, 1),
			list(delivery.Query{States: []delivery.State{delivery.Dead, delivery.Retrying}}))
		require.Equal(t, reversed(7, 6, 5, 4), list(delivery.Query{States: []delivery.State{delivery.Pending}}))
		require.Equal(t, reversed(4, 3, 2), list(delivery.Query{From: all[2].CreatedAt, To: all[5].CreatedAt}),
			"from included, to not")
		none, err := r.Log.List(t.Context(), delivery.Query{Tenant: "43", Integration: "i", Limit: 10})
		require.NoError(t, err)
		require.Empty(t, none)
	})
	run("another tenant's delivery is not found", func(t *testing.T, r *Rig) {
		d := r.Accept(1)[0]
		for _, k := range [][3]string{{"43", "i", d.ID}, {"42", "other", d.ID},
			{"42", "i", "01GTD8R4000000000000000001"}} {
			_, err := r.Log.Get(t.Context(), k[0], k[1], k[2])
			require.ErrorIs(t, err, delivery.ErrNotFound)
		}
	})
}

func follows(run runner) {
	run("what an attempt did with what others had made is kept", func(t *testing.T, r *Rig) {
		r.Accept(3)
		leased := r.Ready(3)
		for n, did := range []*delivery.Followed{{Made: true}, {}, {Reference: "INC1"}} {
			leased[n] = Arrived(leased[n])
			leased[n].Attempts[0].Followed = did
		}
		require.NoError(t, r.Log.Settle(t.Context(), leased))
		for _, d := range leased {
			require.Equal(t, d.Attempts, r.Get(d.ID).Attempts)
		}
	})
}

func replays(run runner) {
	ended := func(r *Rig, count int) []delivery.Delivery {
		r.Accept(count)
		leased := r.Ready(count)
		for i, d := range leased {
			if leased[i] = Failed(d, At).Kill("dead"); i%2 == 1 {
				leased[i] = Arrived(d)
			}
		}
		require.NoError(r.T, r.Log.Settle(r.T.Context(), leased))
		return leased
	}
	run("one delivery is sent again under its id, with its history", func(t *testing.T, r *Rig) {
		d := ended(r, 1)[0]
		n, after, err := r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, after)
		got := r.Ready(10)
		require.Len(t, got, 1)
		require.Equal(t, d.ID, got[0].ID)
		require.Equal(t, d.Attempts, got[0].Attempts)
		require.Zero(t, got[0].Failures, "a new run of the cycles")
		require.Equal(t, d.Parts, got[0].Parts, "what arrived is known to the new run")
		require.Len(t, got[0].Parts, 3)
		require.Empty(t, got[0].Reason)
		n, _, err = r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
		require.NoError(t, err)
		require.Zero(t, n, "it is on its way already")
		_, _, err = r.Log.Replay(t.Context(), delivery.Replay{Tenant: "43", Integration: "i", ID: d.ID, Limit: 1})
		require.ErrorIs(t, err, delivery.ErrNotFound)
	})
	run("a range is replayed in steps", func(t *testing.T, r *Rig) {
		all := ended(r, 10) // the even ones are dead
		count, steps := 0, 0
		for after := ""; ; {
			n, next, err := r.Log.Replay(t.Context(),
				delivery.Replay{Tenant: "42", Integration: "i", From: all[2].CreatedAt, To: all[9].CreatedAt,
					After: after, Limit: 2})
			require.NoError(t, err)
			count += n
			if steps++; next == "" {
				break
			}
			after = next
		}
		require.Equal(t, 4, count, "dead ones only, when no state is named")
		require.GreaterOrEqual(t, steps, 2)
		require.Equal(t, []string{all[2].ID, all[4].ID, all[6].ID, all[8].ID}, IDs(r.Ready(10)))
	})
	run("delivered ones are replayed when asked for", func(t *testing.T, r *Rig) {
		ended(r, 4)
		n, _, err := r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i",
			States: []delivery.State{delivery.Delivered}, Limit: 100})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, _, err = r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", States: delivery.States(),
			Limit: 100})
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
}
