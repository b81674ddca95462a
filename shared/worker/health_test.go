package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/trace"
	"tocsin/shared/worker"
	"tocsin/shared/worker/pace"
)

// outage is what receivers suffer, and what is to become of their integrations. TestOutages of package health is the
// same for bare requests; here each failure has its retries.
type outage struct {
	receivers int // each of a tenant of its own; 0 = 1
	// events says how many are published to each in the second that begins at a time.
	events func(second int) int
	until  time.Duration // when the last one is published
	// answer is what a receiver says to its n-th request, from 1, at a time.
	answer func(at time.Duration, n int, event string) (int, error)
	told   []string // to the tenant of each
	lost   bool     // deliveries may die
}

func each(seconds int) func(int) int {
	return func(s int) int {
		if s%seconds == 0 {
			return 1
		}
		return 0
	}
}

// between answers with a status, or no answer for 0, from a minute to another, and 200 at other times.
func between(from, to float64, status int) func(time.Duration, int, string) (int, error) {
	return func(at time.Duration, _ int, _ string) (int, error) {
		if at.Minutes() < from || at.Minutes() >= to {
			return http.StatusOK, nil
		}
		if status == 0 {
			return 0, errors.New("connection refused")
		}
		return status, nil
	}
}

var outages = map[string]outage{
	"two events in a minute of 503": {
		events: func(s int) int { return map[int]int{605: 1, 620: 1}[s] }, until: 20 * time.Minute,
		answer: between(10, 11, 503)},
	"a busy receiver is deployed for 25 minutes": {
		events: each(20), until: 5 * time.Hour, answer: between(200, 225, 503), told: []string{"failing", "working"}},
	"a quiet receiver is deployed for 25 minutes": {
		events: each(600), until: 3 * time.Hour, answer: between(60, 85, 503), told: []string{"failing", "working"}},
	"70 % fail for an hour, after hours of work": {
		events: each(10), until: 5 * time.Hour, told: []string{"failing", "working"},
		answer: func(at time.Duration, n int, _ string) (int, error) {
			if at >= 3*time.Hour && at < 4*time.Hour && n*7%10 < 7 {
				return 500, nil
			}
			return 200, nil
		}},
	"70 % fail for an hour, after nothing": {
		events: each(10), until: time.Hour, told: []string{"failing", "disabled"}, lost: true,
		answer: func(_ time.Duration, n int, _ string) (int, error) {
			return map[bool]int{true: 500, false: 200}[n*7%10 < 7], nil
		}},
	"a receiver is gone and says so": {
		events: each(60), until: 2 * time.Hour, answer: between(30, 1e6, 404), told: []string{"failing", "disabled"},
		lost: true},
	"a receiver is gone and says nothing": {
		events: each(60), until: 2 * time.Hour, answer: between(30, 1e6, 0), told: []string{"failing", "disabled"},
		lost: true},
	"one record in fifty is refused, and its retries lie in two counters": {
		events: func(s int) int { return each(600)(s + 60) }, until: 12 * time.Hour, lost: true,
		answer: func(_ time.Duration, _ int, event string) (int, error) {
			return map[bool]int{true: 400, false: 200}[strings.HasSuffix(event, "-bad")], nil
		}},
	"a receiver takes one request a second, of 2,000 messages": {
		events: func(s int) int { return map[int]int{60: 2000}[s] }, until: 2 * time.Minute, answer: nil},
	"the way out is gone for ten minutes, for 50 tenants": {
		receivers: 50, events: each(60), until: time.Hour,
		answer: func(at time.Duration, _ int, _ string) (int, error) {
			if at >= 20*time.Minute && at < 30*time.Minute {
				return 0, noWay
			}
			return 200, nil
		}},
}

// outside is the receivers of an outage.
type outside struct {
	outage
	began time.Time
	mu    sync.Mutex
	n     map[string]int
	last  map[string]time.Time
	took  map[string]int // by the event's id
}

func (o *outside) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n[q.URL]++
	id := eventID(q.Body)
	code, err := 0, error(nil)
	if o.answer != nil {
		code, err = o.answer(time.Since(o.began), o.n[q.URL], id)
	} else if code = 429; time.Since(o.last[q.URL]) >= time.Second {
		code, o.last[q.URL] = 200, time.Now()
	}
	if err != nil {
		return destination.Response{}, err
	}
	r := destination.Response{Status: code, Header: http.Header{}}
	switch code {
	case 200:
		o.took[id]++
	case 429:
		r.Header.Set("Retry-After", "1")
	}
	return r, nil
}

// named is an event whose id is in what plain sends, as the name of a user; eventID finds it there.
func named(id string) event.Event {
	e := user(id)
	e.Data = fmt.Appendf(nil, `{"user":{"name":"ev-%s."}}`, id)
	return e
}

func eventID(body []byte) string {
	_, after, _ := strings.Cut(string(body), "ev-")
	id, _, _ := strings.Cut(after, ".")
	return id
}

// switched is a set of integrations that remembers what was told of each.
type switched struct {
	*integrations
	told    map[string][]string
	answers map[string]health.Answer
	by      map[string]trace.Links // of what told that something is wrong
}

func (s *switched) change(ctx context.Context, id string, window int64, what string, a health.Answer,
	ready func(*integration.Integration) bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.all[id]
	if i.Window != window || !i.Enabled() || !ready(&i) {
		return false, nil
	}
	s.all[id], s.told[id], s.answers[id] = i, append(s.told[id], what), a
	if what != "working" {
		s.by[id+" "+what] = trace.By(ctx)
	}
	return true, nil
}

func (s *switched) BeginFailing(ctx context.Context, _, id string, window int64, since time.Time,
	a health.Answer) (bool, error) {
	return s.change(ctx, id, window, "failing", a, func(i *integration.Integration) bool {
		was := i.Failing
		if was == nil {
			i.Failing = &integration.Failing{Since: since, At: time.Now(), Answer: a}
		}
		return was == nil
	})
}

func (s *switched) EndFailing(ctx context.Context, _, id string, window int64) (bool, error) {
	return s.change(ctx, id, window, "working", health.Answer{}, func(i *integration.Integration) bool {
		was := i.Failing
		i.Failing = nil
		return was != nil
	})
}

func (s *switched) DisableBroken(ctx context.Context, _, id string, window int64, reason string, a health.Answer) (bool,
	error) {
	return s.change(ctx, id, window, "disabled", a, func(i *integration.Integration) bool {
		i.Off, i.Failing = &integration.Off{By: integration.ByPlatform, Reason: reason, At: time.Now(), Answer: &a}, nil
		return true
	})
}

func (s *switched) failing() (out []health.Failing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.all {
		if i.Failing != nil {
			out = append(out, health.Failing{Tenant: i.Tenant, Integration: i.ID, Window: i.Window})
		}
	}
	return out
}

// side sends deliveries that were put into its memory.
type side struct {
	memory  *memory
	sent    func(delivery.Delivery) // hands a new one over
	monitor *health.Monitor
	stop    func()
}

// TestOutagesOnBothWorkers: the same is told and disabled, whichever worker sends, and by how many processes.
func TestOutagesOnBothWorkers(t *testing.T) {
	for name, o := range outages {
		for kind, begin := range map[string]func(*testing.T, *outside, *switched) side{"pool": beginPoolOutage,
			"three handlers": beginHandlers} {
			t.Run(kind+": "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { play(t, o, begin) })
			})
		}
	}
}

func play(t *testing.T, o outage, begin func(*testing.T, *outside, *switched) side) {
	t.Helper()
	out := &outside{outage: o, began: time.Now(), n: map[string]int{}, last: map[string]time.Time{},
		took: map[string]int{}}
	s := &switched{integrations: &integrations{all: map[string]integration.Integration{}}, told: map[string][]string{},
		answers: map[string]health.Answer{}, by: map[string]trace.Links{}}
	receivers := max(1, o.receivers)
	for n := range receivers {
		s.set(integration.Integration{ID: fmt.Sprintf("i%d", n), Tenant: fmt.Sprintf("t%d", n), System: "plain",
			Name: fmt.Sprintf("https://host%d.example/", n), Revision: 1, Window: 1})
	}
	w := begin(t, out, s)
	published := 0
	for second := range int(o.until / time.Second) {
		for range o.events(second) {
			published++
			for n := range receivers {
				id := fmt.Sprintf("%05d-%d", published, n)
				if published%50 == 0 {
					id += "-bad"
				}
				if i, _ := s.Get(t.Context(), fmt.Sprintf("t%d", n), fmt.Sprintf("i%d", n)); i.Enabled() {
					w.sent(delivery.Delivery{ID: id, Tenant: i.Tenant, Integration: i.ID, State: delivery.Pending,
						CreatedAt: time.Now(), Count: 1, Events: []event.Event{named(id)}})
				}
			}
		}
		if second%60 == 59 {
			_, err := w.monitor.Sweep(t.Context(), s.failing())
			require.NoError(t, err)
		}
		time.Sleep(time.Second)
	}
	for range 80 { // the cycles take fifty minutes
		time.Sleep(time.Minute)
		_, err := w.monitor.Sweep(t.Context(), s.failing())
		require.NoError(t, err)
	}
	w.stop()
	for n := range receivers {
		id := fmt.Sprintf("i%d", n)
		require.Equal(t, o.told, s.told[id])
		if i, _ := s.Get(t.Context(), fmt.Sprintf("t%d", n), id); i.Off != nil {
			require.NotEmpty(t, s.answers[id].Words, "the cause")
		}
		for _, what := range o.told {
			if what != "working" {
				require.NotEmpty(t, s.by[id+" "+what].Spans, "the attempts that %s comes of", what)
			}
		}
	}
	require.Zero(t, w.memory.count(delivery.Pending)+w.memory.count(delivery.Retrying), "nothing waits any more")
	if !o.lost {
		require.Equal(t, published*receivers, w.memory.count(delivery.Delivered))
	}
	for id, n := range out.took {
		require.Equal(t, 1, n, id)
	}
}

func outageSender(o *outside) *sending.Sender {
	return &sending.Sender{Destinations: systems{}, Transport: o, Schedule: retry.Schedule{}, Now: time.Now,
		Log:    slog.New(slog.DiscardHandler),
		Tracer: trace.New(&trace.Config{Ratio: 1}, nil, slog.New(slog.DiscardHandler))}
}

func beginPoolOutage(t *testing.T, o *outside, s *switched) side {
	t.Helper()
	queue, monitor := newMemory(), &health.Monitor{Counters: &tallies{by: map[string]health.Count{}}, Switch: s,
		Now: time.Now}
	d := worker.NewPool(worker.PoolConfig{
		Queue: queue, Outcomes: queue, Integrations: s, Opener: opener{}, Logger: slog.New(slog.DiscardHandler),
		Sender: outageSender(o), Monitor: monitor,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	return side{memory: queue, monitor: monitor, stop: func() { cancel(); <-done }, sent: func(v delivery.Delivery) {
		queue.put(v)
		d.Wake(delivery.Lane{Tenant: v.Tenant, Integration: v.Integration})
	}}
}

// platform is a queue and a state machine before three senders that share the batches and the paces: each call goes to
// the next one.
type platform struct {
	*batches
	t       *testing.T
	ctx     context.Context
	senders []*worker.Handler
	work    sync.WaitGroup
	calls   int
}

func (p *platform) next() *worker.Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	return p.senders[p.calls%len(p.senders)]
}

// Enqueue makes each message batch a message, which comes again until it is done with.
func (p *platform) Enqueue(_ context.Context, messages []worker.MessageBatch, after time.Duration) error {
	for _, message := range messages {
		p.work.Go(func() {
			for time.Sleep(after); p.ctx.Err() == nil; time.Sleep(time.Minute) {
				if p.next().Deliver(p.ctx, []worker.MessageBatch{message})[0] == nil {
					return
				}
			}
		})
	}
	return nil
}

// Start runs an execution, once under a name.
func (p *platform) Start(_ context.Context, first worker.Round) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.started, first.Execution) {
		return nil
	}
	p.started = append(p.started, first.Execution)
	p.work.Go(func() {
		for round := first; round.More && p.ctx.Err() == nil; {
			time.Sleep(time.Duration(round.Seconds) * time.Second)
			after, err := p.next().Retry(p.ctx, round)
			if err != nil {
				time.Sleep(time.Second)
				continue
			}
			round = after
		}
	})
	return nil
}

func beginHandlers(t *testing.T, o *outside, s *switched) side {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &platform{t: t, ctx: ctx, batches: &batches{memory: newMemory(),
		failNext: map[string]error{}}}
	monitor := &health.Monitor{Counters: &tallies{by: map[string]health.Count{}}, Switch: s, Now: time.Now}
	var mu sync.Mutex
	batches := 0
	paces := &pace.Memory{}
	for range 3 {
		sender := outageSender(o)
		p.senders = append(p.senders, &worker.Handler{
			BatchStore: p, Retries: p, Sender: sender, Targets: sending.NewTargetCache(sender, s, opener{}),
			Log: slog.New(slog.DiscardHandler), Monitor: monitor,
			Budget: time.Minute, Paces: paces, NewID: func() string {
				mu.Lock()
				defer mu.Unlock()
				batches++
				return fmt.Sprintf("batch-%05d", batches)
			},
		})
	}
	return side{memory: p.memory, monitor: monitor, stop: func() { cancel(); p.work.Wait() },
		sent: func(v delivery.Delivery) {
			p.put(v)
			_ = p.Enqueue(ctx,
				[]worker.MessageBatch{{Tenant: v.Tenant, Integration: v.Integration, IDs: []string{v.ID}}},
				0)
		}}
}
