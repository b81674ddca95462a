package reporttest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/report"
	"tocsin/shared/retention"
)

// installation is how long that of the suite keeps events.
const installation = 30 * 24 * time.Hour

// Retaining is an engine that forgets.
type Retaining struct {
	Log      enginetest.Log
	Events   fanout.EventLog
	Settings report.Store
	// Prune removes what is to go by the clock; nil where when a row goes is written with it.
	Prune func(t *testing.T)
	// Sweep looks after what is held; nil where what is held is ready by its time alone.
	Sweep func(t *testing.T)
}

// OpenRetaining opens an engine by a clock.
type OpenRetaining func(t *testing.T, now func() time.Time, most time.Duration) Retaining

// Retention is the suite of how long an engine keeps what came for tenants.
func Retention(t *testing.T, open OpenRetaining) {
	for name, test := range map[string]func(*testing.T, *retaining){
		"each tenant's events and deliveries are kept for as long as it chose":       keptAsChosen,
		"what came before a choice of fewer days goes by when the service says":      earlierLeaves,
		"an event whose delivery waits is kept with it":                              waitingKeeps,
		"what is held for a fallback for longer than its events are kept is sent":    heldKeeps,
		"an id counts again once its event has gone, and what others keep is theirs": idIsForgotten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &retaining{t: t, now: at}
			r.Retaining = open(t, func() time.Time { return r.now }, installation)
			r.service = &report.Service{Store: r.Settings, EventsKept: installation, EndsWritten: r.Prune == nil,
				Now: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler),
				NewID: func() string { r.n++; return fmt.Sprint("entry-", r.n) }}
			test(t, r)
		})
	}
}

type retaining struct {
	Retaining
	t       *testing.T
	now     time.Time
	service *report.Service
	n       int
}

// choose sets what a tenant keeps.
func (r *retaining) choose(tenant string, events, deliveries int) report.Settings {
	r.t.Helper()
	v, err := r.service.Set(r.t.Context(), activity.Actor{Tenant: tenant}, report.SettingsChange{Zone: "UTC",
		Retention: &retention.Days{Events: events, Deliveries: deliveries}}, -1)
	require.NoError(r.t, err)
	return v
}

// publish accepts an event and a rejected entry of each tenant, with a delivery of the event.
func (r *retaining) publish(id string, tenants ...string) {
	r.t.Helper()
	var entries []delivery.Entry
	for _, tenant := range tenants {
		entries = append(entries, delivery.Entry{DetailType: "create_user", At: r.now, Detail: fmt.Appendf(nil,
			`{"version":1,"id":%q,"tenant":%q,"time":"2023-03-01T12:00:00Z","data":{"user":{"name":"Ada"}}}`, id,
			tenant)})
	}
	for n, e := range r.Log.Take(r.t, entries) {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(r.t, err)
		list := []fanout.Accepted{{Entry: e, Event: parsed}}
		standing, err := r.Log.Begin(r.t.Context(), list)
		require.NoError(r.t, err)
		require.Equal(r.t, []fanout.Standing{fanout.Fresh}, standing)
		d := enginetest.Made("i", list...)
		d.Tenant = tenants[n]
		require.NoError(r.t, r.Log.Accept(r.t.Context(), fanout.Intake{Accepted: list,
			Deliveries: []delivery.Delivery{d}}))
	}
	var bad []delivery.Entry
	for _, tenant := range tenants {
		bad = append(bad, delivery.Entry{DetailType: "create_user", At: r.now,
			Detail: fmt.Appendf(nil, `{"version":1,"id":"bad","tenant":%q}`, tenant)})
	}
	for n, e := range r.Log.Take(r.t, bad) {
		require.NoError(r.t, r.Log.Accept(r.t.Context(), fanout.Intake{
			Rejected: []fanout.Rejected{{Entry: e, Tenant: tenants[n], Reason: "no data"}}}))
	}
}

// deliver has all arrive that waits for a tenant.
func (r *retaining) deliver(tenants ...string) {
	r.t.Helper()
	for _, tenant := range tenants {
		ready := r.Log.Ready(r.t, tenant, "i", 10)
		for n := range ready {
			ready[n] = enginetest.Arrived(ready[n])
		}
		require.NoError(r.t, r.Log.Settle(r.t.Context(), ready))
	}
}

// after is the time of some days after the beginning, and an hour.
func (r *retaining) after(days int) {
	r.t.Helper()
	r.now = at.Add(time.Duration(days)*24*time.Hour + time.Hour)
	if r.Prune != nil {
		r.Prune(r.t)
	}
}

// kept tells what is there of a tenant: events, rejected entries and deliveries.
func (r *retaining) kept(tenant string) string {
	r.t.Helper()
	var out []string
	events, _, err := r.Events.Arrived(r.t.Context(), tenant, at.Add(-time.Hour), r.now.Add(time.Hour), "", 10)
	require.NoError(r.t, err)
	for _, e := range events {
		out = append(out, e.Event.ID)
	}
	bad, err := r.Log.DeadLetters(r.t.Context(), tenant, "", 10)
	require.NoError(r.t, err)
	for range bad {
		out = append(out, "rejected")
	}
	list, err := r.Log.List(r.t.Context(), delivery.Query{Tenant: tenant, Integration: "i", Limit: 10})
	require.NoError(r.t, err)
	for _, d := range list {
		d, err = r.Log.Get(r.t.Context(), tenant, "i", d.ID)
		require.NoError(r.t, err)
		require.Len(r.t, d.Events, 1, "a delivery is not kept without its event")
		out = append(out, string(d.State))
	}
	return strings.Join(out, " ")
}

func keptAsChosen(t *testing.T, r *retaining) {
	r.choose("42", 7, 0)
	r.choose("44", 14, 7)
	all := []string{"42", "43", "44"}
	r.publish("e", all...)
	r.deliver(all...)
	const whole, nothing = "e rejected delivered", ""
	for _, step := range []struct {
		day  int
		want [3]string
	}{{6, [3]string{whole, whole, whole}}, {7, [3]string{nothing, whole, "e rejected"}},
		{13, [3]string{nothing, whole, "e rejected"}}, {14, [3]string{nothing, whole, nothing}},
		{29, [3]string{nothing, whole, nothing}}, {30, [3]string{}}} {
		r.after(step.day)
		for n, tenant := range all {
			require.Equal(t, step.want[n], r.kept(tenant), "tenant %s after %d days", tenant, step.day)
		}
	}
}

func earlierLeaves(t *testing.T, r *retaining) {
	r.publish("e", "42", "43")
	r.deliver("42", "43")
	r.after(10)
	v := r.choose("42", 7, 0)
	until := r.service.Leaves(v)
	require.Equal(t, r.Prune == nil, until.Equal(r.now.Add(installation)), until)
	if r.Prune != nil {
		require.Zero(t, until)
		r.Prune(t)
		require.Empty(t, r.kept("42"))
	}
	require.Equal(t, "e rejected delivered", r.kept("43"))
	r.now = r.now.Add(installation)
	require.Zero(t, r.service.Leaves(v), "it has gone by then")
	if r.Prune == nil {
		require.Empty(t, r.kept("42"))
	}
}

func waitingKeeps(t *testing.T, r *retaining) {
	if r.Prune == nil {
		t.Skip("where the end is written with a row, the longest wait is within the least that can be chosen")
	}
	r.choose("42", 7, 0)
	r.publish("waits", "42")
	r.now = at.Add(24 * time.Hour)
	r.publish("later", "42", "43")
	r.deliver("43")
	r.after(9)
	require.Equal(t, "waits later pending pending", r.kept("42"))
	r.deliver("42")
	r.after(9)
	require.Empty(t, r.kept("42"), "what was passed over is looked at again")
	require.Equal(t, "later rejected delivered", r.kept("43"))
}

func idIsForgotten(t *testing.T, r *retaining) {
	r.choose("42", 7, 0)
	r.publish("e", "42", "43")
	r.deliver("42", "43")
	r.after(6)
	require.Equal(t, []bool{true, true}, enginetest.Known(t, r.Log, event.Event{Tenant: "42", ID: "e"},
		event.Event{Tenant: "43", ID: "e"}))
	r.after(9) // on AWS an intake is kept a day longer than its events
	require.Equal(t, []bool{false, true}, enginetest.Known(t, r.Log, event.Event{Tenant: "42", ID: "e"},
		event.Event{Tenant: "43", ID: "e"}))
}

// heldKeeps: a delivery dies, and its fallback's people are away for two weeks.
func heldKeeps(t *testing.T, r *retaining) {
	r.choose("42", 7, 0)
	r.publish("e", "42")
	dead := enginetest.Failed(r.Log.Ready(t, "42", "i", 10)[0], r.now).Kill("gave up")
	until := r.now.Add(14 * 24 * time.Hour)
	made := delivery.Delivery{ID: delivery.FallbackID(dead, "j"), Tenant: "42", Integration: "j",
		State: delivery.Pending, CreatedAt: dead.CreatedAt, Kinds: dead.Kinds, Count: dead.Count, Events: dead.Events,
		From: &delivery.From{Integration: "i", Name: "On call", Delivery: dead.ID, Reason: "gave up"},
		Due:  until, Held: &delivery.Held{By: "mute", Until: until}}
	dead.Fallback = &delivery.Fallback{Integration: "j", Delivery: made.ID, Made: &made}
	require.NoError(t, r.Log.Settle(t.Context(), []delivery.Delivery{dead}))
	r.after(13)
	require.Empty(t, r.Log.Ready(t, "42", "j", 10))
	r.after(14)
	if r.Sweep != nil {
		r.Sweep(t)
	}
	got := r.Log.Ready(t, "42", "j", 10)
	require.Len(t, got, 1)
	require.Equal(t, made.Events, got[0].Events)
	require.Equal(t, 1, got[0].Count)
}
