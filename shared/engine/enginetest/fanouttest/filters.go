package fanouttest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// several are the integrations of the tenant 42.
type several []integration.Integration

func (s several) Get(_ context.Context, _, id string) (integration.Integration, error) {
	n := slices.IndexFunc(s, func(i integration.Integration) bool { return i.ID == id })
	if n < 0 {
		return integration.Integration{}, integration.ErrNotFound
	}
	return s[n], nil
}

func (s several) Enabled(context.Context, string) ([]integration.Integration, error) { return s, nil }

// found is an event of the plain oracle's world: a vulnerability.
type found struct{ id, threat, domain string }

func (f found) entry(t *testing.T) delivery.Entry {
	t.Helper()
	detail, err := json.Marshal(map[string]any{"version": 1, "id": f.id, "tenant": "42", "time": enginetest.At,
		"data": map[string]any{"vuln": map[string]any{"id": f.id, "threat": f.threat, "domain": f.domain}}})
	require.NoError(t, err)
	return delivery.Entry{DetailType: string(event.Vuln), At: enginetest.At, Detail: detail}
}

// stoppedBy is the oracle: it knows nothing of package filter but its words.
func (f found) stoppedBy(filters []filter.Filter) filter.ID {
	of := map[filter.ID]string{filter.BySeverity: f.threat, filter.ByDomain: f.domain,
		filter.ByKind: string(event.Vuln)}
	for _, rule := range filters {
		there := false
		for _, v := range rule.Values {
			there = there || strings.EqualFold(of[rule.ID], string(v))
		}
		_, asks := of[rule.ID] // a vulnerability has no country
		if asks && there == (rule.Operator == filter.NotEqual) {
			return rule.ID
		}
	}
	return ""
}

// ways are what filters of the test are made of.
var ways = map[filter.ID][]filter.Value{
	filter.BySeverity: {"high", "medium", "low", "info"}, filter.ByDomain: {"a.example", "b.example", "c.example"},
	filter.ByKind: {"vuln", "new_hits"}, filter.ByCountry: {"NL", "PL"},
}

func anyFilters(r *rand.Rand) (out []filter.Filter) {
	for _, id := range []filter.ID{filter.BySeverity, filter.ByCountry, filter.ByDomain, filter.ByKind} {
		if r.IntN(5) < 2 {
			continue
		}
		f := filter.Filter{ID: id, Operator: filter.Equal}
		if r.IntN(3) == 0 {
			f.Operator = filter.NotEqual
		}
		values := slices.Clone(ways[id])
		r.Shuffle(len(values), func(a, b int) { values[a], values[b] = values[b], values[a] })
		f.Values = values[:1+r.IntN(len(values)-1)]
		out = append(out, f)
	}
	return out
}

// Filters is the suite of what filters leave out, against a plain oracle: each event is sent to an integration, or
// counts there for the filter that stops it, and none does both, whatever is handed in again.
func Filters(t *testing.T, open func(t *testing.T) (AcceptingEngine, health.Counters)) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("each event is sent or left out by one filter, seed %d", seed), func(t *testing.T) {
			t.Parallel()
			eachIsAccountedFor(t, rand.New(rand.NewPCG(19, seed)), open)
		})
	}
}

func eachIsAccountedFor(t *testing.T, r *rand.Rand, open func(t *testing.T) (AcceptingEngine, health.Counters)) {
	e, counters := open(t)
	to := several{}
	for n := range 6 {
		to = append(to, integration.Integration{ID: fmt.Sprintf("i%d", n), Tenant: "42", System: e.System, Name: "i",
			Revision: 1, Window: 1, Parameters: []byte(`{}`), Filters: anyFilters(r),
			Subscriptions: []integration.Subscription{{Event: event.VulnHigh}, {Event: event.VulnMedium}}})
	}
	f := &fanout.Fanout{Integrations: to, Systems: e.Systems, Store: e.Log, Logger: slog.New(slog.DiscardHandler)}
	var events []found
	for n := range 60 {
		events = append(events, found{fmt.Sprintf("e%d", n), []string{"High", "Medium", "Low"}[r.IntN(3)],
			[]string{"a.example", "B.example", "c.example", "d.example"}[r.IntN(4)]})
	}
	for batch := range slices.Chunk(events, 20) {
		var entries []delivery.Entry
		for _, f := range batch {
			entries = append(entries, f.entry(t))
		}
		require.NoError(t, enginetest.ProcessAll(t.Context(), f, e.Log.Take(t, entries)))
		require.NoError(t, enginetest.ProcessAll(t.Context(), f, e.Log.Take(t, entries[5:10]))) // they come again
	}
	e.Later(t)
	for _, i := range to {
		sent, left := map[string]bool{}, map[filter.ID]int{}
		for _, f := range events {
			switch by := f.stoppedBy(i.Filters); {
			case f.threat == "Low": // it does not take them
			case by == "":
				sent[f.id] = true
			default:
				left[by]++
			}
		}
		require.Equal(t, sent, sentTo(t, e, i.ID), "filters %+v", i.Filters)
		for id := range ways {
			got := enginetest.Tally(t, counters, "42", health.LeftOutOf(i.ID, string(id)), 0,
				enginetest.At.Truncate(health.Bucket))
			require.Equal(t, left[id], got.Attempts, "%s of %+v", id, i.Filters)
		}
	}
}

// sentTo are the ids of the events that are on their way to an integration.
func sentTo(t *testing.T, e AcceptingEngine, id string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, d := range e.Log.Ready(t, "42", id, 1000) {
		for _, e := range d.Events {
			out[e.ID] = true
		}
	}
	return out
}
