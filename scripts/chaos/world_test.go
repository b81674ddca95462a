//go:build awslocal

package chaos_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal/sim"
	"tocsin/scripts/awslocal/simstack"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/trigger"
)

// plan is what a seed stands for. Each part is drawn by a generator of its own, so that one more draw changes no other.
type plan struct {
	tenants []tenant
	events  []publication
	during  time.Duration // how long faults last
	faults  rates
	// late is how often DynamoDB's answer to the rows of deliveries is lost, and late: the SDK writes them again when
	// windows of files may have been merged since.
	late    float64
	outages []outage
	acts    []act
	// pollers of each function; batch is the size of a batch of the events queue, 0 = the template's.
	pollers map[string]int
	batch   int
	untidy  sim.Untidy
	skew    time.Duration
}

type tenant struct {
	id        string
	receivers []*receiver
	hits      int // distinct hits that are published
	users     int
}

// publication is an event, and when it is put on the bus: more than once when upstream repeats it.
type publication struct {
	event event.Event
	kind  string // "hit", "user", "bad"
	at    []time.Duration
}

// rates are chances for each call.
type rates struct {
	before, after, partly, slow, kill, frozen float64
}

// outage makes all calls of some name fail for a while.
type outage struct {
	name     string // the beginning of sim.Call.Name
	from, to time.Duration
	kind     sim.Kind
}

// act is what people, or the services by themselves, do in the middle of it.
type act struct {
	at   time.Duration
	what string // purge, redrive, stop; off, broken, on, mute, unmute
	on   string // the queue, or the receiver
}

func draw(seed uint64) plan {
	r := sim.Random(seed, "plan")
	p := plan{during: time.Duration(10+r.IntN(50)) * time.Minute, pollers: map[string]int{}}
	pick := func(list ...float64) float64 { return list[r.IntN(len(list))] }
	p.faults = rates{
		before: pick(0, 0.02, 0.06, 0.15), after: pick(0, 0.02, 0.06, 0.15), partly: pick(0, 0.05, 0.2), slow: pick(0,
			0.05), kill: pick(0, 0.01, 0.03, 0.08), frozen: pick(0, 0, 0.005),
	}
	p.untidy = sim.Untidy{
		Twice: pick(0, 0.05, 0.3), Repeat: pick(0, 0.05,
			0.3), Late: time.Duration(1+r.IntN(120)) * time.Second, Small: pick(0, 0.3, 0.9), Again: pick(0, 0.1),
	}
	p.late = []float64{0, 0, 0.6}[sim.Random(seed, "late").IntN(3)]
	p.skew = time.Duration(r.IntN(2)) * time.Minute
	for _, f := range simstack.Polled {
		p.pollers[f] = 1 + r.IntN(4)
	}
	p.batch = []int{0, 0, 20, 5}[r.IntN(4)]
	for n := range 1 + r.IntN(3) {
		p.tenants = append(p.tenants, drawTenant(seed, n, p.during))
	}
	drawEvents(seed, &p)
	drawTrouble(seed, &p)
	drawSwitching(seed, &p)
	return p
}

// drawTrouble draws outages, and what happens to queues and executions.
func drawTrouble(seed uint64, p *plan) {
	r := sim.Random(seed, "trouble")
	within := func() time.Duration { return time.Duration(r.Int64N(int64(p.during))) }
	names := []string{
		"SQS SendMessageBatch", "DynamoDB TransactWriteItems", "DynamoDB BatchWriteItem", "DynamoDB PutItem",
		"DynamoDB BatchExecuteStatement", "DynamoDB",
		"Step Functions", "EventBridge", "KMS", "Lambda", "SQS",
	}
	for range r.IntN(3) {
		from := within()
		kinds := []sim.Kind{sim.Throttled, sim.Broken, sim.Unsent}
		p.outages = append(p.outages, outage{names[r.IntN(len(names))], from,
			from + time.Duration(1+r.IntN(15))*time.Minute, kinds[r.IntN(len(kinds))]})
	}
	for range r.IntN(4) {
		a := act{at: within(), what: []string{"purge", "redrive", "stop"}[r.IntN(3)]}
		if a.what == "purge" {
			a.on = purged[r.IntN(len(purged))]
		}
		p.acts = append(p.acts, a)
	}
}

func drawTenant(seed uint64, n int, during time.Duration) tenant {
	r := sim.Random(seed, "tenant", n)
	t := tenant{id: fmt.Sprintf("%d%02d", 1000+seed, n)}
	add := func(system string, parameters string) {
		v := &receiver{name: fmt.Sprintf("r%d.t%s.example.com", len(t.receivers), t.id), system: system, seed: seed}
		v.parameters = strings.ReplaceAll(parameters, "HOST", v.name)
		v.draw(r, during)
		t.receivers = append(t.receivers, v)
	}
	add("web_hooks", `{"url":"https://HOST/hook","max_events":100}`)
	if r.Float64() < 0.3 {
		add("web_hooks", `{"url":"https://HOST/hook","max_events":1}`)
		// seventeen attempts at each event are most of a seed's time
		one := t.receivers[len(t.receivers)-1]
		if one.single = true; one.down {
			one.down, one.to = false, one.from+5*time.Minute
		}
	}
	if r.Float64() < 0.6 {
		add("minio", `{"endpoint":"https://HOST","bucket":"hits","access_key":"tocsin","secret_key":"a-secret-of-minio",
			"format":"json"}`)
	}
	t.people(sim.Random(seed, "people", n), add)
	t.fallbacks(sim.Random(seed, "fallbacks", n))
	return t
}

// people may have a messenger: with a grouping, a storm guard that a burst goes beyond, and quiet hours in the midst of
// it. All begins at midnight.
func (t *tenant) people(r *rand.Rand, add func(system, parameters string)) {
	if r.Float64() < 0.3 {
		return
	}
	add("slack", `{"webhook_url":"https://HOST/services/T0/B0/x"}`)
	v := t.receivers[len(t.receivers)-1]
	v.draft.Grouping = []integration.Grouping{"", "", "3/2m", "20/10m"}[r.IntN(4)]
	v.draft.StormGuard = []integration.StormGuard{"1/minute", "2/minute", ""}[r.IntN(3)]
	v.draft.Hold = hold.Rules{Then: []hold.Then{hold.Send, hold.Digest}[r.IntN(2)]}
	if r.IntN(3) > 0 {
		from, lasts := 5+r.IntN(40), 10+r.IntN(150)
		clock := func(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
		v.draft.Hold.Quiet = []hold.Quiet{{From: clock(from), To: clock(from + lasts), Zone: "UTC"}}
	}
	if v.down {
		v.down, v.to = false, v.from+5*time.Minute
	}
}

// drawEvents spreads 20 to 45 events over the time of faults, some of them twice, in bursts.
func drawEvents(seed uint64, p *plan) {
	r := sim.Random(seed, "events")
	burst := time.Duration(0)
	for n := range 20 + r.IntN(25) {
		if r.Float64() < 0.2 {
			burst = time.Duration(r.Int64N(int64(p.during)))
		}
		t := &p.tenants[r.IntN(len(p.tenants))]
		id := fmt.Sprintf("ev-%d-%03d", seed, n)
		v := publication{kind: "hit", at: []time.Duration{burst + time.Duration(r.IntN(3000))*time.Millisecond}}
		v.event = event.Event{ID: id, Tenant: t.id, ClientName: "Acme", Kind: event.NewHits}
		v.event.Data = fmt.Appendf(nil,
			`{"hit":{"type":%q,"domain":"shop.example.com","path":"/mark-%s","method":"POST","remote_addr4":"10.0.0.%d",
				"payloads":["p%d"],"response_status":404,"request_time":%%d}}`,
			[]string{"sqli", "xss", "rce"}[r.IntN(3)], id, r.IntN(5), n)
		switch x := r.Float64(); {
		case x < 0.06:
			v.kind, v.event.Kind = "user", event.CreateUser
			v.event.Data = fmt.Appendf(nil, `{"user":{"name":"mark-%s","email":"u%d@example.com","role":"Analyst"}}`,
				id, n)
			t.users++
		case x < 0.10:
			v.kind, v.event.Data = "bad", []byte(`{"hit":7}`)
		default:
			t.hits++
		}
		for v.kind != "bad" && r.Float64() < 0.12 {
			v.at = append(v.at, v.at[0]+time.Duration(r.Int64N(int64(10*time.Minute))))
		}
		p.events = append(p.events, v)
	}
	drawFindings(seed, p)
}

// drawFindings draws what people are told: vulnerabilities, in a burst and apart.
func drawFindings(seed uint64, p *plan) {
	r := sim.Random(seed, "findings")
	burst := time.Duration(r.Int64N(int64(p.during)))
	for n := range 8 + r.IntN(20) {
		t := p.tenants[r.IntN(len(p.tenants))]
		at := burst + time.Duration(r.IntN(90_000))*time.Millisecond
		if r.IntN(3) == 0 {
			at = time.Duration(r.Int64N(int64(p.during)))
		}
		v := publication{kind: finding, at: []time.Duration{at}}
		v.event = event.Event{ID: fmt.Sprintf("vu-%d-%03d", seed, n), Tenant: t.id, ClientName: "Acme",
			Kind: event.Vuln, Data: fmt.Appendf(nil, `{"vuln":{"id":"V%d","threat":"High","title":"XSS"}}`, n)}
		if r.Float64() < 0.12 {
			v.at = append(v.at, at+time.Duration(r.Int64N(int64(10*time.Minute))))
		}
		p.events = append(p.events, v)
	}
}

// finding is the kind of what people are told, and hit of what machines are.
const (
	finding = "finding"
	hit     = "hit"
)

// world is a run of a seed.
type world struct {
	t     *testing.T
	seed  uint64
	plan  plan
	cloud *sim.Cloud
	log   *slog.Logger
	tool  *simstack.Stack // of the test itself: no faults, the right time
	began time.Time
	quiet atomic.Bool
	cover *coverage

	mu    sync.Mutex
	calls strings.Builder // a line each

	// What a sabotage sets: no schedule runs, and receivers see events in another order each time.
	idle, shuffled bool
}

// run is a seed from its beginning to its end: what is wrong after it.
func run(t *testing.T, seed uint64, dynamo, prefix string, cover *coverage, logs *slog.Logger,
	sabotage func(*world)) (wrong []string) {
	ctx := context.Background()
	w := &world{t: t, seed: seed, plan: draw(seed), log: logs, began: time.Now(), cover: cover}
	var err error
	w.cloud, err = sim.New(ctx, template, sim.Options{Root: root, Seed: seed, Dynamo: dynamo, Prefix: prefix})
	require.NoError(t, err)
	defer w.cloud.Close()
	w.cloud.Latency = latency(seed)
	w.cloud.Faults, w.cloud.Seen = w.fault, w.seen
	w.cloud.Untidy = w.plan.untidy
	w.tool = simstack.Open(w.cloud, w.cloud.Sandbox("", 0), w.log)
	w.quiet.Store(true)
	simstack.Deploy(w.cloud, func(s *sim.Sandbox) sending.Transport { return transport{w, s} }, w.log)
	for _, f := range w.cloud.Functions {
		f.Skew, f.Recycle = w.plan.skew, 20
	}
	w.setUp(ctx)
	w.quiet.Store(false)
	if sabotage != nil {
		sabotage(w)
	}
	for _, f := range simstack.Polled {
		w.cloud.Poll(f, w.plan.pollers[f], func(queue string, size *int, _ *time.Duration) {
			if queue == "EventsQueue" && w.plan.batch > 0 {
				*size = w.plan.batch
			}
		})
	}
	w.began = time.Now()
	stop := w.schedule(ctx)
	w.storm()
	w.quiet.Store(true)
	wrong = w.settle(ctx)
	stop()
	wrong = append(wrong, w.judge(ctx)...)
	t.Logf("faults %+v, outages %v, acts %v", w.plan.faults, w.plan.outages, w.plan.acts)
	t.Logf("%d calls of DynamoDB Local", w.cloud.DynamoCalls.Load())
	if wrong = append(wrong, w.cloud.Problems()...); len(wrong) > 0 && sabotage == nil {
		wrong = append(wrong, "its calls are in "+w.keepCalls())
	}
	return wrong
}

// keepCalls writes what was called, and when: a seed draws the same events and faults each time, and the order of what
// happens at one instant is the scheduler's, so that a run that failed may not fail again.
func (w *world) keepCalls() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := fmt.Sprint("var/chaos/seed-", w.seed, ".txt")
	err := os.MkdirAll(filepath.Join(root, "var", "chaos"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(root, name), []byte(w.calls.String()), 0o644)
	}
	if err != nil {
		return err.Error()
	}
	return name
}

// setUp makes integrations and triggers, and lets what that announces pass.
func (w *world) setUp(ctx context.Context) {
	service, store := w.tool.Service(), w.tool.Triggers()
	for n, t := range w.plan.tenants {
		for _, r := range t.receivers {
			i, err := service.Create(ctx, activity.Actor{Tenant: t.id, ClientName: "Acme",
				Email: "ada@example.com"},
				r.asked())
			require.NoError(w.t, err)
			r.id = i.ID
		}
		w.setFallbacks(ctx, service, t)
		require.NoError(w.t, store.Seed(ctx, t.id, trigger.Defaults(t.id, "Acme", time.Now()),
			enginetest.Entry(t.id))) // as a look at the triggers does
		first := t.receivers[0].id
		for id, count := range map[string]int{"all": t.hits - 1, "more": t.hits} {
			v := trigger.Trigger{ID: id, Name: "Hits", Template: trigger.Hits,
				Threshold: &trigger.Threshold{Period: 86400, Count: int64(count)}}
			if count > 0 {
				w.trigger(ctx, store, n, v, first)
			}
		}
		w.trigger(ctx, store, n, trigger.Trigger{ID: "user", Name: "mark", Template: trigger.UserAdded}, first)
	}
}

func (w *world) trigger(ctx context.Context, store trigger.Store, n int, v trigger.Trigger, to string) {
	v.Tenant, v.ClientName, v.Revision, v.Epoch, v.CreatedAt = w.plan.tenants[n].id, "Acme", 1, 1, time.Now()
	v.Actions = []trigger.Action{{ID: trigger.Notify, Integrations: []string{to}}}
	note := event.Event{ID: simstack.NewID(), Tenant: v.Tenant, ClientName: "Acme", Kind: event.TriggerCreate,
		Time: time.Now(),
		Data: []byte(`{"trigger":{"id":"t","name":"t"}}`)}
	require.NoError(w.t, store.Create(ctx, v, nil, activity.Record{Event: note, Entry: enginetest.Entry(v.Tenant)}))
}

// schedule calls the functions that a schedule calls, until stop.
func (w *world) schedule(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	for name, payload := range simstack.Schedules {
		if w.idle {
			break
		}
		f := w.cloud.Functions[name]
		work.Go(func() {
			for ctx.Err() == nil {
				select {
				case <-time.After(w.pause()):
					_, _ = f.Invoke(ctx, []byte(payload)) // the next one makes up for it
				case <-ctx.Done():
				}
			}
		})
	}
	return func() { cancel(); work.Wait() }
}

// pause is what lies between two calls by a schedule: after the storm time flies.
func (w *world) pause() time.Duration {
	switch {
	case !w.quiet.Load():
		return 5 * time.Minute
	case time.Since(w.began) < 4*time.Hour:
		return 20 * time.Minute
	}
	return time.Hour
}

// storm publishes the events and does what people do, while faults happen.
func (w *world) storm() {
	type step struct {
		at time.Duration
		do func()
	}
	var steps []step
	for _, v := range w.plan.events {
		for _, at := range v.at {
			steps = append(steps, step{at, func() { w.publish(v) }})
		}
	}
	for _, a := range w.plan.acts {
		steps = append(steps, step{a.at, func() { w.act(a) }})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.at - b.at) })
	for _, s := range steps {
		time.Sleep(time.Until(w.began.Add(s.at)))
		s.do()
	}
	time.Sleep(time.Until(w.began.Add(w.plan.during + 10*time.Minute)))
}

func (w *world) publish(v publication) {
	e := v.event
	e.Time = w.began.Add(v.at[0])
	if v.kind == "hit" {
		e.Data = fmt.Appendf(nil, string(e.Data), e.Time.Unix())
	}
	detail, err := e.Encode()
	require.NoError(w.t, err)
	w.cloud.Publish(string(e.Kind), detail)
}

func (w *world) act(a act) {
	switch a.what {
	case "purge":
		if q := w.cloud.Queues[a.on]; q != nil {
			q.Purge()
		}
	case "redrive":
		w.redrive()
	case "stop":
		if list := w.cloud.Machine.Running(); len(list) > 0 {
			w.cloud.Machine.Stop(list[0])
		}
	default:
		w.switches(a)
	}
}

func (w *world) redrive() {
	for from, to := range simstack.Redrives {
		w.cloud.Queues[from].Redrive(w.cloud.Queues[to])
	}
}

// fault draws what happens to a call.
func (w *world) fault(c sim.Call) sim.Fault {
	if w.quiet.Load() || c.Function == "" {
		return sim.Fault{}
	}
	since := time.Since(w.began)
	for _, o := range w.plan.outages {
		if since >= o.from && since < o.to && strings.HasPrefix(c.Name(), o.name) {
			return sim.Fault{Kind: o.kind}
		}
	}
	if c.Action == "BatchExecuteStatement" && strings.Contains(c.Table, "Deliveries") {
		if r := sim.Random(w.seed, "late", c.Function, c.Invocation, c.Number); r.Float64() < w.plan.late {
			return sim.Fault{Kind: sim.Lost, Slow: time.Duration(r.Int64N(int64(50 * time.Second)))}
		}
	}
	r := sim.Random(w.seed, "fault", c.Function, c.Invocation, c.Number)
	f := sim.Fault{Kind: w.kind(r, c)}
	if r.Float64() < w.plan.faults.slow {
		f.Slow = time.Duration(r.Int64N(int64(20 * time.Second)))
	}
	return f
}

func (w *world) kind(r *rand.Rand, c sim.Call) sim.Kind {
	p := w.plan.faults
	before := []sim.Kind{sim.Throttled, sim.Broken, sim.Unsent}
	after := []sim.Kind{sim.Lost, sim.Doubtful}
	x := r.Float64()
	for _, k := range []struct {
		chance float64
		kinds  []sim.Kind
	}{{p.kill, []sim.Kind{sim.KillFirst, sim.KillAfter}}, {p.before, before}, {p.after, after}, {p.partly,
		[]sim.Kind{sim.Partly, sim.Conflict}}, {p.frozen, []sim.Kind{sim.Frozen}}} {
		if x < k.chance {
			kind := k.kinds[r.IntN(len(k.kinds))]
			if kind == sim.Conflict && c.Action != "TransactWriteItems" {
				kind = sim.None
			}
			return kind
		}
		x -= k.chance
	}
	return sim.None
}

func (w *world) seen(c sim.Call, f sim.Fault) {
	w.mu.Lock()
	fmt.Fprintf(&w.calls, "%s %s %d.%d %s %q slow %s: %s\n", time.Since(w.began), c.Function, c.Invocation, c.Number,
		c.Name(), f.Kind, f.Slow, c.Body)
	w.mu.Unlock()
	if !w.quiet.Load() {
		w.cover.note(c, f)
	}
}

// latency is about that of the real services, and never the same.
func latency(seed uint64) func(sim.Call) time.Duration {
	return func(c sim.Call) time.Duration {
		mean := 6.0
		switch c.Action {
		case "TransactWriteItems":
			mean = 30
		case "BatchWriteItem", "BatchExecuteStatement":
			mean = 10
		}
		r := sim.Random(seed, "latency", c.Function, c.Invocation, c.Number, c.Action)
		return time.Duration(mean * (0.5 + r.ExpFloat64()) * float64(time.Millisecond))
	}
}

// settleWithin is how long it may take until nothing is left to do: the retry cycles last 52 minutes; a sweep for what
// was left behind comes after an hour, and the outbox is looked at again after 30 minutes, then after 1, 2, 4 and 8
// hours.
const settleWithin = 24 * time.Hour

// stuckAfter is how long the same is left to do before nothing more is waited for.
const stuckAfter = 9 * time.Hour

// settle waits, with redrives, until nothing is left to do.
func (w *world) settle(ctx context.Context) []string {
	began := time.Now()
	var left []string
	for since := began; time.Since(began) < settleWithin && time.Since(since) < stuckAfter; time.Sleep(w.pause() / 4) {
		w.redrive()
		now := w.left(ctx)
		if len(now) == 0 {
			return nil
		}
		if !slices.Equal(left, now) {
			left, since = now, time.Now()
		}
	}
	return append([]string{fmt.Sprintf("after %s without a fault something is left to do", time.Since(began))}, left...)
}

// left is what is still to be done.
func (w *world) left(ctx context.Context) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(w.cloud.Queues)) {
		if q := w.cloud.Queues[name]; q.Len() > 0 && name != nowhere {
			out = append(out, "messages are left: "+q.String())
		}
	}
	for _, e := range w.cloud.Machine.Running() {
		out = append(out, "an execution runs: "+e)
	}
	for _, t := range w.plan.tenants {
		for _, r := range t.receivers {
			list, err := w.tool.Deliveries().List(ctx, delivery.Query{Tenant: t.id, Integration: r.id, Limit: 1000})
			if err != nil {
				return append(out, err.Error())
			}
			for _, d := range list {
				if d.State == delivery.Pending || d.State == delivery.Retrying {
					out = append(out, fmt.Sprintf("delivery %s of %s is %s: batch %q, failures %d, due %s, reason %q",
						d.ID,
						r.name, d.State, d.Batch, d.Failures, d.Due, d.Reason))
				}
			}
		}
	}
	return append(out, w.outbox(ctx)...)
}
