package enginetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// windowed publishes events and accepts one delivery of them all, whose batch window closes at due.
func (r *Rig) windowed(count int, due time.Time) fanout.Intake {
	r.T.Helper()
	in := fanout.Intake{Accepted: r.Publish(count)}
	in.Deliveries = []delivery.Delivery{r.closingAt(due, in.Accepted...)}
	require.NoError(r.T, r.Log.Accept(r.T.Context(), in))
	return in
}

// closingAt is a delivery of the events whose batch window closes at due.
func (r *Rig) closingAt(due time.Time, events ...fanout.Accepted) delivery.Delivery {
	d := Made("i", events...)
	d.Due, d.CreatedAt = due, due.Add(time.Duration(r.n)*time.Second-5*time.Minute)
	id := ulid.MustParse(d.ID)
	_ = id.SetTime(uint64(d.CreatedAt.UnixMilli())) // a time of this century
	d.ID = id.String()
	return d
}

func windows(run runner) {
	run("what waits for its batch window is not sent before, and the log shows until when", waitsForItsWindow)
	run("what waited for one batch window comes as one, under the id of the oldest", windowComesAsOne)
	run("each batch window is a delivery of its own", windowIsADelivery)
	run("the same Intake twice brings its events once", intakeTwiceBringsItsEventsOnce)
	run("an Intake that comes again after its window was merged brings nothing", intakeAfterItsWindow)
	run("more than one delivery has room for makes several", moreThanOneHasRoomFor)
	run("what gathers for an hour comes as one, and apart from what gathers for less and ends with it", hourComesAsOne)
	run("a digest stays one: merged with its like alone, retried, replayed", digestStaysOne)
}

func waitsForItsWindow(t *testing.T, r *Rig) {
	d := r.windowed(2, At.Add(10*time.Minute)).Deliveries[0]
	require.Empty(t, r.Ready(10))
	got := r.Get(d.ID)
	require.Equal(t, delivery.Pending, got.State)
	require.True(t, got.Due.Equal(d.Due))
	require.Equal(t, d.Events, got.Events)
	listed, err := r.Log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i",
		States: []delivery.State{delivery.Pending}, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{d.ID}, IDs(listed))
	require.True(t, listed[0].Due.Equal(d.Due))
}

func windowComesAsOne(t *testing.T, r *Rig) {
	var want []event.Event
	var all []delivery.Delivery
	for n := range 3 {
		d := r.windowed(n+1, At).Deliveries[0]
		all = append(all, d)
		want = append(want, d.Events...)
	}
	got := r.Ready(10)
	require.Len(t, got, 1)
	require.Equal(t, all[0].ID, got[0].ID)
	require.Equal(t, want, got[0].Events)
	require.Equal(t, 6, got[0].Count)
	require.Zero(t, got[0].Due)
	for _, d := range all[1:] {
		_, err := r.Log.Get(t.Context(), "42", "i", d.ID)
		require.ErrorIs(t, err, delivery.ErrNotFound)
	}
	again := Failed(got[0], At.Add(time.Minute))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, again, r.Get(again.ID), "it is a delivery like any other from now on")
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(again)}))
	require.Empty(t, r.Ready(10))
}

func windowIsADelivery(t *testing.T, r *Rig) {
	first, second := r.windowed(1, At.Add(-10*time.Minute)), r.windowed(1, At)
	r.windowed(1, At.Add(10*time.Minute))
	require.Equal(t, IDs(append(first.Deliveries, second.Deliveries...)), IDs(r.Ready(10)))
}

func intakeTwiceBringsItsEventsOnce(t *testing.T, r *Rig) {
	in := r.windowed(2, At)
	r.windowed(1, At)
	require.NoError(t, r.Log.Accept(t.Context(), in))
	got := r.Ready(10)
	require.Equal(t, IDs(in.Deliveries), slices.Compact(IDs(got)),
		"handed out twice at most, for the message that came twice")
	require.Equal(t, 3, got[0].Count)
}

func intakeAfterItsWindow(t *testing.T, r *Rig) {
	first, second := r.windowed(1, At), r.windowed(2, At)
	got := r.Ready(10)
	require.Equal(t, IDs(first.Deliveries), IDs(got))
	require.NoError(t, r.Log.Accept(t.Context(), second))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(got[0])}))
	for _, in := range []fanout.Intake{first, second} {
		require.NoError(t, r.Log.Accept(t.Context(), in))
	}
	require.Empty(t, r.Ready(10))
	listed, err := r.Log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, IDs(first.Deliveries), IDs(listed))
}

func moreThanOneHasRoomFor(t *testing.T, r *Rig) {
	half := destination.File.Count/2 + 1
	var want []string
	for range 3 {
		in := fanout.Intake{Accepted: r.Publish(1)}
		d := r.closingAt(At, in.Accepted...)
		d.Count = half // as many as an engine is told that there are
		in.Deliveries = []delivery.Delivery{d}
		require.NoError(t, r.Log.Accept(t.Context(), in))
		want = append(want, d.ID)
	}
	require.Equal(t, want, IDs(r.Ready(10)))
}

func hourComesAsOne(t *testing.T, r *Rig) {
	gathering := func(digest string, ago time.Duration) delivery.Delivery {
		in := fanout.Intake{Accepted: r.Publish(1)}
		d := r.closingAt(At, in.Accepted...)
		id := ulid.MustParse(d.ID)
		d.Digest, d.CreatedAt = digest, At.Add(-ago)
		_ = id.SetTime(uint64(d.CreatedAt.UnixMilli()))
		d.ID = id.String()
		in.Deliveries = []delivery.Delivery{d}
		require.NoError(r.T, r.Log.Accept(r.T.Context(), in))
		return d
	}
	const every = time.Hour
	long := delivery.DigestUpTo(1000, every)
	require.Equal(t, []time.Duration{every, every, 0, 0, 0}, []time.Duration{delivery.DigestSpan(long),
		delivery.DigestSpan(delivery.DigestStormOf(every)),
		delivery.DigestSpan(delivery.DigestUpTo(50, 10*time.Minute)), delivery.DigestSpan(delivery.DigestStormOf(0)),
		delivery.DigestSpan(delivery.FallbackDigest("a"))})
	first, storm := gathering(long, every-time.Minute), gathering(delivery.DigestStormOf(every), every-2*time.Minute)
	second, short := gathering(long, every/2), gathering(delivery.DigestUpTo(50, 10*time.Minute), 5*time.Minute)
	third := gathering(long, time.Second)
	got := r.Ready(10)
	slices.SortFunc(got, func(a, b delivery.Delivery) int { return strings.Compare(a.ID, b.ID) })
	got = slices.CompactFunc(got, func(a, b delivery.Delivery) bool { return a.ID == b.ID })
	require.Equal(t, []string{first.ID, storm.ID, short.ID}, IDs(got))
	require.Equal(t, slices.Concat(first.Events, second.Events, third.Events), got[0].Events)
	require.Equal(t, delivery.DigestGroup, delivery.DigestReason(got[0].Digest))
	require.Equal(t, 1, got[1].Count)
	require.Equal(t, delivery.DigestStorm, delivery.DigestReason(got[1].Digest))
	require.Equal(t, 1, got[2].Count)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(got[0]), Arrived(got[1]),
		Arrived(got[2])}))
	require.Empty(t, r.Ready(10))
}

func digestStaysOne(t *testing.T, r *Rig) {
	digest := func(why string) delivery.Delivery {
		in := fanout.Intake{Accepted: r.Publish(2)}
		d := r.closingAt(At, in.Accepted...)
		d.Digest = why
		in.Deliveries = []delivery.Delivery{d}
		require.NoError(t, r.Log.Accept(t.Context(), in))
		return d
	}
	quiet, more, mute := digest(delivery.DigestQuiet), digest(delivery.DigestQuiet), digest(delivery.DigestMute)
	got := r.Ready(10)
	require.Equal(t, []string{quiet.ID, mute.ID}, IDs(got))
	require.Equal(t, []string{delivery.DigestQuiet, delivery.DigestMute}, []string{got[0].Digest, got[1].Digest})
	require.Equal(t, slices.Concat(quiet.Events, more.Events), got[0].Events)
	again := Failed(got[0], At.Add(time.Minute))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, again, r.Get(again.ID))
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again.Kill("dead")}))
	_, _, err := r.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: again.ID, Limit: 1})
	require.NoError(t, err)
	got = r.Ready(10)
	require.Len(t, got, 1)
	require.Equal(t, delivery.DigestQuiet, got[0].Digest)
	require.Len(t, got[0].Events, 4)
}

// closes is for an engine whose work is polled.
func closes(t *testing.T, r *Rig) {
	ends := func() time.Duration {
		at := r.q.Closes(lane)
		if at.IsZero() {
			return 0
		}
		return at.Sub(At)
	}
	require.Zero(t, ends())
	held := fanout.Intake{Accepted: r.Publish(1)}
	d := Made("i", held.Accepted...)
	d.Due, d.Held = At.Add(time.Hour), &delivery.Held{By: "mute", Until: At.Add(time.Hour)}
	held.Deliveries = []delivery.Delivery{d}
	require.NoError(t, r.Log.Accept(t.Context(), held))
	require.Equal(t, time.Hour, ends())
	r.windowed(1, At.Add(10*time.Minute))
	r.windowed(1, At.Add(5*time.Minute))
	r.Accept(1)
	require.Equal(t, 5*time.Minute, ends())
	require.Zero(t, r.q.Closes(delivery.Lane{Tenant: "42", Integration: "j"}))
	require.Len(t, r.lease(lane, 10, At.Add(5*time.Minute)), 2)
	require.Equal(t, 10*time.Minute, ends())
	require.Len(t, r.lease(lane, 10, At.Add(10*time.Minute)), 3, "and two whose leases have ended")
	require.Equal(t, time.Hour, ends())
}
