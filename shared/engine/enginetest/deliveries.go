package enginetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trace"
	"tocsin/shared/worker"
)

// DeliveryStore is all that an engine keeps of deliveries for its readers: what fan-out made, what became of it, and
// what a person sees of both.
type DeliveryStore interface {
	fanout.Store
	worker.OutcomeWriter
	Get(ctx context.Context, tenant, integration, id string) (delivery.Delivery, error)
	List(ctx context.Context, q delivery.Query) ([]delivery.Delivery, error)
	Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error)
	DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error)
	AllDeadLetters(ctx context.Context, before string, limit int) ([]delivery.DeadLetter, error)
}

// Log is what the suite of deliveries works on: their store, and the two ends that it stands between.
type Log struct {
	DeliveryStore
	// Take puts entries on the bus and returns them as fan-out receives them, in their order.
	Take func(t *testing.T, entries []delivery.Entry) []delivery.Entry
	// Ready hands out up to limit deliveries to send for the first time to an integration, oldest first, each once.
	Ready func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery
}

// Rig drives an engine: it publishes events, takes what is to be sent and settles it.
type Rig struct {
	T   *testing.T
	Log Log
	q   Queues // nil in the suite of the log
	bus Bus    // nil in the suite of the log
	n   int
}

// lane of the suite.
var lane = delivery.Lane{Tenant: "42", Integration: "i"}

// Later lets time go by between the events that are published: one is a second after the other.
func (r *Rig) Later(by time.Duration) { r.n += int(by / time.Second) }

// Publish puts events on the bus and returns them as they are received.
func (r *Rig) Publish(count int) []fanout.Accepted {
	r.T.Helper()
	var entries []delivery.Entry
	for range count {
		r.n++
		entries = append(entries, delivery.Entry{DetailType: "create_user", Trace: parent(r.n),
			At: At.Add(time.Duration(r.n) * time.Second), Detail: fmt.Appendf(nil,
				`{"version":1,"id":"e%d","tenant":"42","client_name":"Acme","time":"2023-03-01T12:00:00Z",`+
					`"data":{"user":{"name":"User %d"}}}`, r.n, r.n)})
	}
	received := r.Log.Take(r.T, entries)
	require.Len(r.T, received, count)
	var out []fanout.Accepted
	for i, e := range received {
		require.Equal(r.T, string(entries[i].Detail), string(e.Detail))
		require.Equal(r.T, entries[i].DetailType, e.DetailType)
		require.True(r.T, entries[i].At.Equal(e.At))
		require.Equal(r.T, entries[i].Trace, e.Trace)
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(r.T, err)
		parsed.Trace = e.Trace
		out = append(out, fanout.Accepted{Entry: e, Event: parsed})
	}
	return out
}

// parent is what is kept with the nth event for its trace: a span, that nobody follows it, or nothing.
func parent(n int) trace.Parent {
	switch n % 3 {
	case 0:
		return trace.Parent(fmt.Sprintf("00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01", n+1))
	case 1:
		return trace.Unfollowed
	}
	return ""
}

// Known says of each event whether its tenant's event of that id was accepted.
func Known(t *testing.T, log fanout.Store, events ...event.Event) []bool {
	t.Helper()
	list := make([]fanout.Accepted, len(events))
	for n, e := range events {
		list[n] = fanout.Accepted{Event: e, Entry: delivery.Entry{At: At}}
	}
	standings, err := log.Begin(t.Context(), list)
	require.NoError(t, err)
	require.NoError(t, log.Abort(t.Context(), list))
	out := make([]bool, len(events))
	for n, s := range standings {
		require.NotEqual(t, fanout.Busy, s)
		out[n] = s == fanout.Known
	}
	return out
}

// Made is a delivery of the events.
func Made(integration string, events ...fanout.Accepted) delivery.Delivery {
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

// Accept publishes one event for each delivery and accepts them.
func (r *Rig) Accept(count int) []delivery.Delivery {
	r.T.Helper()
	in := fanout.Intake{Accepted: r.Publish(count)}
	for _, a := range in.Accepted {
		in.Deliveries = append(in.Deliveries, Made("i", a))
	}
	require.NoError(r.T, r.Log.Accept(r.T.Context(), in))
	return in.Deliveries
}

// Ready takes deliveries of the suite's lane.
func (r *Rig) Ready(limit int) []delivery.Delivery {
	r.T.Helper()
	return r.Log.Ready(r.T, lane.Tenant, lane.Integration, limit)
}

func (r *Rig) Get(id string) delivery.Delivery {
	r.T.Helper()
	d, err := r.Log.Get(r.T.Context(), "42", "i", id)
	require.NoError(r.T, err)
	return d
}

func IDs(ds []delivery.Delivery) []string {
	out := []string{}
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out
}

// Failed is the delivery after a failed attempt that is repeated at due.
func Failed(d delivery.Delivery, due time.Time) delivery.Delivery {
	d.State, d.Due, d.Reason = delivery.Retrying, due, "answered 503"
	d.Failures++
	d.Parts = []delivery.Part{
		{Key: "a@example.com e", Name: "a@example.com", State: delivery.PartDelivered, Status: 250},
		{Key: "b@example.com e", Name: "b@example.com", State: delivery.PartRefused, Status: 550,
			Reason: "answered 550 5.1.1 «nobody»\n\x00"},
		{Key: "x", From: 3, To: 700, State: delivery.PartFailed},
	}
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)], delivery.Attempt{
		At: At, Waited: time.Second, Late: time.Millisecond, Took: 5 * time.Millisecond, Status: 503, Gone: true,
		Reason: "answered 503", Answer: "busy\n\x00",
		Followed: &delivery.Followed{Reference: "SEC-1", Then: []delivery.Then{{After: 1, Method: "POST",
			URL:    "https://jira.example.com/rest/api/3/issue/SEC-1/transitions",
			Header: map[string][]string{"Content-Type": {"application/json"}}, Body: `{"transition":{"id":"31"}}`}}},
	})
	return d
}

func Arrived(d delivery.Delivery) delivery.Delivery {
	d.State, d.Due, d.Reason = delivery.Delivered, time.Time{}, ""
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)],
		delivery.Attempt{At: At, Took: time.Millisecond, Status: 200, Delivered: true})
	return d
}

// Deliveries is the suite of what an engine keeps of deliveries: fanout.Store, worker.OutcomeWriter, the history and
// the dead letters.
func Deliveries(t *testing.T, open func(t *testing.T) Log) {
	run := func(name string, test func(t *testing.T, r *Rig)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &Rig{T: t, Log: open(t)})
		})
	}
	intake(run)
	windows(run)
	settling(run)
	falling(run)
	listing(run)
	replays(run)
	follows(run)
}

type runner func(name string, test func(t *testing.T, r *Rig))

func intake(run runner) {
	run("an accepted event is known, to its tenant alone", func(t *testing.T, r *Rig) {
		in := fanout.Intake{Accepted: r.Publish(1)}
		e := in.Accepted[0].Event
		foreign := e
		foreign.Tenant = "43"
		require.Equal(t, []bool{false, false}, Known(t, r.Log, e, foreign))
		require.NoError(t, r.Log.Accept(t.Context(), in))
		require.Equal(t, []bool{true, false}, Known(t, r.Log, e, foreign))
	})
	run("the same Intake twice makes its deliveries once", func(t *testing.T, r *Rig) {
		in := fanout.Intake{Accepted: r.Publish(2)}
		in.Deliveries = []delivery.Delivery{Made("i", in.Accepted...)}
		require.NoError(t, r.Log.Accept(t.Context(), in))
		leased := r.Ready(10)
		require.Len(t, leased, 1)
		require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{Arrived(leased[0])}))
		require.NoError(t, r.Log.Accept(t.Context(), in))
		require.Empty(t, r.Ready(10))
		require.Equal(t, delivery.Delivered, r.Get(in.Deliveries[0].ID).State)
	})
	run("a rejected entry is kept with its reason, for its tenant", func(t *testing.T, r *Rig) {
		accepted := r.Publish(3)
		in := fanout.Intake{Repeated: accepted[2:]}
		for n, tenant := range []string{"42", ""} {
			in.Rejected = append(in.Rejected, fanout.Rejected{Entry: accepted[n].Entry, Tenant: tenant,
				Reason: fmt.Sprintf("reason %d", n)})
		}
		require.NoError(t, r.Log.Accept(t.Context(), in))
		mine, err := r.Log.DeadLetters(t.Context(), "42", "", 10)
		require.NoError(t, err)
		require.Len(t, mine, 1)
		require.Equal(t, "reason 0", mine[0].Reason)
		require.Equal(t, string(accepted[0].Entry.Detail), string(mine[0].Detail))
		all, err := r.Log.AllDeadLetters(t.Context(), "", 1)
		require.NoError(t, err)
		require.Equal(t, "reason 1", all[0].Reason, "newest first")
		rest, err := r.Log.AllDeadLetters(t.Context(), all[0].ID, 10)
		require.NoError(t, err)
		require.Len(t, rest, 1)
	})
}
