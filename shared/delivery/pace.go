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

// pace spares one integration's system what it asked to be spared. Retry-After is quiet: no request at all until it is
// over. A 429, or a mail service's word for it, is also a rate: requests go out one after another, at an interval that begins with what the answer says and
// shrinks with each request that is taken, by a twentieth where it is short. So about one in fifteen is told to wait again, and a burst to
// a system that takes one message a second does not look like an outage, which disables. It is safe for concurrent use.
type pace struct {
	mu       sync.Mutex
	quiet    time.Time
	interval time.Duration
	last     time.Time // when the last request began
	taken    time.Time // when the last one was taken
}

// take lets a request begin now (0), or says how long to wait before asking again.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.quiet
	if p.interval > 0 && p.last.Add(p.interval).After(at) {
		at = p.last.Add(p.interval)
	}
	if wait := at.Sub(now); wait > 0 {
		return wait
	}
	p.last = now
	return 0
}

// learn hears what became of a request.
func (p *pace) learn(now time.Time, d Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
	return !p.quiet.After(now) && (p.interval == 0 || now.Sub(p.last) > intervalMost)
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
