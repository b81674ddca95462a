package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/metrics"
	"tocsin/shared/sending"
	"tocsin/shared/worker/pace"
)

// pause before a lane or a write that failed is tried again.
const pause = time.Second

// Pool sends what an engine's queue holds: each lane for itself, within Limits. It is the embedded counterpart of the
// deliver function and the retry state machine. Make it with NewPool, then call Run.
type Pool struct {
	queue     Queue
	writer    OutcomeWriter
	sender    *sending.Sender
	targets   *sending.TargetCache
	counting  counting
	logger    *slog.Logger
	limits    Limits
	now       func() time.Time
	meter     metrics.Sink // nil: nobody counts
	fallbacks Fallbacks    // nil: none are made

	trusted, failing, mails *places // of all lanes together

	outcomes chan outcome
	due      chan struct{} // nudges the timer
	looks    atomic.Bool   // see look

	paces   *pace.Views
	senders *senders

	mu    sync.Mutex
	lanes map[delivery.Lane]*lane
	soon  time.Time      // see expect
	start func(*lane)    // nil before Run and after its end
	work  sync.WaitGroup // running lanes
}

// PoolConfig names what a Pool works with; every field but Limits, Meter and Fallbacks is required.
type PoolConfig struct {
	Queue        Queue
	Outcomes     OutcomeWriter
	Sender       *sending.Sender
	Integrations sending.Integrations
	Opener       sending.Opener
	Monitor      *health.Monitor
	Fallbacks    Fallbacks // nil: what dies goes nowhere else
	Logger       *slog.Logger
	Limits       Limits
	Meter        metrics.Sink // takes what batches of attempts came to
}

// NewPool makes a Pool.
func NewPool(c PoolConfig) *Pool {
	l := c.Limits.filled()
	p := &Pool{
		queue: c.Queue, writer: c.Outcomes, sender: c.Sender, fallbacks: c.Fallbacks,
		targets:  sending.NewTargetCache(c.Sender, c.Integrations, c.Opener),
		counting: counting{monitor: c.Monitor, now: c.Sender.Now},
		logger:   c.Logger, limits: l, now: c.Sender.Now, meter: c.Meter,
		trusted: newPlaces(l.Total), failing: newPlaces(l.FailingTotal), mails: newPlaces(l.Mails),
		outcomes: make(chan outcome, 2*settleLimit), due: make(chan struct{}, 1),
		lanes: map[delivery.Lane]*lane{},
		paces: pace.NewViews(nil, c.Logger, c.Sender.Now),
	}
	p.senders = newSenders(p.send)
	return p
}

// Holds tells which systems are spared.
func (p *Pool) Holds() pace.Holds { return pace.Holds{Store: p.paces.Store(), Now: p.now} }

// Collect tells what the pool is at.
func (p *Pool) Collect(_ context.Context, g *metrics.Gathering) {
	p.mu.Lock()
	lanes, running := len(p.lanes), 0
	for _, l := range p.lanes {
		if l.running {
			running++
		}
	}
	p.mu.Unlock()
	g.Set(metrics.Lanes, float64(lanes))
	g.Set(metrics.LanesRunning, float64(running))
	for name, places := range map[string]*places{metrics.PlacesWorking: p.trusted,
		metrics.PlacesFailing: p.failing, metrics.PlacesMail: p.mails} {
		g.Set(metrics.InFlight, float64(places.inFlight()), name)
		g.Set(metrics.InFlightMost, float64(places.most), name)
	}
	g.Set(metrics.Outcomes, float64(len(p.outcomes)))
}

// Run sends until the context ends, then lets requests in flight finish within Limits.Grace, writes their outcomes and
// returns. What was not sent stays in the queue.
func (p *Pool) Run(ctx context.Context) {
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		p.settle(ctx)
	}()
	p.mu.Lock()
	p.start = func(l *lane) {
		p.work.Add(1)
		go func() {
			defer p.work.Done()
			p.run(ctx, sending, l)
		}()
	}
	for _, l := range p.lanes { // woken before the start
		l.running = true
		p.start(l)
	}
	p.mu.Unlock()

	p.watch(ctx)

	p.mu.Lock()
	p.start = nil
	p.mu.Unlock()
	grace := time.AfterFunc(p.limits.Grace, giveUp)
	p.work.Wait()
	grace.Stop()
	p.senders.end()
	close(p.outcomes)
	<-settled
}

// Wake says that lanes have work. It never blocks and may be called at any time.
func (p *Pool) Wake(lanes ...delivery.Lane) { p.wake(lanes, true) }

// wake starts lanes; news says that something came in, and not only that its time did.
func (p *Pool) wake(lanes []delivery.Lane, news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range lanes {
		l, ok := p.lanes[key]
		if !ok {
			l = &lane{Lane: key}
			l.limiter = newLimiter(p.paces.Of(key.Tenant, key.Integration), p.limits.PerLane,
				p.limits.Failing, p.now)
			p.lanes[key] = l
		}
		l.news = l.news || news
		if l.again = true; !l.running && p.start != nil {
			l.running = true
			p.start(l)
		}
	}
}

// Recheck looks at an integration that was changed, disabled or deleted: what is sent from now on goes by its new
// settings, and what waits for one that is off ends, retries that are not due yet included.
func (p *Pool) Recheck(tenant, id string) {
	lanes := []delivery.Lane{{Tenant: tenant, Integration: id, Retry: false},
		{Tenant: tenant, Integration: id, Retry: true}}
	p.Wake(lanes...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range lanes {
		if l, ok := p.lanes[key]; ok {
			l.epoch.Add(1)
		}
	}
}

// forget drops a lane without work; Pool.mu is held.
func (p *Pool) forget(l *lane) {
	if !l.running && !l.again && p.lanes[l.Lane] == l && l.limiter.idle() {
		delete(p.lanes, l.Lane)
		p.paces.Forget(l.Tenant, l.Integration, p.now())
	}
}
