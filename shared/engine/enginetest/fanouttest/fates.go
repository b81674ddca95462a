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
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
)

// Fates is the suite of what filters, quiet hours, mutes, grouping, storm guards, digests and fallbacks make of events
// together, against a plain oracle: each event is sent at once, or in a digest, or held until a time, or left out for a
// reason; what dies, and what comes for a disabled integration, falls back once or not at all, and says why; none is
// unaccounted for, and none is sent twice. A seed has a tenant of its own; an engine has some of them. The first
// hundred seeds try everything, which is held where an engine runs so many; one that is slow runs the first of them.
func Fates(t *testing.T, open OpenHolds, seeds uint64) {
	const together, whole = 5, 100
	w := &fates{}
	for seed := range seeds {
		if seed%together == 0 {
			w.engine = open(t, w, func() time.Time { return w.now })
		}
		w.T, w.r, w.seed = t, rand.New(rand.NewPCG(seed, 1904)), seed
		w.run(enginetest.At.Add(time.Duration(seed) * 24 * time.Hour))
	}
	if seeds < whole {
		return
	}
	require.Greater(t, w.seen["storm"], 20)
	tries := []string{"at once", "group", "quiet", "mute", "held alone", "put off", "left out", "off", "fallback",
		"fell back: at arrival", "fell back: partly", "fell back: by health", "fell back: held", "gets it anyway",
		"let go: too many", "long", "gathered into a hold", "gathered and passed by its type", "set anew", "deleted",
		"dropped, and by fallback", "gathered on", "restart", "ended: deleted"}
	for _, why := range append(delivery.NotFallbacks(), "") {
		tries = append(tries, "fell back: "+string(why))
	}
	for _, what := range tries {
		require.Greater(t, w.seen[what], 10, "the seeds do not try: %s", what)
	}
}

// plain are rules of the oracle: quiet hours each day in a zone, and a mute.
type plain struct {
	from, to int // hours; from == to = none
	zone     *time.Location
	muted    time.Time
	then     hold.Then
	pass     []string // nil = incidents
	ownOnly  bool
}

func (p plain) rules() (r hold.Rules) {
	if r.Then, r.Pass, r.OwnOnly = p.then, p.pass, p.ownOnly; p.from != p.to {
		r.Quiet = []hold.Quiet{{From: fmt.Sprintf("%02d:00", p.from), To: fmt.Sprintf("%02d:00", p.to),
			Zone: p.zone.String()}}
	}
	if !p.muted.IsZero() {
		r.Mute = &hold.Mute{Until: p.muted, Reason: "r"}
	}
	return r
}

// by is what holds at a time: "mute", "quiet", or "".
func (p plain) by(at time.Time) string {
	h := at.In(p.zone).Hour()
	quiet := h >= p.from && h < p.to
	if p.from > p.to {
		quiet = h >= p.from || h < p.to
	}
	switch {
	case at.Before(p.muted):
		return "mute"
	case quiet:
		return "quiet"
	}
	return ""
}

func (p plain) passes(k event.Kind, t event.Type) bool {
	if p.pass == nil {
		return k == event.IncidentsExceeded
	}
	return slices.Contains(p.pass, string(k)) || t != "" && slices.Contains(p.pass, string(t))
}

// receiving is an integration as the oracle sees it.
type receiving struct {
	id, system  string
	filters     []filter.Filter
	own         plain
	every, upTo int // of its grouping; minutes
	guard       int
	off         *integration.Off
	gone        bool // somebody deleted it
	changes     int64
	fallback    string
}

// idle reports that nothing is sent to it.
func (i *receiving) idle() bool { return i.off != nil || i.gone }

func (i *receiving) people() bool { return i.system == "messenger" || i.system == "incidents" }

// limit is how many messages a minute its storm guard lets through; of a grouping, events.
func (i *receiving) limit() int {
	if i.every > 0 {
		return max(1, i.guard*i.upTo/i.every)
	}
	return i.guard
}

// of is an event as the oracle sees it.
type of struct {
	found
	kind   event.Kind
	status string
	at     time.Time
	names  []string // whom its trigger sends it to; the integration that it tells of
}

func (e of) reaction() bool {
	return e.kind == event.IncidentsExceeded || e.kind == event.AttacksExceeded
}

// as is the event's type; "" = it has none.
func (e of) as() event.Type {
	switch {
	case e.reaction():
		return ""
	case e.kind != event.Vuln:
		return event.System
	}
	return event.Type("vuln_" + strings.ToLower(e.threat))
}

// types are those of a kind; a trigger's event has none.
func types(k event.Kind) []event.Type {
	switch k {
	case event.Vuln:
		return []event.Type{event.VulnHigh, event.VulnMedium, event.VulnLow}
	case event.CreateUser:
		return []event.Type{event.System, ""}
	case event.IncidentsExceeded, event.AttacksExceeded:
		return []event.Type{""}
	}
	return []event.Type{event.System}
}

// alone reports whether an event is never told with others.
func (e of) alone(i *receiving) bool {
	return i.own.passes(e.kind, e.as()) || e.ends(i)
}

// ends reports whether an event closes an incident: its severity counts no more.
func (e of) ends(i *receiving) bool {
	return i.system == "incidents" && e.kind == event.Vuln && e.status == "closed"
}

// fate is what is to become of an event for an integration: it is left out, or sent.
type fate struct {
	left   string
	digest string
	held   string
	due    time.Time
	ends   time.Time // when it would have been told if nothing held it then: it gathered
}

// unit is a delivery that is not sent yet.
type unit struct {
	fate
	id, to string
	from   string // whose events it has by fallback
	kinds  []event.Kind
	events []string
	merge  bool
	join   bool // the storm guard counts it when it is let go
}

// fates is the world of a seed, and the holder, the tenants' rules, the integrations and their systems in it.
type fates struct {
	*testing.T
	engine HoldEngine
	r      *rand.Rand
	seed   uint64
	tenant string
	rules  plain // the tenant's
	to     []*receiving
	now    time.Time

	f       *fanout.Fanout
	falls   *fanout.Fallbacks
	store   *capturing
	minutes map[string]int // messages, by integration and minute
	waiting []*unit
	sent    map[string]bool // by way: see way
	events  int
	known   map[string]of
	seen    map[string]int // what was tried
}

// capturing notes what fan-out made.
type capturing struct {
	fanout.Store
	last fanout.Intake
}

func (c *capturing) Accept(ctx context.Context, in fanout.Intake) error {
	c.last = in
	return c.Store.Accept(ctx, in)
}

// The world as fan-out and engines ask it.

// noParameters are much to make for each question.
var (
	noParameters = destination.ParametersOf[struct{}]()
	ofIncidents  = destination.ParametersOf[keeper]()
)

// keeper are the parameters of an incident manager.
type keeper struct{}

func (*keeper) KeepsObjects() bool { return true }

func (w *fates) Lookup(name string) (destination.System, bool, bool) {
	s := destination.System{Name: name, Class: notification.Advanced, Batch: destination.Batch{Count: 10},
		Parameters: noParameters}
	switch name {
	case "messenger":
		s.Class, s.Batch = notification.Basic, destination.Batch{}
	case "incidents":
		s.Class, s.Batch, s.Group = notification.Basic, destination.Batch{}, destination.Incidents
		s.Parameters = ofIncidents
	case "files":
		s.Class, s.Batch = notification.Files, destination.File
	}
	return s, true, true
}

func (w *fates) Names() []string { return nil }

func (w *fates) Hold(context.Context, string) hold.Rules { return w.rules.rules() }

func (w *fates) Fresh(context.Context, string) (hold.Rules, error) { return w.rules.rules(), nil }

func (w *fates) Get(_ context.Context, _, id string) (integration.Integration, error) {
	i := w.find(id)
	if i == nil {
		return integration.Integration{}, integration.ErrNotFound
	}
	out := integration.Integration{ID: i.id, Tenant: w.tenant, System: i.system, Name: i.id,
		Revision: 1 + i.changes, Window: 1,
		Parameters: []byte(`{}`), Filters: i.filters, Hold: i.own.rules(), StormGuard: integration.NoStormGuard,
		Fallback: i.fallback, Off: i.off,
		Subscriptions: []integration.Subscription{{Event: event.VulnHigh}, {Event: event.VulnMedium},
			{Event: event.System}}}
	if i.every > 0 {
		out.Grouping = integration.Grouping(fmt.Sprintf("%d/%dm", i.upTo, i.every))
	}
	if i.guard > 0 {
		out.StormGuard = integration.StormGuard(fmt.Sprintf("%d/minute", i.guard))
	}
	return out, nil
}

func (w *fates) Enabled(ctx context.Context, tenant string) (out []integration.Integration, err error) {
	for _, i := range w.to {
		one, err := w.Get(ctx, tenant, i.id)
		if err == nil && one.SentFor() {
			out = append(out, one)
		}
	}
	return out, nil
}

// Holding makes it a delivery.Holder: the real one, of the seed's world.
func (w *fates) Holding(ctx context.Context, tenant, id string) (delivery.Holding, error) {
	h := &fanout.Holder{Integrations: w, Systems: w, Tenants: w, Now: func() time.Time { return w.now }}
	return h.Holding(ctx, tenant, id)
}

// The run of a seed.

func (w *fates) run(from time.Time) {
	w.tenant, w.now, w.events = fmt.Sprintf("t%d", w.seed), from.Add(time.Duration(w.r.IntN(24*60))*time.Minute), 0
	w.rules, w.to, w.waiting = w.drawRules(), nil, nil
	w.minutes, w.sent, w.known = map[string]int{}, map[string]bool{}, map[string]of{}
	w.store = &capturing{Store: w.engine.Log}
	if w.seen == nil {
		w.seen = map[string]int{}
	}
	for n, system := range []string{"messenger", "messenger", "messenger", "incidents", "log", "files"} {
		i := &receiving{id: fmt.Sprintf("i%d", n), system: system, own: w.drawRules(), guard: w.r.IntN(5)}
		w.drawFilters(i)
		if n%2 == 1 && i.people() {
			w.drawGrouping(i)
		}
		i.own.ownOnly = w.r.IntN(5) == 0
		w.to = append(w.to, i)
	}
	w.drawFallbacks()
	now := func() time.Time { return w.now }
	w.f = &fanout.Fanout{Integrations: w, Systems: w, Store: w.store, Holds: w, Messages: &fanout.MessageCounts{},
		Now: now, Logger: slog.New(slog.DiscardHandler)}
	w.falls = &fanout.Fallbacks{Integrations: w, Systems: w, Tenants: w, Now: now}
	for range 20 {
		switch w.r.IntN(8) {
		case 0:
			w.change()
		case 1:
			w.now = w.now.Add(time.Duration(w.r.IntN(9*3600)) * time.Second)
		default:
			w.now = w.now.Add(time.Duration(w.r.IntN(40)) * time.Second)
			w.publish()
			w.changeWhatGathers()
		}
		w.poll()
	}
	for range 200 {
		if len(w.waiting) == 0 {
			break
		}
		w.now = w.now.Add(time.Hour)
		w.poll()
	}
	require.Empty(w, w.waiting, "seed %d: it is never sent", w.seed)
}

func (w *fates) drawFilters(i *receiving) {
	i.filters = nil
	for _, f := range anyFilters(w.r) {
		if f.ID != filter.ByKind && w.r.IntN(3) == 0 {
			i.filters = append(i.filters, f)
		}
	}
}

func (w *fates) drawGrouping(i *receiving) {
	i.every, i.upTo = []int{1 + w.r.IntN(10), 1 + w.r.IntN(10), 15, 60}[w.r.IntN(4)], 2+w.r.IntN(6)
}

// zones are those of quiet hours: with and without summer time, and with odd minutes.
var zones = []string{"UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham"}

func (w *fates) drawRules() (p plain) {
	zone, err := time.LoadLocation(zones[w.r.IntN(len(zones))])
	require.NoError(w, err)
	p.zone = zone
	p.then = []hold.Then{"", hold.Send, hold.Digest, hold.Digest, hold.Drop}[w.r.IntN(5)]
	if w.r.IntN(2) == 0 {
		p.from = w.r.IntN(24)
		p.to = (p.from + 1 + w.r.IntN(10)) % 24
	}
	if w.r.IntN(3) == 0 {
		p.pass = [][]string{{}, {string(event.CreateUser)}, {string(event.Vuln)}, {string(event.VulnHigh)},
			{string(event.VulnHigh), string(event.System)}}[w.r.IntN(5)]
	}
	return p
}

// change is what people do: they mute and unmute, set other quiet hours, disable, set everything else anew, delete. And
// the program is started anew.
func (w *fates) change() {
	i := w.to[w.r.IntN(len(w.to))]
	looked := []*receiving{i}
	i.changes++
	switch w.r.IntN(13) {
	case 0, 1:
		i.own.muted = w.now.Truncate(time.Minute).Add(time.Duration(1+w.r.IntN(48)) * time.Hour)
	case 2:
		i.own.muted = time.Time{}
	case 3:
		p := w.drawRules()
		i.own.from, i.own.to, i.own.zone = p.from, p.to, p.zone
	case 4, 5, 11, 12:
		looked = append(looked, w.switchOver(i)...)
	case 6, 7:
		w.setAnew(i)
	case 8:
		i.gone = true
		w.seen["deleted"]++
	case 9:
		w.restart()
		return
	default:
		w.rules, looked = w.drawRules(), w.to
	}
	for _, i := range looked {
		require.NoError(w, w.engine.Reconsider(w.Context(), w.tenant, i.id))
		w.reconsidered(i)
	}
}

// changeWhatGathers has a person change the quiet hours of an integration while something gathers for it that will be
// held.
func (w *fates) changeWhatGathers() {
	for _, u := range w.waiting {
		i := w.find(u.to)
		if i == nil || i.idle() || !u.ends.After(w.now) {
			continue
		}
		p := w.drawRules()
		i.own.from, i.own.to, i.own.zone, i.own.muted = p.from, p.to, p.zone, time.Time{}
		i.changes++
		require.NoError(w, w.engine.Reconsider(w.Context(), w.tenant, i.id))
		w.reconsidered(i)
		return
	}
}

// setAnew has a person change how an integration is told of events.
func (w *fates) setAnew(i *receiving) {
	w.seen["set anew"]++
	w.drawFilters(i)
	i.guard, i.fallback = w.r.IntN(5), ""
	if i.every, i.upTo = 0, 0; i.people() && w.r.IntN(2) == 0 {
		w.drawGrouping(i)
	}
	w.drawFallback(i)
}

// restart forgets what the program knew, and has the engine read its state again.
func (w *fates) restart() {
	w.seen["restart"]++
	w.f.Messages = &fanout.MessageCounts{}
	clear(w.minutes)
	if w.engine.Restart != nil {
		w.engine = w.engine.Restart(w.T)
		w.store.Store = w.engine.Log
	}
}

// publish has a batch of events fanned out, perhaps twice, and compares what was made of each with the oracle.
func (w *fates) publish() {
	var batch []of
	var entries []delivery.Entry
	for range 1 + w.r.IntN(9) {
		w.events++
		e := of{found: found{id: fmt.Sprintf("%s-e%d", w.tenant, w.events),
			threat: []string{"High", "Medium", "Low"}[w.r.IntN(3)],
			domain: []string{"a.example", "B.example", "c.example"}[w.r.IntN(3)]},
			kind: []event.Kind{event.Vuln, event.Vuln, event.Vuln, event.CreateUser, event.IncidentsExceeded,
				event.AttacksExceeded, event.UpdateIntegration}[w.r.IntN(7)],
			status: []string{"open", "closed"}[w.r.IntN(2)], at: w.now.Add(-time.Duration(w.r.IntN(45)) * time.Second)}
		e.names = w.drawNames(e)
		w.known[e.id] = e
		batch, entries = append(batch, e), append(entries, w.entry(e))
	}
	entries = w.engine.Log.Take(w.T, entries)
	_, err := w.f.Process(w.Context(), entries)
	require.NoError(w, err)
	w.made(w.store.last, w.predict(batch))
	if w.r.IntN(3) == 0 {
		_, err := w.f.Process(w.Context(), entries)
		require.NoError(w, err)
		require.Empty(w, w.store.last.Deliveries, "seed %d: handed in again", w.seed)
	}
}

func (w *fates) entry(e of) delivery.Entry {
	var data any
	switch {
	case e.kind == event.Vuln:
		data = map[string]any{"vuln": map[string]any{"id": e.id, "threat": e.threat, "domain": e.domain,
			"status": e.status}}
	case e.kind == event.CreateUser:
		data = map[string]any{"user": map[string]any{"name": "Ada"}}
	case e.kind == event.UpdateIntegration:
		data = map[string]any{"integration": map[string]any{"id": e.names[0], "name": "I", "type": "log"}}
	default:
		data = map[string]any{"trigger_name": "T", "count": 1, "period": 60,
			"reaction": map[string]any{"trigger": "t", "integrations": e.names}}
	}
	detail, err := json.Marshal(map[string]any{"version": 1, "id": e.id, "tenant": w.tenant, "time": e.at,
		"data": data})
	require.NoError(w, err)
	return delivery.Entry{DetailType: string(e.kind), At: e.at, Detail: detail}
}

// The oracle.

// predict says what becomes of each event of a batch, by its way.
func (w *fates) predict(batch []of) map[string]fate {
	out := map[string]fate{}
	for _, i := range w.to {
		var together []of
		for _, reactions := range []bool{false, true} {
			for _, e := range batch {
				if e.reaction() != reactions {
					continue
				}
				f, goes := w.before(i, e)
				if out[way(i.id, e.id, "")] = f; f.left == "off" {
					w.instead(out, i, e)
				}
				if !goes {
					continue
				}
				if i.people() && !e.alone(i) {
					together = append(together, e)
				}
			}
		}
		for n, e := range together {
			out[way(i.id, e.id, "")] = w.guarded(i, e, n)
		}
		// What is beyond the limit is not counted: a storm it is anyway.
		if at := w.minute(i, 0); i.guard > 0 && w.minutes[at] <= i.limit() {
			w.minutes[at] += len(together)
		}
	}
	return out
}

func (w *fates) minute(i *receiving, ago time.Duration) string {
	return i.id + w.now.Add(-ago).Truncate(time.Minute).String()
}

// before is what becomes of an event before messages are counted; goes where it is neither left out nor held.
func (w *fates) before(i *receiving, e of) (f fate, goes bool) {
	switch left := e.leftOut(i); {
	case i.gone, left != "" && i.off != nil:
		return fate{left: "not taken"}, false
	case left != "":
		return fate{left: left}, false
	case i.off != nil:
		return fate{left: "off"}, false
	}
	if i.system == "files" {
		f.due = e.at.Truncate(10 * time.Minute).Add(10 * time.Minute)
	}
	by, then, until := w.holds(i, e.kind, e.as(), e.at)
	switch {
	case by == "":
		return f, true
	case then == hold.Drop:
		return fate{left: by}, false
	case f.due.After(until):
		return f, false
	}
	f.held, f.due = by, until
	if then == hold.Digest && i.people() && (i.system != "incidents" || e.kind != event.Vuln || e.status != "closed") {
		f.digest = by
	}
	return f, false
}

// holds is what holds events of a kind and type at a time, what it says of them, and until when: minute by minute.
func (w *fates) holds(i *receiving, k event.Kind, t event.Type, at time.Time) (by string, then hold.Then,
	until time.Time) {
	var rules []plain
	if !i.own.passes(k, t) {
		rules = append(rules, i.own)
	}
	byHand := i.own.pass != nil && i.own.passes(k, t)
	if i.people() && !i.own.ownOnly && !w.rules.passes(k, t) && !byHand {
		rules = append(rules, w.rules)
	}
	for _, p := range rules {
		if by == "" {
			by, then = p.by(at), p.then
		}
	}
	until = at
	for by != "" && slices.ContainsFunc(rules, func(p plain) bool { return p.by(until) != "" }) {
		until = until.Truncate(time.Minute).Add(time.Minute)
	}
	return by, then, until
}

// guarded is what becomes of the nth of a batch's events that can be told with others.
func (w *fates) guarded(i *receiving, e of, n int) fate {
	limit, alone := i.limit(), fate{}
	storm := fate{digest: "storm", due: w.now.Truncate(time.Minute).Add(time.Minute)}
	if i.every > 0 {
		span := time.Duration(i.every) * time.Minute
		alone = fate{digest: fmt.Sprintf("group/%d", i.upTo), due: e.at.Truncate(span).Add(span)}
		if i.every > 10 {
			alone.digest += fmt.Sprintf("/%dm", i.every)
			storm.digest += fmt.Sprintf("//%dm", i.every)
			w.seen["long"]++
		}
		storm.due = alone.due
	}
	if i.guard > 0 && (w.minutes[w.minute(i, 0)]+n >= limit || w.minutes[w.minute(i, time.Minute)] > limit) {
		return storm
	}
	return alone
}

// made compares what fan-out made with what the oracle says.
func (w *fates) made(in fanout.Intake, want map[string]fate) {
	left := map[string]int{}
	for _, d := range in.Deliveries {
		u := unitOf(d)
		if d.Held != nil {
			require.Equal(w, d.Due, d.Held.Until)
		}
		require.Equal(w, w.counted(u), u.join, "seed %d: %s", w.seed, u.id)
		if u.from != "" {
			w.seen["fell back: at arrival"] += d.Count
			require.Equal(w, *w.fromOff(u.from), *d.From, "seed %d", w.seed)
			require.Equal(w, u.digest != "" && u.held != "", u.merge, "seed %d: from %s", w.seed, u.from)
		}
		for _, e := range d.Events {
			key := way(d.Integration, e.ID, u.from)
			f, ok := want[key]
			require.True(w, ok, "seed %d: %s is in two deliveries", w.seed, key)
			f = w.gathers(w.find(u.to), u, w.known[e.ID], f)
			require.True(w, f.left == "" && f.due.Equal(u.due), "seed %d: %s is %+v and not %+v", w.seed, key, u.fate,
				f)
			require.Equal(w, [2]string{f.digest, f.held}, [2]string{u.digest, u.held}, "seed %d: %s", w.seed, key)
			require.True(w, f.ends.Equal(u.ends), "seed %d: %s", w.seed, key)
			delete(want, key)
		}
		w.waiting = append(w.waiting, u)
		w.tried(u)
	}
	for key, f := range want {
		require.NotEmpty(w, f.left, "seed %d: nothing became of %s", w.seed, key)
		if f.left != "off" && f.left != "not taken" {
			id, _, _ := strings.Cut(key, " ")
			left[id+" "+f.left]++
			w.seen["left out"]++
		}
	}
	for _, l := range in.LeftOut {
		left[l.Integration+" "+string(l.By)] -= l.Events
	}
	for what, n := range left {
		require.Zero(w, n, "seed %d: counted as left out: %s", w.seed, what)
	}
}

// gathers is the fate of an event that waits for company: where that ends while it is held, it waits on. What passes
// waits for none of what is held.
func (w *fates) gathers(i *receiving, u *unit, e of, f fate) fate {
	if f.held != "" || f.due.IsZero() || f.left != "" || u.from != "" {
		return f
	}
	if by, _, until := w.holds(i, e.kind, e.as(), f.due); by != "" {
		f.due, f.held, f.ends = until, by, f.due
		w.seen["gathered into a hold"]++
		return f
	}
	for _, t := range types(e.kind) {
		if by, _, _ := w.holds(i, e.kind, t, f.due); by != "" {
			w.seen["gathered and passed by its type"]++
			break
		}
	}
	return f
}

// counted reports whether the storm guard counts a unit that is held when it is let go.
func (w *fates) counted(u *unit) bool {
	i := w.find(u.to)
	return u.held != "" && u.digest == "" && u.from == "" && i.people() && i.guard > 0 &&
		!slices.ContainsFunc(u.events, func(id string) bool { return w.known[id].alone(i) })
}

func (w *fates) tried(u *unit) {
	what, _, _ := strings.Cut(u.digest, "/")
	switch {
	case what == "" && u.held != "":
		what = "held alone"
	case what == "":
		what = "at once"
	}
	w.seen[what] += len(u.events)
}

// reconsidered is what becomes of what is held when the rules change.
func (w *fates) reconsidered(i *receiving) {
	for _, u := range w.waiting {
		if u.to == i.id && u.held != "" {
			w.keep(i, u)
		}
	}
}

// keep puts a unit off, or lets it go. What gathers goes on with it to its end, and is held as the rules say of that.
func (w *fates) keep(i *receiving, u *unit) {
	at := w.now
	if u.ends.After(at) && !i.idle() {
		at = u.ends
		w.seen["gathered on"]++
	}
	if u.held != delivery.HeldByFallback || i.idle() || u.due.Before(w.now) {
		u.due = at
	}
	if at.After(w.now) {
		u.held = delivery.HeldByGathering
	}
	for _, k := range u.kinds {
		for _, t := range types(k) {
			if by, _, until := w.holds(i, k, t, at); by != "" && !i.idle() && until.After(u.due) {
				u.due, u.held = until, by
				w.seen["put off"]++
			}
		}
	}
}

// poll takes what engines hand out and compares it with what is due by the oracle, message by message.
func (w *fates) poll() {
	for _, i := range w.to {
		var due, rest []*unit
		for _, u := range w.waiting {
			if u.to == i.id && u.held != "" && !u.due.After(w.now) {
				w.keep(i, u)
			}
			if u.to == i.id && !u.due.After(w.now) {
				due = append(due, u)
			} else {
				rest = append(rest, u)
			}
		}
		w.waiting = rest
		w.compare(i, due, w.engine.Log.Ready(w.T, w.tenant, i.id, 10_000))
		w.pending(i)
	}
}

// compare: what waited for one time and reason is one message, as far as it has room.
func (w *fates) compare(i *receiving, due []*unit, got []delivery.Delivery) {
	messages := map[string][]string{} // event ids
	groups := map[string]string{}     // by event, those with bounds
	most := map[string]int{}          // by group
	slices.SortFunc(due, func(a, b *unit) int { return strings.Compare(a.id, b.id) })
	let := 0 // go as they are, of those that the storm guard counts
	upTo := 0
	for _, u := range due {
		key := u.id
		if u.join {
			let++
		}
		switch {
		case u.join && !i.idle() && i.guard > 0 && let > i.guard:
			key = "merged " + u.held
			w.seen["let go: too many"]++
		case u.held != "" && u.merge:
			key = "merged " + u.digest
		case u.held == "" && !u.due.IsZero():
			key = u.digest + u.due.String()
		}
		for _, id := range u.events {
			id += " " + u.from
			if strings.HasPrefix(u.digest, "group/") {
				groups[id] = key
				_, err := fmt.Sscanf(u.digest, "group/%d", &upTo)
				require.NoError(w, err)
				most[key] = upTo
				continue
			}
			messages[key] = append(messages[key], id)
		}
	}
	var want, have []string
	for _, ids := range messages {
		slices.Sort(ids)
		want = append(want, strings.Join(ids, " "))
	}
	for _, d := range got {
		var ids []string
		for _, e := range d.Events {
			key := way(i.id, e.ID, unitOf(d).from)
			require.False(w, w.sent[key], "seed %d: %s is sent twice", w.seed, key)
			w.sent[key] = true
			ids = append(ids, e.ID+" "+unitOf(d).from)
		}
		require.Equal(w, len(ids), d.Count)
		require.False(w, i.people() && d.Count > 1 && d.Digest == "" && d.From == nil,
			"seed %d: a message of %d events", w.seed, d.Count)
		w.ends(i, d)
		if group, ok := groups[ids[0]]; ok {
			require.LessOrEqual(w, len(ids), most[group], "seed %d", w.seed)
			for _, id := range ids {
				require.Equal(w, group, groups[id], "seed %d: %s to %s", w.seed, id, i.id)
				delete(groups, id)
			}
			continue
		}
		slices.Sort(ids)
		have = append(have, strings.Join(ids, " "))
	}
	require.ElementsMatch(w, want, have, "seed %d: to %s at %s", w.seed, i.id, w.now)
	require.Empty(w, groups, "seed %d: to %s", w.seed, i.id)
}

// pending compares until when what waits is said to wait.
func (w *fates) pending(i *receiving) {
	if w.r.IntN(4) > 0 {
		return
	}
	listed, err := w.engine.Log.List(w.Context(), delivery.Query{Tenant: w.tenant, Integration: i.id,
		States: []delivery.State{delivery.Pending}, Limit: 10_000})
	require.NoError(w, err)
	until := map[string]time.Time{}
	for _, d := range listed {
		if !d.Due.IsZero() { // of a grouping's message that is on its way
			until[d.ID] = d.Due
		}
	}
	for _, u := range w.waiting {
		if u.to == i.id {
			require.True(w, u.due.Equal(until[u.id]), "seed %d: %s waits until %s and not %s", w.seed, u.id,
				until[u.id], u.due)
			delete(until, u.id)
		}
	}
	require.Empty(w, until, "seed %d", w.seed)
}
