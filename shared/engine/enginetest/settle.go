package enginetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
)

func settling(run runner) {
	run("a failed delivery is read back with all that was recorded", failedIsReadBack)
	run("H3: the outcomes of parts are kept in every state, however many, and go when they say nothing any more",
		partsAreKept)
	run("where some wait nowhere, the error names them and the others are written", settleNamesWhatWaitsNowhere)
	run("an ended delivery is not handed out again", endedIsNotHandedOut)
	run("what waits nowhere can not be settled", settledTwiceIsNotFound)
	run("a delivery of several events brings them in their order", eventsKeepTheirOrder)
}

func failedIsReadBack(t *testing.T, r *Rig) {
	r.Accept(1)
	d := Failed(r.Ready(1)[0], At.Add(10*time.Second))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}))
	require.Equal(t, d, r.Get(d.ID))
	again := Failed(d, At.Add(time.Minute))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, again, r.Get(d.ID))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(again)}))
	require.Equal(t, Arrived(again), r.Get(d.ID))
}

func partsAreKept(t *testing.T, r *Rig) {
	r.Accept(1)
	d := Failed(r.Ready(1)[0], At.Add(10*time.Second))
	for n := len(d.Parts); n < 512; n++ { // delivery's bound
		d.Parts = append(d.Parts, delivery.Part{
			Key: fmt.Sprintf("%d %s", n, strings.Repeat("k", 250)), From: n, To: n + 1,
			State:  delivery.PartFailed,
			Status: 400, Reason: strings.Repeat("é", 128),
		})
	}
	for _, state := range []delivery.State{delivery.Pending, delivery.Retrying, delivery.Dead} {
		was := d
		if d.State = state; state != delivery.Retrying {
			d.Due = time.Time{}
		}
		require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}), "%s", was.State)
		require.Equal(t, d, r.Get(d.ID))
		listed, err := r.Log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
		require.NoError(t, err)
		require.Equal(t, d.Parts, listed[0].Parts)
		d.Due = At.Add(20 * time.Second)
	}
	n, _, err := r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	again := r.Ready(1)[0]
	require.Equal(t, d.Parts, again.Parts)
	again.Parts = nil
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(again)}))
	require.Empty(t, r.Get(d.ID).Parts)
}

func settleNamesWhatWaitsNowhere(t *testing.T, r *Rig) {
	r.Accept(3)
	ready := r.Ready(3)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(ready[1])}))
	err := r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(ready[0]), Failed(ready[1], At),
		Failed(ready[2], At)})
	require.ErrorIs(t, err, delivery.ErrNotFound)
	var ended *delivery.NotWaitingError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, []string{ready[1].ID}, ended.IDs)
	require.Equal(t, Arrived(ready[0]), r.Get(ready[0].ID))
	require.Equal(t, Arrived(ready[1]), r.Get(ready[1].ID), "it is as it was")
	require.Equal(t, Failed(ready[2], At), r.Get(ready[2].ID))
}

func endedIsNotHandedOut(t *testing.T, r *Rig) {
	r.Accept(2)
	leased := r.Ready(10)
	require.NoError(t, r.Log.Settle(t.Context(),
		[]delivery.Delivery{Arrived(leased[0]), Failed(leased[1], At).Kill("gave up")}))
	require.Empty(t, r.Ready(10))
	require.Equal(t, delivery.Dead, r.Get(leased[1].ID).State)
	require.Equal(t, "gave up", r.Get(leased[1].ID).Reason)
}

func settledTwiceIsNotFound(t *testing.T, r *Rig) {
	r.Accept(1)
	d := Arrived(r.Ready(1)[0])
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}))
	require.ErrorIs(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}), delivery.ErrNotFound)
}

func eventsKeepTheirOrder(t *testing.T, r *Rig) {
	in := fanout.Intake{Accepted: r.Publish(30)}
	want := Made("i", in.Accepted...)
	in.Deliveries = []delivery.Delivery{want}
	require.NoError(t, r.Log.Accept(t.Context(), in))
	require.Equal(t, want.Events, r.Ready(1)[0].Events)
}
