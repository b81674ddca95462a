package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

func falling(run runner) {
	run("a delivery that dies makes that of its fallback, which has its events and says where they come from",
		deadFallsBack)
	run("the same death again makes none", fallsBackOnce)
	run("a death that comes too late makes none", tooLateToFallBack)
	run("events that have arrived do not fall back", onlyWhatDidNotArrive)
	run("what was not made says why, and what fell back is sent again under its old id", replayAfterFallback)
}

// dying is a delivery that died and falls back to the integration j.
func dying(d delivery.Delivery) delivery.Delivery {
	d = Failed(d, At).Kill("gave up")
	made := delivery.Delivery{ID: delivery.FallbackID(d, "j"), Tenant: d.Tenant, Integration: "j",
		State: delivery.Pending, CreatedAt: d.CreatedAt, Kinds: d.Kinds, Count: d.Count, Events: d.Events,
		From: &delivery.From{Integration: "i", Name: "On call", Delivery: d.ID, Reason: "gave up"}}
	d.Fallback = &delivery.Fallback{Integration: "j", Delivery: made.ID, Made: &made}
	return d
}

func kept(d delivery.Delivery) delivery.Delivery {
	to := *d.Fallback
	to.Made = nil
	d.Fallback = &to
	return d
}

func (r *Rig) ofFallback(limit int) []delivery.Delivery {
	r.T.Helper()
	return r.Log.Ready(r.T, "42", "j", limit)
}

func deadFallsBack(t *testing.T, r *Rig) {
	r.Accept(2)
	ready := r.Ready(2)
	dead := dying(ready[0])
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{dead, Arrived(ready[1])}))
	require.Equal(t, kept(dead), r.Get(dead.ID))
	require.Equal(t, Arrived(ready[1]), r.Get(ready[1].ID))
	made, err := r.Log.Get(t.Context(), "42", "j", dead.Fallback.Delivery)
	require.NoError(t, err)
	require.Equal(t, *dead.Fallback.Made, made)
	require.Equal(t, []delivery.Delivery{*dead.Fallback.Made}, r.ofFallback(10), "it is to be sent")
	listed, err := r.Log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "j", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, made.From, listed[0].From)
	made.Attempts = nil
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(made)}))
	sent, err := r.Log.Get(t.Context(), "42", "j", made.ID)
	require.NoError(t, err)
	require.Equal(t, made.From, sent.From, "that never changes")
}

func fallsBackOnce(t *testing.T, r *Rig) {
	r.Accept(1)
	dead := dying(r.Ready(1)[0])
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{dead}))
	first := r.ofFallback(10)
	require.Len(t, first, 1)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(first[0])}))
	n, _, err := r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: dead.ID, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, r.Ready(1), 1)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{dead}), "as if nobody knew that it fell back")
	require.Equal(t, delivery.Dead, r.Get(dead.ID).State)
	require.Empty(t, r.ofFallback(10))
	has, err := r.Log.Get(t.Context(), "42", "j", first[0].ID)
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, has.State)
}

func tooLateToFallBack(t *testing.T, r *Rig) {
	r.Accept(2)
	ready := r.Ready(2)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(ready[0])}))
	late, dead := dying(ready[0]), dying(ready[1])
	err := r.Log.Settle(t.Context(), []delivery.Delivery{late, dead})
	var ended *delivery.NotWaitingError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, []string{late.ID}, ended.IDs)
	require.Equal(t, []string{dead.Fallback.Delivery}, IDs(r.ofFallback(10)))
	require.Equal(t, Arrived(ready[0]), r.Get(late.ID))
}

func onlyWhatDidNotArrive(t *testing.T, r *Rig) {
	accepted := r.Publish(4)
	in := Made("i", accepted...)
	require.NoError(t, r.Log.Accept(t.Context(), fanout.Intake{Accepted: accepted,
		Deliveries: []delivery.Delivery{in}}))
	dead := r.Ready(1)[0]
	dead.Parts = []delivery.Part{{Key: "k", From: 1, To: 3, State: delivery.PartDelivered}}
	require.Equal(t, []int{0, 3}, dead.Undelivered())
	dead = dying(dead)
	made := dead.Fallback.Made
	made.Events, made.Count = []event.Event{dead.Events[0], dead.Events[3]}, 2
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{dead}))
	require.Equal(t, []delivery.Delivery{*made}, r.ofFallback(10))
}

func replayAfterFallback(t *testing.T, r *Rig) {
	r.Accept(1)
	dead := Failed(r.Ready(1)[0], At).Kill("gave up")
	dead.Fallback = &delivery.Fallback{Integration: "j", Why: delivery.FallbackDisabled}
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{dead}))
	require.Equal(t, dead, r.Get(dead.ID))
	require.Empty(t, r.ofFallback(10))
	replay := delivery.Replay{Tenant: "42", Integration: "i", ID: dead.ID, Limit: 1}
	_, _, err := r.Log.Replay(t.Context(), replay)
	require.NoError(t, err)
	again := r.Ready(1)[0]
	require.Equal(t, dead.Fallback, again.Fallback)
	fell := dying(again)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{fell}))
	require.Len(t, r.ofFallback(10), 1)
	_, _, err = r.Log.Replay(t.Context(), replay)
	require.NoError(t, err)
	last := Arrived(r.Ready(1)[0])
	require.Equal(t, fell.Fallback.Delivery, last.Fallback.Delivery)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{last}))
	require.Equal(t, last, r.Get(last.ID), "it says that its events fell back once")
}
