package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/sleep"
	"tocsin/shared/worker/pace"
)

// limiter decides for both workers when the requests of a lane may begin. It bounds how many are in flight at once, and
// it keeps to the pace that the system asks for. A worker drives it, in this order, for each delivery: enter, begin,
// the request, learn, leave. What a worker does while it has to wait is its own affair: Pool sleeps, Handler hands the
// delivery back to its queue.
//
// The number of requests in flight follows the answers. A lane begins with one. Each success doubles the number, up to
// most. A failure brings it to failing at the most, and so does being told to slow down, which also sets the pace: see
// pace.Pace. The failure of a single receiver changes nothing. Below failing, each answer adds one, whatever it says.
//
// It is safe for concurrent use.
type limiter struct {
	pace          *pace.View // shared by all lanes of the integration
	now           func() time.Time
	most, failing int

	mu       sync.Mutex
	room     *sync.Cond
	inFlight int
	limit    int
}

// firstLimit is how many requests a lane begins with. A system that takes one a second must not be sent a burst of
// which all but one are told to wait; and of a dead one nobody knows before its first request has ended. Many processes
// begin at once: with four each, 20 processes were told to wait 254 times of 2,154, with one each 200 of 2,100.
const firstLimit = 1

func newLimiter(p *pace.View, most, failing int, now func() time.Time) *limiter {
	l := &limiter{pace: p, now: now, most: most, failing: min(failing, most), limit: firstLimit}
	l.room = sync.NewCond(&l.mu)
	return l
}

// heed lets nobody wait in enter after the context has ended, until stop is called.
func (l *limiter) heed(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Broadcast()
	})
}

// keepTo has the integration's own rate kept by what begins from now on.
func (l *limiter) keepTo(ctx context.Context, r integration.Rate) {
	l.pace.KeepTo(ctx, l.now(), r.Every())
}

// enter takes a place for one request, which is to be given back to leave. It waits for one, but not after the context
// has ended. trusted says that the system has earned all its places.
func (l *limiter) enter(ctx context.Context) (trusted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.inFlight >= l.limit && ctx.Err() == nil {
		l.room.Wait()
	}
	l.inFlight++
	return l.limit >= l.most
}

// patience is how long begin waits at a time, and until when at all; a zero until is no bound.
type patience struct {
	span  time.Duration
	until time.Time
}

// begin returns when the request of a delivery may begin, of which n wait for that. Where the pace asks for more than
// the patience allows, ok is false, wait says after how long to ask again, and dead that the receiver gives no answer.
// ok is also false, and wait 0, when the time or the context has ended.
func (l *limiter) begin(ctx context.Context, id string, n int, p patience) (wait time.Duration, dead, ok bool) {
	for ctx.Err() == nil {
		now := l.now()
		within := p.span
		if !p.until.IsZero() {
			if !now.Before(p.until) {
				return 0, false, false
			}
			within = min(within, p.until.Sub(now))
		}
		at, wait, dead := l.pace.Slot(ctx, now, id, n, within)
		if wait > 0 {
			return wait, dead, false
		}
		if at.After(now) {
			sleep.For(ctx, at.Sub(now))
			if l.pace.Quiet(l.now()) {
				continue // an answer that was on its way asked for quiet
			}
		}
		return 0, false, ctx.Err() == nil
	}
	return 0, false, false
}

// learn hears what became of a request, before its place is given back. err is that of sending.Sender.Send.
func (l *limiter) learn(ctx context.Context, after sending.Outcome, err error) {
	switch {
	case err == nil:
		l.pace.Learn(ctx, l.now(), after)
	case errors.Is(err, sending.ErrEgress):
		l.pace.Pause(l.now().Add(sending.EgressPause))
	}
}

// leave gives a place back. The delivery as it is after its attempt sets how many places there are; nil if no attempt
// was decided. idle says that nothing is in flight any more.
func (l *limiter) leave(after *sending.Outcome) (idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	if after != nil {
		l.adjust(after)
	}
	l.room.Broadcast()
	return l.inFlight == 0
}

// adjust sets the number of places; mu is held.
func (l *limiter) adjust(after *sending.Outcome) {
	grown, ceiling := l.limit+1, l.failing
	switch {
	case after.Mark == sending.Well:
		grown, ceiling = 2*l.limit, l.most
	case after.Mark == sending.Silent && after.Quiet == 0: // one receiver's failure says nothing of the system
		ceiling = max(l.failing, l.limit)
	}
	l.limit = min(grown, ceiling)
}

// consult asks the other processes before a batch that waited because its system wants to be spared.
func (l *limiter) consult(ctx context.Context) { l.pace.Consult(ctx, l.now()) }

// expectSilence says that the receiver was dead when the batch was last tried, by another process perhaps: it is
// probed.
func (l *limiter) expectSilence() { l.pace.ExpectSilence() }

// flush ends a batch: the other processes learn what this one booked and did not use. It reports whether the system
// wants to be spared, or gives no answer.
func (l *limiter) flush(ctx context.Context) (limited bool) {
	now := l.now()
	l.pace.Flush(ctx, now)
	return l.pace.Limits(now)
}

// idle reports whether nothing is in flight.
func (l *limiter) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight == 0
}
