package trigger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/event/brief"
	"tocsin/shared/filter"
	"tocsin/shared/logsample"
	"tocsin/shared/trace"
	"tocsin/shared/trigger/alike"
	"tocsin/shared/trigger/budget"
)

// Seen is an event with the time at which the bus took it.
type Seen struct {
	Event event.Event
	At    time.Time
}

// Evaluator watches batches of events.
type Evaluator struct {
	Store interface {
		Seeder
		Reader
		Counter
	}
	Now func() time.Time
	Log *slog.Logger
	// Tracer is nil where nothing is traced.
	Tracer *trace.Tracer

	// Clock measures what a tenant's patterns take; nil = time.Now.
	Clock func() time.Time

	mu       sync.Mutex
	compiled map[compiledKey]*matcher
	size     int // of all that is compiled, in instructions
	meters   budget.Meters
	lines    logsample.Sampler
}

type compiledKey struct{ tenant, id string }

// maxCompiled bounds the triggers that are kept ready, and maxCompiledSize what they hold, in instructions of some 40
// bytes.
const maxCompiled, maxCompiledSize = 20_000, 2_000_000

// watched are the kinds that any condition looks at.
var watched = func() map[event.Kind]bool {
	out := map[event.Kind]bool{}
	for _, t := range templates {
		for _, k := range t.Kinds {
			out[k] = true
		}
	}
	return out
}()

// Watches reports whether any condition looks at events of a kind.
func Watches(k event.Kind) bool { return watched[k] }

// Evaluate finds what a batch means to the triggers of its tenants. It writes nothing but the triggers of a tenant that
// has none yet (facts, 4.8).
func (v *Evaluator) Evaluate(ctx context.Context, batch []Seen) (Outcome, error) {
	byTenant := map[string][]int{}
	var tenants []string
	for n, s := range batch {
		if !watched[s.Event.Kind] {
			continue
		}
		if _, ok := s.Event.Reaction(); ok {
			continue // a trigger caused it: it sets off no other
		}
		if byTenant[s.Event.Tenant] == nil {
			tenants = append(tenants, s.Event.Tenant)
		}
		byTenant[s.Event.Tenant] = append(byTenant[s.Event.Tenant], n)
	}
	var out Outcome
	for _, tenant := range tenants {
		if err := v.tenant(ctx, tenant, batch, byTenant[tenant], &out); err != nil {
			return Outcome{}, fmt.Errorf("evaluate the triggers of tenant %s: %w", tenant, err)
		}
	}
	return out, nil
}

// remembered is how long a state outlives its window: people want to see when the trigger fired last.
const remembered = 90 * 24 * time.Hour

// counted is an event that a trigger counts.
type counted struct {
	place int // in the batch
	at    time.Time
	*subject
}

func (v *Evaluator) tenant(ctx context.Context, tenant string, batch []Seen, places []int, out *Outcome) error {
	found := *out
	err := v.evaluate(ctx, tenant, batch, places, v.Store.Active, &found)
	if errors.Is(err, errOlder) { // what was in memory is older than the states
		found = *out
		err = v.evaluate(ctx, tenant, batch, places, v.Store.List, &found)
	}
	*out = found
	return err
}

// errOlder: a trigger was changed since it was read.
var errOlder = fmt.Errorf("a state is of a later definition of its trigger: %w", ErrStale)

type reading = func(ctx context.Context, tenant string) ([]Trigger, bool, error)

func (v *Evaluator) evaluate(ctx context.Context, tenant string, batch []Seen, places []int, read reading,
	out *Outcome) error {
	evaluation := v.meters.Open(tenant, v.Now(), v.clock())
	defer v.meters.Close(tenant, evaluation)
	matchers, err := v.matchers(ctx, tenant, batch[places[0]].Event.ClientName, read, evaluation)
	if err != nil || len(matchers) == 0 {
		return err
	}
	pending := make([][]counted, len(matchers))
	skipped := make([]bool, len(matchers))
	groups := alike.Split(matchers, alike.First(places, func(p int) time.Time { return batch[p].At }))
	asked := map[event.Kind][]int{} // see asks: most of a batch is of one kind
	var hit []int
	for _, place := range places {
		e := batch[place].Event
		of, ok := asked[e.Kind]
		if !ok {
			of = asks(matchers, groups, e.Kind)
			asked[e.Kind] = of
		}
		var s *subject
		hit = hit[:0]
		for _, n := range of {
			m := matchers[n]
			if m.before(batch[place]) {
				continue
			}
			if s == nil {
				s = see(e)
				s.Budget = evaluation
				s.span = v.span(e)
			}
			evaluation.Skipped = false
			matched := m.matches(s)
			switch {
			case evaluation.Skipped:
				skipped[n] = true
				v.lines.Add(v.Log, v.Now(), slog.LevelWarn, logsample.Kind{Group: tenant, Class: m.ID},
					"a trigger left an event out: its URI patterns take too long",
					"tenant", tenant, "trigger", m.ID, "event", e.ID)
			case matched:
				hit = append(hit, n)
			}
		}
		if s != nil && s.URL != "" {
			hit = alike.Deepest(matchers, hit, func(m *matcher) int { return m.depth(s) })
		}
		for _, n := range hit {
			m := matchers[n]
			if m.template.Threshold != nil {
				pending[n] = append(slices.Grow(pending[n], len(places)-len(pending[n])),
					counted{place, when(batch[place]), s})
				continue
			}
			f := firing{event: e, client: e.ClientName, now: v.Now()}
			f.by.Add(s.span)
			v.fire(m, f, out)
		}
	}
	alike.Share(groups, pending, func(a, b counted) int { return a.at.Compare(b.at) })
	return v.count(ctx, tenant, batch, matchers, pending, skipped, out)
}

// asks are the matchers that look at a kind: the first of each group of those alike.
func asks(matchers []*matcher, groups [][]int, kind event.Kind) (of []int) {
	for _, group := range groups {
		if slices.Contains(matchers[group[0]].template.Kinds, kind) {
			of = append(of, group[0])
		}
	}
	return of
}

func (v *Evaluator) clock() func() time.Time {
	if v.Clock != nil {
		return v.Clock
	}
	return time.Now
}

// skew is how far the clocks of the bus and of who changes triggers may be apart.
const skew = time.Second

// before reports whether an event came before the trigger watched for it: where counting is apart it can be behind.
func (m *matcher) before(s Seen) bool { return !s.At.IsZero() && s.At.Add(skew).Before(m.Since) }

// when is an event's own time; a clock that is ahead of ours would keep the window from moving.
func when(s Seen) time.Time {
	if s.Event.Time.After(s.At) && !s.At.IsZero() {
		return s.At
	}
	return s.Event.Time
}

// matchers are the tenant's enabled triggers, made ready.
func (v *Evaluator) matchers(ctx context.Context, tenant, client string, read reading,
	evaluation *budget.Evaluation) ([]*matcher, error) {
	list, seeded, err := read(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if !seeded {
		now := v.Now()
		list = Defaults(tenant, client, now)
		if err := v.Store.Seed(ctx, tenant, list, seeding(tenant, list, now)); err != nil {
			return nil, fmt.Errorf("make the triggers of a new account: %w", err)
		}
		v.Log.Info("triggers of a new account made", "tenant", tenant, "count", len(list))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.compiled == nil || len(v.compiled) > maxCompiled || v.size > maxCompiledSize {
		v.compiled, v.size = map[compiledKey]*matcher{}, 0
	}
	var out []*matcher
	for _, t := range list {
		if t.Off {
			continue
		}
		k := compiledKey{tenant, t.ID}
		m := v.compiled[k]
		if m == nil || m.Revision != t.Revision || !m.CreatedAt.Equal(t.CreatedAt) {
			if evaluation.Spent() {
				v.lines.Add(v.Log, v.Now(), slog.LevelWarn, logsample.Kind{Group: tenant, Class: t.ID},
					"a trigger waits: the patterns of its tenant's triggers take too long", "tenant", tenant, "trigger",
					t.ID)
				continue
			}
			was := m
			m, err = compile(t) // once for a revision: it is not what the meter is for
			if err != nil {
				v.lines.Add(v.Log, v.Now(), slog.LevelError, logsample.Kind{Group: tenant, Class: t.ID},
					"a trigger is left out", "tenant", tenant, "trigger", t.ID, "error", err.Error())
				continue
			}
			if was != nil {
				v.size -= was.filters.Size
			}
			v.compiled[k], v.size = m, v.size+m.filters.Size
		}
		out = append(out, m)
	}
	return out, nil
}

// count brings the states of triggers up to date.
func (v *Evaluator) count(ctx context.Context, tenant string, batch []Seen, matchers []*matcher, pending [][]counted,
	skipped []bool, out *Outcome) error {
	var ids []string
	var at []int
	for n, list := range pending {
		if len(list) > 0 || skipped[n] && matchers[n].template.Threshold != nil {
			ids, at = append(ids, matchers[n].ID), append(at, n)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	states, err := v.Store.States(ctx, tenant, ids)
	if err != nil {
		return fmt.Errorf("read the states of %d triggers: %w", len(ids), err)
	}
	for k, n := range at {
		m := matchers[n]
		s, err := decode(states[k].Body)
		if err != nil {
			v.Log.Error("a trigger counts anew: its state can not be read", "tenant", tenant, "trigger", m.ID, "error",
				err.Error())
		}
		switch {
		case s.epoch > m.Epoch:
			return errOlder
		case s.epoch < m.Epoch:
			s = state{epoch: m.Epoch, fired: s.fired}
		}
		changed := false
		if now := v.Now().UnixMilli(); skipped[n] && now-s.skipped > tellSkipped.Milliseconds() {
			s.skipped, changed = now, true
		}
		list := pending[n]
		for len(list) > 0 {
			n, things := m.together(&s, list)
			c := list[0]
			list = list[n:]
			counts, fired := m.take(&s, c, things)
			changed = changed || counts
			for _, f := range fired {
				s.fired = max(s.fired, m.ruler.time(f.step).UnixMilli())
				f.client, f.now = batch[c.place].Event.ClientName, v.Now()
				f.last = batch[c.place].Event.ID
				v.fire(m, f, out)
			}
		}
		if changed {
			next := states[k]
			next.Body = s.encode(m.ruler)
			next.Expires = v.Now().Add(time.Duration(m.Threshold.Period)*time.Second + remembered)
			out.States = append(out.States, next)
		}
	}
	return nil
}

// tellSkipped is how often a state notes that a trigger left events out: people want to see that it does, and about
// when.
const tellSkipped = time.Minute

// together is how many of the events are counted like one: they tell of so many things in one step, and do not fill the
// window.
func (m *matcher) together(s *state, list []counted) (n int, things int64) {
	n, things = 1, list[0].count
	if rule := m.template.Threshold; rule.PerSource || rule.Distinct {
		return n, things
	}
	at, room := m.ruler.at(list[0].at), m.ruler.most
	for k := range s.windows { // one, or none yet
		room -= s.windows[k].total()
	}
	for _, c := range list[1:] {
		if c.span.Recorded() || m.ruler.at(c.at) != at || things+c.count > room {
			break
		}
		n, things = n+1, things+c.count
	}
	return n, things
}

// take counts an event that tells of so many things.
func (m *matcher) take(s *state, c counted, things int64) (counts bool, fired []firing) {
	at := m.ruler.at(c.at)
	rule := m.template.Threshold
	key, source := uint64(0), ""
	span := c.span
	if rule.PerSource {
		source = c.source()
		key = c.origin()
	}
	add := func(n int64, thing uint64) {
		changed, fires := s.add(m.ruler, key, at, n, thing)
		if !changed {
			return
		}
		counts = true
		w := s.window(key)
		if span.Recorded() { // once, however many things it tells of
			w.link(at, thing, span)
			span = trace.Context{}
		}
		if fires {
			step := w.fired
			// whole seconds, none of it left out
			to := m.ruler.time(step + 1).Add(time.Second - 1).Truncate(time.Second)
			fired = append(fired, firing{source: source, step: step, count: w.total(),
				from: to.Add(-time.Duration(m.Threshold.Period) * time.Second), to: to, by: w.links()})
		}
	}
	switch {
	case !rule.Distinct:
		add(things, 0)
	case m.template.ID == Payloads:
		for _, p := range c.payloads {
			add(1, digest(p))
		}
	default:
		add(1, c.attack())
	}
	if counts && source != "" {
		s.named(key, source)
	}
	return counts, fired
}

// firing is a trigger that went off: by a threshold, or by an event alone.
type firing struct {
	event    event.Event // without a threshold
	client   string
	now      time.Time
	source   string // the address that it is about
	step     int64  // of the window
	count    int64  // of what lies in it
	last     string // the event that was counted last
	from, to time.Time
	by       trace.Links
}

// fire has a trigger react.
func (v *Evaluator) fire(m *matcher, f firing, out *Outcome) {
	id, events := m.react(f)
	v.begin(m.ID, events, f.by, out)
	out.Publish = append(out.Publish, events...)
	note := Firing{ID: id, At: f.now.UTC(), Source: f.source, Event: cmp.Or(f.event.ID, f.last),
		Object: cut.Keep(object(f.event), maxObject), Actions: m.Actions}
	if m.template.Threshold != nil {
		note.Count, note.From, note.To, note.Threshold = f.count, f.from, f.to, m.Threshold
	}
	out.fired(m, note)
}

// react makes the events of a firing. Their ids are made of what caused them: the same batch evaluated again makes the
// same.
func (m *matcher) react(f firing) (id string, out []event.Event) {
	cause := []string{m.Tenant, m.ID, strconv.FormatInt(m.Epoch, 10)}
	if f.event.ID != "" {
		cause = append(cause, "event", f.event.ID)
	} else {
		cause = append(cause, "window", f.source, strconv.FormatInt(f.step, 10))
	}
	id = "trigger:" + m.ID + ":" + strconv.FormatUint(digest(cause...), 16)
	add := func(action ActionID, kind event.Kind, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			panic(err) // strings and numbers always encode
		}
		out = append(out, event.Event{
			ID: id + ":" + string(action), Tenant: m.Tenant, ClientName: cmp.Or(f.client, m.ClientName), Kind: kind,
			Time: f.now.UTC(), Data: raw,
		})
	}
	command := event.CommandData{TriggerID: m.ID, TriggerName: m.Name, IP: f.source}
	for _, a := range m.Actions {
		c := command
		switch a.ID {
		case Notify:
			add(a.ID, m.template.Notice, m.notice(f, event.Reaction{Trigger: m.ID, Integrations: a.Integrations}))
		case Denylist:
			c.LockTime = a.LockTime
			add(a.ID, event.IPDenylistRequested, c)
		case Graylist:
			c.LockTime = a.LockTime
			add(a.ID, event.IPGraylistRequested, c)
		case Mark:
			// With those to come until it can fire again.
			c.Mark, c.From, c.To = m.template.mark, f.from.Unix(), f.to.Unix()+m.Threshold.Period
			add(a.ID, event.IPMarkRequested, c)
		case Group:
			c.From = f.to.Unix() // only hits after the threshold are grouped (facts, 4.8)
			add(a.ID, event.HitsGroupRequested, c)
		}
	}
	return id, out
}

// notice is the data of what integrations get.
func (m *matcher) notice(f firing, to event.Reaction) any {
	if m.template.Threshold != nil {
		return struct {
			event.ThresholdData
			Reaction event.Reaction `json:"reaction"`
		}{event.ThresholdData{
			TriggerName: m.Name, Counted: m.template.Threshold.Subject, Count: m.Threshold.Count,
			Period:  m.Threshold.Period,
			Clauses: m.clauses(), IP: f.source, From: f.from.Unix(), To: f.to.Unix(),
		}, to}
	}
	data := map[string]json.RawMessage{}
	if err := json.Unmarshal(f.event.Data, &data); err != nil {
		panic(err) // it was validated to be an object when the event was accepted
	}
	if len(f.event.Data) > noticeBytes {
		brief.Shorten(data, noticeBytes/16)
	}
	for name, value := range map[string]any{"trigger_name": m.Name, "reaction": to} {
		raw, err := json.Marshal(value)
		if err != nil {
			panic(err) // strings always encode
		}
		data[name] = raw
	}
	return data
}

// A message tells so many values of a filter, each in so many characters.
const clauseValues, clauseChars = 10, 100

// noticeBytes is from which size on a notice leaves members of its event out: a copy for each trigger must fit onto the
// bus.
const noticeBytes = 16 << 10

// clauses are the filters as a message tells them.
func (m *matcher) clauses() []event.Clause {
	var out []event.Clause
	for _, f := range m.Filters {
		rule := f.ID.Rule()
		c := event.Clause{ID: string(f.ID), Filter: rule.Title, Operator: f.Operator}
		for n, v := range f.Values {
			if n == clauseValues {
				c.Values = append(c.Values, fmt.Sprintf("and %d more", len(f.Values)-n))
				break
			}
			title := cut.Runes(string(v), clauseChars)
			if n := slices.IndexFunc(rule.Choices, func(c filter.Option) bool { return c.Value == title }); n >= 0 {
				title = rule.Choices[n].Title
			}
			c.Values = append(c.Values, title)
		}
		if len(f.Values) <= clauseValues {
			c.Codes = codes(f.Values)
		}
		out = append(out, c)
	}
	return out
}

// codes are the values of a filter, nil where one is too long.
func codes(values []filter.Value) (out []string) {
	for _, v := range values {
		if cut.Runes(string(v), clauseChars) != string(v) {
			return nil
		}
		out = append(out, string(v))
	}
	return out
}

// LastFired reads when the trigger of a state went off last, zero for never.
func LastFired(s State) (time.Time, error) {
	v, err := decode(s.Body)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the state of trigger %s: %w", s.Trigger, err)
	}
	return instant(v.fired), nil
}

// LastSkipped reads when the trigger of a state left an event out because its patterns took too long, zero for never.
func LastSkipped(s State) (time.Time, error) {
	v, err := decode(s.Body)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the state of trigger %s: %w", s.Trigger, err)
	}
	return instant(v.skipped), nil
}
