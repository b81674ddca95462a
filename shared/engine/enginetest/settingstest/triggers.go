package settingstest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/patience"
	"tocsin/shared/trigger"
)

// TriggerEngine is what the suite of triggers works on.
type TriggerEngine struct {
	Log          enginetest.Log
	Store        trigger.Store
	Integrations integration.Store
	Systems      integration.Systems
	// Left takes what our own code put on the bus and returns it as fan-out receives it.
	Left func(t *testing.T) []delivery.Entry
	// Workers is how many fan-outs the engine may have at work at once.
	Workers int
	// Counting is where the engine counts apart; nil = it counts as it accepts.
	Counting *enginetest.Counting
}

// triggerRig runs fan-outs over the engine.
type triggerRig struct {
	t *testing.T
	TriggerEngine
	n int
}

func (r *triggerRig) fanout() *fanout.Fanout {
	log := slog.New(slog.DiscardHandler)
	f := &fanout.Fanout{Integrations: r.Integrations, Systems: r.Systems, Store: r.Log, Logger: log}
	if r.Counting == nil {
		f.Triggers = &trigger.Evaluator{Store: r.Store, Now: func() time.Time { return at }, Log: log}
	}
	return f
}

// watch makes the tenant's only trigger. It is there as if a person had made it: Seed was done before.
func (r *triggerRig) watch(t trigger.Trigger) trigger.Trigger {
	r.t.Helper()
	t.ID, t.Tenant, t.Name, t.Revision, t.Epoch, t.CreatedAt, t.UpdatedAt = "t", "42", "Watch", 1, 1, at, at
	if t.Actions == nil {
		t.Actions = []trigger.Action{{ID: trigger.Notify, Integrations: []string{"i"}}}
	}
	require.NoError(r.t, r.Store.Seed(r.t.Context(), "42", []trigger.Trigger{t}, enginetest.Entry("42")))
	return t
}

// hit is an entry of the bus.
func (r *triggerRig) hit(when time.Time, source string, payloads ...string) delivery.Entry {
	r.n++
	return r.entry("new_hits", fmt.Sprintf("h%d", r.n), when, map[string]any{"hit": map[string]any{
		"type": "sqli", "host": "shop.example.com", "path": "/a", "remote_addr4": source, "payloads": payloads,
	}})
}

func (r *triggerRig) entry(kind, id string, when time.Time, data any) delivery.Entry {
	detail, err := json.Marshal(map[string]any{"version": 1, "id": id, "tenant": "42", "client_name": "Acme",
		"time": when, "data": data})
	require.NoError(r.t, err)
	return delivery.Entry{DetailType: kind, Detail: detail, At: at.Add(24 * time.Hour)}
}

// process publishes a batch and fans it out, and returns what triggers published.
func (r *triggerRig) process(f *fanout.Fanout, entries ...delivery.Entry) []event.Event {
	r.t.Helper()
	_, err := f.Process(r.t.Context(), r.Log.Take(r.t, entries))
	require.NoError(r.t, err)
	return r.drain(f)
}

// left counts what is to be counted, and takes what triggers published.
func (r *triggerRig) left() []delivery.Entry {
	r.t.Helper()
	r.Counting.Count(r.t, r.Store)
	return r.Left(r.t)
}

func (r *triggerRig) drain(f *fanout.Fanout) []event.Event {
	r.t.Helper()
	left := r.left()
	var out []event.Event
	for _, e := range left {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(r.t, err, "what a trigger publishes is a valid event")
		out = append(out, parsed)
	}
	if len(left) > 0 {
		_, err := f.Process(r.t.Context(), left)
		require.NoError(r.t, err)
		require.Empty(r.t, r.left(), "what a trigger publishes sets off nothing")
	}
	return out
}

// kept is a trigger with all that a person can set.
var kept = trigger.Trigger{
	ID: "a", Tenant: "42", ClientName: "Acme", Name: "SQLi burst", Comment: "ours", Template: trigger.Hits,
	Revision: 1, Epoch: 1,
	Filters: []filter.Filter{{ID: filter.ByType, Operator: filter.Equal, Values: []filter.Value{"sqli"}},
		{ID: filter.ByApplication, Operator: filter.NotEqual, Values: []filter.Value{"-1", "7"}}},
	Threshold: &trigger.Threshold{Period: 60, Count: 1},
	Actions: []trigger.Action{{ID: trigger.Notify, Integrations: []string{"i"}},
		{ID: trigger.Graylist, LockTime: 3600}},
	CreatedAt: at, CreatedBy: "ada@example.com", UpdatedAt: at,
}

// OpenTriggers opens an engine.
type OpenTriggers func(t *testing.T) TriggerEngine

// Triggers is the suite of trigger.Store, and of what writes trigger.Outcome: fanout.Store.Accept, or
// counting.Store.Write where the engine counts apart.
func Triggers(t *testing.T, open OpenTriggers) {
	run := func(name string, test func(t *testing.T, r *triggerRig)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &triggerRig{t: t, TriggerEngine: open(t)})
		})
	}
	run("what was created is read back whole, by its tenant alone", triggerIsReadWhole)
	run("a change needs the revision before it", triggerNeedsTheRevisionBefore)
	run("a new account is seeded once", accountIsSeededOnce)
	run("it is found by its number, which stays", triggerHasANumberThatStays)
	run("fan-out sees a change within a second", fanoutSeesAChange)
	joinRuns(run)
	run("when a trigger fired is kept, newest first, for its tenant alone", firingsAreKept)
	run("one event that sets off every trigger leaves a firing of each", oneEventFiresAll)
	run("nothing is left of an intake whose states were read before a change", nothingIsLeftOfAStaleIntake)
	run("every condition goes off, with each of its filters and reactions", everyConditionFires)
	run("the triggers of a new account go off", defaultsFire)
	run("an event that comes again counts once", repeatedEventCountsOnce)
	run("it fires once for a window and then again", firesOnceForAWindow)
	run("thresholds are exact: an oracle that keeps every event agrees", oracle)
	run("workers side by side lose and double nothing", sideBySide)
}

func triggerIsReadWhole(t *testing.T, r *triggerRig) {
	require.NoError(t, r.Store.Create(t.Context(), kept, nil, enginetest.Record("42", event.TriggerCreate)))
	got, err := r.Store.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, kept, got)
	_, err = r.Store.Get(t.Context(), "43", "a")
	require.ErrorIs(t, err, trigger.ErrNotFound)
	require.ErrorIs(t, r.Store.Create(t.Context(), kept, nil, enginetest.Record("42", event.TriggerCreate)),
		trigger.ErrConflict)
	list, _, err := r.Store.List(t.Context(), "43")
	require.NoError(t, err)
	require.Empty(t, list)
	left := r.Left(t)
	require.Len(t, left, 1, "what was not done is not published")
	require.Equal(t, "trigger_create", left[0].DetailType)
}

func triggerNeedsTheRevisionBefore(t *testing.T, r *triggerRig) {
	require.ErrorIs(t, r.Store.Update(t.Context(), kept, nil, enginetest.Record("42", event.TriggerUpdate)),
		trigger.ErrNotFound)
	require.NoError(t, r.Store.Create(t.Context(), kept, nil, enginetest.Record("42", event.TriggerCreate)))
	next := kept
	next.Revision, next.Name, next.Off = 2, "second", true
	require.NoError(t, r.Store.Update(t.Context(), next, nil, enginetest.Record("42", event.TriggerUpdate)))
	require.ErrorIs(t, r.Store.Update(t.Context(), next, nil, enginetest.Record("42", event.TriggerUpdate)),
		trigger.ErrConflict)
	require.ErrorIs(t, r.Store.Delete(t.Context(), "42", "a", 1, enginetest.Record("42", event.TriggerDelete)),
		trigger.ErrConflict)
	got, err := r.Store.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, next, got)
	require.NoError(t, r.Store.Delete(t.Context(), "42", "a", 2, enginetest.Record("42", event.TriggerDelete)))
	require.ErrorIs(t, r.Store.Delete(t.Context(), "42", "a", 2, enginetest.Record("42", event.TriggerDelete)),
		trigger.ErrNotFound)
}

func accountIsSeededOnce(t *testing.T, r *triggerRig) {
	_, seeded, err := r.Store.List(t.Context(), "42")
	require.NoError(t, err)
	require.False(t, seeded)
	require.NoError(t, r.Store.Seed(t.Context(), "42", trigger.Defaults("42", "Acme", at), enginetest.Entry("42")))
	list, seeded, err := r.Store.List(t.Context(), "42")
	require.NoError(t, err)
	require.True(t, seeded)
	require.ElementsMatch(t, trigger.Defaults("42", "Acme", at), list)
	require.Less(t, list[0].ID, list[1].ID)
	require.NoError(t, r.Store.Delete(t.Context(), "42", list[0].ID, 1, enginetest.Record("42", event.TriggerDelete)))
	require.NoError(t, r.Store.Seed(t.Context(), "42", trigger.Defaults("42", "Acme", at), enginetest.Entry("42")))
	list, _, err = r.Store.List(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, list, 1, "what a person deleted stays deleted")
}

func fanoutSeesAChange(t *testing.T, r *triggerRig) {
	one := r.watch(trigger.Trigger{Template: trigger.Hits, Threshold: &trigger.Threshold{Period: 60, Count: 1}})
	list, _, err := r.Store.Active(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, list, 1)
	one.Revision, one.Off = 2, true
	require.NoError(t, r.Store.Update(t.Context(), one, nil, enginetest.Record("42", event.TriggerUpdate)))
	require.Eventually(t, func() bool {
		list, _, err := r.Store.Active(t.Context(), "42")
		return err == nil && len(list) == 1 && list[0].Off
	}, patience.Long, 10*time.Millisecond)
}

func nothingIsLeftOfAStaleIntake(t *testing.T, r *triggerRig) {
	r.watch(trigger.Trigger{Template: trigger.Hits, Threshold: &trigger.Threshold{Period: 60, Count: 1}})
	e := r.Log.Take(t, []delivery.Entry{r.hit(at, "203.0.113.1")})
	parsed, err := event.Parse(e[0].DetailType, e[0].Detail)
	require.NoError(t, err)
	state := trigger.State{Tenant: "42", Trigger: "t", Version: 3, Body: []byte("x"), Expires: at.AddDate(1, 0, 0)}
	accepted := fanout.Accepted{Entry: e[0], Event: parsed}
	o := trigger.Outcome{States: []trigger.State{state},
		Publish: []event.Event{enginetest.Note("42", event.TriggerUpdate)}}
	_, err = r.Counting.Write(t, r.Log, accepted, o, nil)
	require.ErrorIs(t, err, trigger.ErrStale)
	require.Equal(t, []bool{false}, enginetest.Known(t, r.Log, parsed))
	states, err := r.Store.States(t.Context(), "42", []string{"t", "u"})
	require.NoError(t, err)
	require.Equal(t, []trigger.State{{Tenant: "42", Trigger: "t"}, {Tenant: "42", Trigger: "u"}}, states)
	o.States[0].Version, o.Publish = 0, nil
	again, err := r.Counting.Write(t, r.Log, accepted, o, nil)
	require.NoError(t, err)
	require.NoError(t, again())
	states, err = r.Store.States(t.Context(), "42", []string{"t"})
	require.NoError(t, err)
	require.EqualValues(t, 1, states[0].Version)
	require.Equal(t, "x", string(states[0].Body))
}

func repeatedEventCountsOnce(t *testing.T, r *triggerRig) {
	f := r.fanout()
	r.watch(trigger.Trigger{Template: trigger.Hits, Threshold: &trigger.Threshold{Period: 60, Count: 2}})
	one, two, three := r.hit(at, "203.0.113.1"), r.hit(at, "203.0.113.1"), r.hit(at, "203.0.113.1")
	require.Empty(t, r.process(f, one, one, two))
	require.Empty(t, r.process(f, two, one))
	require.Len(t, r.process(f, one, three), 1)
}

func firesOnceForAWindow(t *testing.T, r *triggerRig) {
	f := r.fanout()
	r.watch(trigger.Trigger{Template: trigger.Hits, Threshold: &trigger.Threshold{Period: 60, Count: 1}})
	require.Empty(t, r.process(f, r.hit(at, "203.0.113.1")))
	fired := r.process(f, r.hit(at.Add(time.Second), "203.0.113.1"))
	require.Len(t, fired, 1)
	require.Equal(t, event.AttacksExceeded, fired[0].Kind)
	reaction, ok := fired[0].Reaction()
	require.True(t, ok)
	require.Equal(t, event.Reaction{Trigger: "t", Integrations: []string{"i"}}, reaction)
	require.Empty(t, r.process(f, r.hit(at.Add(30*time.Second), "203.0.113.1"),
		r.hit(at.Add(60*time.Second), "203.0.113.1")), "once for a window")
	require.Len(t, r.process(f, r.hit(at.Add(61*time.Second), "203.0.113.1")), 1)
	states, err := r.Store.States(t.Context(), "42", []string{"t"})
	require.NoError(t, err)
	last, err := trigger.LastFired(states[0])
	require.NoError(t, err)
	require.True(t, last.Equal(at.Add(61*time.Second)), last)
}

// oracle feeds random events in random batches, with repeats and in disorder, and compares with what a list of all
// events says.
func oracle(t *testing.T, r *triggerRig) {
	rounds := 24
	if r.Workers > 1 {
		rounds = 3 // each batch is several calls over the network
	}
	for round := range rounds {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		tenant := fmt.Sprintf("oracle-%d", round)
		th := trigger.Threshold{Period: 1 + random.Int64N(120), Count: random.Int64N(8)}
		templates := []trigger.TemplateID{trigger.Hits, trigger.Payloads, trigger.Attacks}
		template := templates[round%len(templates)]
		trig := trigger.Trigger{ID: "t", Tenant: tenant, Name: "Watch", Template: template, Threshold: &th, Revision: 1,
			Epoch: 1, CreatedAt: at, UpdatedAt: at,
			Actions: []trigger.Action{{ID: trigger.Notify, Integrations: []string{"i"}}}}
		require.NoError(t, r.Store.Seed(t.Context(), tenant, []trigger.Trigger{trig}, enginetest.Entry(tenant)))
		f := r.fanout()
		o := newOracle(template, th)
		clock, number := at, 0
		var old []delivery.Entry
		for batch := range 25 {
			var entries []delivery.Entry
			var fresh []seenHit
			for range 1 + random.IntN(12) {
				if len(old) > 0 && random.IntN(5) == 0 {
					entries = append(entries, old[random.IntN(len(old))]) // again
					continue
				}
				clock = clock.Add(time.Duration(random.Int64N(th.Period*1000/4+1)) * time.Millisecond)
				h := seenHit{
					at:     clock.Add(-time.Duration(random.Int64N(th.Period*1000)) * time.Millisecond),
					source: fmt.Sprintf("203.0.113.%d", random.IntN(3)),
					path:   fmt.Sprintf("/%d", random.IntN(12)), payload: fmt.Sprintf("p%d", random.IntN(10)),
				}
				if random.IntN(2) == 0 {
					h.at = clock
				}
				number++
				detail, err := json.Marshal(map[string]any{"version": 1, "id": fmt.Sprintf("e%d", number),
					"tenant": tenant, "time": h.at, "data": map[string]any{"hit": map[string]any{
						"type": "sqli", "host": "shop.example.com", "path": h.path, "remote_addr4": h.source,
						"payloads": []string{h.payload},
					}}})
				require.NoError(t, err)
				e := delivery.Entry{DetailType: "new_hits", Detail: detail, At: at.AddDate(1, 0, 0)}
				entries, old, fresh = append(entries, e), append(old, e), append(fresh, h)
			}
			got := len(r.process(f, entries...))
			require.Equal(t, o.batch(fresh), got, "seed %d, round %d, batch %d: %s, more than %d in %d s", seed, round,
				batch, template, th.Count, th.Period)
		}
	}
}

type seenHit struct {
	at                    time.Time
	source, path, payload string
}

// theOracle keeps every event for ever.
type theOracle struct {
	template trigger.TemplateID
	th       trigger.Threshold
	seen     map[string][]seenHit // by source, where that counts
	fired    map[string]time.Time
	newest   time.Time
}

func newOracle(template trigger.TemplateID, th trigger.Threshold) *theOracle {
	return &theOracle{template: template, th: th, seen: map[string][]seenHit{}, fired: map[string]time.Time{}}
}

// batch says how often the trigger fires.
func (o *theOracle) batch(fresh []seenHit) (fires int) {
	slices.SortStableFunc(fresh, func(a, b seenHit) int { return a.at.Compare(b.at) })
	for _, h := range fresh {
		key := ""
		if o.template == trigger.Payloads {
			key = h.source
		}
		before := o.newest
		if h.at.After(o.newest) {
			o.newest = h.at
		}
		o.seen[key] = append(o.seen[key], h)
		period := time.Duration(o.th.Period) * time.Second
		end := newest(o.seen[key])
		if !h.at.After(before.Add(-period)) {
			continue // older than the window
		}
		distinct := map[string]bool{}
		for n, s := range o.seen[key] {
			if !s.at.After(end.Add(-period)) {
				continue
			}
			switch o.template {
			case trigger.Payloads:
				distinct[s.payload] = true
			case trigger.Attacks:
				distinct[s.path] = true
			default:
				distinct[fmt.Sprint(n)] = true
			}
		}
		last, ever := o.fired[key]
		if int64(len(distinct)) > o.th.Count && (!ever || !end.Before(last.Add(period))) {
			o.fired[key] = end
			fires++
		}
	}
	return fires
}

func newest(list []seenHit) (t time.Time) {
	for _, s := range list {
		if s.at.After(t) {
			t = s.at
		}
	}
	return t
}

// sideBySide has several workers count the same events, some of them twice.
func sideBySide(t *testing.T, r *triggerRig) {
	const total = 60
	r.watch(trigger.Trigger{Template: trigger.Hits, Threshold: &trigger.Threshold{Period: 3600, Count: total}})
	var entries []delivery.Entry
	for range total {
		entries = append(entries, r.hit(at, "203.0.113.1"))
	}
	feed := func(batches [][]delivery.Entry) {
		if r.Workers < 2 {
			f := r.fanout()
			for _, b := range batches {
				_, err := f.Process(t.Context(), r.Log.Take(t, b))
				require.NoError(t, err)
			}
			return
		}
		work := make(chan []delivery.Entry, len(batches))
		for _, b := range batches {
			work <- r.Log.Take(t, b)
		}
		close(work)
		var group sync.WaitGroup
		errs := make(chan error, len(batches))
		for range r.Workers {
			group.Go(func() {
				f := r.fanout()
				for b := range work {
					errs <- enginetest.ProcessAll(t.Context(), f, b)
				}
			})
		}
		group.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
	}
	var batches [][]delivery.Entry
	for chunk := range slices.Chunk(entries, 5) {
		batches = append(batches, chunk, chunk) // twice
	}
	feed(batches)
	require.Empty(t, r.left(), "%d are not more than %d: none counted twice", total, total)
	feed([][]delivery.Entry{{r.hit(at, "203.0.113.1")}})
	require.Len(t, r.left(), 1, "and none was lost")
}
