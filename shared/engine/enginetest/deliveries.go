package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// Log is what the suite of delivery.Log works on: a log, and the two ends that it stands between.
type Log struct {
	delivery.Log
	// Take puts entries on the bus and returns them as fan-out receives them, in their order.
	Take func(t *testing.T, entries []delivery.Entry) []delivery.Entry
	// Ready hands out up to limit deliveries to send for the first time to an integration, oldest first, each once.
	Ready func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery
}

// Queues is what the suite of delivery.Queue works on.
type Queues interface {
	delivery.Log
	delivery.Queue
}

// Bus is the way in of an engine that fan-out polls.
type Bus interface {
	delivery.Inbox
	Put(ctx context.Context, entries []delivery.Entry) error
}

type rig struct {
	t   *testing.T
	log Log
	q   Queues // nil in the suite of the log
	bus Bus    // nil in the suite of the log
	n   int
}

// lane of the suite.
var lane = delivery.Lane{Tenant: "42", Integration: "i"}

// publish puts events on the bus and returns them as they are received.
func (r *rig) publish(count int) []delivery.Accepted {
	r.t.Helper()
	var entries []delivery.Entry
	for range count {
		r.n++
		entries = append(entries, delivery.Entry{DetailType: "create_user",
			At: at.Add(time.Duration(r.n) * time.Second), Detail: fmt.Appendf(nil,
				`{"version":1,"id":"e%d","tenant":"42","client_name":"Acme","time":"2023-03-01T12:00:00Z","data":{"user":{"name":"User %d"}}}`, r.n, r.n)})
	}
	received := r.log.Take(r.t, entries)
	require.Len(r.t, received, count)
	var out []delivery.Accepted
	for i, e := range received {
		require.Equal(r.t, string(entries[i].Detail), string(e.Detail))
		require.Equal(r.t, entries[i].DetailType, e.DetailType)
		require.True(r.t, entries[i].At.Equal(e.At))
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(r.t, err)
		out = append(out, delivery.Accepted{Entry: e, Event: parsed})
	}
	return out
}

// known says of each event whether its tenant's event of that id was accepted.
func known(t *testing.T, log delivery.Log, events ...event.Event) []bool {
	t.Helper()
	list := make([]delivery.Accepted, len(events))
	for n, e := range events {
		list[n] = delivery.Accepted{Event: e, Entry: delivery.Entry{At: at}}
	}
	standings, err := log.Begin(t.Context(), list)
	require.NoError(t, err)
	require.NoError(t, log.Abort(t.Context(), list))
	out := make([]bool, len(events))
	for n, s := range standings {
		require.NotEqual(t, delivery.Busy, s)
		out[n] = s == delivery.Known
	}
	return out
}

// made is a delivery of the events.
func made(integration string, events ...delivery.Accepted) delivery.Delivery {
	d := delivery.Delivery{Tenant: "42", Integration: integration, State: delivery.Pending, Count: len(events),
		Kinds: []event.Kind{event.CreateUser}}
	id := ulid.Make()
	d.CreatedAt = events[0].Entry.At
	_ = id.SetTime(uint64(d.CreatedAt.UnixMilli())) // a time of this century
	d.ID = id.String()
	for _, e := range events {
		d.Events = append(d.Events, e.Event)
	}
	return d
}

// accept publishes one event for each delivery and accepts them.
func (r *rig) accept(count int) []delivery.Delivery {
	r.t.Helper()
	in := delivery.Intake{Accepted: r.publish(count)}
	for _, a := range in.Accepted {
		in.Deliveries = append(in.Deliveries, made("i", a))
	}
	require.NoError(r.t, r.log.Accept(r.t.Context(), in))
	return in.Deliveries
}

func (r *rig) lease(l delivery.Lane, limit int, now time.Time) []delivery.Delivery {
	r.t.Helper()
	out, err := r.q.Lease(r.t.Context(), l, limit, now, now, now.Add(time.Minute))
	require.NoError(r.t, err)
	return out
}

// ready takes deliveries of the suite's lane.
func (r *rig) ready(limit int) []delivery.Delivery {
	r.t.Helper()
	return r.log.Ready(r.t, lane.Tenant, lane.Integration, limit)
}

func (r *rig) get(id string) delivery.Delivery {
	r.t.Helper()
	d, err := r.log.Get(r.t.Context(), "42", "i", id)
	require.NoError(r.t, err)
	return d
}

func ids(ds []delivery.Delivery) []string {
	out := []string{}
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out
}

// failed is the delivery after a failed attempt that is repeated at due.
func failed(d delivery.Delivery, due time.Time) delivery.Delivery {
	d.State, d.Due, d.Reason = delivery.Retrying, due, "answered 503"
	d.Failures++
	d.Parts = []delivery.Part{
		{Key: "a@example.com e", Name: "a@example.com", State: delivery.PartDelivered, Status: 250},
		{Key: "b@example.com e", Name: "b@example.com", State: delivery.PartRefused, Status: 550,
			Reason: "answered 550 5.1.1 «nobody»\n\x00"},
		{Key: "x", From: 3, To: 700, State: delivery.PartFailed},
	}
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)], delivery.Attempt{
		At: at, Waited: time.Second, Late: time.Millisecond, Took: 5 * time.Millisecond, Status: 503, Gone: true,
		Reason: "answered 503", Answer: "busy\n\x00",
	})
	return d
}

func arrived(d delivery.Delivery) delivery.Delivery {
	d.State, d.Due, d.Reason = delivery.Delivered, time.Time{}, ""
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)],
		delivery.Attempt{At: at, Took: time.Millisecond, Status: 200, Delivered: true})
	return d
}

// Deliveries is the suite of delivery.Log.
func Deliveries(t *testing.T, open func(t *testing.T) Log) {
	run := func(name string, test func(t *testing.T, r *rig)) {
		t.Run(name, func(t *testing.T) {
			test(t, &rig{t: t, log: open(t)})
		})
	}
	intake(run)
	gathering(run)
	settling(run)
	listing(run)
	replays(run)
}

// Queue is the suite of delivery.Queue and delivery.Inbox, for an engine whose work is polled.
func Queue(t *testing.T, open func(t *testing.T) (Queues, Bus)) {
	run := func(name string, test func(t *testing.T, r *rig)) {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t}
			r.q, r.bus = open(t)
			r.log = Polled(r.q, r.bus)
			test(t, r)
		})
	}
	inbox(run)
	leases(run)
	waits(run)
}

// Polled makes the suite's Log of an engine whose work is polled.
func Polled(q Queues, bus Bus) Log {
	return Log{
		Log: q,
		Take: func(t *testing.T, entries []delivery.Entry) []delivery.Entry {
			t.Helper()
			require.NoError(t, bus.Put(t.Context(), entries))
			received, err := bus.Receive(t.Context(), 1000)
			require.NoError(t, err)
			return received
		},
		Ready: func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery {
			t.Helper()
			out, err := q.Lease(t.Context(), delivery.Lane{Tenant: tenant, Integration: integration}, limit, at, at,
				at.Add(time.Minute))
			require.NoError(t, err)
			return out
		},
	}
}

type runner func(name string, test func(t *testing.T, r *rig))

func intake(run runner) {
	run("an accepted event is known, to its tenant alone", func(t *testing.T, r *rig) {
		in := delivery.Intake{Accepted: r.publish(1)}
		e := in.Accepted[0].Event
		foreign := e
		foreign.Tenant = "43"
		require.Equal(t, []bool{false, false}, known(t, r.log, e, foreign))
		require.NoError(t, r.log.Accept(t.Context(), in))
		require.Equal(t, []bool{true, false}, known(t, r.log, e, foreign))
	})
	run("the same Intake twice makes its deliveries once", func(t *testing.T, r *rig) {
		in := delivery.Intake{Accepted: r.publish(2)}
		in.Deliveries = []delivery.Delivery{made("i", in.Accepted...)}
		require.NoError(t, r.log.Accept(t.Context(), in))
		leased := r.ready(10)
		require.Len(t, leased, 1)
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(leased[0])}))
		require.NoError(t, r.log.Accept(t.Context(), in))
		require.Empty(t, r.ready(10))
		require.Equal(t, delivery.Delivered, r.get(in.Deliveries[0].ID).State)
	})
	run("a rejected entry is kept with its reason, for its tenant", func(t *testing.T, r *rig) {
		accepted := r.publish(3)
		in := delivery.Intake{Repeated: accepted[2:]}
		for n, tenant := range []string{"42", ""} {
			in.Rejected = append(in.Rejected, delivery.Rejected{Entry: accepted[n].Entry, Tenant: tenant,
				Reason: fmt.Sprintf("reason %d", n)})
		}
		require.NoError(t, r.log.Accept(t.Context(), in))
		mine, err := r.log.DeadLetters(t.Context(), "42", "", 10)
		require.NoError(t, err)
		require.Len(t, mine, 1)
		require.Equal(t, "reason 0", mine[0].Reason)
		require.Equal(t, string(accepted[0].Entry.Detail), string(mine[0].Detail))
		all, err := r.log.DeadLetters(t.Context(), "*", "", 1)
		require.NoError(t, err)
		require.Equal(t, "reason 1", all[0].Reason, "newest first")
		rest, err := r.log.DeadLetters(t.Context(), "*", all[0].ID, 10)
		require.NoError(t, err)
		require.Len(t, rest, 1)
	})
}

func inbox(run runner) {
	run("entries come again until they are accepted", func(t *testing.T, r *rig) {
		in := delivery.Intake{Accepted: r.publish(3)}
		again, err := r.bus.Receive(t.Context(), 2)
		require.NoError(t, err)
		require.Len(t, again, 2)
		require.NoError(t, r.log.Accept(t.Context(), in))
		none, err := r.bus.Receive(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// gather publishes events and accepts one delivery of them all, which gathers until due.
func (r *rig) gather(count int, due time.Time) delivery.Intake {
	r.t.Helper()
	in := delivery.Intake{Accepted: r.publish(count)}
	in.Deliveries = []delivery.Delivery{r.gatheringUntil(due, in.Accepted...)}
	require.NoError(r.t, r.log.Accept(r.t.Context(), in))
	return in
}

// gatheringUntil is a delivery of the events whose span ends at due.
func (r *rig) gatheringUntil(due time.Time, events ...delivery.Accepted) delivery.Delivery {
	d := made("i", events...)
	d.Due, d.CreatedAt = due, due.Add(time.Duration(r.n)*time.Second-5*time.Minute)
	id := ulid.MustParse(d.ID)
	_ = id.SetTime(uint64(d.CreatedAt.UnixMilli())) // a time of this century
	d.ID = id.String()
	return d
}

func gathering(run runner) {
	run("what gathers waits for its time, and the log shows until when", func(t *testing.T, r *rig) {
		d := r.gather(2, at.Add(10*time.Minute)).Deliveries[0]
		require.Empty(t, r.ready(10))
		got := r.get(d.ID)
		require.Equal(t, delivery.Pending, got.State)
		require.True(t, got.Due.Equal(d.Due))
		require.Equal(t, d.Events, got.Events)
		listed, err := r.log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i",
			States: []delivery.State{delivery.Pending}, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{d.ID}, ids(listed))
		require.True(t, listed[0].Due.Equal(d.Due))
	})
	run("what has gathered comes as one, under the id of the oldest", func(t *testing.T, r *rig) {
		var want []event.Event
		var all []delivery.Delivery
		for n := range 3 {
			d := r.gather(n+1, at).Deliveries[0]
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
			_, err := r.log.Get(t.Context(), "42", "i", d.ID)
			require.ErrorIs(t, err, delivery.ErrNotFound)
		}
		again := failed(got[0], at.Add(time.Minute))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{again}))
		require.Equal(t, again, r.get(again.ID), "it is a delivery like any other from now on")
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(again)}))
		require.Empty(t, r.ready(10))
	})
	run("each span of the clock is a delivery of its own", func(t *testing.T, r *rig) {
		first, second := r.gather(1, at.Add(-10*time.Minute)), r.gather(1, at)
		r.gather(1, at.Add(10*time.Minute))
		require.Equal(t, ids(append(first.Deliveries, second.Deliveries...)), ids(r.ready(10)))
	})
	run("the same Intake twice gathers its events once", func(t *testing.T, r *rig) {
		in := r.gather(2, at)
		r.gather(1, at)
		require.NoError(t, r.log.Accept(t.Context(), in))
		got := r.ready(10)
		require.Equal(t, ids(in.Deliveries), slices.Compact(ids(got)),
			"handed out twice at most, for the message that came twice")
		require.Equal(t, 3, got[0].Count)
	})
	run("more than one delivery has room for makes several", func(t *testing.T, r *rig) {
		half := destination.File.Count/2 + 1
		var want []string
		for range 3 {
			in := delivery.Intake{Accepted: r.publish(1)}
			d := r.gatheringUntil(at, in.Accepted...)
			d.Count = half // as many as an engine is told that there are
			in.Deliveries = []delivery.Delivery{d}
			require.NoError(t, r.log.Accept(t.Context(), in))
			want = append(want, d.ID)
		}
		require.Equal(t, want, ids(r.ready(10)))
	})
}

func leases(run runner) {
	run("a lane is told when it has gathered, and when it will have", func(t *testing.T, r *rig) {
		r.gather(1, at.Add(time.Minute))
		r.gather(1, at.Add(11*time.Minute))
		lanes, next, err := r.q.Waiting(t.Context(), at)
		require.NoError(t, err)
		require.Empty(t, lanes)
		require.True(t, next.Equal(at.Add(time.Minute)))
		lanes, next, err = r.q.Waiting(t.Context(), at.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, []delivery.Lane{lane}, lanes)
		require.True(t, next.Equal(at.Add(11*time.Minute)))
		first := r.lease(lane, 10, at.Add(time.Minute))
		require.Len(t, first, 1)
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(first[0])}))
		require.Len(t, r.lease(lane, 10, at.Add(time.Hour)), 1)
		require.Empty(t, r.lease(lane, 10, at.Add(time.Hour)))
	})
	run("a lease brings the events and hides the delivery", func(t *testing.T, r *rig) {
		want := r.accept(5)
		first := r.lease(lane, 2, at)
		require.Equal(t, ids(want[:2]), ids(first), "oldest first")
		require.Equal(t, want[0].Events, first[0].Events)
		require.Equal(t, delivery.Pending, first[0].State)
		require.Equal(t, ids(want[2:]), ids(r.lease(lane, 10, at)))
		require.Empty(t, r.lease(lane, 10, at))
		require.Empty(t, r.lease(delivery.Lane{Tenant: "43", Integration: "i"}, 10, at))
		require.Empty(t, r.lease(delivery.Lane{Tenant: "42", Integration: "other"}, 10, at))
	})
	run("a lease ends by its time", func(t *testing.T, r *rig) {
		want := r.accept(2)
		require.Len(t, r.lease(lane, 10, at), 2)
		require.Empty(t, r.lease(lane, 10, at.Add(59*time.Second)))
		require.Equal(t, ids(want), ids(r.lease(lane, 10, at.Add(time.Minute))))
	})
	run("asking for retries of the future does not end leases of the present", func(t *testing.T, r *rig) {
		r.accept(2)
		leased := r.lease(lane, 2, at)
		require.NoError(t, r.log.Settle(t.Context(),
			[]delivery.Delivery{failed(leased[0], at), failed(leased[1], at.Add(time.Hour))}))
		retry := delivery.Lane{Tenant: "42", Integration: "i", Retry: true}
		require.Equal(t, ids(leased[:1]), ids(r.lease(retry, 10, at)))
		future, err := r.q.Lease(t.Context(), retry, 10, at.AddDate(100, 0, 0), at, at.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, ids(leased[1:]), ids(future), "the other is being sent")
	})
	run("a release gives a delivery back as it is stored", func(t *testing.T, r *rig) {
		want := r.accept(4)
		leased := r.lease(lane, 10, at)
		require.NoError(t, r.q.Release(t.Context(), leased[1:3]))
		require.Equal(t, ids(want[1:3]), ids(r.lease(lane, 10, at)))
	})
	run("what comes in while others are leased is found", func(t *testing.T, r *rig) {
		r.accept(3)
		require.Len(t, r.lease(lane, 2, at), 2)
		in := delivery.Intake{Accepted: r.publish(1)}
		late := made("i", in.Accepted...)
		var early ulid.ULID // an id before all others
		_ = early.SetTime(uint64(at.Add(-time.Hour).UnixMilli()))
		late.ID = early.String()
		in.Deliveries = []delivery.Delivery{late}
		require.NoError(t, r.log.Accept(t.Context(), in))
		require.Len(t, r.lease(lane, 1, at), 1)
		require.Len(t, r.lease(lane, 1, at), 1)
		require.Empty(t, r.lease(lane, 1, at))
	})
	run("waiting lanes are told, and when the next retry is due", func(t *testing.T, r *rig) {
		lanes, next, err := r.q.Waiting(t.Context(), at)
		require.NoError(t, err)
		require.Empty(t, lanes)
		require.Zero(t, next)
		r.accept(2)
		lanes, _, err = r.q.Waiting(t.Context(), at)
		require.NoError(t, err)
		require.Equal(t, []delivery.Lane{lane}, lanes)
		leased := r.lease(lane, 10, at)
		require.NoError(t, r.log.Settle(t.Context(),
			[]delivery.Delivery{failed(leased[0], at.Add(time.Second)), failed(leased[1], at.Add(3*time.Second))}))
		lanes, next, err = r.q.Waiting(t.Context(), at)
		require.NoError(t, err)
		require.Empty(t, lanes)
		require.True(t, next.Equal(at.Add(time.Second)))
		lanes, next, err = r.q.Waiting(t.Context(), at.Add(time.Second))
		require.NoError(t, err)
		require.Equal(t, []delivery.Lane{{Tenant: "42", Integration: "i", Retry: true}}, lanes)
		require.True(t, next.Equal(at.Add(3*time.Second)))
	})
}

func waits(run runner) {
	retry := delivery.Lane{Tenant: "42", Integration: "i", Retry: true}
	run("a failed delivery waits for its time in a lane of its own", func(t *testing.T, r *rig) {
		r.accept(1)
		d := failed(r.lease(lane, 1, at)[0], at.Add(10*time.Second))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{d}))
		require.Empty(t, r.lease(lane, 10, at.Add(time.Hour)))
		require.Empty(t, r.lease(retry, 10, at.Add(9*time.Second)))
		got := r.lease(retry, 10, at.Add(10*time.Second))
		require.Len(t, got, 1)
		require.Equal(t, d, got[0], "with all that was recorded")
		require.Empty(t, r.lease(retry, 10, at.Add(11*time.Second)))
		again := failed(got[0], at.Add(time.Minute))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{again}))
		require.Equal(t, again, r.get(d.ID))
		got = r.lease(retry, 10, at.Add(time.Minute))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(got[0])}))
		require.Equal(t, arrived(again), r.get(d.ID))
		require.Empty(t, r.lease(retry, 10, at.Add(time.Hour)))
	})
	run("H27: what waits when the clock goes back waits no longer for it", func(t *testing.T, r *rig) {
		r.accept(2)
		now := at.Add(-time.Hour) // it was at
		leased := r.lease(lane, 2, at)
		soon, later := failed(leased[0], at.Add(5*time.Second)), failed(leased[1], at.Add(10*time.Minute))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{soon, later}))
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

func settling(run runner) {
	run("a failed delivery is read back with all that was recorded", func(t *testing.T, r *rig) {
		r.accept(1)
		d := failed(r.ready(1)[0], at.Add(10*time.Second))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{d}))
		require.Equal(t, d, r.get(d.ID))
		again := failed(d, at.Add(time.Minute))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{again}))
		require.Equal(t, again, r.get(d.ID))
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(again)}))
		require.Equal(t, arrived(again), r.get(d.ID))
	})
	run("H3: the outcomes of parts are kept in every state, however many, and go when they say nothing any more",
		func(t *testing.T, r *rig) {
			r.accept(1)
			d := failed(r.ready(1)[0], at.Add(10*time.Second))
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
				require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{d}), "%s", was.State)
				require.Equal(t, d, r.get(d.ID))
				listed, err := r.log.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
				require.NoError(t, err)
				require.Equal(t, d.Parts, listed[0].Parts)
				d.Due = at.Add(20 * time.Second)
			}
			n, _, err := r.log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
			require.NoError(t, err)
			require.Equal(t, 1, n)
			again := r.ready(1)[0]
			require.Equal(t, d.Parts, again.Parts)
			again.Parts = nil
			require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(again)}))
			require.Empty(t, r.get(d.ID).Parts)
		})
	run("where some wait nowhere, the error names them and the others are written", func(t *testing.T, r *rig) {
		r.accept(3)
		ready := r.ready(3)
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{arrived(ready[1])}))
		err := r.log.Settle(t.Context(), []delivery.Delivery{arrived(ready[0]), failed(ready[1], at),
			failed(ready[2], at)})
		require.ErrorIs(t, err, delivery.ErrNotFound)
		var ended *delivery.NotWaitingError
		require.ErrorAs(t, err, &ended)
		require.Equal(t, []string{ready[1].ID}, ended.IDs)
		require.Equal(t, arrived(ready[0]), r.get(ready[0].ID))
		require.Equal(t, arrived(ready[1]), r.get(ready[1].ID), "it is as it was")
		require.Equal(t, failed(ready[2], at), r.get(ready[2].ID))
	})
	run("an ended delivery is not handed out again", func(t *testing.T, r *rig) {
		r.accept(2)
		leased := r.ready(10)
		require.NoError(t, r.log.Settle(t.Context(),
			[]delivery.Delivery{arrived(leased[0]), failed(leased[1], at).Kill("gave up")}))
		require.Empty(t, r.ready(10))
		require.Equal(t, delivery.Dead, r.get(leased[1].ID).State)
		require.Equal(t, "gave up", r.get(leased[1].ID).Reason)
	})
	run("what waits nowhere can not be settled", func(t *testing.T, r *rig) {
		r.accept(1)
		d := arrived(r.ready(1)[0])
		require.NoError(t, r.log.Settle(t.Context(), []delivery.Delivery{d}))
		require.ErrorIs(t, r.log.Settle(t.Context(), []delivery.Delivery{d}), delivery.ErrNotFound)
	})
	run("a delivery of several events brings them in their order", func(t *testing.T, r *rig) {
		in := delivery.Intake{Accepted: r.publish(30)}
		want := made("i", in.Accepted...)
		in.Deliveries = []delivery.Delivery{want}
		require.NoError(t, r.log.Accept(t.Context(), in))
		require.Equal(t, want.Events, r.ready(1)[0].Events)
	})
}

func listing(run runner) {
	run("the list merges all states, newest first", func(t *testing.T, r *rig) {
		all := r.accept(8)
		leased := r.ready(6)
		settled := []delivery.Delivery{arrived(leased[0]), failed(leased[1], at.Add(time.Hour)),
			failed(leased[2], at).Kill("dead"), arrived(leased[3])}
		require.NoError(t, r.log.Settle(t.Context(), settled))
		list := func(q delivery.Query) []string {
			t.Helper()
			q.Tenant, q.Integration = "42", "i"
			if q.Limit == 0 {
				q.Limit = 100
			}
			got, err := r.log.List(t.Context(), q)
			require.NoError(t, err)
			for _, d := range got {
				require.Equal(t, 1, d.Count)
				require.Equal(t, []event.Kind{event.CreateUser}, d.Kinds)
				require.Empty(t, d.Events)
			}
			return ids(got)
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
		none, err := r.log.List(t.Context(), delivery.Query{Tenant: "43", Integration: "i", Limit: 10})
		require.NoError(t, err)
		require.Empty(t, none)
	})
	run("another tenant's delivery is not found", func(t *testing.T, r *rig) {
		d := r.accept(1)[0]
		for _, k := range [][3]string{{"43", "i", d.ID}, {"42", "other", d.ID},
			{"42", "i", "01GTD8R4000000000000000001"}} {
			_, err := r.log.Get(t.Context(), k[0], k[1], k[2])
			require.ErrorIs(t, err, delivery.ErrNotFound)
		}
	})
}

func replays(run runner) {
	ended := func(r *rig, count int) []delivery.Delivery {
		r.accept(count)
		leased := r.ready(count)
		for i, d := range leased {
			if leased[i] = failed(d, at).Kill("dead"); i%2 == 1 {
				leased[i] = arrived(d)
			}
		}
		require.NoError(r.t, r.log.Settle(r.t.Context(), leased))
		return leased
	}
	run("one delivery is sent again under its id, with its history", func(t *testing.T, r *rig) {
		d := ended(r, 1)[0]
		n, after, err := r.log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, after)
		got := r.ready(10)
		require.Len(t, got, 1)
		require.Equal(t, d.ID, got[0].ID)
		require.Equal(t, d.Attempts, got[0].Attempts)
		require.Zero(t, got[0].Failures, "a new run of the cycles")
		require.Equal(t, d.Parts, got[0].Parts, "what arrived is known to the new run")
		require.Len(t, got[0].Parts, 3)
		require.Empty(t, got[0].Reason)
		n, _, err = r.log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
		require.NoError(t, err)
		require.Zero(t, n, "it is on its way already")
		_, _, err = r.log.Replay(t.Context(), delivery.Replay{Tenant: "43", Integration: "i", ID: d.ID, Limit: 1})
		require.ErrorIs(t, err, delivery.ErrNotFound)
	})
	run("a range is replayed in steps", func(t *testing.T, r *rig) {
		all := ended(r, 10) // the even ones are dead
		count, steps := 0, 0
		for after := ""; ; {
			n, next, err := r.log.Replay(t.Context(),
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
		require.Equal(t, []string{all[2].ID, all[4].ID, all[6].ID, all[8].ID}, ids(r.ready(10)))
	})
	run("delivered ones are replayed when asked for", func(t *testing.T, r *rig) {
		ended(r, 4)
		n, _, err := r.log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i",
			States: []delivery.State{delivery.Delivered}, Limit: 100})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, _, err = r.log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", States: delivery.States(),
			Limit: 100})
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
}
