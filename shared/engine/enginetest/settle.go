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
	r.accept(1)
	d := failed(r.ready(1)[0], At.Add(10*time.Second))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}))
	require.Equal(t, d, r.get(d.ID))
	again := failed(d, At.Add(time.Minute))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, again, r.get(d.ID))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{arrived(again)}))
	require.Equal(t, arrived(again), r.get(d.ID))
}

func partsAreKept(t *testing.T, r *Rig) {
	r.accept(1)
	d := failed(r.ready(1)[0], At.Add(10*time.Second))
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
		require.Equal(t, d, r.get(d.ID))
		listed, err := r.Log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
		require.NoError(t, err)
		require.Equal(t, d.Parts, listed[0].Parts)
		d.Due = At.Add(20 * time.Second)
	}
	n, _, err := r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	again := r.ready(1)[0]
	require.Equal(t, d.Parts, again.Parts)
	again.Parts = nil
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{arrived(again)}))
	require.Empty(t, r.get(d.ID).Parts)
}

func settleNamesWhatWaitsNowhere(t *testing.T, r *Rig) {
	r.accept(3)
	ready := r.ready(3)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{arrived(ready[1])}))
	err := r.Log.Settle(t.Context(), []delivery.Delivery{arrived(ready[0]), failed(ready[1], At),
		failed(ready[2], At)})
	require.ErrorIs(t, err, delivery.ErrNotFound)
	var ended *delivery.NotWaitingError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, []string{ready[1].ID}, ended.IDs)
	require.Equal(t, arrived(ready[0]), r.get(ready[0].ID))
	require.Equal(t, arrived(ready[1]), r.get(ready[1].ID), "it is as it was")
	require.Equal(t, failed(ready[2], At), r.get(ready[2].ID))
}

func endedIsNotHandedOut(t *testing.T, r *Rig) {
	r.accept(2)
	leased := r.ready(10)
	require.NoError(t, r.Log.Settle(t.Context(),
		[]delivery.Delivery{arrived(leased[0]), failed(leased[1], At).Kill("gave up")}))
	require.Empty(t, r.ready(10))
	require.Equal(t, delivery.Dead, r.get(leased[1].ID).State)
	require.Equal(t, "gave up", r.get(leased[1].ID).Reason)
}

func settledTwiceIsNotFound(t *testing.T, r *Rig) {
	r.accept(1)
	d := arrived(r.ready(1)[0])
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}))
	require.ErrorIs(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}), delivery.ErrNotFound)
}

func eventsKeepTheirOrder(t *testing.T, r *Rig) {
	in := fanout.Intake{Accepted: r.Publish(30)}
	want := made("i", in.Accepted...)
	in.Deliveries = []delivery.Delivery{want}
	require.NoError(t, r.Log.Accept(t.Context(), in))
	require.Equal(t, want.Events, r.ready(1)[0].Events)
}
