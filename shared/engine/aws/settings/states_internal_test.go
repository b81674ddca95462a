package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// oneTenant keeps the states of the triggers of a new account.
type oneTenant struct {
	trigger.Store
	list   []trigger.Trigger
	states map[string]trigger.State
}

func (s *oneTenant) Active(context.Context, string) ([]trigger.Trigger, bool, error) {
	return s.list, true, nil
}

func (s *oneTenant) States(_ context.Context, tenant string, ids []string) (out []trigger.State, _ error) {
	for _, id := range ids {
		st := s.states[id]
		st.Tenant, st.Trigger = tenant, id
		out = append(out, st)
	}
	return out, nil
}

// TestAStateCostsWhatARoundChangesOfIt plays rounds of hits from ever new addresses, which fill the states of a new
// account's two triggers, and adds up what their rows cost.
func TestAStateCostsWhatARoundChangesOfIt(t *testing.T) {
	for _, c := range []struct {
		events int     // of a round
		most   float64 // write units of a round, when the states are full
	}{{1, 8}, {10, 22}, {93, 50}, {930, 150}} {
		t.Run(fmt.Sprint(c.events, " events a round"), func(t *testing.T) {
			p := playRounds(t)
			rounds, paid, whole := 0, 0, 0
			for rounds < 60 {
				events := c.events
				if p.hits == 0 {
					events = 6000 // which fill the states
				}
				cost := p.round(events)
				if cost.full == 2 {
					rounds, paid, whole = rounds+1, paid+cost.paid, whole+cost.whole
				}
			}
			require.Less(t, p.hits, 500_000)
			t.Logf("%.1f write units a round, %.1f where the states are whole", float64(paid)/float64(rounds),
				float64(whole)/float64(rounds))
			require.LessOrEqual(t, float64(paid)/float64(rounds), c.most)
		})
	}
}

// rounds plays rounds of hits against the triggers of a new account.
type rounds struct {
	t     *testing.T
	store *oneTenant
	judge *trigger.Evaluator
	kept  map[string]keptState
	hits  int // so far
}

// roundCost is in write units.
type roundCost struct {
	paid, whole int // as the states are kept, and as they would cost if they were written whole
	full        int // how many states are full
}

var roundsBegin = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

func playRounds(t *testing.T) *rounds {
	s := &oneTenant{list: trigger.Defaults("42", "Acme", roundsBegin), states: map[string]trigger.State{}}
	return &rounds{t: t, store: s, kept: map[string]keptState{}, judge: &trigger.Evaluator{
		Store: s, Now: func() time.Time { return roundsBegin }, Log: slog.New(slog.DiscardHandler),
	}}
}

func (p *rounds) round(events int) (cost roundCost) {
	var seen []trigger.Seen
	for range events {
		seen = append(seen, p.hit())
	}
	o, err := p.judge.Evaluate(p.t.Context(), seen)
	require.NoError(p.t, err)
	for _, st := range o.States {
		cost.paid += p.write(st)
		cost.whole += 2 * units(len(st.Body)+stateOverhead)
		if len(st.Body) > 28<<10 {
			cost.full++
		}
		st.Version++
		p.store.states[st.Trigger] = st
	}
	return cost
}

// hit is an event from an address that no other has.
func (p *rounds) hit() trigger.Seen {
	p.hits++
	n := p.hits
	at := roundsBegin.Add(time.Duration(n) * 10 * time.Millisecond)
	data, err := json.Marshal(map[string]any{"hit": map[string]any{
		"type": "sqli", "path": "/a", "remote_addr4": fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255),
		"payloads": []string{fmt.Sprint("p", n)},
	}})
	require.NoError(p.t, err)
	return trigger.Seen{At: at,
		Event: event.Event{ID: fmt.Sprint("h", n), Tenant: "42", Kind: event.NewHits, Time: at, Data: data}}
}

// write keeps a state as States does, and says what that costs.
func (p *rounds) write(st trigger.State) int {
	old := p.kept[st.Trigger]
	delta, spent := old.delta(st.Body)
	switch {
	case len(st.Body) <= wholeBytes:
		p.kept[st.Trigger] = keptState{}
		return 2 * units(len(st.Body)+stateOverhead)
	case delta != nil:
		back, err := undiff(old.content, delta)
		require.NoError(p.t, err)
		require.Equal(p.t, st.Body, back)
		old.spent = spent
		p.kept[st.Trigger] = old
		return 2 * units(len(delta)+stateOverhead)
	default:
		p.kept[st.Trigger] = keptState{base: "x", content: st.Body}
		return units(len(st.Body)) + units(len(old.content)) + 2*units(len(diff(st.Body, st.Body))+stateOverhead)
	}
}

func TestABodyComesBackFromItsDelta(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.IntN(256))
		}
		return b
	}
	base := noise(32 << 10)
	for name, body := range map[string][]byte{
		"the same": base, "nothing in common": noise(32 << 10), "shorter": base[5000:9000],
		"moved and grown": append(append([]byte{7}, base[3000:]...), noise(2000)...), "empty": {},
	} {
		delta := diff(base, body)
		back, err := undiff(base, delta)
		require.NoError(t, err, name)
		require.Equal(t, string(body), string(back), name)
		t.Log(name, len(body), "->", len(delta))
	}
	_, err := undiff(base, []byte("what?"))
	require.Error(t, err)
	_, err = undiff(noise(32<<10), diff(base, base))
	t.Log("another base:", err)
}
