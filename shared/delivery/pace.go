package delivery

import (
	"sync"
	"time"
)

// Bounds of a pace.
const (
	// intervalMost is the longest time between two requests that being told to slow down can lead to; what it asks for beyond that is quiet
	// once, not a rate.
	intervalMost = time.Minute
	intervalLong = 3 * time.Second
	// intervalLeast is where a system is not limited any more.
	intervalLeast = 5 * time.Millisecond
)

// A receiver that gave no answer at all so many times in a row is dead until it answers: what goes to it are probes.
const (
	deadAfter = 3
	// probeMost is the longest time between two probes; it begins with a second and doubles.
	probeMost = 15 * time.Second
)

// pace spares one integration's system what it asked to be spared. Retry-After is quiet: no request at all until it is
// over. A 429, or a mail service's word for it, is also a rate: requests go out one after another, at an interval that begins with what the answer says and
// shrinks with each request that is taken, by a twentieth where it is short. So about one in fifteen is told to wait again, and a burst to
// a system that takes one message a second does not look like an outage, which disables.
//
// It is also the circuit of a dead receiver: one delivery at a time is tried, at growing intervals, and the others wait
// without having been tried, so their waits are not used up. The one that was tried last keeps the waits of its cycles. The
// first answer, whatever it says, opens the way again. It is safe for concurrent use.
type pace struct {
	mu       sync.Mutex
	quiet    time.Time
	interval time.Duration
	last     time.Time // when the last request began
	taken    time.Time // when the last one was taken
	silent   int       // requests in a row that got no answer
	probe    string    // the delivery that was tried last
}

// take lets a request of a delivery begin now (0), or says how long to wait before asking again; dead says that it waits
// because the receiver is.
func (p *pace) take(now time.Time, id string) (wait time.Duration, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.quiet
	if p.interval > 0 && p.last.Add(p.interval).After(at) {
		at = p.last.Add(p.interval)
	}
	if p.silent >= deadAfter && id != p.probe {
		if next := p.last.Add(min(time.Second<<min(p.silent-deadAfter, 10), probeMost)); next.After(at) {
			at, dead = next, true
		}
	}
	if wait := at.Sub(now); wait > 0 {
		return wait, dead
	}
	p.last, p.probe = now, id
	return 0, false
}

// pause lets no request begin for a while.
func (p *pace) pause(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.quiet) {
		p.quiet = until
	}
}

// expectSilence says that the receiver was dead when it was last tried, by another process perhaps.
func (p *pace) expectSilence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = max(p.silent, deadAfter)
}

// learn hears what became of a request.
func (p *pace) learn(now time.Time, d Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent++; !d.unanswered() {
		p.silent = 0
	}
	switch {
	case d.quiet > 0:
		if until := now.Add(d.quiet); until.After(p.quiet) {
			p.quiet = until
		}
		if d.slow {
			since := time.Duration(0)
			if !p.taken.IsZero() {
				since = now.Sub(p.taken)
			}
			p.interval = min(max(p.interval, since+d.quiet), intervalMost)
		}
	case d.mark == well:
		p.taken = now
		shrink := p.interval / 20
		if p.interval > intervalLong {
			shrink = p.interval / 4 // a count per minute was used up: that is over, and no interval as long as it took
		}
		if p.interval -= shrink; p.interval < intervalLeast {
			p.interval = 0
		}
	}
}

// idle reports whether the pace can be forgotten.
func (p *pace) idle(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.quiet.After(now) && (p.interval == 0 && p.silent < deadAfter || now.Sub(p.last) > intervalMost)
}

// unanswered reports whether the last attempt got no answer at all.
func (d Delivery) unanswered() bool {
	if len(d.Attempts) == 0 {
		return false
	}
	a := d.Attempts[len(d.Attempts)-1]
	return !a.Delivered && a.Status == 0 && d.mark != well // it took a part of it
}

// paces holds those of many integrations. The zero value is ready.
type paces struct {
	mu  sync.Mutex
	all map[Lane]*pace
}

// of is an integration's pace; retries and first attempts share it, because the system does not tell them apart.
func (s *paces) of(tenant, integration string) *pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := Lane{Tenant: tenant, Integration: integration}
	p, ok := s.all[key]
	if !ok {
		if s.all == nil {
			s.all = map[Lane]*pace{}
		}
		p = &pace{}
		s.all[key] = p
	}
	return p
}

// forget drops a pace that says nothing any more.
func (s *paces) forget(tenant, integration string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := Lane{Tenant: tenant, Integration: integration}
	if p, ok := s.all[key]; ok && p.idle(now) {
		delete(s.all, key)
	}
}
