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

// TestAStateCostsWhatATurnChangesOfIt plays rounds of hits from ever new addresses, which fill the states of a new
// account's two triggers, and adds up what their rows cost.
func TestAStateCostsWhatATurnChangesOfIt(t *testing.T) {
	start := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		events int     // of a round
		most   float64 // write units of a round, when the states are full
	}{{1, 8}, {10, 22}, {93, 50}, {930, 150}} {
		t.Run(fmt.Sprint(c.events, " events a turn"), func(t *testing.T) {
			s := &oneTenant{list: trigger.Defaults("42", "Acme", start), states: map[string]trigger.State{}}
			v := &trigger.Evaluator{Store: s, Now: func() time.Time { return start },
				Log: slog.New(slog.DiscardHandler)}
			kept := map[string]keptState{}
			n, turns, paid, whole := 0, 0, 0, 0
			for full := 0; full < 60; {
				var seen []trigger.Seen
				events := c.events
				if n == 0 {
					events = 6000 // which fill the states
				}
				for range events {
					n++
					at := start.Add(time.Duration(n) * 10 * time.Millisecond)
					data, err := json.Marshal(map[string]any{
						"hit": map[string]any{"type": "sqli", "path": "/a",
							"remote_addr4": fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255),
							"payloads":     []string{fmt.Sprint("p", n)}}})
					require.NoError(t, err)
					seen = append(seen, trigger.Seen{At: at,
						Event: event.Event{ID: fmt.Sprint("h", n), Tenant: "42", Kind: event.NewHits, Time: at,
							Data: data}})
				}
				o, err := v.Evaluate(t.Context(), seen)
				require.NoError(t, err)
				turn, all, large := 0, 0, 0
				for _, st := range o.States {
					old := kept[st.Trigger]
					delta, spent := old.delta(st.Body)
					switch {
					case len(st.Body) <= wholeBytes:
						turn += 2 * units(len(st.Body)+stateOverhead)
						kept[st.Trigger] = keptState{}
					case delta != nil:
						back, err := undiff(old.content, delta)
						require.NoError(t, err)
						require.Equal(t, st.Body, back)
						turn += 2 * units(len(delta)+stateOverhead)
						old.spent = spent
						kept[st.Trigger] = old
					default:
						turn += units(len(st.Body)) + units(len(old.content)) +
							2*units(len(diff(st.Body, st.Body))+stateOverhead)
						kept[st.Trigger] = keptState{base: "x", content: st.Body}
					}
					all += 2 * units(len(st.Body)+stateOverhead)
					if len(st.Body) > 28<<10 {
						large++
					}
					st.Version++
					s.states[st.Trigger] = st
				}
				if large == 2 {
					full, turns, paid, whole = full+1, turns+1, paid+turn, whole+all
				}
			}
			require.Less(t, n, 500_000)
			t.Logf("%.1f write units a turn, %.1f where the states are whole", float64(paid)/float64(turns),
				float64(whole)/float64(turns))
			require.LessOrEqual(t, float64(paid)/float64(turns), c.most)
		})
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
