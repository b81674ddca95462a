package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/sending"
	"tocsin/shared/sleep"
)

// leaseSpan hides a delivery for longer than any attempt can take: the most requests of one delivery (50 mails)
// at the longest deadlines. It only matters when a lease is lost.
const leaseSpan = 2 * time.Hour

// settleLimit is how many deliveries one write of outcomes takes.
const settleLimit = 512

// pause before a lane or a write that failed is tried again.
const pause = time.Second

// Pool sends what an engine's queue holds: each lane for itself, within Limits. It is the embedded
// counterpart of the deliver function and the retry state machine. Make it with NewDispatcher, then call Run.
type Pool struct {
	queue   Queue
	outcome OutcomeWriter
	courier *sending.Sender
	router  *sending.TargetCache
	monitor *health.Monitor
	logger  *slog.Logger
	limits  Limits
	now     func() time.Time

	healthy, failing chan struct{}
	mails            chan struct{}
	outcomes         chan outcome
	due              chan struct{} // nudges the timer: see look

	paces paces

	mu    sync.Mutex
	lanes map[delivery.Lane]*lane
	start func(*lane)    // nil before Run and after its end
	work  sync.WaitGroup // running lanes
}

// PoolConfig names what a Pool works with; every field but Limits is required.
type PoolConfig struct {
	Queue        Queue
	Outcomes     OutcomeWriter
	Sender       *sending.Sender
	Integrations sending.Integrations
	Opener       sending.Opener
	Monitor      *health.Monitor
	Logger       *slog.Logger
	Limits       Limits
}

// NewPool makes a Pool.
func NewPool(c PoolConfig) *Pool {
	l := c.Limits.filled()
	return &Pool{
		queue: c.Queue, outcome: c.Outcomes, courier: c.Sender,
		router:  sending.NewTargetCache(c.Sender, c.Integrations, c.Opener),
		monitor: c.Monitor,
		logger:  c.Logger, limits: l, now: c.Sender.Now,
		healthy: make(chan struct{}, l.Total), failing: make(chan struct{}, l.FailingTotal),
		mails:    make(chan struct{}, l.Mails),
		outcomes: make(chan outcome, 2*settleLimit), due: make(chan struct{}, 1),
		lanes: map[delivery.Lane]*lane{}, paces: paces{local: LocalPaces{Now: c.Sender.Now}, log: c.Logger},
	}
}

// Run sends until the context ends, then lets requests in flight finish within Limits.Grace, writes their
// outcomes and returns. What was not sent stays in the queue.
func (d *Pool) Run(ctx context.Context) {
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		d.settle(ctx)
	}()
	d.mu.Lock()
	d.start = func(l *lane) {
		d.work.Add(1)
		go func() {
			defer d.work.Done()
			d.run(ctx, sending, l)
		}()
	}
	for _, l := range d.lanes { // woken before the start
		l.running = true
		d.start(l)
	}
	d.mu.Unlock()

	d.watch(ctx)

	d.mu.Lock()
	d.start = nil
	d.mu.Unlock()
	grace := time.AfterFunc(d.limits.Grace, giveUp)
	d.work.Wait()
	grace.Stop()
	close(d.outcomes)
	<-settled
}

// Wake says that lanes have work. It never blocks and may be called at any time.
func (d *Pool) Wake(lanes ...delivery.Lane) { d.wake(lanes, true) }

// wake starts lanes; news says that something came in, and not only that its time did.
func (d *Pool) wake(lanes []delivery.Lane, news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range lanes {
		l, ok := d.lanes[key]
		if !ok {
			l = &lane{Lane: key, limit: min(firstLimit, d.limits.PerLane),
				pace: d.paces.of(key.Tenant, key.Integration)}
			l.room = sync.NewCond(&l.mu)
			d.lanes[key] = l
		}
		l.news = l.news || news
		if l.again = true; !l.running && d.start != nil {
			l.running = true
			d.start(l)
		}
	}
}

// Recheck looks at an integration that was changed, disabled or deleted: what is sent from now on goes by its new
// settings, and what waits for one that is off ends, retries that are not due yet included.
func (d *Pool) Recheck(tenant, id string) {
	lanes := []delivery.Lane{{Tenant: tenant, Integration: id, Retry: false},
		{Tenant: tenant, Integration: id, Retry: true}}
	d.Wake(lanes...)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range lanes {
		if l, ok := d.lanes[key]; ok {
			l.epoch.Add(1)
		}
	}
}

// watch wakes the lanes whose time has come. Due times are times of day, and timers are not: they stand still while the
// machine sleeps, and know nothing of a clock that is set. So the clock is looked at every clockLook.
func (d *Pool) watch(ctx context.Context) {
	d.hasten(ctx, d.now().Add(longestWait), anyTime) // the clock may have been set while the program was off
	timer := time.NewTimer(0)
	defer timer.Stop()
	clock := newClock(d.now())
	var next time.Time
	look := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.due:
			look = true
		}
		now := d.now()
		if back := clock.wentBack(now); back > clockStep {
			d.logger.Warn("the clock went back: what waits is sent as if it had not", "by", back.String())
			d.hasten(ctx, now, back)
			look = true
		}
		if look || !next.IsZero() && !now.Before(next) {
			lanes, soonest, err := d.queue.Waiting(ctx, now)
			if err != nil && ctx.Err() == nil {
				d.logger.Error("look for waiting deliveries: trying again", "error", err.Error())
				look = true
				timer.Reset(pause)
				continue
			}
			look, next = false, soonest
			d.wake(lanes, false)
		}
		wait := clockLook
		if !next.IsZero() {
			wait = min(wait, max(0, next.Sub(now)))
		}
		timer.Reset(wait)
	}
}

// hasten takes the time that a clock went back by from what is due after the given one.
func (d *Pool) hasten(ctx context.Context, after time.Time, by time.Duration) {
	if err := d.queue.Hasten(ctx, d.now(), after, by); err != nil && ctx.Err() == nil {
		d.logger.Error("make up for a clock that went back", "error", err.Error())
	}
}

// lane is the work on one Lane; it is forgotten when nothing waits and nothing is in flight.
type lane struct {
	delivery.Lane
	// Guarded by Pool.mu.
	running bool
	again   bool // look once more before ending
	news    bool // something came in since the lane last ended

	// epoch counts changes of the integration: a batch that was read before the last one is given back.
	epoch atomic.Int64

	mu       sync.Mutex
	room     *sync.Cond
	inFlight int
	limit    int
	pace     *pace
}

// run sends what the lane holds until nothing is left.
func (d *Pool) run(ctx, sending context.Context, l *lane) {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Broadcast()
	})
	defer stop()
	batch := d.fetch(ctx, l)
	for sent := false; ; {
		got := <-batch
		sent = sent || len(got.leased) > 0
		switch {
		case ctx.Err() != nil:
			d.release(got.leased)
			return
		case got.err != nil:
			d.logger.Error("send: trying again", "tenant", l.Tenant, "integration", l.Integration, "error",
				got.err.Error())
			sleep.For(ctx, pause)
			batch = d.fetch(ctx, l)
		case len(got.leased) == 0:
			if d.ended(l, sent) {
				return
			}
			batch = d.fetch(ctx, l)
		case got.ended != "":
			d.kill(got)
			batch = d.fetch(ctx, l)
		default:
			// The next batch is read while this one is sent: else the requests in flight would wait for the disk.
			batch = d.fetch(ctx, l)
			d.sendAll(ctx, sending, l, got)
		}
	}
}

// ended stops an idle lane, unless it was woken meanwhile.
func (d *Pool) ended(l *lane, sent bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.again {
		l.again = false
		return false
	}
	if l.news && !sent {
		d.look() // what came in gathers: the timer must know until when
	}
	l.running, l.news = false, false
	d.forget(l)
	return true
}

// forget drops a lane without work; Pool.mu is held.
func (d *Pool) forget(l *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running && !l.again && l.inFlight == 0 && d.lanes[l.Lane] == l {
		delete(d.lanes, l.Lane)
		d.paces.forget(l.Tenant, l.Integration, d.now())
	}
}

// fetched is a batch of leased deliveries and where they go.
type fetched struct {
	leased []delivery.Delivery
	route  *sending.Target
	ended  string // why nothing may be sent there any more
	epoch  int64
	err    error
}

// fetch leases the next batch in the background.
func (d *Pool) fetch(ctx context.Context, l *lane) <-chan fetched {
	out := make(chan fetched, 1)
	go func() {
		f := fetched{epoch: l.epoch.Load()}
		if f.route, f.ended, f.err = d.router.Target(ctx, l.Tenant, l.Integration); f.err == nil {
			now := d.now()
			horizon := now
			if f.ended != "" {
				horizon = now.AddDate(100, 0, 0) // retries that are not due yet end too
			}
			if f.leased, f.err = d.queue.Lease(ctx, l.Lane, d.limits.Lease, horizon, now,
				now.Add(leaseSpan)); f.err != nil {
				f.err = fmt.Errorf("lease: %w", f.err)
			}
		}
		out <- f
	}()
	return out
}

// sendAll sends a batch, each delivery as soon as there is room for it.
func (d *Pool) sendAll(ctx, sending context.Context, l *lane, f fetched) {
	for i, v := range f.leased {
		pool, ok := d.enter(ctx, l, f.route, v.ID)
		if ok && l.epoch.Load() != f.epoch {
			d.leave(l, pool, nil)
			ok = false
		}
		if !ok {
			d.release(f.leased[i:])
			return
		}
		d.work.Add(1)
		go d.send(sending, l, f.route, v, pool)
	}
}

// kill ends a batch, and waits until that is written: else the next lease of a dead lane would spin.
func (d *Pool) kill(f fetched) {
	for _, v := range f.leased {
		d.outcomes <- outcome{delivery: v.Kill(f.ended)}
	}
	done := make(chan struct{})
	d.outcomes <- outcome{barrier: done}
	<-done
}

// release gives back what was not sent.
func (d *Pool) release(leased []delivery.Delivery) {
	if len(leased) == 0 {
		return
	}
	// Also when the context has ended: it is part of an orderly stop.
	if err := d.queue.Release(context.Background(), leased); err != nil {
		d.logger.Error("give back deliveries that were not sent", "integration", leased[0].Integration, "count",
			len(leased), "error", err.Error())
	}
}

// enter takes a place for one request, in the lane and in all; false when the context ended first. The pool is
// to be given back to leave.
func (d *Pool) enter(ctx context.Context, l *lane, r *sending.Target, id string) (pool chan struct{}, ok bool) {
	l.mu.Lock()
	for l.inFlight >= l.limit && ctx.Err() == nil {
		l.room.Wait()
	}
	l.inFlight++
	switch {
	case r.Mails():
		pool = d.mails
	case l.limit < d.limits.PerLane:
		pool = d.failing
	default:
		pool = d.healthy
	}
	l.mu.Unlock()
	if !d.await(ctx, l, id) {
		d.leave(l, nil, nil)
		return nil, false
	}
	select {
	case pool <- struct{}{}:
		if ctx.Err() == nil {
			return pool, true
		}
		<-pool
	case <-ctx.Done():
	}
	d.leave(l, nil, nil)
	return nil, false
}

// leave gives the place back; the outcome of the request, if there was one, sets how much the lane may do at once.
func (d *Pool) leave(l *lane, pool chan struct{}, after *delivery.Delivery) {
	if pool != nil {
		<-pool
	}
	l.mu.Lock()
	l.inFlight--
	if after != nil {
		d.learn(l, *after)
	}
	idle := l.inFlight == 0
	l.room.Broadcast()
	l.mu.Unlock()
	if idle {
		d.mu.Lock()
		d.forget(l)
		d.mu.Unlock()
	}
}

// firstLimit is how many requests a lane begins with: a system that takes one a second must not be sent a burst of
// which all but one fail, because failures disable.
const firstLimit = 4

// learn sets a lane's limit; its mu is held. A failing system gets few requests, and its full share again when it
// answers.
func (d *Pool) learn(l *lane, after delivery.Delivery) {
	switch {
	case after.Mark == delivery.Silent && after.Quiet == 0: // one receiver's failure says nothing of the system
	case after.Mark != delivery.Well:
		l.limit = min(l.limit, d.limits.Failing)
	case l.limit < firstLimit:
		l.limit = min(firstLimit, d.limits.PerLane)
	default:
		l.limit = min(2*l.limit, d.limits.PerLane)
	}
}

// paceLook is how often a lane that waits for its pace looks whether its integration has changed.
const paceLook = time.Second

// await waits until the pace lets a request begin; false when the context ended first. A change of the integration ends
// the wait too: the caller looks at that.
func (d *Pool) await(ctx context.Context, l *lane, id string) bool {
	epoch := l.epoch.Load()
	for ctx.Err() == nil {
		_, wait, _ := l.pace.slot(ctx, d.now(), id, 1, 0)
		if wait == 0 || l.epoch.Load() != epoch {
			return true
		}
		sleep.For(ctx, min(wait, paceLook))
	}
	return false
}

// send makes one attempt and hands its outcome over.
func (d *Pool) send(ctx context.Context, l *lane, r *sending.Target, v delivery.Delivery, pool chan struct{}) {
	defer d.work.Done()
	after, err := d.courier.Send(ctx, r, v)
	if err != nil {
		if errors.Is(err, sending.ErrEgress) {
			l.pace.pause(d.now().Add(sending.EgressPause))
			defer d.Wake(l.Lane) // it is tried again when the pause is over
		}
		d.leave(l, pool, nil)
		if after.Kept {
			d.outcomes <- outcome{delivery: after} // it waits as before, and knows what has arrived
			return
		}
		d.release([]delivery.Delivery{v})
		return
	}
	l.pace.learn(ctx, d.now(), after)
	d.outcomes <- outcome{delivery: after, window: r.Integration.Window, failing: sending.FailingSince(r.Integration)}
	d.leave(l, pool, &after)
}

// settle writes outcomes, as many at once as are there, until the channel closes.
func (d *Pool) settle(ctx context.Context) {
	batch := make([]outcome, 0, settleLimit)
	for o := range d.outcomes {
		batch = append(batch[:0], o)
		for more := true; more && len(batch) < settleLimit; {
			select {
			case o, more = <-d.outcomes:
				if more {
					batch = append(batch, o)
				}
			default:
				more = false
			}
		}
		d.write(ctx, batch)
	}
}

// write records one batch of outcomes and what follows from them.
func (d *Pool) write(ctx context.Context, batch []outcome) {
	deliveries := make([]delivery.Delivery, 0, len(batch))
	retrying := false
	for _, o := range batch {
		if o.barrier == nil {
			deliveries = append(deliveries, o.delivery)
			retrying = retrying || o.delivery.State == delivery.Retrying
			d.courier.Tell(d.logger, o.delivery)
		}
	}
	var counts []health.Count
	d.persist(ctx, "weigh attempts", func() (err error) {
		counts, err = count(context.WithoutCancel(ctx), d.monitor.Counters, batch, d.now())
		return err
	})
	var writes sync.WaitGroup // side by side: an engine that groups writes makes them one
	if len(counts) > 0 {
		writes.Go(func() {
			d.persist(ctx, "count attempts", func() error {
				return d.monitor.Counters.Add(context.WithoutCancel(ctx), counts)
			})
		})
	}
	if len(deliveries) > 0 {
		d.persist(ctx, "write the outcome of deliveries", func() error {
			return settle(context.WithoutCancel(ctx), d.outcome, d.logger, deliveries)
		})
	}
	writes.Wait()
	if len(counts) > 0 {
		d.persist(ctx, "look after failing integrations", func() error { return d.judge(ctx, counts) })
	}
	for _, o := range batch {
		if o.barrier != nil {
			close(o.barrier)
		}
	}
	if retrying {
		d.look()
	}
}

// look sets the timer anew.
func (d *Pool) look() {
	select {
	case d.due <- struct{}{}:
	default:
	}
}

// judge ends what waits for the integrations that the monitor disables.
func (d *Pool) judge(ctx context.Context, counts []health.Count) error {
	disabled, err := d.monitor.Judge(context.WithoutCancel(ctx), counts)
	for _, c := range counts {
		if slices.Contains(disabled, c.Integration) {
			d.Recheck(c.Tenant, c.Integration)
		}
	}
	return err
}

// persistLimit is how often a write is tried again once the dispatcher is to stop. What is not written then is
// sent again after the next start.
const persistLimit = 3

// persist repeats a write that fails (a full disk): the deliveries were sent, and forgetting that would send them
// again. Meanwhile nothing new is sent, because the outcomes have no room.
func (d *Pool) persist(ctx context.Context, what string, write func() error) {
	for stopping := 0; ; {
		err := write()
		if err == nil {
			return
		}
		d.logger.Error(what+": trying again", "error", err.Error())
		if ctx.Err() != nil {
			if stopping++; stopping == persistLimit {
				return
			}
		}
		time.Sleep(pause)
	}
}
