package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/event/brief"
)

// store is a store whose memory is older than what it stores.
type store struct {
	Store  // the methods that no test here calls
	cached []Trigger
	now    []Trigger
	states map[string]State
}

func (s *store) Active(context.Context, string) ([]Trigger, bool, error) {
	return s.cached, true, nil
}
func (s *store) List(context.Context, string) ([]Trigger, bool, error) { return s.now, true, nil }
func (s *store) States(_ context.Context, tenant string, ids []string) (out []State, err error) {
	for _, id := range ids {
		st := s.states[id]
		st.Tenant, st.Trigger = tenant, id
		out = append(out, st)
	}
	return out, nil
}

func (s *store) keep(o Outcome) {
	for _, st := range o.States {
		s.states[st.Trigger] = st
	}
}

var noon = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

func evaluator(s Store) *Evaluator {
	return &Evaluator{Store: s, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)}
}

func seenHit(n int, at time.Time) Seen {
	return Seen{At: noon.AddDate(1, 0, 0), Event: event.Event{ID: fmt.Sprint("h", n), Tenant: "42", Kind: event.NewHits,
		Time: at, Data: json.RawMessage(`{"hit":{"type":"sqli"}}`)}}
}

func hitsTrigger(epoch int64) Trigger {
	return Trigger{ID: "t", Tenant: "42", Name: "Watch", Template: Hits, Threshold: &Threshold{Period: 3600, Count: 3},
		Actions: []Action{{ID: Notify, Integrations: []string{"i"}}}, Revision: epoch, Epoch: epoch}
}

func TestAWorkerWithOlderSettingsDoesNotUndoTheNewerState(t *testing.T) {
	s := &store{cached: []Trigger{hitsTrigger(1)}, now: []Trigger{hitsTrigger(2)}, states: map[string]State{}}
	fresh := &store{cached: s.now, now: s.now, states: s.states}
	behind, ahead := evaluator(s), evaluator(fresh)
	fired := 0
	for n := range 20 {
		v, at := behind, noon.Add(time.Duration(n)*time.Second)
		if n%2 == 0 {
			v = ahead
		}
		o, err := v.Evaluate(t.Context(), []Seen{seenHit(n, at)})
		require.NoError(t, err)
		s.keep(o)
		fired += len(o.Publish)
	}
	require.Equal(t, 1, fired)
}

func TestANoticeTellsTheWindowThatWasFull(t *testing.T) {
	s := &store{cached: []Trigger{hitsTrigger(1)}, states: map[string]State{}}
	o, err := evaluator(s).Evaluate(t.Context(), []Seen{
		seenHit(1, noon.Add(500*time.Millisecond)), seenHit(2, noon.Add(900*time.Millisecond)), seenHit(3, noon),
		seenHit(4, noon.Add(-time.Minute)),
	})
	require.NoError(t, err)
	require.Len(t, o.Publish, 1)
	d := event.Data[event.ThresholdData](o.Publish[0])
	require.Equal(t, noon.Unix()+1, d.To, "the newest hit is in it")
	require.Equal(t, d.To-3600, d.From)
	last, err := LastFired(o.States[0])
	require.NoError(t, err)
	require.True(t, last.Equal(noon.Add(900*time.Millisecond)))
}

func TestANoticeOfALargeEventFitsOntoTheBus(t *testing.T) {
	watch := hitsTrigger(1)
	watch.Template, watch.Threshold = Compromised, nil
	s := &store{cached: []Trigger{watch}, states: map[string]State{}}
	var accounts []string
	for n := range 10_000 {
		accounts = append(accounts, fmt.Sprintf("user-%d@example.com", n))
	}
	data, err := json.Marshal(map[string]any{"accounts": accounts, "url": "https://example.com/login",
		"noise": strings.Repeat("x", 50_000)})
	require.NoError(t, err)
	o, err := evaluator(s).Evaluate(t.Context(),
		[]Seen{{At: noon, Event: event.Event{ID: "e", Tenant: "42", Kind: event.CompromisedLogins, Time: noon,
			Data: data}}})
	require.NoError(t, err)
	require.Len(t, o.Publish, 1)
	require.NoError(t, o.Publish[0].Validate())
	require.Less(t, len(o.Publish[0].Data), noticeBytes)
	d := event.Data[event.LoginsData](o.Publish[0])
	require.Equal(t, "user-0@example.com", d.Accounts[0])
	require.Equal(t, "Watch", d.TriggerName)
	require.Equal(t, []brief.Omission{{Member: "accounts", More: len(accounts) - len(d.Accounts)}, {Member: "noise"}},
		brief.LeftOut(o.Publish[0].Data))
}

func TestWhatIsNotWatchedCostsNothing(t *testing.T) {
	s := &store{}
	o, err := evaluator(s).Evaluate(t.Context(),
		[]Seen{{Event: event.Event{ID: "e", Tenant: "42", Kind: event.RuleCreate, Time: noon,
			Data: json.RawMessage(`{}`)}}})
	require.NoError(t, err)
	require.True(t, o.Empty())
}

func TestATriggerDoesNotCountWhatCameBeforeItWasMade(t *testing.T) {
	made := hitsTrigger(1)
	made.Since = noon
	s := &store{cached: []Trigger{made}, states: map[string]State{}}
	v := evaluator(s)
	var before []Seen
	for n := range 10 { // counting is behind: they are from before, and are counted only now
		hit := seenHit(n, noon.Add(time.Duration(n)*time.Second-time.Minute))
		hit.At = hit.Event.Time
		before = append(before, hit)
	}
	o, err := v.Evaluate(t.Context(), before)
	require.NoError(t, err)
	require.Empty(t, o)
	var after []Seen
	for n := range 4 {
		hit := seenHit(n, noon.Add(time.Duration(n)*time.Second))
		hit.At = hit.Event.Time
		after = append(after, hit)
	}
	o, err = v.Evaluate(t.Context(), after)
	require.NoError(t, err)
	require.Len(t, o.Publish, 1)
}
