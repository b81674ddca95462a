package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
	"tocsin/shared/sleep"
)

// leaseSpan hides a delivery for longer than any attempt can take: the most requests of one delivery (50 mails) at the
// longest deadlines. It only matters when a lease is lost.
const leaseSpan = 2 * time.Hour

// lane is a Pool's work on one Lane. It is forgotten when nothing waits and nothing is in flight.
type lane struct {
	delivery.Lane
	limiter *limiter
	turns   turns

	// Guarded by Pool.mu.
	running bool
	again   bool // look once more before ending
	news    bool // something came in since the lane last ended

	// epoch counts changes of the integration: a batch that was read before the last one is given back.
	epoch atomic.Int64
}

// run sends what the lane holds until nothing is left. Requests go on with the context sending after ctx has ended.
func (p *Pool) run(ctx, sending context.Context, l *lane) {
	defer l.limiter.heed(ctx)()
	batch := p.fetch(ctx, l)
	for sent := false; ; {
		got := <-batch
		sent = sent || len(got.leased) > 0
		switch {
		case ctx.Err() != nil:
			p.release(got.leased)
			return
		case got.err != nil:
			p.logger.Error("send: trying again", "tenant", l.Tenant, "integration", l.Integration, "error",
				got.err.Error())
			sleep.For(ctx, pause)
			batch = p.fetch(ctx, l)
		case len(got.leased) == 0:
			if p.ended(l, sent) {
				return
			}
			batch = p.fetch(ctx, l)
		case got.ended.Why != "":
			p.kill(got)
			batch = p.fetch(ctx, l)
		default:
			// The next batch is read while this one is sent: else the requests in flight would wait for the disk.
			batch = p.fetch(ctx, l)
			p.sendAll(ctx, sending, l, got)
		}
	}
}

// ended stops an idle lane, unless it was woken meanwhile.
func (p *Pool) ended(l *lane, sent bool) bool {
	closes := p.queue.Closes(l.Lane)
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.again {
		l.again = false
		return false
	}
	if l.news && !sent {
		p.look() // what came in waits for its time: the timer must know until when
	} else if !l.Retry {
		p.expect(closes) // a part of what came in can wait, and what was due can be held longer
	}
	l.running, l.news = false, false
	p.forget(l)
	return true
}

// fetched is a batch of leased deliveries and where they go.
type fetched struct {
	leased []delivery.Delivery
	target *sending.Target
	ended  sending.End
	epoch  int64
	err    error
}

// fetch leases the next batch in the background.
func (p *Pool) fetch(ctx context.Context, l *lane) <-chan fetched {
	out := make(chan fetched, 1)
	go func() {
		f := fetched{epoch: l.epoch.Load()}
		if f.target, f.ended, f.err = p.targets.Target(ctx, l.Tenant, l.Integration); f.err == nil {
			now := p.now()
			horizon := now
			if f.ended.Why != "" {
				horizon = now.AddDate(100, 0, 0) // retries that are not due yet end too
			}
			if f.leased, f.err = p.queue.Lease(ctx, l.Lane, p.limits.Lease, horizon, now,
				now.Add(leaseSpan)); f.err != nil {
				f.err = fmt.Errorf("lease: %w", f.err)
			}
		}
		out <- f
	}()
	return out
}

// sendAll sends a batch, each delivery as soon as it may begin.
func (p *Pool) sendAll(ctx, sending context.Context, l *lane, f fetched) {
	l.limiter.keepTo(ctx, f.target.Integration.Rate)
	objects := f.target.InTurn(f.leased)
	for i := range f.leased {
		d, object := &f.leased[i], ""
		if objects != nil {
			object = objects[i]
		}
		if !l.turns.enter(ctx, object) {
			p.release(f.leased[i:])
			return
		}
		places, ok := p.enter(ctx, l, f, d.ID)
		if !ok {
			l.turns.leave(object)
			p.release(f.leased[i:])
			return
		}
		p.work.Add(1)
		p.senders.start(job{sending, l, f.target, d, places, object})
	}
}

// enter waits until a request may begin: until the lane's limiter and the places of all lanes together let it. It is
// false when the context has ended, or the integration has changed. The places are to be given back to leave.
func (p *Pool) enter(ctx context.Context, l *lane, f fetched, id string) (places *places, ok bool) {
	places = p.failing
	switch trusted := l.limiter.enter(ctx); {
	case f.target.Mails():
		places = p.mails
	case trusted:
		places = p.trusted
	}
	if !p.await(ctx, l, f.epoch, id) {
		p.leave(l, nil, nil)
		return nil, false
	}
	if places.enter(ctx, l.Tenant) {
		if l.epoch.Load() == f.epoch {
			return places, true
		}
		places.leave(l.Tenant)
	}
	p.leave(l, nil, nil)
	return nil, false
}

// paceLook is how often a lane that waits for its pace looks whether its integration has changed.
const paceLook = time.Second

// await waits until the pace lets a request begin; false when the context has ended, or the integration has changed.
func (p *Pool) await(ctx context.Context, l *lane, epoch int64, id string) bool {
	for ctx.Err() == nil && l.epoch.Load() == epoch {
		wait, _, ok := l.limiter.begin(ctx, id, 1, patience{})
		if ok {
			return true
		}
		sleep.For(ctx, min(wait, paceLook))
	}
	return false
}

// leave gives the places of a request back, after its attempt if one was decided.
func (p *Pool) leave(l *lane, places *places, after *sending.Outcome) {
	if places != nil {
		places.leave(l.Tenant)
	}
	if l.limiter.leave(after) {
		p.mu.Lock()
		p.forget(l)
		p.mu.Unlock()
	}
}

// send makes one attempt and hands its outcome over.
func (p *Pool) send(j job) {
	defer p.work.Done()
	after, err := p.sender.Send(j.ctx, j.target, *j.delivery)
	j.lane.turns.leave(j.object)
	j.lane.limiter.learn(j.ctx, after, err)
	if err == nil {
		p.outcomes <- outcomeOf(j.target, after)
		p.leave(j.lane, j.places, &after)
		return
	}
	p.leave(j.lane, j.places, nil)
	if after.Kept {
		p.outcomes <- outcome{after: after} // it waits as before, and knows what has arrived
	} else {
		p.release([]delivery.Delivery{*j.delivery})
	}
	if errors.Is(err, sending.ErrEgress) {
		p.Wake(j.lane.Lane) // it is tried again when the pause is over
	}
}

// kill ends a batch, and waits until that is written: else the next lease of a dead lane would spin.
func (p *Pool) kill(f fetched) {
	for _, d := range f.leased {
		p.outcomes <- killed(d, f.ended)
	}
	done := make(chan struct{})
	p.outcomes <- outcome{barrier: done}
	<-done
}

// release gives back what was not sent.
func (p *Pool) release(leased []delivery.Delivery) {
	if len(leased) == 0 {
		return
	}
	// Also when the context has ended: it is part of an orderly stop.
	if err := p.queue.Release(context.Background(), leased); err != nil {
		p.logger.Error("give back deliveries that were not sent", "integration", leased[0].Integration, "count",
			len(leased), "error", err.Error())
	}
}
