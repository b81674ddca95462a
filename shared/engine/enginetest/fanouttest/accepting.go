package fanouttest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// AcceptingEngine is what the suite of accepting works on.
type AcceptingEngine struct {
	Log     enginetest.Log
	Systems integration.Systems
	System  string // of the integration that events go to
	// Later lets some minutes pass and has the engine finish what was left behind.
	Later func(t *testing.T)
	// Purge loses what is on its way to be sent; nil where nothing can be lost.
	Purge func(t *testing.T)
	// Break has a call of the engine's services fail, the n-th from now on, from 1. mend ends that and tells whether
	// there were so many calls. nil where there are no such calls.
	Break func(n int, b Breakage) (mend func() (reached bool))
}

// Breakage is how a call fails.
type Breakage struct {
	Name   string
	After  bool // its effect is there, and the answer is lost
	Passes bool // a client that makes the call again succeeds
	Dies   bool // every later call fails too: the process has ended
}

// Breakages lists them.
func Breakages() []Breakage {
	return []Breakage{
		{Name: "refused"}, {Name: "answer lost", After: true},
		{Name: "answer lost, made again", After: true, Passes: true},
		{Name: "dead before it", Dies: true}, {Name: "dead after it", Dies: true, After: true},
	}
}

// accepting runs fan-outs over an engine.
type accepting struct {
	t *testing.T
	AcceptingEngine
	fanout *fanout.Fanout
}

// only is the one integration of the suite.
type only struct{ integration.Integration }

func (o only) Get(context.Context, string, string) (integration.Integration, error) {
	return o.Integration, nil
}

func (o only) Enabled(context.Context, string) ([]integration.Integration, error) {
	return []integration.Integration{o.Integration}, nil
}

func begin(t *testing.T, e AcceptingEngine) *accepting {
	return &accepting{t: t, AcceptingEngine: e, fanout: &fanout.Fanout{
		Integrations: only{integration.Integration{
			ID: "i", Tenant: "42", System: e.System, Name: "i", Revision: 1, Window: 1, Parameters: []byte(`{}`),
			Subscriptions: []integration.Subscription{{Event: event.System}},
		}},
		Systems: e.Systems, Store: e.Log, Logger: slog.New(slog.DiscardHandler),
	}}
}

// take puts events with these ids on the bus.
func (a *accepting) take(ids ...string) []delivery.Entry {
	a.t.Helper()
	var entries []delivery.Entry
	for _, id := range ids {
		detail, err := json.Marshal(map[string]any{
			"version": 1, "id": id, "tenant": "42", "client_name": "Acme", "time": enginetest.At,
			"data": map[string]any{"user": map[string]string{"name": id}},
		})
		require.NoError(a.t, err)
		entries = append(entries, delivery.Entry{DetailType: string(event.CreateUser), At: enginetest.At,
			Detail: detail})
	}
	return a.Log.Take(a.t, entries)
}

func (a *accepting) process(entries []delivery.Entry) {
	a.t.Helper()
	require.NoError(a.t, enginetest.ProcessAll(a.t.Context(), a.fanout, entries))
}

// once requires that each event is sent under one id.
func (a *accepting) once(want ...string) {
	a.t.Helper()
	under := map[string]map[string]bool{}
	for _, d := range a.Log.Ready(a.t, "42", "i", 1000) {
		for _, e := range d.Events {
			if under[e.ID] == nil {
				under[e.ID] = map[string]bool{}
			}
			under[e.ID][d.ID] = true
		}
	}
	var got []string
	for id, deliveries := range under {
		got = append(got, id)
		require.Len(a.t, deliveries, 1, "event %s is in so many deliveries", id)
	}
	slices.Sort(got)
	require.Equal(a.t, want, got)
}

// Accepting is the suite of what fan-out and its store make of events whatever comes twice, breaks off or gets lost.
func Accepting(t *testing.T, open func(t *testing.T) AcceptingEngine) {
	run := func(name string, test func(a *accepting)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(begin(t, open(t)))
		})
	}
	run("an event that comes again in other company is sent once", func(a *accepting) {
		a.process(a.take("a", "b"))
		a.process(a.take("b", "c"))
		a.process(a.take("c", "a", "b", "d"))
		a.Later(a.t)
		a.once("a", "b", "c", "d")
	})
	run("a repeat that stands before its original in one batch is sent once", func(a *accepting) {
		a.process(a.take("a", "a", "b", "a"))
		a.process(a.take("a"))
		a.Later(a.t)
		a.once("a", "b")
	})
	run("a batch that is handed in again as a whole is sent once", func(a *accepting) {
		entries := a.take("a", "b", "c")
		a.process(entries)
		a.process(entries)
		a.Later(a.t)
		a.once("a", "b", "c")
	})
	probe := open(t)
	if probe.Purge != nil {
		run("what gets lost on its way is sent", func(a *accepting) {
			a.process(a.take("a", "b"))
			a.process(a.take("c"))
			a.Purge(a.t)
			a.Later(a.t)
			a.once("a", "b", "c")
		})
	}
	if probe.Break == nil {
		return
	}
	for _, b := range Breakages() {
		t.Run("accepting that breaks off at any call loses and doubles nothing: "+b.Name,
			func(t *testing.T) {
				t.Parallel()
				broken(t, open, b)
			})
	}
}

// broken breaks one call after the other.
func broken(t *testing.T, open func(t *testing.T) AcceptingEngine, b Breakage) {
	for n := 1; ; n++ {
		reached := false
		t.Run(fmt.Sprint("call ", n), func(t *testing.T) {
			a := begin(t, open(t))
			entries := a.take("a", "b", "c")
			mend := a.Break(n, b)
			_, _ = a.fanout.Process(t.Context(), entries)
			reached = mend()
			// at once, as a message that comes twice; perhaps it is to come again
			_, _ = a.fanout.Process(t.Context(), entries[1:])
			a.Later(t)
			a.process(append(a.take("d"), entries[:2]...)) // in other company
			a.process(entries[2:])
			a.Later(t)
			a.once("a", "b", "c", "d")
		})
		if !reached {
			require.Greater(t, n, 4, "no call was broken")
			return
		}
	}
}
