package worker

import (
	"context"
	"time"
)

// watch wakes the lanes whose time has come. Due times are times of day, and timers are not: they stand still while the
// machine sleeps, and know nothing of a clock that is set. So the clock is looked at every clockLook.
func (p *Pool) watch(ctx context.Context) {
	p.hasten(ctx, p.now().Add(longestWait), anyTime) // the clock may have been set while the program was off
	timer := time.NewTimer(0)
	defer timer.Stop()
	clock := newClock(p.now())
	var next time.Time
	look := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.due:
		}
		now := p.now()
		asked, soon := p.asked()
		look = look || asked
		if !soon.IsZero() && (next.IsZero() || soon.Before(next)) {
			next = soon
		}
		if back := clock.wentBack(now); back > clockStep {
			p.logger.Warn("the clock went back: what waits is sent as if it had not", "by", back.String())
			p.hasten(ctx, now, back)
			look = true
		}
		if look || !next.IsZero() && !now.Before(next) {
			lanes, soonest, err := p.queue.Waiting(ctx, now)
			if err != nil && ctx.Err() == nil {
				p.logger.Error("look for waiting deliveries: trying again", "error", err.Error())
				look = true
				timer.Reset(pause)
				continue
			}
			look, next = false, soonest
			p.wake(lanes, false)
		}
		wait := clockLook
		if !next.IsZero() {
			wait = min(wait, max(0, next.Sub(now)))
		}
		timer.Reset(wait)
	}
}

// hasten takes the time that a clock went back by from what is due after the given one.
func (p *Pool) hasten(ctx context.Context, after time.Time, by time.Duration) {
	if err := p.queue.Hasten(ctx, p.now(), after, by); err != nil && ctx.Err() == nil {
		p.logger.Error("make up for a clock that went back", "error", err.Error())
	}
}

// look sets the timer anew, to when the first of all lanes is due.
func (p *Pool) look() {
	p.looks.Store(true)
	p.nudge()
}

// expect has the timer look at a time, if that is not zero; mu is held.
func (p *Pool) expect(at time.Time) {
	if !at.IsZero() && (p.soon.IsZero() || at.Before(p.soon)) {
		p.soon = at
		p.nudge()
	}
}

// asked takes what look and expect have asked for.
func (p *Pool) asked() (look bool, soon time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	soon, p.soon = p.soon, time.Time{}
	return p.looks.Swap(false), soon
}

func (p *Pool) nudge() {
	select {
	case p.due <- struct{}{}:
	default:
	}
}
