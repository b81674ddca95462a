package simulation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// The size of it.
const (
	tenants   = 100
	perTenant = 10 // integrations: one of each fault
	span      = 12 * time.Hour
	drain     = 100 * time.Minute // after the last event; the cycles take fifty minutes
	every     = 8 * time.Minute   // an event for each busy tenant, a third of it for the quiet ones
	bursts    = 3 * time.Hour     // and so often a burst
	burst     = 8
	slots     = int(every / time.Minute) // the tenants take turns
	badEvery  = 50                       // one event in so many is refused by a receiver that is particular
)

// fault is what an integration of a tenant suffers; the tenant decides when.
type fault int

const (
	healthy    fault = iota // is told of its tenant's system events too
	deadHour                // gives no answer for an hour
	deploying               // 503 for 25 minutes
	mostly                  // 70 % of its requests fail, but for the first hour
	limited                 // takes a request a second
	particular              // refuses one record in fifty
	gone                    // from the fourth hour on: 404, or no answer for every other tenant
	batched                 // has the worst luck of all: only the way out is gone, as for all of them
	byHand                  // is disabled for two hours
	restarting              // 503 for a minute in every hour
)

func (f fault) String() string {
	return [...]string{"healthy", "dead for an hour", "503 for 25 minutes", "70 % failing", "a request a second",
		"particular",
		"gone for good", "the way out gone", "disabled by hand", "restarting"}[f]
}

// lasting reports whether the receiver does not come back by itself.
func (f fault) lasting() bool { return f == gone || f == mostly }

const (
	goneFrom, mostlyFrom       = 4 * time.Hour, time.Hour
	offFrom, offTo             = 5 * time.Hour, 7 * time.Hour
	noWayOutFrom, noWayOutTo   = 6 * time.Hour, 6*time.Hour + 10*time.Minute
	deployment, hour, restarts = 25 * time.Minute, time.Hour, time.Minute
)

// receiver is the system of one integration.
type receiver struct {
	tenant int
	fault  fault
	mended bool

	requests, answered int // answered counts those that could be taken
	last               time.Time
	got                map[string]int // how often each event was taken, by its number
	notices            map[string]int // kind and integration of the system events taken
}

// world is everything around Tocsin.
type world struct {
	began time.Time
	mu    sync.Mutex
	all   map[string]*receiver // by host
}

func host(tenant int, f fault) string { return fmt.Sprintf("t%d-f%d.example", tenant, f) }

// Do is sending.Transport.
func (w *world) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := strings.TrimSuffix(strings.TrimPrefix(q.URL, "https://"), "/")
	r := w.all[name]
	status, err := r.answer(time.Since(w.began), q.Body)
	r.requests++
	if err != nil {
		return destination.Response{}, err
	}
	if status == http.StatusOK {
		r.take(q.Body)
	}
	response := destination.Response{Status: status, Header: http.Header{}}
	if status == http.StatusTooManyRequests {
		response.Header.Set("Retry-After", "1")
	}
	return response, nil
}

var (
	noAnswer = &egress.Failure{Kind: egress.Refused, Reason: "connection refused: nothing listens"}
	noWayOut = &egress.Failure{Kind: egress.Unreachable, Reason: "can not be reached: there is no way to its network"}
)

// answer is what the receiver says at a time after the beginning.
func (r *receiver) answer(at time.Duration, body []byte) (int, error) {
	if at >= noWayOutFrom && at < noWayOutTo {
		return 0, noWayOut
	}
	if r.mended {
		return http.StatusOK, nil
	}
	within := func(from, long time.Duration) bool { return at >= from && at < from+long }
	switch shift := time.Duration(r.tenant%9) * time.Hour; r.fault {
	case deadHour:
		if within(time.Hour+shift, hour) {
			return 0, noAnswer
		}
	case deploying:
		if within(time.Hour+shift+time.Duration(r.tenant%60)*time.Minute, deployment) {
			return http.StatusServiceUnavailable, nil
		}
	case mostly:
		if r.answered++; at >= mostlyFrom && r.answered*7%10 < 7 {
			return http.StatusInternalServerError, nil
		}
	case limited:
		if now := time.Now(); now.Sub(r.last) >= time.Second {
			r.last = now
		} else {
			return http.StatusTooManyRequests, nil
		}
	case particular:
		for _, id := range numbers(body) {
			if strings.HasSuffix(id, bad) {
				return http.StatusBadRequest, nil
			}
		}
	case gone:
		if at >= goneFrom && r.tenant%2 == 0 {
			return 0, noAnswer
		}
		if at >= goneFrom {
			return http.StatusNotFound, nil
		}
	case restarting:
		if at%time.Hour < restarts {
			return http.StatusServiceUnavailable, nil
		}
	}
	return http.StatusOK, nil
}

// mark stands before the number of an event in what a receiver gets; bad ends that of one which the particular refuse.
const mark, bad = "/e/", "-bad"

// numbers finds those of the events in a body.
func numbers(body []byte) (out []string) {
	for {
		_, after, ok := bytes.Cut(body, []byte(mark))
		if !ok {
			return out
		}
		id, rest, _ := bytes.Cut(after, []byte(`"`))
		out, body = append(out, string(id)), rest
	}
}

// take keeps what was taken: each event is in a body once.
func (r *receiver) take(body []byte) {
	var events []struct {
		Details struct {
			Kind        string `json:"notification_type"`
			Hit         struct{ Path string }
			Integration struct{ ID string }
		}
	}
	if err := json.Unmarshal(body, &events); err != nil {
		panic(fmt.Sprintf("%v: %s", err, body))
	}
	for _, e := range events {
		if id, ok := strings.CutPrefix(e.Details.Hit.Path, mark); ok {
			r.got[id]++
		} else {
			r.notices[e.Details.Kind+" "+e.Details.Integration.ID]++
		}
	}
}

// open seals nothing.
type open struct{}

func (open) Seal(_ context.Context, plain, _ []byte) ([]byte, error)  { return plain, nil }
func (open) Open(_ context.Context, sealed, _ []byte) ([]byte, error) { return sealed, nil }
func (open) CheckURL(string) error                                    { return nil }

// switches notes what the monitor decides.
type switches struct {
	*integration.Service
	mu   sync.Mutex
	told map[string][]string // by integration
}

func (s *switches) note(id, what string, done bool) {
	if done {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told[id] = append(s.told[id], what)
	}
}

func (s *switches) BeginFailing(ctx context.Context, tenant, id string, window int64, since time.Time,
	a health.Answer) (bool, error) {
	done, err := s.Service.BeginFailing(ctx, tenant, id, window, since, a)
	s.note(id, "failing", done)
	return done, err
}

func (s *switches) EndFailing(ctx context.Context, tenant, id string, window int64) (bool, error) {
	done, err := s.Service.EndFailing(ctx, tenant, id, window)
	s.note(id, "working", done)
	return done, err
}

func (s *switches) DisableBroken(ctx context.Context, tenant, id string, window int64, reason string,
	a health.Answer) (bool, error) {
	done, err := s.Service.DisableBroken(ctx, tenant, id, window, reason, a)
	s.note(id, "disabled", done)
	return done, err
}

// tocsin is the program, as functions/local wires it, without its doors.
type tocsin struct {
	t        *testing.T
	db       *sqlite.DB
	service  *integration.Service
	switches *switches
	monitor  *health.Monitor
	pool     *worker.Pool
	recovery *fanout.Recovery
	stop     func()
}

// folder is in memory where there is such a place: what is simulated is no crash of the machine, and hours of commits
// that wait for a disk would be minutes.
func folder(t *testing.T) string {
	t.Helper()
	at, err := os.MkdirTemp("/dev/shm", "tocsin-simulation-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(at) })
	return at
}

func start(t *testing.T, w sending.Transport) *tocsin {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), filepath.Join(folder(t), "state.db"), sqlite.Options{})
	require.NoError(t, err)
	systems := catalogue.Default(telegram.New(telegram.Bot{}))
	service := &integration.Service{
		Store: db.Integrations(), Keys: open{}, Systems: systems, Addresses: open{}, Now: time.Now,
		NewID: func() string { return ulid.Make().String() }, Log: log, Backlog: db.Deliveries(),
	}
	s := &switches{Service: service, told: map[string][]string{}}
	sender := &sending.Sender{
		Destinations: systems, Transport: w, Schedule: retry.Schedule{},
		Platform: notification.Platform{Name: "Tocsin"},
		Now:      time.Now, Log: log, Adapter: service,
	}
	monitor := &health.Monitor{Counters: db.Counters(), Switch: s, Now: time.Now}
	pool := worker.NewPool(worker.PoolConfig{
		Queue: db.Deliveries(), Outcomes: db.Deliveries(), Sender: sender, Integrations: db.Integrations(),
		Opener: service, Monitor: monitor, Logger: log,
	})
	fanOut := &fanout.Fanout{Integrations: db.Integrations(), Systems: systems, Store: db.Deliveries(), Logger: log,
		Now: time.Now, Messages: &fanout.MessageCounts{}}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { fanOut.Run(ctx, db.Bus(), db.Bus().Arrived(), pool.Wake) })
	work.Go(func() { pool.Run(ctx) })
	work.Go(func() {
		for ctx.Err() == nil {
			failing, err := service.Failing(ctx)
			if err == nil {
				_, _ = monitor.Sweep(ctx, failing)
			}
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
		}
	})
	return &tocsin{
		t: t, db: db, service: service, switches: s, monitor: monitor, pool: pool,
		recovery: &fanout.Recovery{Fanout: fanOut, Journal: db.Deliveries(), Now: time.Now},
		stop: func() {
			cancel()
			work.Wait()
			require.NoError(t, db.Close())
		},
	}
}

// quiet reports whether little is sent to a tenant.
func quiet(tenant int) bool { return tenant%2 == 1 }

func named(tenant int) string { return fmt.Sprintf("tenant-%02d", tenant) }

func person(tenant int) activity.Actor {
	return activity.Actor{Tenant: named(tenant), ClientName: "Acme", Email: "ada@example.com"}
}

func (p *tocsin) add(tenant int, f fault) string {
	p.t.Helper()
	draft := integration.Draft{
		System: "web_hooks", Name: f.String(), Subscriptions: []integration.Subscription{{Event: event.Hits}},
		Parameters: json.RawMessage(fmt.Sprintf(`{"url":"https://%s/"}`, host(tenant, f))),
	}
	if f == limited || f == mostly {
		draft.Parameters = json.RawMessage(fmt.Sprintf(`{"url":"https://%s/","max_events":1}`, host(tenant, f)))
	}
	if f == healthy {
		draft.Subscriptions = append(draft.Subscriptions, integration.Subscription{Event: event.System})
	}
	i, err := p.service.Create(p.t.Context(), person(tenant), draft)
	require.NoError(p.t, err)
	return i.ID
}

func (p *tocsin) enable(tenant int, id string, on bool) {
	p.t.Helper()
	_, err := p.service.SetEnabled(p.t.Context(), person(tenant), id, 0, on)
	require.NoError(p.t, err)
	p.pool.Recheck(named(tenant), id)
}

func (p *tocsin) get(tenant int, id string) integration.Integration {
	p.t.Helper()
	i, err := p.db.Integrations().Get(p.t.Context(), named(tenant), id)
	require.NoError(p.t, err)
	return i
}

// recover counts what an integration missed since a time, or makes it good.
func (p *tocsin) recover(i integration.Integration, from time.Time, dry bool) (missed int) {
	p.t.Helper()
	m := fanout.Missed{From: from, To: time.Now(), DryRun: dry, Limit: 500}
	for {
		page, err := p.recovery.Recover(p.t.Context(), i, m)
		require.NoError(p.t, err)
		missed += page.Missed
		if m.After = page.Next; m.After == "" {
			break
		}
	}
	if !dry && missed > 0 {
		p.pool.Wake(delivery.Lane{Tenant: i.Tenant, Integration: i.ID})
	}
	return missed
}

// dead are the events in an integration's dead deliveries with the reasons.
func (p *tocsin) dead(i integration.Integration) map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for before := ""; ; {
		page, err := p.db.Deliveries().List(p.t.Context(),
			delivery.Query{Tenant: i.Tenant, Integration: i.ID, States: []delivery.State{delivery.Dead}, Before: before,
				Limit: 200})
		require.NoError(p.t, err)
		if len(page) == 0 {
			return out
		}
		for _, d := range page {
			full, err := p.db.Deliveries().Get(p.t.Context(), i.Tenant, i.ID, d.ID)
			require.NoError(p.t, err)
			for _, e := range full.Events {
				for _, n := range numbers(e.Data) {
					out[n] = full.Reason
				}
			}
			before = d.ID
		}
	}
}

// waiting counts what waits to be sent to an integration.
func (p *tocsin) waiting(i integration.Integration) int {
	p.t.Helper()
	n, err := p.db.Deliveries().CountWaiting(p.t.Context(), i.Tenant, i.ID, 1000)
	require.NoError(p.t, err)
	return n.Count
}

// TestTwelveHoursOfMixedFaultsLoseNothing: at the end every event of every integration was delivered once, is dead
// with its cause, or was missed while the integration was off; and what is dead or missed is made good.
func TestTwelveHoursOfMixedFaultsLoseNothing(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the program has it
	synctest.Test(t, func(t *testing.T) {
		w := &world{began: time.Now(), all: map[string]*receiver{}}
		for tenant := range tenants {
			for f := range fault(perTenant) {
				w.all[host(tenant, f)] = &receiver{tenant: tenant, fault: f, got: map[string]int{},
					notices: map[string]int{}}
			}
		}
		p := start(t, w)
		defer p.stop()
		ids := map[string]string{} // by host
		for tenant := range tenants {
			for f := range fault(perTenant) {
				ids[host(tenant, f)] = p.add(tenant, f)
			}
		}
		require.Len(t, ids, 1000)
		time.Sleep(time.Until(w.began.Add(time.Minute)))
		published := p.live(w, ids)
		time.Sleep(drain)
		s := &sum{t: t, p: p, w: w, ids: ids, published: published, missed: map[string]int{}}
		s.check()
		require.False(t, t.Failed())
		s.makeGood()
	})
}

// live publishes for twelve hours: each minute for some of the tenants.
func (p *tocsin) live(w *world, ids map[string]string) (published [tenants][]string) {
	p.t.Helper()
	n := 0
	for at := time.Minute; at < span; at += time.Minute {
		var entries []delivery.Entry
		for tenant := int(at/time.Minute) % slots; tenant < tenants; tenant += slots {
			count := 1
			switch {
			case at%bursts < every:
				count = burst
			case quiet(tenant) && int(at/every)%3 > 0:
				count = 0
			}
			for range count {
				n++
				id := strconv.Itoa(n)
				if (len(published[tenant])+tenant)%badEvery == badEvery-1 {
					id += bad
				}
				published[tenant] = append(published[tenant], id)
				entries = append(entries, delivery.Entry{DetailType: string(event.NewHits), At: time.Now(),
					Detail: fmt.Appendf(nil,
						`{"version":1,"id":"e-%s","tenant":%q,"client_name":"Acme","time":%q,"data":{"hit":{"type":"sqli","domain":"shop.example.com","path":"%s%s","remote_addr4":"203.0.113.7"}}}`,
						id, named(tenant), time.Now().UTC().Format(time.RFC3339), mark, id)})
			}
			if at-offFrom >= 0 && at-offFrom < every {
				p.enable(tenant, ids[host(tenant, byHand)], false)
			}
			if at-offTo >= 0 && at-offTo < every {
				p.enable(tenant, ids[host(tenant, byHand)], true)
			}
		}
		require.NoError(p.t, p.db.Bus().Put(p.t.Context(), entries))
		time.Sleep(time.Until(w.began.Add(at + time.Minute)))
	}
	return published
}

// sum is the account at the end.
type sum struct {
	t         *testing.T
	p         *tocsin
	w         *world
	ids       map[string]string
	published [tenants][]string
	missed    map[string]int // by integration
}

func (s *sum) each(do func(r *receiver, i integration.Integration)) {
	for _, name := range slices.Sorted(maps.Keys(s.w.all)) {
		r := s.w.all[name]
		do(r, s.p.get(r.tenant, s.ids[name]))
	}
}

// account is of all integrations with one fault.
type account struct{ events, delivered, dead, missed, requests, failing, disabled int }

// check accounts for every event, and for every episode.
func (s *sum) check() {
	accounts := map[fault]*account{}
	for f := range fault(perTenant) {
		accounts[f] = &account{}
	}
	s.each(func(r *receiver, i integration.Integration) {
		a := accounts[r.fault]
		a.requests += r.requests
		assert.Zero(s.t, s.p.waiting(i), "%s of tenant %d: nothing waits any more", r.fault, r.tenant)
		dead, lost := s.p.dead(i), 0
		for _, id := range s.published[r.tenant] {
			a.events++
			n := r.got[id]
			assert.LessOrEqual(s.t, n, 1, "%s of tenant %d: event %s arrived more than once", r.fault, r.tenant, id)
			cause, isDead := dead[id]
			switch {
			case n == 1:
				a.delivered++
			case isDead:
				assert.NotEmpty(s.t, cause, "the cause of what is dead")
				a.dead++
			default:
				lost++
			}
		}
		// a look for each of a thousand takes long; all that is missing is counted in makeGood
		if r.tenant%10 == int(r.fault) {
			assert.Equal(s.t, lost, s.p.recover(i, s.w.began, true),
				"%s of tenant %d: what is neither delivered nor dead was missed, and can be recovered", r.fault,
				r.tenant)
		}
		s.missed[i.ID] = lost
		a.missed += lost
		s.episodes(r, i, a)
	})
	for f := range fault(perTenant) {
		a := accounts[f]
		s.t.Logf("%-20s %6d events: %6d delivered, %5d dead, %5d missed; %6d requests, %3d failing notices, %3d "+
			"disabled",
			f, a.events, a.delivered, a.dead, a.missed, a.requests, a.failing, a.disabled)
		assert.Equal(s.t, a.events, a.delivered+a.dead+a.missed)
	}
	for _, f := range []fault{healthy, deploying, limited, batched, restarting} {
		assert.Equal(s.t, accounts[f].events, accounts[f].delivered, f.String()+": all of it arrived")
	}
	assert.GreaterOrEqual(s.t, accounts[deploying].failing, tenants/2)
	assert.LessOrEqual(s.t, accounts[deploying].failing, tenants, "once")
	assert.NotZero(s.t, accounts[particular].dead)
	assert.NotZero(s.t, accounts[byHand].missed)
	assert.NotZero(s.t, accounts[gone].missed)
}

// episodes looks at what was decided and told of an integration.
func (s *sum) episodes(r *receiver, i integration.Integration, a *account) {
	told := s.p.switches.told[i.ID]
	what := fmt.Sprintf("%s of tenant %d: %v", r.fault, r.tenant, told)
	for n, step := range told {
		if n%2 == 0 {
			assert.Equal(s.t, "failing", step, "an episode begins with its notice, %s", what)
			a.failing++
		} else {
			assert.NotEqual(s.t, "failing", step, "and has one end, %s", what)
		}
		if step == "disabled" {
			a.disabled++
		}
	}
	assert.Zero(s.t, len(told)%2, "no episode is open, %s", what)
	watcher := s.w.all[host(r.tenant, healthy)]
	for step, kind := range map[string]event.Kind{"failing": event.IntegrationFailing,
		"working": event.IntegrationWorking, "disabled": event.IntegrationBroken} {
		times := 0
		for _, t := range told {
			if t == step {
				times++
			}
		}
		if r.fault != healthy {
			assert.Equal(s.t, times, watcher.notices[string(kind)+" "+i.ID],
				"each notice reaches the tenant's other integration once, %s", what)
		}
	}
	switch {
	case r.fault == mostly && quiet(r.tenant): // a retry of each event is taken long before the next one
	case r.fault.lasting():
		if r.fault == gone {
			assert.Equal(s.t, []string{"failing", "disabled"}, told, what)
		}
		assert.Contains(s.t, told, "disabled", what)
		if assert.NotNil(s.t, i.Off, what) && assert.NotNil(s.t, i.Off.Answer, what) {
			assert.Equal(s.t, integration.ByPlatform, i.Off.By, what)
			assert.NotEmpty(s.t, i.Off.Answer.Words, "its last answer, %s", what)
		}
	case r.fault == deadHour: // a quiet one can be disabled: it failed for longer than half an hour
	default:
		assert.NotContains(s.t, told, "disabled", what)
		assert.True(s.t, i.Enabled(), what)
	}
	switch r.fault {
	case healthy, limited, particular, batched, byHand:
		assert.Empty(s.t, told, what)
	}
}

// makeGood mends every receiver, enables what is off, recovers what was missed and sends again what is dead.
func (s *sum) makeGood() {
	for _, r := range s.w.all {
		r.mended = true
	}
	s.each(func(r *receiver, i integration.Integration) {
		if !i.Enabled() {
			s.p.enable(r.tenant, i.ID, true)
			i = s.p.get(r.tenant, i.ID)
		}
		if n := s.missed[i.ID]; n > 0 {
			require.Equal(s.t, n, s.p.recover(i, s.w.began, false))
		}
		for after := ""; ; {
			_, next, err := s.p.db.Deliveries().Replay(s.t.Context(),
				delivery.Replay{Tenant: i.Tenant, Integration: i.ID, After: after, Limit: 500})
			require.NoError(s.t, err)
			if after = next; after == "" {
				break
			}
		}
		s.p.pool.Wake(delivery.Lane{Tenant: i.Tenant, Integration: i.ID})
	})
	time.Sleep(10 * time.Minute)
	s.each(func(r *receiver, i integration.Integration) {
		if r.tenant%10 == int(r.fault) {
			require.Zero(s.t, s.p.recover(i, s.w.began, true), "%s of tenant %d: nothing is missing", r.fault, r.tenant)
		}
		require.Len(s.t, r.got, len(s.published[r.tenant]), "%s of tenant %d", r.fault, r.tenant)
		for id, n := range r.got {
			require.Equal(s.t, 1, n, "%s of tenant %d: event %s arrived once", r.fault, r.tenant, id)
		}
		require.Empty(s.t, s.p.dead(i))
	})
}
