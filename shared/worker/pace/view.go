package pace

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
)

// swapTries bounds how often a pace is tried to be changed that other processes change too.
const swapTries = 8

// callLock is a lock that can be held over a call of a service. It is no mutex, so that others can see that it is
// taken, and a test's clock goes on while somebody waits for it (testing/synctest). Make it with room for one.
type callLock chan struct{}

func (l callLock) Lock()   { l <- struct{}{} }
func (l callLock) Unlock() { <-l }

// TryLock takes it if it is free.
func (l callLock) TryLock() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

// View is what one process knows of an integration's pace. While it asks for nothing the store is not called. It is
// safe for concurrent use.
type View struct {
	lane  delivery.Lane
	store Store
	log   *slog.Logger

	lock    callLock // taken over calls of the store: what else goes to this integration waits for them
	known   Pace
	version int64
	least   time.Duration // between two requests: the integration's own rate; 0 = it has none
	slots   []time.Time   // booked for this process
	heard   []feedback    // not yet told to the others
}

// Slot says when the request of a delivery may begin, of which n wait: a time within the given one from now, which it
// keeps free for the caller. Where it can not, wait says how long to wait before asking again, and dead that the
// receiver is the reason.
func (p *View) Slot(
	ctx context.Context,
	now time.Time,
	id string,
	n int,
	within time.Duration,
) (at time.Time, wait time.Duration, dead bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.least == 0 && !p.known.limits(now) {
		p.slots = nil
		return now, 0, false
	}
	if len(p.slots) > 0 && !p.slots[0].Before(p.known.Quiet) {
		at, p.slots = p.slots[0], p.slots[1:]
		if at.Before(now) {
			at = now
		}
		return at, 0, false
	}
	p.slots = nil
	var b beginning
	ok := p.change(ctx, now, func(next *Pace) bool {
		if p.least == 0 && !next.limits(now) {
			b = beginning{first: now, booked: 1}
			return false
		}
		was := *next
		b = next.book(now, id, n, within, p.least)
		return *next != was
	})
	switch {
	case !ok: // too many ask at once
		return time.Time{}, time.Second, p.known.Silent >= deadAfter
	case b.booked == 0:
		return time.Time{}, b.wait, b.dead
	}
	for k := 1; k < b.booked; k++ {
		p.slots = append(p.slots, b.first.Add(time.Duration(k)*p.interval()))
	}
	return b.first, 0, false
}

// interval is the time between two requests; the lock is held.
func (p *View) interval() time.Duration { return max(p.known.Interval, p.least) }

// KeepTo has the integration's own rate kept from now on. What was booked at another one is given up.
func (p *View) KeepTo(ctx context.Context, now time.Time, least time.Duration) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.least == least {
		return
	}
	if len(p.slots) > 0 {
		p.change(ctx, now, func(next *Pace) bool {
			p.giveBack(next)
			return true
		})
		p.slots = nil
	}
	p.least = least
}

// change applies what was heard and f, which reports whether it changed something, to the pace as all processes know
// it.
func (p *View) change(ctx context.Context, now time.Time, f func(*Pace) bool) (ok bool) {
	for range swapTries {
		next := p.known.current(now)
		for _, a := range p.heard {
			next.learn(a)
		}
		if !f(&next) && len(p.heard) == 0 {
			p.known = next
			return true
		}
		version, err := p.store.Swap(ctx, p.lane, p.version, next)
		if err == nil {
			p.known, p.version, p.heard = next, version, nil
			return true
		}
		if errors.Is(err, ErrVersionConflict) {
			err = p.read(ctx, now)
		}
		if err != nil { // this process goes on with what it knows
			p.warn("the pace of an integration is not shared", err)
			p.known, p.heard = next, nil
			return true
		}
	}
	return false
}

func (p *View) warn(text string, err error) {
	p.log.Warn(text, "tenant", p.lane.Tenant, "integration", p.lane.Integration, "error", err.Error())
}

func (p *View) read(ctx context.Context, now time.Time) error {
	known, version, err := p.store.Pace(ctx, p.lane)
	if err == nil {
		p.known, p.version = known.current(now), version
	}
	return err
}

// Consult asks what other processes know: this one is told that the system may want to be spared.
func (p *View) Consult(ctx context.Context, now time.Time) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if err := p.read(ctx, now); err != nil {
		p.warn("the pace of an integration is not known", err)
	}
}

// Pause lets no request of this process begin for a while.
func (p *View) Pause(until time.Time) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if until.After(p.known.Quiet) {
		p.known.Quiet = until
	}
}

// Quiet reports whether the system asked for no request at all, since a slot was given perhaps.
func (p *View) Quiet(now time.Time) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.known.Quiet.After(now)
}

// Limits reports whether a request may have to wait.
func (p *View) Limits(now time.Time) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.least > 0 || p.known.limits(now)
}

// ExpectSilence says that the receiver was dead when it was last tried, by another process perhaps.
func (p *View) ExpectSilence() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.known.Silent = max(p.known.Silent, deadAfter)
}

// Learn hears what became of a request. Silence, its end, and what the system asks for are told to the other processes
// at once; what was taken under an interval is told with the next change, or by Flush.
func (p *View) Learn(ctx context.Context, now time.Time, d sending.Outcome) {
	a := feedbackOf(now, d)
	p.lock.Lock()
	defer p.lock.Unlock()
	news := a.silent || a.quiet > 0 || p.known.Silent > 0
	if !news && !p.known.limits(now) {
		if a.taken {
			p.known.Taken = now
		}
		return
	}
	if p.heard = append(p.heard, a); !news {
		return
	}
	p.change(ctx, now, func(next *Pace) bool {
		if a.quiet > 0 {
			p.giveBack(next)
		}
		return true
	})
	if a.quiet > 0 {
		p.slots = nil
	}
}

// giveBack frees what this process booked and does not use, if nobody booked after it.
func (p *View) giveBack(next *Pace) {
	last := len(p.slots) - 1
	if last >= 0 && !next.Next.After(p.slots[last].Add(p.interval())) {
		next.Next = p.slots[0]
	}
}

// Flush ends the use of what was booked, and tells the other processes what was taken.
func (p *View) Flush(ctx context.Context, now time.Time) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if len(p.heard) == 0 && len(p.slots) == 0 {
		return
	}
	p.change(ctx, now, func(next *Pace) bool {
		p.giveBack(next)
		return true
	})
	p.slots = nil
}

// idle reports whether the pace can be forgotten; not while somebody is at it, for whom nobody is to wait here.
func (p *View) idle(now time.Time) bool {
	if !p.lock.TryLock() {
		return false
	}
	defer p.lock.Unlock()
	return len(p.heard) == 0 && !p.known.current(now).limits(now)
}

// Views holds those of many integrations. It is safe for concurrent use.
type Views struct {
	store Store
	log   *slog.Logger

	mu  sync.Mutex
	all map[delivery.Lane]*View
}

// NewViews makes the views of a store; nil: they are shared with no other process. A log of nil is slog's own.
func NewViews(store Store, log *slog.Logger, now func() time.Time) *Views {
	if store == nil {
		store = &Memory{Now: now}
	}
	return &Views{store: store, log: cmp.Or(log, slog.Default()), all: map[delivery.Lane]*View{}}
}

// Store is where the paces are kept.
func (s *Views) Store() Store { return s.store }

// Of is an integration's pace; retries and first attempts share it, because the system does not tell them apart.
func (s *Views) Of(tenant, integration string) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := delivery.Lane{Tenant: tenant, Integration: integration}
	p, ok := s.all[key]
	if !ok {
		p = &View{lane: key, store: s.store, log: s.log, lock: make(callLock, 1)}
		s.all[key] = p
	}
	return p
}

// Forget drops a pace that says nothing any more.
func (s *Views) Forget(tenant, integration string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := delivery.Lane{Tenant: tenant, Integration: integration}
	if p, ok := s.all[key]; ok && p.idle(now) {
		delete(s.all, key)
	}
}
