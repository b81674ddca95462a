package enginetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
)

// OpenEventLog opens an engine.
type OpenEventLog func(t *testing.T) (Log, fanout.EventLog)

// EventLog is the suite of fanout.EventLog over the deliveries of a log.
func EventLog(t *testing.T, open OpenEventLog) {
	run := Parallel(t, open)
	run("what was accepted is listed in the order of arrival, in pages, whole", acceptedIsListedInOrder)
	run("a repeat is listed once and a refused event not at all", repeatIsListedOnce)
	run("an event is carried by a delivery in any state, of its own integration", eventIsCarriedByADelivery)
	run("what is recovered is ready to be sent, once", recoveredIsReadyOnce)
	run("a thousand events are listed without a gap", thousandEventsAreListed)
}

func acceptedIsListedInOrder(t *testing.T, open OpenEventLog) {
	log, j := open(t)
	r := &Rig{T: t, Log: log}
	require.Empty(t, arrivals(t, j, "42", At, later, 10))
	var want []fanout.Accepted
	for range 4 {
		in := fanout.Intake{Accepted: r.Publish(3)}
		require.NoError(t, log.Accept(t.Context(), in))
		want = append(want, in.Accepted...)
	}
	for _, limit := range []int{1, 2, 5, 100} {
		got := arrivals(t, j, "42", At, later, limit)
		require.Equal(t, eventIDs(want), eventIDs(got), "pages of %d", limit)
		for n := range got {
			require.Equal(t, want[n].Event, got[n].Event)
			require.True(t, want[n].Entry.At.Equal(got[n].Entry.At))
		}
	}
	require.Equal(t, eventIDs(want[2:5]), eventIDs(arrivals(t, j, "42", want[2].Entry.At, want[5].Entry.At, 2)),
		"from included, to not")
	require.Empty(t, arrivals(t, j, "43", At, later, 10), "another tenant has none")
}

func repeatIsListedOnce(t *testing.T, open OpenEventLog) {
	log, j := open(t)
	r := &Rig{T: t, Log: log}
	in := fanout.Intake{Accepted: r.Publish(2)}
	require.NoError(t, log.Accept(t.Context(), in))
	again := log.Take(t,
		[]delivery.Entry{{DetailType: in.Accepted[0].Entry.DetailType, Detail: in.Accepted[0].Entry.Detail,
			At: At.Add(time.Hour)}})
	bad := log.Take(t,
		[]delivery.Entry{{DetailType: "create_user", Detail: []byte(`{"version":1,"id":"bad","tenant":"42"}`),
			At: At.Add(time.Hour)}})
	require.NoError(t, log.Accept(t.Context(), fanout.Intake{
		Repeated: []fanout.Accepted{{Entry: again[0], Event: in.Accepted[0].Event}},
		Rejected: []fanout.Rejected{{Entry: bad[0], Tenant: "42", Reason: "no data"}},
	}))
	require.Equal(t, eventIDs(in.Accepted), eventIDs(arrivals(t, j, "42", At, later, 10)))
}

func eventIsCarriedByADelivery(t *testing.T, open OpenEventLog) {
	log, j := open(t)
	r := &Rig{T: t, Log: log}
	in := fanout.Intake{Accepted: r.Publish(6)}
	for n, a := range in.Accepted[:4] {
		if n != 2 {
			in.Deliveries = append(in.Deliveries, Made("i", a))
		}
	}
	in.Deliveries = append(in.Deliveries, Made("other", in.Accepted[4]))
	require.NoError(t, log.Accept(t.Context(), in))
	mine := r.Ready(3)
	require.Len(t, mine, 3)
	mine[0].State, mine[0].Attempts = delivery.Delivered, []delivery.Attempt{{At: At, Status: 200, Delivered: true}}
	mine[1].State, mine[1].Reason = delivery.Dead, "it was disabled"
	require.NoError(t, log.Settle(t.Context(), mine[:2]))
	events := arrivals(t, j, "42", At, later, 10)
	carried, err := j.Carried(t.Context(), "42", "i", events)
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false, true, false, false}, carried)
	carried, err = j.Carried(t.Context(), "42", "new", events)
	require.NoError(t, err)
	require.Equal(t, make([]bool, 6), carried)
}

func recoveredIsReadyOnce(t *testing.T, open OpenEventLog) {
	log, j := open(t)
	r := &Rig{T: t, Log: log}
	require.NoError(t, log.Accept(t.Context(), fanout.Intake{Accepted: r.Publish(3)}))
	events := arrivals(t, j, "42", At, later, 10)
	deliveries := []delivery.Delivery{Made("i", events[0]), Made("i", events[1:]...)}
	for range 2 {
		_, err := j.Recover(t.Context(), deliveries, events)
		require.NoError(t, err)
	}
	got := r.Ready(10)
	slices.SortFunc(got, func(a, b delivery.Delivery) int { return a.CreatedAt.Compare(b.CreatedAt) })
	// An engine with messages may have sent one again: what is pending can have lost its own.
	got = slices.CompactFunc(got, func(a, b delivery.Delivery) bool { return a.ID == b.ID })
	require.Len(t, got, 2)
	require.Equal(t, []string{"e1", "e2", "e3"},
		[]string{got[0].Events[0].ID, got[1].Events[0].ID, got[1].Events[1].ID})
	for n := range got {
		got[n].State, got[n].Attempts = delivery.Delivered,
			[]delivery.Attempt{{At: At, Status: 200, Delivered: true}}
	}
	require.NoError(t, log.Settle(t.Context(), got))
	made, err := j.Recover(t.Context(), deliveries, events)
	require.NoError(t, err)
	require.Zero(t, made, "they were delivered: nothing is sent twice")
	carried, err := j.Carried(t.Context(), "42", "i", events)
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, true}, carried)
}

func thousandEventsAreListed(t *testing.T, open OpenEventLog) {
	log, j := open(t)
	r := &Rig{T: t, Log: log}
	for range 20 {
		require.NoError(t, log.Accept(t.Context(), fanout.Intake{Accepted: r.Publish(50)}))
	}
	var want []string
	for n := range 1000 {
		want = append(want, fmt.Sprintf("e%d", n+1))
	}
	require.Equal(t, want, eventIDs(arrivals(t, j, "42", At, later, 170)))
}

func arrivals(t *testing.T, j fanout.EventLog, tenant string, from, to time.Time,
	limit int) (out []fanout.Accepted) {
	t.Helper()
	for after := ""; ; {
		page, next, err := j.Arrived(t.Context(), tenant, from, to, after, limit)
		require.NoError(t, err)
		out = append(out, page...)
		if next == "" {
			return out
		}
		require.NotEqual(t, after, next)
		after = next
	}
}

func eventIDs(events []fanout.Accepted) (out []string) {
	for _, a := range events {
		out = append(out, a.Event.ID)
	}
	return out
}
