package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
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
	"tocsin/shared/worker"
	"tocsin/shared/worker/pace"
)

// function is one of a worker that is many processes: a call goes to a process that is idle, and to a new one where
// none is. Each knows only what it learned itself, and what all share.
type function struct {
	make func() *worker.Handler
	room chan struct{} // bounds how many are at work; nil = nothing does

	mu         sync.Mutex
	idle       []*worker.Handler
	busy, peak int
}

func (f *function) call(do func(*worker.Handler)) {
	if f.room != nil {
		f.room <- struct{}{}
		defer func() { <-f.room }()
	}
	f.mu.Lock()
	f.busy++
	f.peak = max(f.peak, f.busy)
	var s *worker.Handler
	if n := len(f.idle); n > 0 {
		s, f.idle = f.idle[n-1], f.idle[:n-1]
	}
	f.mu.Unlock()
	if s == nil {
		s = f.make()
	}
	do(s)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy--
	f.idle = append(f.idle, s)
}

// most is the most that were at work at once since the last call.
func (f *function) most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	peak := f.peak
	f.peak = f.busy
	return peak
}

// manyProcesses is a queue, a state machine, and the processes of the two functions between them.
type manyProcesses struct {
	*batches
	t              *testing.T
	ctx            context.Context
	deliver, retry *function
	integrations   *integrations
	paces          *countedPaces
	work           sync.WaitGroup
	calls          atomic.Int64
}

// countedPaces counts the calls.
type countedPaces struct {
	pace.Memory
	reads, writes atomic.Int64
}

func (p *countedPaces) Pace(ctx context.Context, l delivery.Lane) (pace.Pace, int64, error) {
	p.reads.Add(1)
	return p.Memory.Pace(ctx, l)
}

func (p *countedPaces) Swap(ctx context.Context, l delivery.Lane, v int64, n pace.Pace) (int64, error) {
	p.writes.Add(1)
	return p.Memory.Swap(ctx, l, v, n)
}

// processes begins them; rooms bounds the deliver functions at work, and stop ends all.
func processes(t *testing.T, room int, rule health.Rule, c transport) (p *manyProcesses, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	p = &manyProcesses{
		t: t, ctx: ctx, paces: &countedPaces{}, integrations: &integrations{all: map[string]integration.Integration{}},
		batches: &batches{memory: newMemory(), failNext: map[string]error{}},
	}
	monitor := &health.Monitor{
		Counters: &tallies{by: map[string]health.Count{}},
		Switch:   p.integrations,
		Rule:     rule,
		Now:      time.Now,
	}
	var batches atomic.Int64
	begin := func() *worker.Handler {
		sender := &sending.Sender{
			Destinations: systems{},
			Transport:    c,
			Schedule:     retry.Schedule{},
			Now:          time.Now,
			Log:          slog.New(slog.DiscardHandler),
		}
		return &worker.Handler{
			BatchStore: p, Retries: p, Sender: sender,
			Targets: sending.NewTargetCache(sender, p.integrations, opener{}),
			Log:     slog.New(slog.DiscardHandler), Monitor: monitor, Budget: time.Minute, Paces: p.paces,
			NewID: func() string { return fmt.Sprintf("batch-%05d", batches.Add(1)) },
		}
	}
	p.deliver, p.retry = &function{make: begin, room: make(chan struct{}, room)}, &function{make: begin}
	return p, func() {
		cancel()
		p.work.Wait()
	}
}

func (p *manyProcesses) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *manyProcesses) Enqueue(_ context.Context, messages []worker.MessageBatch, after time.Duration) error {
	for _, message := range messages {
		p.work.Go(func() {
			for wait := after; p.wait(wait); wait = 10 * time.Second {
				var err error
				p.deliver.call(func(s *worker.Handler) {
					err = s.Deliver(p.ctx, []worker.MessageBatch{message})[0]
				})
				p.calls.Add(1)
				if err == nil {
					return
				}
			}
		})
	}
	return nil
}

func (p *manyProcesses) Start(_ context.Context, first worker.Round) error {
	p.work.Go(func() {
		for r := first; r.More && p.wait(time.Duration(r.Seconds)*time.Second); {
			p.retry.call(func(s *worker.Handler) {
				next, err := s.Retry(p.ctx, r)
				if err == nil {
					r = next
				}
			})
			p.calls.Add(1)
		}
	})
	return nil
}

func (p *manyProcesses) add(id string) {
	p.integrations.set(integration.Integration{ID: id, Tenant: "42", System: "plain", Name: id, Revision: 1, Window: 1,
		Subscriptions: []integration.Subscription{{Event: event.System}}})
}

// send makes a message of new deliveries to an integration.
func (p *manyProcesses) send(id string, list ...string) {
	for _, d := range list {
		p.put(
			delivery.Delivery{
				ID:          d,
				Tenant:      "42",
				Integration: id,
				State:       delivery.Pending,
				CreatedAt:   time.Now(),
				Count:       1,
				Events:      []event.Event{user(d)},
			},
		)
	}
	_ = p.Enqueue(p.ctx, []worker.MessageBatch{{Tenant: "42", Integration: id, IDs: list}}, 0)
}

// TestABurstToASystemThatTakesAMessageASecondByManyProcesses: 95 deliveries a process come at once.
func TestABurstToASystemThatTakesAMessageASecondByManyProcesses(t *testing.T) {
	for _, sandboxes := range []int{1, 5, 10, 20} {
		t.Run(fmt.Sprint(sandboxes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &patient{}
				p, stop := processes(t, sandboxes, health.Rule{}, slow.Do)
				p.add("i")
				total := 0
				for n := range sandboxes {
					var list []string
					for k := range 95 {
						list = append(list, fmt.Sprintf("d%02d-%03d", n, k))
					}
					total += len(list)
					p.send("i", list...)
				}
				began := time.Now()
				for p.count(delivery.Delivered) < total && time.Since(began) < 2*time.Hour {
					pass(10 * time.Second)
				}
				took := time.Since(began)
				stop()
				i, err := p.integrations.Get(t.Context(), "42", "i")
				require.NoError(t, err)
				requests := slow.told + slow.took
				t.Logf(
					"%d sandboxes, %d deliveries: %s, %d of %d requests told to wait, %d calls of functions, paces: "+
						"%d reads, %d writes",
					sandboxes,
					total,
					took,
					slow.told,
					requests,
					p.calls.Load(),
					p.paces.reads.Load(),
					p.paces.writes.Load(),
				)
				require.True(t, i.Enabled())
				require.Zero(t, p.count(delivery.Dead))
				require.Equal(t, total, p.count(delivery.Delivered))
				require.Less(t, slow.told*7, requests, "a small share: 8 to 11 % are measured")
				require.Less(t, took, time.Duration(total)*2500*time.Millisecond+time.Minute,
					"one in two seconds is measured")
			})
		})
	}
}

// TestHangingIntegrationsDoNotOccupyTheFunctions: six systems take connections and never answer, and each is sent a
// delivery a second. A request lasts until its deadline, ten seconds. Without a breaker that all share, each delivery
// would occupy a function for 17 deadlines: 170 functions for each system.
func TestHangingIntegrationsDoNotOccupyTheFunctions(t *testing.T) {
	const deadline, hanging = 10 * time.Second, 6
	synctest.Test(t, func(t *testing.T) {
		p, stop := processes(
			t,
			100,
			health.Rule{},
			func(ctx context.Context, _ destination.Request) (destination.Response, error) {
				select {
				case <-time.After(deadline):
					return destination.Response{}, errors.New("no answer within 10 s")
				case <-ctx.Done():
					return destination.Response{}, ctx.Err()
				}
			},
		)
		for n := range hanging {
			p.add(fmt.Sprintf("i%d", n))
		}
		began := time.Now()
		first, later, sum, seconds := 0, 0, 0, 0
		for second := 0; time.Since(began) < 25*time.Minute; second++ {
			for n := range hanging {
				p.send(fmt.Sprintf("i%d", n), fmt.Sprintf("d%d-%05d", n, second))
			}
			pass(time.Second)
			busy := p.deliver.most() + p.retry.most()
			if time.Since(began) <= time.Minute {
				first = max(first, busy)
			} else {
				later = max(later, busy)
				sum += busy
				seconds++
			}
		}
		calls := p.calls.Load()
		for n := range hanging {
			i, err := p.integrations.Get(t.Context(), "42", fmt.Sprintf("i%d", n))
			require.NoError(t, err)
			require.True(t, i.Enabled(), "the rule needs half an hour")
		}
		stop()
		t.Logf("functions at work at once: %d in the first minute, then %d, in the mean %d; %d calls, paces: %d "+
			"reads, %d writes", first, later, sum/seconds, calls, p.paces.reads.Load(), p.paces.writes.Load())
		require.LessOrEqual(t, first, 15*hanging, "until the first requests end, nobody knows")
		require.LessOrEqual(t, sum, 2*hanging*seconds, "one probe in flight each, and what only asks whether it may")
		require.LessOrEqual(t, later, 10*hanging, "of what only asks, several can meet within a second")
	})
}
