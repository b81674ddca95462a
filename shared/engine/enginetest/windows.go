package enginetest

import (
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// gather publishes events and accepts one delivery of them all, which gathers until due.
func (r *Rig) gather(count int, due time.Time) fanout.Intake {
	r.T.Helper()
	in := fanout.Intake{Accepted: r.Publish(count)}
	in.Deliveries = []delivery.Delivery{r.gatheringUntil(due, in.Accepted...)}
	require.NoError(r.T, r.Log.Accept(r.T.Context(), in))
	return in
}

// gatheringUntil is a delivery of the events whose span ends at due.
func (r *Rig) gatheringUntil(due time.Time, events ...fanout.Accepted) delivery.Delivery {
	d := made("i", events...)
	d.Due, d.CreatedAt = due, due.Add(time.Duration(r.n)*time.Second-5*time.Minute)
	id := ulid.MustParse(d.ID)
	_ = id.SetTime(uint64(d.CreatedAt.UnixMilli())) // a time of this century
	d.ID = id.String()
	return d
}

func gathering(run runner) {
	run("what gathers waits for its time, and the log shows until when", gathersUntilItsTime)
	run("what has gathered comes as one, under the id of the oldest", gatheredComesAsOne)
	run("each span of the clock is a delivery of its own", spanIsADelivery)
	run("the same Intake twice gathers its events once", intakeTwiceGathersOnce)
	run("more than one delivery has room for makes several", moreThanOneHasRoomFor)
}

func gathersUntilItsTime(t *testing.T, r *Rig) {
	d := r.gather(2, At.Add(10*time.Minute)).Deliveries[0]
	require.Empty(t, r.ready(10))
	got := r.get(d.ID)
	require.Equal(t, delivery.Pending, got.State)
	require.True(t, got.Due.Equal(d.Due))
	require.Equal(t, d.Events, got.Events)
	listed, err := r.Log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i",
		States: []delivery.State{delivery.Pending}, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{d.ID}, ids(listed))
	require.True(t, listed[0].Due.Equal(d.Due))
}

func gatheredComesAsOne(t *testing.T, r *Rig) {
	var want []event.Event
	var all []delivery.Delivery
	for n := range 3 {
		d := r.gather(n+1, At).Deliveries[0]
		all = append(all, d)
		want = append(want, d.Events...)
	}
	got := r.ready(10)
	require.Len(t, got, 1)
	require.Equal(t, all[0].ID, got[0].ID)
	require.Equal(t, want, got[0].Events)
	require.Equal(t, 6, got[0].Count)
	require.Zero(t, got[0].Due)
	for _, d := range all[1:] {
		_, err := r.Log.Get(t.Context(), "42", "i", d.ID)
		require.ErrorIs(t, err, delivery.ErrNotFound)
	}
	again := failed(got[0], At.Add(time.Minute))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, again, r.get(again.ID), "it is a delivery like any other from now on")
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{arrived(again)}))
	require.Empty(t, r.ready(10))
}

func spanIsADelivery(t *testing.T, r *Rig) {
	first, second := r.gather(1, At.Add(-10*time.Minute)), r.gather(1, At)
	r.gather(1, At.Add(10*time.Minute))
	require.Equal(t, ids(append(first.Deliveries, second.Deliveries...)), ids(r.ready(10)))
}

func intakeTwiceGathersOnce(t *testing.T, r *Rig) {
	in := r.gather(2, At)
	r.gather(1, At)
	require.NoError(t, r.Log.Accept(t.Context(), in))
	got := r.ready(10)
	require.Equal(t, ids(in.Deliveries), slices.Compact(ids(got)),
		"handed out twice at most, for the message that came twice")
	require.Equal(t, 3, got[0].Count)
}

func moreThanOneHasRoomFor(t *testing.T, r *Rig) {
	half := destination.File.Count/2 + 1
	var want []string
	for range 3 {
		in := fanout.Intake{Accepted: r.Publish(1)}
		d := r.gatheringUntil(At, in.Accepted...)
		d.Count = half // as many as an engine is told that there are
		in.Deliveries = []delivery.Delivery{d}
		require.NoError(t, r.Log.Accept(t.Context(), in))
		want = append(want, d.ID)
	}
	require.Equal(t, want, ids(r.ready(10)))
}
