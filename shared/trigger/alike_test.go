package trigger

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/filter"
)

// Triggers that are asked together count as each of them does alone: the same states, and the same that they publish.
func TestTriggersTogetherCountAsEachAlone(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		chance := rand.New(rand.NewPCG(seed, 16))
		var all []Trigger
		for n := range 2 + chance.IntN(8) {
			tr := Trigger{ID: fmt.Sprint("t", n), Tenant: "42", Name: "Watch", Revision: 1, Epoch: 1,
				Template:  []TemplateID{Hits, Payloads, Attacks}[chance.IntN(3)],
				Threshold: &Threshold{Period: 3600, Count: int64(1 + chance.IntN(5))},
				Actions:   []Action{{ID: Notify, Integrations: []string{"i"}}}}
			if chance.IntN(3) == 0 {
				tr.Since = noon.Add(time.Duration(chance.IntN(40)-10) * time.Second)
			}
			if chance.IntN(4) == 0 {
				tr.Filters = []filter.Filter{{ID: filter.ByType, Operator: filter.Equal,
					Values: []filter.Value{"sqli"}}}
			}
			if chance.IntN(6) == 0 {
				tr.Filters = append(tr.Filters, filter.Filter{ID: filter.ByURL, Operator: filter.NotEqual,
					Values: []filter.Value{"nowhere.example/never"}})
			}
			all = append(all, tr)
		}
		batch := someHits(chance)
		together := evaluated(t, all, batch)
		for _, one := range all {
			never := one // with a path among them, triggers of a condition are asked each by itself
			never.ID, never.Filters = "never", []filter.Filter{{ID: filter.ByURL, Operator: filter.Equal,
				Values: []filter.Value{"nowhere.example/never"}}}
			alone := evaluated(t, []Trigger{one, never}, batch)
			require.Empty(t, alone["never"])
			require.Equal(t, alone[one.ID], together[one.ID], "seed %d, trigger %s", seed, one.ID)
		}
	}
}

// someHits are hits and attacks that come within half a minute, some at no known time.
func someHits(chance *rand.Rand) (batch []Seen) {
	for n := range 40 {
		at := noon.Add(time.Duration(chance.IntN(30)) * time.Second)
		e := event.Event{ID: fmt.Sprint("h", n), Tenant: "42", Kind: event.NewHits, Time: at, Data: json.RawMessage(
			[]string{`{"hit":{"type":"sqli"}}`, `{"hit":{"type":"xss","payloads":["x"]}}`,
				`{"hit":{"type":"xss"},"sampled_out":true}`, `{"hit":{"type":"xss"},"experimental":true}`}[chance.IntN(4)])}
		if chance.IntN(4) == 0 {
			e.Kind, e.Data = event.NewAttack, json.RawMessage(fmt.Sprintf(`{"attack":{"id":"a%d","type":"sqli"}}`, n%3))
		}
		s := Seen{Event: e, At: at}
		if chance.IntN(5) == 0 {
			s.At = time.Time{}
		}
		batch = append(batch, s)
	}
	return batch
}

// evaluated is what a batch comes to, by trigger: its state, and the ids of what it publishes.
func evaluated(t *testing.T, all []Trigger, batch []Seen) map[string][]string {
	t.Helper()
	o, err := evaluator(&store{cached: all, now: all, states: map[string]State{}}).Evaluate(t.Context(), batch)
	require.NoError(t, err)
	out := map[string][]string{}
	for _, s := range o.States {
		out[s.Trigger] = append(out[s.Trigger], string(s.Body))
	}
	for _, e := range o.Publish {
		r, ok := e.Reaction()
		require.True(t, ok)
		out[r.Trigger] = append(out[r.Trigger], e.ID+" "+string(e.Data))
	}
	return out
}

// What comes in one batch counts as if each event had come alone: it goes off at the same one, and leaves the same
// state, with few in a window or so many that it is divided into steps.
func TestABatchCountsAsItsEventsDoOneByOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		chance := rand.New(rand.NewPCG(seed, 17))
		hits, most := 60, int64(1+chance.IntN(40))
		if seed%8 == 0 {
			hits, most = 2*steps+500, steps+int64(chance.IntN(100))
		}
		var all []Trigger
		for n, template := range []TemplateID{Hits, Hits, Payloads, Attacks, HitsFromIP} {
			all = append(all, Trigger{ID: fmt.Sprint("t", n), Tenant: "42", Name: "Watch", Revision: 1, Epoch: 1,
				Template: template, Threshold: &Threshold{Period: 1 + int64(chance.IntN(60)), Count: most + int64(n)},
				Actions: []Action{{ID: Notify, Integrations: []string{"i"}}}})
		}
		var events []Seen
		at := noon
		for n := range hits {
			at = at.Add(time.Duration(chance.IntN(9)) * time.Millisecond * time.Duration(chance.IntN(2)))
			events = append(events, Seen{At: at.Add(time.Second), Event: event.Event{ID: fmt.Sprint("h", n),
				Tenant: "42", Kind: event.NewHits, Time: at, Data: json.RawMessage(fmt.Sprintf(
					`{"hit":{"type":"xss","payloads":["p%d"],"path":"/%d","remote_addr4":"203.0.113.%d"}}`,
					chance.IntN(99), chance.IntN(99), chance.IntN(2)))}})
		}
		single := make([]int, len(events))
		for n := range single {
			single[n] = 1
		}
		var batches []int
		for left := len(events); left > 0; {
			n := min(left, 1+chance.IntN(100))
			batches, left = append(batches, n), left-n
		}
		require.Equal(t, inBatches(t, all, events, single), inBatches(t, all, events, batches), "seed %d", seed)
	}
}

// inBatches is what events come to, in batches of these sizes: the states at the end, and the ids of all that is
// published and noted, in its order for each trigger.
func inBatches(t *testing.T, all []Trigger, events []Seen, sizes []int) map[string][]string {
	t.Helper()
	s := &store{cached: all, now: all, states: map[string]State{}}
	v, out := evaluator(s), map[string][]string{}
	for _, n := range sizes {
		o, err := v.Evaluate(t.Context(), events[:n])
		require.NoError(t, err)
		events = events[n:]
		s.keep(o)
		for _, all := range o.Firings {
			for _, f := range all.List {
				of := "firings of " + all.Trigger
				out[of] = append(out[of], fmt.Sprint(f.ID, " ", f.Event, f.Count, f.From, f.To, f.Source))
			}
		}
		for _, e := range o.Publish {
			of := strings.Split(e.ID, ":")[1]
			out[of] = append(out[of], e.ID+" "+string(e.Data))
		}
	}
	for id, st := range s.states {
		out["state of "+id] = []string{string(st.Body)}
	}
	return out
}
