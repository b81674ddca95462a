package counting_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/counting"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

var noon = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

var errDown = errors.New("the service is away")

// memory is a Source and a Store, and keeps triggers and settings. Every call of it can fail, before or after its
// effect.
type memory struct {
	trigger.Store // the methods that nothing here calls

	mu        sync.Mutex
	intakes   map[string]counting.Intake
	triggers  []trigger.Trigger
	states    map[string]trigger.State
	marks     map[string]int
	hits      map[calendar.Day]int64
	published map[string]int // how often, by id
	items     int            // what Write takes at most; 0 = anything
	writes    int
	fail      func(call string, after bool) bool
}

func newMemory(triggers ...trigger.Trigger) *memory {
	return &memory{
		intakes: map[string]counting.Intake{}, triggers: triggers, states: map[string]trigger.State{},
		marks: map[string]int{},
		hits:  map[calendar.Day]int64{}, published: map[string]int{},
	}
}

// call does what a call does unless it is to fail.
func (m *memory) call(name string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil && m.fail(name, false) {
		return fmt.Errorf("%s: %w", name, errDown)
	}
	if err := do(); err != nil {
		return err
	}
	if m.fail != nil && m.fail(name, true) {
		return fmt.Errorf("%s: the answer got lost: %w", name, errDown)
	}
	return nil
}

func (m *memory) Load(_ context.Context, _ string, ids []string) (out []counting.Intake, err error) {
	err = m.call("Load", func() error {
		for _, id := range ids {
			in, ok := m.intakes[id]
			switch {
			case !ok && len(out) == 0:
				return &counting.IntakeError{Intake: id, Err: errors.New("it is not there")}
			case !ok || len(out) == 4:
				return nil
			}
			out = append(out, in)
		}
		return nil
	})
	return out, err
}

func (m *memory) Counted(_ context.Context, _ string, ids []string) (out []int, err error) {
	err = m.call("Counted", func() error {
		for _, id := range ids {
			out = append(out, m.marks[id])
		}
		return nil
	})
	return out, err
}

func (m *memory) Write(_ context.Context, o counting.Outcome) error {
	return m.call("Write", func() error {
		published := (len(o.Triggers.Publish) + 39) / 40 // events of one row
		if rows := events(o) + len(o.Triggers.States) + published; m.items > 0 && rows > m.items {
			return counting.ErrTooLarge
		}
		seen := map[string]bool{}
		for _, k := range o.Marks {
			if seen[k.Intake] || k.To <= k.From {
				panic("a mark that no engine can write")
			}
			if seen[k.Intake] = true; m.marks[k.Intake] != k.From {
				return fmt.Errorf("intake %s: %w", k.Intake, counting.ErrCounted)
			}
		}
		for _, st := range o.Triggers.States {
			if m.states[st.Trigger].Version != st.Version {
				return trigger.ErrStale
			}
		}
		for _, k := range o.Marks {
			m.marks[k.Intake] = k.To
		}
		for _, st := range o.Triggers.States {
			st.Version++
			m.states[st.Trigger] = st
		}
		for _, r := range o.Records {
			for _, c := range r.Counts {
				if c.Dimension == daily.Total {
					m.hits[r.Day] += c.N
				}
			}
		}
		for _, e := range o.Triggers.Publish {
			m.published[e.ID]++
		}
		m.writes++
		return nil
	})
}

func events(o counting.Outcome) (n int) {
	for _, k := range o.Marks {
		n += k.To - k.From
	}
	return n
}

func (m *memory) List(context.Context, string) ([]trigger.Trigger, bool, error) {
	return m.triggers, true, m.call("List", func() error { return nil })
}

func (m *memory) Active(ctx context.Context, tenant string) ([]trigger.Trigger, bool, error) {
	return m.List(ctx, tenant)
}

func (m *memory) States(_ context.Context, tenant string, ids []string) (out []trigger.State, err error) {
	err = m.call("States", func() error {
		for _, id := range ids {
			st := m.states[id]
			st.Tenant, st.Trigger = tenant, id
			out = append(out, st)
		}
		return nil
	})
	return out, err
}

func (m *memory) Settings(context.Context, string) (report.Settings, error) {
	return report.Settings{}, m.call("Settings", func() error { return nil })
}

func counter(m *memory) *counting.Counter {
	log := slog.New(slog.DiscardHandler)
	return &counting.Counter{
		Source: m, Store: m, Triggers: &trigger.Evaluator{Store: m, Now: clock, Log: log},
		Recorder: &daily.Recorder{Zone: report.ZoneOf(m), Now: clock}, Log: log, Now: clock,
	}
}

func hit(id, source, payload string, at time.Time) trigger.Seen {
	data, err := json.Marshal(map[string]any{
		"hit": map[string]any{"type": "sqli", "path": "/a", "remote_addr4": source, "payloads": []string{payload}}})
	if err != nil {
		panic(err)
	}
	return trigger.Seen{At: at.Add(time.Second),
		Event: event.Event{ID: id, Tenant: "42", Kind: event.NewHits, Time: at, Data: data}}
}

func watch(id string, template trigger.TemplateID, th trigger.Threshold) trigger.Trigger {
	return trigger.Trigger{ID: id, Tenant: "42", Name: id, Template: template, Threshold: &th, Revision: 1, Epoch: 1,
		Actions: []trigger.Action{{ID: trigger.Notify, Integrations: []string{"i"}}}}
}

// fill makes intakes and returns their ids: so many, of so many hits at the most.
func (m *memory) fill(random *rand.Rand, intakes, most int) (ids []string) {
	at, n := noon, 0
	for k := range intakes {
		in := counting.Intake{ID: fmt.Sprintf("in-%03d", k)}
		for range 1 + random.IntN(most) {
			n++
			at = at.Add(time.Duration(random.IntN(9_000)) * time.Millisecond)
			in.Events = append(in.Events, hit(fmt.Sprint("h", n), fmt.Sprintf("203.0.113.%d", random.IntN(3)),
				fmt.Sprint("p", random.IntN(9)), at))
		}
		m.intakes[in.ID], ids = in, append(ids, in.ID)
	}
	return ids
}

// straight is what the intakes come to when each is counted once, alone, and nothing fails.
func straight(t *testing.T, m *memory, ids []string) *memory {
	t.Helper()
	want := newMemory(m.triggers...)
	want.intakes = m.intakes
	c := counter(want)
	for _, id := range ids {
		done, err := c.Count(t.Context(), "42", []string{id})
		require.NoError(t, err)
		require.Equal(t, 1, done)
	}
	return want
}

func (m *memory) bodies() map[string]string {
	out := map[string]string{}
	for id, st := range m.states {
		out[id] = string(st.Body)
	}
	return out
}

// TestEachEventCountsOnceWhateverFails hands intakes to counters as a queue would: in order, several at once, again
// after an error and without one, to two counters side by side; any call fails before or after its effect; what one
// write takes varies.
func TestEachEventCountsOnceWhateverFails(t *testing.T) {
	for round := range 60 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { count(t, rand.New(rand.NewPCG(seed, 1)), round) })
		})
	}
}

func count(t *testing.T, random *rand.Rand, round int) {
	m := newMemory(
		watch("hits", trigger.Hits, trigger.Threshold{Period: 30 + random.Int64N(90), Count: random.Int64N(12)}),
		watch("payloads", trigger.Payloads, trigger.Threshold{Period: 60, Count: random.Int64N(5)}),
	)
	ids := m.fill(random, 12+random.IntN(12), 9)
	want := straight(t, m, ids)
	if round%3 == 1 {
		m.items = 5 + random.IntN(20)
	}
	m.fail = func(string, bool) bool { return random.IntN(12) == 0 } // under the lock
	counters := 1 + round%2
	var work sync.WaitGroup
	queues := make([]*rand.Rand, counters)
	for n := range queues {
		queues[n] = rand.New(rand.NewPCG(random.Uint64(), 2))
	}
	for _, random := range queues {
		work.Go(func() {
			c := counter(m)
			for next := 0; next < len(ids); {
				from := max(0, next-random.IntN(3)) // some come again
				batch := slices.Clone(ids[from:min(len(ids), next+1+random.IntN(9))])
				size := len(batch)
				if random.IntN(4) == 0 {
					batch = append(batch, batch[0])
				}
				done, err := c.Count(t.Context(), "42", batch)
				var poison *counting.IntakeError
				if errors.As(err, &poison) {
					t.Errorf("nothing is wrong with intake %s: %v", poison.Intake, err)
					return
				}
				next = max(next, from+min(done, size))
			}
		})
	}
	work.Wait()
	require.Equal(t, want.hits, m.hits, "the record")
	require.Equal(t, want.published, m.published, "what triggers publish")
	require.Equal(t, want.bodies(), m.bodies(), "what triggers remember")
	for _, id := range ids {
		require.Equal(t, len(m.intakes[id].Events), m.marks[id])
	}
}

func TestManyIntakesAreOneWrite(t *testing.T) {
	m := newMemory(watch("hits", trigger.Hits, trigger.Threshold{Period: 3600, Count: 3}))
	ids := m.fill(rand.New(rand.NewPCG(1, 1)), 4, 9)
	done, err := counter(m).Count(t.Context(), "42", ids)
	require.NoError(t, err)
	require.Equal(t, 4, done)
	require.Equal(t, 1, m.writes)
}

// poison panics over one event.
type poison struct {
	counting.Triggers
	event string
}

func (p poison) Evaluate(ctx context.Context, seen []trigger.Seen) (trigger.Outcome, error) {
	for _, s := range seen {
		if s.Event.ID == p.event {
			panic("a case that nobody thought of")
		}
	}
	return p.Triggers.Evaluate(ctx, seen)
}

func TestAnIntakeThatCanNotBeCountedIsNamedAndTheOthersCount(t *testing.T) {
	m := newMemory(watch("hits", trigger.Hits, trigger.Threshold{Period: 3600, Count: 3}))
	ids := m.fill(rand.New(rand.NewPCG(1, 1)), 10, 9)
	want := straight(t, m, ids)
	c := counter(m)
	c.Triggers = poison{c.Triggers, m.intakes[ids[5]].Events[0].Event.ID}
	done, err := c.Count(t.Context(), "42", ids)
	var bad *counting.IntakeError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, ids[5], bad.Intake)
	require.Equal(t, 5, done, "those before it are counted, all of them")
	require.Contains(t, bad.Error(), "a case that nobody thought of")
	done, err = c.Count(t.Context(), "42", ids[6:])
	require.NoError(t, err)
	require.Equal(t, 4, done, "it keeps none of the later ones from counting")
	// the fault is mended: the queue is redriven
	done, err = counter(m).Count(t.Context(), "42", []string{ids[5], ids[5], ids[9]})
	require.NoError(t, err)
	require.Equal(t, 3, done)
	require.Equal(t, want.hits, m.hits)
	require.Equal(t, []string{"hits"}, slices.Collect(maps.Keys(m.states)))

	done, err = c.Count(t.Context(), "42", []string{ids[0], "gone", ids[1]})
	require.ErrorAs(t, err, &bad)
	require.Equal(t, 1, done)
	require.Equal(t, "gone", bad.Intake)
}

func TestAnEventThatAloneIsTooLargeIsItsIntakesFault(t *testing.T) {
	m := newMemory(watch("hits", trigger.Hits, trigger.Threshold{Period: 3600, Count: 0}))
	ids := m.fill(rand.New(rand.NewPCG(1, 1)), 3, 9)
	m.items = 1
	done, err := counter(m).Count(t.Context(), "42", ids)
	var bad *counting.IntakeError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, ids[0], bad.Intake)
	require.ErrorIs(t, err, counting.ErrTooLarge)
	require.Zero(t, done)
}

func TestACallThatFailsIsNoFaultOfAnIntake(t *testing.T) {
	for _, call := range []string{"Load", "Write", "States", "List", "Settings"} {
		m := newMemory(watch("hits", trigger.Hits, trigger.Threshold{Period: 3600, Count: 3}))
		ids := m.fill(rand.New(rand.NewPCG(1, 1)), 3, 9)
		m.fail = func(c string, after bool) bool { return c == call && !after }
		done, err := counter(m).Count(t.Context(), "42", ids)
		require.ErrorIs(t, err, errDown, call)
		var bad *counting.IntakeError
		require.False(t, errors.As(err, &bad), call)
		require.Zero(t, done)
	}
}

func TestAnIntakeWithoutAnythingThatCountsIsDone(t *testing.T) {
	m := newMemory()
	m.intakes["empty"] = counting.Intake{ID: "empty"}
	done, err := counter(m).Count(t.Context(), "42", []string{"empty"})
	require.NoError(t, err)
	require.Equal(t, 1, done)
	require.Zero(t, m.writes)
}

func TestKindsThatCount(t *testing.T) {
	for _, k := range []event.Kind{event.NewHits, event.NewAttack, event.NewIncident, event.Vuln, event.SecurityIssue,
		event.CreateUser} {
		require.True(t, counting.Counts(k), k)
	}
	for _, k := range []event.Kind{event.Report, event.TriggerCreate, event.IntegrationBroken,
		event.IPDenylistRequested} {
		require.False(t, counting.Counts(k), k)
	}
}
