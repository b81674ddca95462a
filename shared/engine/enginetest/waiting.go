package enginetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/metrics"
)

// WaitingEngine is what the suite of metrics.Backlog works on.
type WaitingEngine struct {
	Log          Log
	Backlog      metrics.Backlog
	Integrations integration.Store
}

// Waiting is the suite of metrics.Backlog.
func Waiting(t *testing.T, open func(t *testing.T) WaitingEngine) {
	run := func(name string, test func(t *testing.T, e WaitingEngine, r *Rig)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open(t)
			test(t, e, &Rig{T: t, Log: e.Log})
		})
	}
	run("what waits is counted by integration, each with the time that it is due", waitingIsCounted)
	run("what is sent again by hand has no time of its own", replayedHasNoTime)
	run("the inbox counts what fan-out has not passed", inboxIsCounted)
	run("integrations are counted by state", statesAreCounted)
}

func waitingLanes(t *testing.T, b metrics.Backlog) (out []metrics.Lane) {
	t.Helper()
	require.NoError(t, b.Lanes(t.Context(), func(l metrics.Lane) error {
		l.First, l.Due = l.First.UTC(), l.Due.UTC()
		out = append(out, l)
		return nil
	}))
	slices.SortFunc(out, func(a, b metrics.Lane) int { return cmp.Compare(a.Integration, b.Integration) })
	return out
}

func waitingIsCounted(t *testing.T, e WaitingEngine, r *Rig) {
	require.Empty(t, waitingLanes(t, e.Backlog))
	in := fanout.Intake{Accepted: r.Publish(7)}
	for n, a := range in.Accepted {
		d := Made([]string{"i", "i", "i", "retry", "retry", "window", "held"}[n], a)
		switch n {
		case 5:
			d.Due = At.Add(5 * time.Minute)
		case 6:
			d.Due, d.Held = At.Add(time.Hour), &delivery.Held{By: "mute", Until: At.Add(time.Hour)}
		}
		in.Deliveries = append(in.Deliveries, d)
	}
	require.NoError(t, e.Log.Accept(t.Context(), in))
	retried := in.Deliveries[3:5]
	e.Log.Ready(t, "42", "retry", 2)
	for n := range retried {
		retried[n].State, retried[n].Failures, retried[n].Batch = delivery.Retrying, 1, "b"
		retried[n].Due = At.Add(time.Duration(n+1) * time.Minute)
		retried[n].Attempts = []delivery.Attempt{{At: At, Status: 503}}
	}
	require.NoError(t, e.Log.Settle(t.Context(), retried))
	want := []metrics.Lane{
		{Tenant: "42", Integration: "held", Held: 1},
		{Tenant: "42", Integration: "i", Waiting: 3, First: in.Deliveries[0].CreatedAt.UTC()},
		{Tenant: "42", Integration: "retry", Waiting: 2, Due: At.Add(time.Minute)},
		{Tenant: "42", Integration: "window", Waiting: 1, Due: At.Add(5 * time.Minute)},
	}
	require.Equal(t, want, waitingLanes(t, e.Backlog))
	sent := e.Log.Ready(t, "42", "i", 2)
	require.Equal(t, want, waitingLanes(t, e.Backlog), "what is being sent waits still")
	for n := range sent {
		sent[n].State, sent[n].Attempts = delivery.Delivered, []delivery.Attempt{{At: At, Status: 200, Delivered: true}}
	}
	require.NoError(t, e.Log.Settle(t.Context(), sent))
	want[1].Waiting, want[1].First = 1, in.Deliveries[2].CreatedAt.UTC()
	require.Equal(t, want, waitingLanes(t, e.Backlog))
}

func replayedHasNoTime(t *testing.T, e WaitingEngine, r *Rig) {
	all := r.Accept(3)
	ended := r.Ready(2)
	for n := range ended {
		ended[n].State, ended[n].Reason = delivery.Dead, "503"
		ended[n].Attempts = []delivery.Attempt{{At: At, Status: 503}}
	}
	require.NoError(t, e.Log.Settle(t.Context(), ended))
	n, _, err := e.Log.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []metrics.Lane{{Tenant: "42", Integration: "i", Waiting: 3, First: all[2].CreatedAt.UTC()}},
		waitingLanes(t, e.Backlog))
}

func inboxIsCounted(t *testing.T, e WaitingEngine, r *Rig) {
	inbox := func() (int, time.Time) {
		n, oldest, err := e.Backlog.Inbox(t.Context())
		require.NoError(t, err)
		return n, oldest.UTC()
	}
	n, oldest := inbox()
	require.Zero(t, n)
	require.True(t, oldest.IsZero())
	entries := r.Publish(4)
	n, oldest = inbox()
	require.Equal(t, 4, n)
	require.Equal(t, entries[0].Entry.At.UTC(), oldest)
	require.NoError(t, e.Log.Accept(t.Context(), fanout.Intake{Accepted: entries[:3]}))
	n, oldest = inbox()
	require.Equal(t, 1, n)
	require.Equal(t, entries[3].Entry.At.UTC(), oldest)
	require.NoError(t, e.Log.Accept(t.Context(), fanout.Intake{Accepted: entries[3:]}))
	n, oldest = inbox()
	require.Zero(t, n)
	require.True(t, oldest.IsZero())
}

func statesAreCounted(t *testing.T, e WaitingEngine, _ *Rig) {
	for n, off := range []*integration.Off{nil, nil, {By: integration.ByPerson}, {By: integration.ByPlatform}, nil} {
		i := Sample([]string{"42", "43"}[n%2], string(rune('a'+n)))
		i.Off = off
		if n == 4 {
			i.System = "jira"
		}
		require.NoError(t, e.Integrations.Create(t.Context(), i, Record(i.Tenant, event.CreateIntegration)))
	}
	require.NoError(t, e.Integrations.Mark(t.Context(), "43", "b", 1, &integration.Failing{Since: At, At: At},
		Record("43", event.IntegrationFailing)))
	got, err := e.Backlog.States(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []metrics.States{
		{System: "slack", State: metrics.StateEnabled, Count: 1},
		{System: "slack", State: metrics.StateFailing, Count: 1},
		{System: "slack", State: metrics.StateDisabled, Count: 1},
		{System: "slack", State: metrics.StateBroken, Count: 1},
		{System: "jira", State: metrics.StateEnabled, Count: 1},
	}, got)
}
