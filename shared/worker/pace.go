package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tocsin/shared/delivery"
)

// Bounds of a pace.
const (
	// intervalMost is the longest time between two requests that being told to slow down can lead to; what it asks for
	// beyond that is quiet once, not a rate.
	intervalMost = time.Minute
	intervalLong = 3 * time.Second
	// intervalLeast is where a system is not limited any more.
	intervalLeast = 5 * time.Millisecond
)

// A receiver that gave no answer at all so many times in a row is dead until it answers: what goes to it are probes.
const (
	deadAfter = 3
	// probeMost is the longest time between two probes; it begins with a second and doubles. Where a request hangs for
	// longer than that, the next probe waits for as long as the last one took: so about one is in flight.
	probeMost = 15 * time.Second
	// silenceGood is how long a receiver's silence is remembered without another request.
	silenceGood = 10 * time.Minute
)

// Pace is how an integration's system wants to be sent to: what it asked to be spared. Quiet comes from Retry-After: no
// request at all until then. A 429, or a mail service's word for it, is also a rate: requests begin one after another,
// at an Interval that begins with what the answer says and shrinks with each request that is taken, by a twentieth
// where it is short. So about one in twenty is told to wait again, and a burst to a system that takes one message a
// second does not look like an outage, which disables.
//
// It is also the circuit of a dead receiver: one delivery at a time is tried, at growing intervals, and the others wait
// without having been tried, so their waits are not used up. The one that was tried last keeps the waits of its cycles.
// The first answer, whatever it says, opens the way again.
//
// The zero value asks for nothing.
type Pace struct {
	Quiet    time.Time     `json:"quiet,omitzero"`
	Interval time.Duration `json:"interval,omitzero"`
	// Next is when the next request may begin, where there is an Interval: those before it are booked.
	Next time.Time `json:"next,omitzero"`
	// Taken is when the last request was taken.
	Taken time.Time `json:"taken,omitzero"`
	// Silent counts the requests in a row that got no answer. The last of them was that of the delivery Probe, began at
	// Last and took so long.
	Silent int           `json:"silent,omitzero"`
	Probe  string        `json:"probe,omitzero"`
	Last   time.Time     `json:"last,omitzero"`
	Took   time.Duration `json:"took,omitzero"`
}

// limits reports whether a request may have to wait.
func (p Pace) limits(now time.Time) bool {
	return p.Interval > 0 || p.Silent >= deadAfter || p.Quiet.After(now)
}

// current is the pace as it still holds: nothing is remembered for ever.
func (p Pace) current(now time.Time) Pace {
	if p.Quiet.After(now) || p.Next.After(now) || p.Interval > 0 && now.Sub(p.Next) <= intervalMost {
		return p
	}
	p.Interval = 0
	if p.Silent > 0 && now.Sub(p.Last) <= silenceGood {
		return p
	}
	return Pace{}
}

// Keep is until when a store keeps the pace.
func (p Pace) Keep(now time.Time) time.Time {
	until := now
	for _, t := range []time.Time{p.Quiet, p.Next} {
		if t.After(until) {
			until = t
		}
	}
	return until.Add(silenceGood)
}

// beginning is when requests of one process may begin.
type beginning struct {
	first  time.Time // of the first
	booked int       // how many, an Interval apart; 0 = none
	wait   time.Duration
	dead   bool // it waits because the receiver is dead
}

// book takes up to n beginnings within the given time from now for a process whose next delivery has the id, or says
// how long to wait before asking again.
func (p *Pace) book(now time.Time, id string, n int, within time.Duration) beginning {
	first := now
	for _, t := range []time.Time{p.Quiet, p.Next} {
		if t.After(first) {
			first = t
		}
	}
	dead := p.Silent >= deadAfter
	if dead && id != p.Probe {
		wait := min(time.Second<<min(p.Silent-deadAfter, 10), probeMost)
		if next := p.Last.Add(max(wait, p.Took)); next.After(now) {
			return beginning{wait: next.Sub(now), dead: true}
		}
	}
	if wait := first.Sub(now); wait > within {
		return beginning{wait: wait, dead: dead}
	}
	switch {
	case dead:
		p.Last, p.Probe, n = first, id, 1
	case p.Interval == 0:
		return beginning{first: first, booked: 1}
	default:
		n = min(n, 1+int((within-first.Sub(now))/p.Interval))
	}
	p.Next = first.Add(time.Duration(n) * p.Interval)
	return beginning{first: first, booked: n}
}

// feedback is what an attempt says of its system's pace.
type feedback struct {
	at     time.Time
	id     string
	quiet  time.Duration
	slow   bool // it asked for a lower rate
	taken  bool
	silent bool // there was no answer
	took   time.Duration
}

func feedbackOf(now time.Time, d delivery.Delivery) feedback {
	a := feedback{at: now, id: d.ID, quiet: d.Quiet, slow: d.Slow, taken: d.Mark == delivery.Well,
		silent: d.Unanswered()}
	if len(d.Attempts) > 0 {
		a.took = d.Attempts[len(d.Attempts)-1].Took
	}
	return a
}

// learn hears what became of a request.
func (p *Pace) learn(a feedback) {
	if !a.silent {
		p.Silent, p.Probe, p.Last, p.Took = 0, "", time.Time{}, 0
	} else {
		p.Silent++
		if began := a.at.Add(-a.took); !began.Before(p.Last) {
			p.Last, p.Probe, p.Took = began, a.id, a.took
		}
	}
	switch {
	case a.quiet > 0:
		if until := a.at.Add(a.quiet); until.After(p.Quiet) {
			p.Quiet = until
		}
		if a.slow {
			since := time.Duration(0)
			if !p.Taken.IsZero() {
				since = a.at.Sub(p.Taken)
			}
			if p.Interval > 0 {
				since = min(since, p.Interval) // other processes tell late of what was taken
			}
			p.Interval = min(max(p.Interval, since+a.quiet), intervalMost)
			if p.Next.Before(a.at) {
				p.Next = a.at
			}
		}
	case a.taken:
		p.Taken = a.at
		shrink := p.Interval / 32
		if p.Interval > intervalLong {
			shrink = p.Interval / 4 // a count per minute was used up: that is over, and no interval as long as it took
		}
		if p.Interval -= shrink; p.Interval < intervalLeast {
			p.Interval, p.Next = 0, time.Time{}
		}
	}
}

// ErrStale: a pace is not any more as it was read.
var ErrVersionConflict = errors.New("the pace was changed by another process")

// Paces keeps the paces of integrations for all processes of a worker. Only those have one whose systems asked to be
// spared or gave no answer: a healthy integration costs neither a read nor a write. Implementations are safe for
// concurrent use, and may forget a pace after Pace.Keep.
type Paces interface {
	// Pace returns an integration's pace and its version: a zero Pace and 0 when there is none. Lane.Retry does not
	// matter: the system does not tell first attempts and retries apart.
	Pace(ctx context.Context, l delivery.Lane) (p Pace, version int64, err error)
	// Swap replaces the pace whose version is the given one, 0 for none, and returns the new version. Error: ErrStale.
	Swap(ctx context.Context, l delivery.Lane, version int64, p Pace) (next int64, err error)
}

// LocalPaces are those of a worker that is one process. The zero value is ready.
type LocalPaces struct {
	mu   sync.Mutex
	all  map[delivery.Lane]localPace
	last int64
	Now  func() time.Time // nil = time.Now
}

type localPace struct {
	pace    Pace
	version int64
	keep    time.Time
}

// prunedFrom is how many paces are kept before those are looked for that say nothing any more.
const prunedFrom = 1024

func (s *LocalPaces) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Pace reads one.
func (s *LocalPaces) Pace(_ context.Context, l delivery.Lane) (Pace, int64, error) {
	l.Retry = false
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.all[l]
	if !ok || !p.keep.After(s.now()) {
		return Pace{}, 0, nil
	}
	return p.pace, p.version, nil
}

// Swap writes one.
func (s *LocalPaces) Swap(_ context.Context, l delivery.Lane, version int64, p Pace) (int64, error) {
	l.Retry = false
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	was, ok := s.all[l]
	if ok && !was.keep.After(now) {
		was = localPace{}
	}
	if was.version != version {
		return 0, ErrVersionConflict
	}
	if s.all == nil {
		s.all = map[delivery.Lane]localPace{}
	}
	if len(s.all) >= prunedFrom {
		for k, v := range s.all {
			if !v.keep.After(now) {
				delete(s.all, k)
			}
		}
	}
	s.last++
	s.all[l] = localPace{p, s.last, p.Keep(now)}
	return s.last, nil
}

// swapTries bounds how often a pace is tried to be changed that other processes change too.
const swapTries = 8

// turn is a lock that can be held over a call of a service. It is no mutex, so that others can see that it is taken,
// and a test's clock goes on while somebody waits for it (testing/synctest). Make it with room for one.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

// try takes it if it is free.
func (t turn) try() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// pace is what one process knows of an integration's pace. While it asks for nothing the store is not called. It is
// safe for concurrent use.
type pace struct {
	lane  delivery.Lane
	store Paces
	log   *slog.Logger

	turn    turn // taken over calls of the store: what else goes to this integration waits for them
	known   Pace
	version int64
	slots   []time.Time // booked for this process
	heard   []feedback  // not yet told to the others
}

// slot says when the request of a delivery may begin, of which n wait: a time within the given one from now, which it
// keeps free for the caller. Where it can not, wait says how long to wait before asking again, and dead that the
// receiver is the reason.
func (p *pace) slot(
	ctx context.Context,
	now time.Time,
	id string,
	n int,
	within time.Duration,
) (at time.Time, wait time.Duration, dead bool) {
	p.turn.take()
	defer p.turn.give()
	if !p.known.limits(now) {
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
		if !next.limits(now) {
			b = beginning{first: now, booked: 1}
			return false
		}
		was := *next
		b = next.book(now, id, n, within)
		return *next != was
	})
	switch {
	case !ok: // too many ask at once
		return time.Time{}, time.Second, p.known.Silent >= deadAfter
	case b.booked == 0:
		return time.Time{}, b.wait, b.dead
	}
	for k := 1; k < b.booked; k++ {
		p.slots = append(p.slots, b.first.Add(time.Duration(k)*p.known.Interval))
	}
	return b.first, 0, false
}

// change applies what was heard and f, which reports whether it changed something, to the pace as all processes know
// it.
func (p *pace) change(ctx context.Context, now time.Time, f func(*Pace) bool) (ok bool) {
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

func (p *pace) warn(text string, err error) {
	p.log.Warn(text, "tenant", p.lane.Tenant, "integration", p.lane.Integration, "error", err.Error())
}

func (p *pace) read(ctx context.Context, now time.Time) error {
	known, version, err := p.store.Pace(ctx, p.lane)
	if err == nil {
		p.known, p.version = known.current(now), version
	}
	return err
}

// consult asks what other processes know: this one is told that the system may want to be spared.
func (p *pace) consult(ctx context.Context, now time.Time) {
	p.turn.take()
	defer p.turn.give()
	if err := p.read(ctx, now); err != nil {
		p.warn("the pace of an integration is not known", err)
	}
}

// pause lets no request of this process begin for a while.
func (p *pace) pause(until time.Time) {
	p.turn.take()
	defer p.turn.give()
	if until.After(p.known.Quiet) {
		p.known.Quiet = until
	}
}

// quiet reports whether the system asked for no request at all, since a slot was given perhaps.
func (p *pace) quiet(now time.Time) bool {
	p.turn.take()
	defer p.turn.give()
	return p.known.Quiet.After(now)
}

// limits reports whether a request may have to wait.
func (p *pace) limits(now time.Time) bool {
	p.turn.take()
	defer p.turn.give()
	return p.known.limits(now)
}

// expectSilence says that the receiver was dead when it was last tried, by another process perhaps.
func (p *pace) expectSilence() {
	p.turn.take()
	defer p.turn.give()
	p.known.Silent = max(p.known.Silent, deadAfter)
}

// learn hears what became of a request. Silence, its end, and what the system asks for are told to the other processes
// at once; what was taken under an interval is told with the next change, or by flush.
func (p *pace) learn(ctx context.Context, now time.Time, d delivery.Delivery) {
	a := feedbackOf(now, d)
	p.turn.take()
	defer p.turn.give()
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
func (p *pace) giveBack(next *Pace) {
	last := len(p.slots) - 1
	if last >= 0 && !next.Next.After(p.slots[last].Add(p.known.Interval)) {
		next.Next = p.slots[0]
	}
}

// flush ends the use of what was booked, and tells the other processes what was taken.
func (p *pace) flush(ctx context.Context, now time.Time) {
	p.turn.take()
	defer p.turn.give()
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
func (p *pace) idle(now time.Time) bool {
	if !p.turn.try() {
		return false
	}
	defer p.turn.give()
	return len(p.heard) == 0 && !p.known.current(now).limits(now)
}

// paces holds those of many integrations. The zero value is ready, and shares them with nobody.
type paces struct {
	shared Paces // nil = nobody
	log    *slog.Logger

	mu    sync.Mutex
	all   map[delivery.Lane]*pace
	local LocalPaces
}

// of is an integration's pace; retries and first attempts share it, because the system does not tell them apart.
func (s *paces) of(tenant, integration string) *pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := delivery.Lane{Tenant: tenant, Integration: integration}
	p, ok := s.all[key]
	if !ok {
		if s.all == nil {
			s.all = map[delivery.Lane]*pace{}
		}
		p = &pace{lane: key, store: s.shared, log: cmp.Or(s.log, slog.Default()), turn: make(turn, 1)}
		if p.store == nil {
			p.store = &s.local
		}
		s.all[key] = p
	}
	return p
}

// forget drops a pace that says nothing any more.
func (s *paces) forget(tenant, integration string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := delivery.Lane{Tenant: tenant, Integration: integration}
	if p, ok := s.all[key]; ok && p.idle(now) {
		delete(s.all, key)
	}
}
