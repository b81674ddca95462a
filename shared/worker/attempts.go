package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
)

// batchResult is what came of one attempt at each delivery of a batch. left are those that there was no time for, or
// that the system wants to be spared from for a while.
type batchResult struct {
	sent       []sending.Outcome
	left, kept []delivery.Delivery // kept: those of left of which parts arrived before their attempt broke off
	spare      time.Duration
	limited    bool // the system wants to be spared, or gives no answer
	dead, lost bool // it gives no answer; our own way out is gone
}

// Bounds of how long is waited before a system is asked again that wants to be spared.
const (
	// spareDead is the shortest for a dead receiver: a function's time costs money.
	spareDead = 30 * time.Second
	// What has waited already asks again after a quarter of that time, so that a thousand message batches do not ask a
	// thousand times each; but not after more than spareMost.
	spareMost   = 5 * time.Minute
	spareTenths = 4
	// spareLost is the most when our own way out is gone.
	spareLost = time.Minute
)

// after is how long what was left waits, of which the first wait began at since.
func (a batchResult) after(now, since time.Time) time.Duration {
	if a.spare == 0 {
		return 0
	}
	wait := max(a.spare, time.Second)
	if a.dead {
		wait = max(wait, spareDead)
	}
	if len(a.sent) > 0 || since.IsZero() {
		return wait
	}
	most := spareMost
	if a.lost {
		most = spareLost
	}
	wait = max(wait, min(now.Sub(since)/spareTenths, most))
	return wait + rand.N(wait/4)
}

// How long a call waits at most for the pace of a system at a time: one with a budget, because other processes wait to
// book meanwhile, and one without.
const (
	awaitShort = 10 * time.Second
	awaitMost  = 30 * time.Second
)

// patience is that of a call.
func (h *Handler) patience(began time.Time) patience {
	if h.Budget == 0 {
		return patience{span: awaitMost}
	}
	return patience{span: awaitShort, until: began.Add(h.Budget)}
}

// collector takes the results of attempts that run side by side.
type collector struct {
	mu  sync.Mutex
	out batchResult
	err error // of an attempt that broke off
}

// note takes the result of one attempt.
func (c *collector) note(before delivery.Delivery, after sending.Outcome, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.out.sent = append(c.out.sent, after)
		return
	}
	c.out.left = append(c.out.left, before)
	if after.Kept {
		c.out.kept = append(c.out.kept, after.Delivery)
	}
	if errors.Is(err, sending.ErrEgress) { // our own fault: it is handed out again
		c.out.spare, c.out.lost = max(c.out.spare, sending.EgressPause), true
		return
	}
	c.err = fmt.Errorf("send delivery %s of integration %s: %w", before.ID, before.Integration, err)
}

// leave takes deliveries that were not sent: they are to wait, because the receiver is dead perhaps.
func (c *collector) leave(deliveries []delivery.Delivery, wait time.Duration, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.left = append(c.out.left, deliveries...)
	c.out.spare, c.out.dead = max(c.out.spare, wait), dead
}

// attempts makes one attempt at each delivery, side by side, as the limiter lets them begin.
func (h *Handler) attempts(ctx context.Context, l *limiter, target *sending.Target, deliveries []delivery.Delivery,
	began time.Time) (batchResult, error) {
	var c collector
	defer l.heed(ctx)()
	l.keepTo(ctx, target.Integration.Rate)
	patience := h.patience(began)
	var work sync.WaitGroup
	for n, d := range deliveries {
		l.enter(ctx)
		wait, dead, ok := l.begin(ctx, d.ID, len(deliveries)-n, patience)
		if !ok {
			l.leave(nil)
			c.leave(deliveries[n:], wait, dead)
			break
		}
		work.Go(func() {
			after, err := h.Sender.Send(ctx, target, d)
			l.learn(ctx, after, err) // may call a service: the other answers do not wait for that
			if c.note(d, after, err); err == nil {
				l.leave(&after)
			} else {
				l.leave(nil)
			}
		})
	}
	work.Wait()
	out, err := c.out, c.err
	out.limited = l.flush(context.WithoutCancel(ctx))
	h.paces.Forget(target.Integration.Tenant, target.Integration.ID, h.Sender.Now())
	if len(out.sent) > 0 {
		err = nil // what broke off is left over; what was sent must be written
	}
	if len(out.kept) > 0 {
		err = errors.Join(err, h.settle(context.WithoutCancel(ctx), out.kept))
	}
	slices.SortFunc(out.sent, func(a, b sending.Outcome) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}
