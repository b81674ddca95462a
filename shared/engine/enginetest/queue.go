package enginetest

import (
	"context"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/worker"
)

// Queues is what the suite of worker.Queue works on.
type Queues interface {
	DeliveryStore
	worker.Queue
}

// Bus is the way in of an engine that fan-out polls.
type Bus interface {
	fanout.Inbox
	Put(ctx context.Context, entries []delivery.Entry) error
}

func (r *Rig) lease(l delivery.Lane, limit int, now time.Time) []delivery.Delivery {
	r.T.Helper()
	out, err := r.q.Lease(r.T.Context(), l, limit, now, now, now.Add(time.Minute))
	require.NoError(r.T, err)
	return out
}

// Queue is the suite of worker.Queue and fanout.Inbox, for an engine whose work is polled.
func Queue(t *testing.T, open func(t *testing.T) (Queues, Bus)) {
	run := func(name string, test func(t *testing.T, r *Rig)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Rig{T: t}
			r.q, r.bus = open(t)
			r.Log = Polled(r.q, r.bus)
			test(t, r)
		})
	}
	inbox(run)
	leases(run)
	waits(run)
	run("when the first of a lane's batch windows and holds ends is known", closes)
}

// Polled makes the suite's Log of an engine whose work is polled.
func Polled(q Queues, bus Bus) Log { return PolledBy(func() time.Time { return At }, q, bus) }

// PolledBy is Polled with a clock.
func PolledBy(now func() time.Time, q Queues, bus Bus) Log {
	return Log{
		DeliveryStore: q,
		Take: func(t *testing.T, entries []delivery.Entry) []delivery.Entry {
			t.Helper()
			require.NoError(t, bus.Put(t.Context(), entries))
			received, err := bus.Receive(t.Context(), 1000)
			require.NoError(t, err)
			return received
		},
		Ready: func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery {
			t.Helper()
			at := now()
			out, err := q.Lease(t.Context(), delivery.Lane{Tenant: tenant, Integration: integration}, limit, at, at,
				at.Add(time.Minute))
			require.NoError(t, err)
			return out
		},
	}
}

func inbox(run runner) {
	run("entries come again until they are accepted", func(t *testing.T, r *Rig) {
		in := fanout.Intake{Accepted: r.Publish(3)}
		again, err := r.bus.Receive(t.Context(), 2)
		require.NoError(t, err)
		require.Len(t, again, 2)
		require.NoError(t, r.Log.Accept(t.Context(), in))
		none, err := r.bus.Receive(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

func leases(run runner) {
	run("a lane is told when its batch window is closed, and when the next one closes", laneIsToldOfItsWindows)
	run("a lease brings the events and hides the delivery", leaseHidesTheDelivery)
	run("a lease ends by its time", leaseEndsByItsTime)
	run("what is given back by its time comes before what has come since", endedLeasesComeFirst)
	run("a retry that is given back by its time comes before others", endedRetriesComeFirst)
	run("asking for retries of the future does not end leases of the present", futureRetriesLeaveLeases)
	run("a release gives a delivery back as it is stored", releaseGivesBack)
	run("what comes in while others are leased is found", lateComersAreFound)
	run("waiting lanes are told, and when the next retry is due", waitingLanesAreTold)
}

func laneIsToldOfItsWindows(t *testing.T, r *Rig) {
	r.windowed(1, At.Add(time.Minute))
	r.windowed(1, At.Add(11*time.Minute))
	lanes, next, err := r.q.Waiting(t.Context(), At)
	require.NoError(t, err)
	require.Empty(t, lanes)
	require.True(t, next.Equal(At.Add(time.Minute)))
	lanes, next, err = r.q.Waiting(t.Context(), At.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, []delivery.Lane{lane}, lanes)
	require.True(t, next.Equal(At.Add(11*time.Minute)))
	first := r.lease(lane, 10, At.Add(time.Minute))
	require.Len(t, first, 1)
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(first[0])}))
	require.Len(t, r.lease(lane, 10, At.Add(time.Hour)), 1)
	require.Empty(t, r.lease(lane, 10, At.Add(time.Hour)))
}

func leaseHidesTheDelivery(t *testing.T, r *Rig) {
	want := r.Accept(5)
	first := r.lease(lane, 2, At)
	require.Equal(t, IDs(want[:2]), IDs(first), "oldest first")
	require.Equal(t, want[0].Events, first[0].Events)
	require.Equal(t, delivery.Pending, first[0].State)
	require.Equal(t, IDs(want[2:]), IDs(r.lease(lane, 10, At)))
	require.Empty(t, r.lease(lane, 10, At))
	require.Empty(t, r.lease(delivery.Lane{Tenant: "43", Integration: "i"}, 10, At))
	require.Empty(t, r.lease(delivery.Lane{Tenant: "42", Integration: "other"}, 10, At))
}

func leaseEndsByItsTime(t *testing.T, r *Rig) {
	want := r.Accept(2)
	require.Len(t, r.lease(lane, 10, At), 2)
	require.Empty(t, r.lease(lane, 10, At.Add(59*time.Second)))
	require.Equal(t, IDs(want), IDs(r.lease(lane, 10, At.Add(time.Minute))))
}

func endedLeasesComeFirst(t *testing.T, r *Rig) {
	want := r.Accept(2)
	require.Len(t, r.lease(lane, 10, At), 2)
	more := r.Accept(2) // a lane that never runs dry
	require.Equal(t, IDs(more[:1]), IDs(r.lease(lane, 1, At.Add(59*time.Second))))
	require.Equal(t, IDs(want[:1]), IDs(r.lease(lane, 1, At.Add(time.Minute))))
	require.Equal(t, IDs(append(want[1:], more[1])), IDs(r.lease(lane, 10, At.Add(time.Minute))))
	require.Equal(t, IDs(more[:1]), IDs(r.lease(lane, 1, At.Add(119*time.Second))))
	require.Equal(t, IDs(append(want, more[1])), IDs(r.lease(lane, 10, At.Add(2*time.Minute))))
}

func endedRetriesComeFirst(t *testing.T, r *Rig) {
	want := r.Accept(3)
	leased := r.lease(lane, 3, At)
	for n := range leased {
		leased[n] = Failed(leased[n], At.Add(time.Duration(n)))
	}
	require.NoError(t, r.Log.Settle(t.Context(), leased))
	retry, later := delivery.Lane{Tenant: "42", Integration: "i", Retry: true}, At.Add(time.Second)
	require.Equal(t, IDs(want[:2]), IDs(r.lease(retry, 2, later)))
	require.Equal(t, IDs(want[:2]), IDs(r.lease(retry, 2, later.Add(time.Minute))))
	require.Equal(t, IDs(want[2:]), IDs(r.lease(retry, 2, later.Add(119*time.Second))))
}

func futureRetriesLeaveLeases(t *testing.T, r *Rig) {
	r.Accept(2)
	leased := r.lease(lane, 2, At)
	require.NoError(t, r.Log.Settle(t.Context(),
		[]delivery.Delivery{Failed(leased[0], At), Failed(leased[1], At.Add(time.Hour))}))
	retry := delivery.Lane{Tenant: "42", Integration: "i", Retry: true}
	require.Equal(t, IDs(leased[:1]), IDs(r.lease(retry, 10, At)))
	future, err := r.q.Lease(t.Context(), retry, 10, At.AddDate(100, 0, 0), At, At.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, IDs(leased[1:]), IDs(future), "the other is being sent")
}

func releaseGivesBack(t *testing.T, r *Rig) {
	want := r.Accept(4)
	leased := r.lease(lane, 10, At)
	require.NoError(t, r.q.Release(t.Context(), leased[1:3]))
	require.Equal(t, IDs(want[1:3]), IDs(r.lease(lane, 10, At)))
}

func lateComersAreFound(t *testing.T, r *Rig) {
	r.Accept(3)
	require.Len(t, r.lease(lane, 2, At), 2)
	in := fanout.Intake{Accepted: r.Publish(1)}
	late := Made("i", in.Accepted...)
	var early ulid.ULID // an id before all others
	_ = early.SetTime(uint64(At.Add(-time.Hour).UnixMilli()))
	late.ID = early.String()
	in.Deliveries = []delivery.Delivery{late}
	require.NoError(t, r.Log.Accept(t.Context(), in))
	require.Len(t, r.lease(lane, 1, At), 1)
	require.Len(t, r.lease(lane, 1, At), 1)
	require.Empty(t, r.lease(lane, 1, At))
}

func waitingLanesAreTold(t *testing.T, r *Rig) {
	lanes, next, err := r.q.Waiting(t.Context(), At)
	require.NoError(t, err)
	require.Empty(t, lanes)
	require.Zero(t, next)
	r.Accept(2)
	lanes, _, err = r.q.Waiting(t.Context(), At)
	require.NoError(t, err)
	require.Equal(t, []delivery.Lane{lane}, lanes)
	leased := r.lease(lane, 10, At)
	require.NoError(t, r.Log.Settle(t.Context(),
		[]delivery.Delivery{Failed(leased[0], At.Add(time.Second)), Failed(leased[1], At.Add(3*time.Second))}))
	lanes, next, err = r.q.Waiting(t.Context(), At)
	require.NoError(t, err)
	require.Empty(t, lanes)
	require.True(t, next.Equal(At.Add(time.Second)))
	lanes, next, err = r.q.Waiting(t.Context(), At.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, []delivery.Lane{{Tenant: "42", Integration: "i", Retry: true}}, lanes)
	require.True(t, next.Equal(At.Add(3*time.Second)))
}

func waits(run runner) {
	retry := delivery.Lane{Tenant: "42", Integration: "i", Retry: true}
	run("a failed delivery waits for its time in a lane of its own", func(t *testing.T, r *Rig) {
		r.Accept(1)
		d := Failed(r.lease(lane, 1, At)[0], At.Add(10*time.Second))
		require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{d}))
		require.Empty(t, r.lease(lane, 10, At.Add(time.Hour)))
		require.Empty(t, r.lease(retry, 10, At.Add(9*time.Second)))
		got := r.lease(retry, 10, At.Add(10*time.Second))
		require.Len(t, got, 1)
		require.Equal(t, d, got[0], "with all that was recorded")
		require.Empty(t, r.lease(retry, 10, At.Add(11*time.Second)))
		again := Failed(got[0], At.Add(time.Minute))
		require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{again}))
		require.Equal(t, again, r.Get(d.ID))
		got = r.lease(retry, 10, At.Add(time.Minute))
		require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(got[0])}))
		require.Equal(t, Arrived(again), r.Get(d.ID))
		require.Empty(t, r.lease(retry, 10, At.Add(time.Hour)))
	})
	run("H27: what waits when the clock goes back waits no longer for it", func(t *testing.T, r *Rig) {
		r.Accept(2)
		now := At.Add(-time.Hour) // it was at
		leased := r.lease(lane, 2, At)
		soon, later := Failed(leased[0], At.Add(5*time.Second)), Failed(leased[1], At.Add(10*time.Minute))
		require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{soon, later}))
		require.NoError(t, r.q.Hasten(t.Context(), now, now, time.Hour))
		_, next, err := r.q.Waiting(t.Context(), now)
		require.NoError(t, err)
		require.True(t, next.Equal(now.Add(5*time.Second)), next)
		require.Len(t, r.lease(retry, 10, now.Add(5*time.Second)), 1)
		require.NoError(t, r.q.Hasten(t.Context(), now, now.Add(time.Hour), time.Hour), "nothing is due so late")
		require.NoError(t, r.q.Hasten(t.Context(), now, now, time.Hour))
		require.Len(t, r.lease(retry, 10, now), 1, "never before now")
	})
}
