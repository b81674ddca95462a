// Package pace is how fast an integration's system wants to be sent to, and what one process of many knows of it.
package pace

import (
	"time"

	"tocsin/shared/sending"
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
	// Next is when the next request may begin, where there is an Interval or a rate of the integration's own: those
	// before it are booked.
	Next time.Time `json:"next,omitzero"`
	// Rate is the time between two requests that Next was booked at, where the integration has a rate of its own.
	Rate time.Duration `json:"rate,omitzero"`
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

// heldFrom is from which pause on a person feels that a system is spared.
const heldFrom = 5 * time.Second

// Held is when the next request may begin to a system that asked to be spared for long, or to be sent a request every
// few seconds at most; zero to one that did not.
func (p Pace) Held(now time.Time) time.Time {
	if p.Quiet.Sub(now) < heldFrom && p.Interval < intervalLong {
		return time.Time{}
	}
	if p.Next.After(p.Quiet) {
		return p.Next
	}
	return p.Quiet
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
	booked int       // how many, an interval apart; 0 = none
	wait   time.Duration
	dead   bool // it waits because the receiver is dead
}

// book takes up to n beginnings within the given time from now, at least so far apart, for a process whose next
// delivery has the id, or says how long to wait before asking again.
func (p *Pace) book(now time.Time, id string, n int, within, least time.Duration) beginning {
	interval := max(p.Interval, least)
	p.rerate(interval, least)
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
	case interval == 0:
		return beginning{first: first, booked: 1}
	default:
		n = min(n, 1+int((within-first.Sub(now))/interval))
	}
	p.Next = first.Add(time.Duration(n) * interval)
	return beginning{first: first, booked: n}
}

// rerate has Next go by the integration's rate as it is now: from the last request that was booked.
func (p *Pace) rerate(interval, least time.Duration) {
	if was := max(p.Interval, p.Rate); was > 0 && !p.Next.IsZero() {
		p.Next = p.Next.Add(interval - was)
	}
	p.Rate = least
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

func feedbackOf(now time.Time, d sending.Outcome) feedback {
	a := feedback{at: now, id: d.ID, quiet: d.Quiet, slow: d.Slow, taken: d.Mark == sending.Well,
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
