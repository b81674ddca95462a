package statetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
)

// OpenPublisher opens an engine. taken takes the entries that reached its bus.
type OpenPublisher func(t *testing.T) (p event.Publisher, taken func(t *testing.T) []delivery.Entry)

// Publisher is the suite of event.Publisher.
func Publisher(t *testing.T, open OpenPublisher) {
	run := enginetest.Parallel(t, open)
	run("an event reaches the bus whole", publishedArrivesWhole)
	run("many events of all sizes reach the bus in one call, each once", manyArriveOnce)
	run("no event is nothing to publish", nothingIsPublished)
	run("of many who publish at once each reaches the bus", publishSideBySide)
}

// Traces is the suite of engines whose bus keeps with an event which span it comes of. EventBridge has a header for it.
func Traces(t *testing.T, open OpenPublisher) {
	p, taken := open(t)
	traced := enginetest.Note("42", event.CreateIntegration)
	traced.Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	require.NoError(t, p.Publish(t.Context(), traced, enginetest.Note("42", event.CreateIntegration)))
	got := taken(t)
	require.Len(t, got, 2)
	require.Equal(t, traced.Trace, got[0].Trace)
	require.Empty(t, got[1].Trace)
}

// parsed are the events of entries, in the order of their ids.
func parsed(t *testing.T, entries []delivery.Entry) []event.Event {
	t.Helper()
	out := make([]event.Event, len(entries))
	for n, e := range entries {
		var err error
		out[n], err = event.Parse(e.DetailType, e.Detail)
		require.NoError(t, err)
	}
	slices.SortFunc(out, func(a, b event.Event) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func publishedArrivesWhole(t *testing.T, open OpenPublisher) {
	p, taken := open(t)
	want := enginetest.Note("42", event.CreateIntegration)
	want.ClientName, want.Data = "Acme 注文 «é»", []byte(`{"integration":{"id":"i","name":"<b>&\u0000"}}`)
	require.NoError(t, p.Publish(t.Context(), want))
	got := parsed(t, taken(t))
	require.Len(t, got, 1)
	require.True(t, want.Time.Equal(got[0].Time))
	require.JSONEq(t, string(want.Data), string(got[0].Data))
	got[0].Time, got[0].Data = want.Time, want.Data
	require.Equal(t, want, got[0])
	require.Empty(t, taken(t))
}

func manyArriveOnce(t *testing.T, open OpenPublisher) {
	p, taken := open(t)
	var want []string
	var all []event.Event
	for n := range 47 {
		e := enginetest.Note("42", event.CreateIntegration)
		e.ID = fmt.Sprintf("many-%02d", n)
		size := []int{0, 10, 60_000, 120_000}[n%4] // the largest of events is of about 256 KiB
		data, err := json.Marshal(map[string]any{"integration": map[string]string{"id": "i",
			"name": strings.Repeat("x", size)}})
		require.NoError(t, err)
		e.Data = data
		all, want = append(all, e), append(want, e.ID)
	}
	require.NoError(t, p.Publish(t.Context(), all...))
	var got []string
	for n, e := range parsed(t, taken(t)) {
		got = append(got, e.ID)
		require.JSONEq(t, string(all[n].Data), string(e.Data))
	}
	require.Equal(t, want, got)
}

func nothingIsPublished(t *testing.T, open OpenPublisher) {
	p, taken := open(t)
	require.NoError(t, p.Publish(t.Context()))
	require.Empty(t, taken(t))
}

func publishSideBySide(t *testing.T, open OpenPublisher) {
	p, taken := open(t)
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			if err := p.Publish(t.Context(), enginetest.Note("42", event.CreateIntegration)); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	ids := map[string]bool{}
	for _, e := range parsed(t, taken(t)) {
		ids[e.ID] = true
	}
	require.Len(t, ids, 20)
}
