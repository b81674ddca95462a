package trigger

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
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
