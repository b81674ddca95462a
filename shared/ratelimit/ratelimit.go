// Package ratelimit bounds the requests that each tenant makes to the Console API, so that no tenant's script takes
// what all share.
//
// It counts by the minute of the clock, in a Counter that all processes of an engine share. A process takes requests
// from the counter a few at a time: one at first, then twice as many each time, up to a twentieth of the limit. So a
// tenant never gets more than Limit requests in a minute however many processes serve it (but for clocks that differ),
// and never fewer than half of it, since a process leaves at most as many unused as it used. A counter that can not be
// asked bounds nothing: the API works on.
package ratelimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Window is what requests are counted in.
const Window = time.Minute

// share is the part of the limit that a process takes at most at once.
const share = 20

// Counter adds n to a tenant's requests of a window and returns their sum. It may forget a window once it has ended.
type Counter interface {
	Count(ctx context.Context, tenant string, window time.Time, n int) (sum int, err error)
}

// Limiter says who may go on. It is safe for concurrent use.
type Limiter struct {
	Counter Counter
	Limit   int // requests of a tenant in a Window; 0 = as many as it likes
	Now     func() time.Time
	Log     *slog.Logger

	mu     sync.Mutex
	window time.Time
	leases map[string]*lease // by tenant, of the window
}

// lease is what this process took from the counter for a tenant.
type lease struct {
	free, last int
	spent      bool // there is no more to take
}

// Wait is how long a tenant has to wait before its next request; 0 = this one goes on, and is counted.
func (l *Limiter) Wait(ctx context.Context, tenant string) time.Duration {
	if l.Limit <= 0 {
		return 0
	}
	now := l.Now()
	window := now.Truncate(Window)
	until := window.Add(Window).Sub(now)
	of, n := l.take(tenant, window)
	switch {
	case of == nil:
		return 0
	case n == 0:
		return until
	}
	sum, err := l.Counter.Count(ctx, tenant, window, n)
	if err != nil {
		l.Log.Error("count the requests of a tenant: this one goes on uncounted", "tenant", tenant, "error",
			err.Error())
		return 0
	}
	got := min(n, l.Limit-(sum-n))
	l.mu.Lock()
	defer l.mu.Unlock()
	of.spent = of.spent || got < n
	if got <= 0 {
		return until
	}
	of.free += got - 1
	return 0
}

// take uses what was taken before: nil says that it was enough. Else n more are to be taken from the counter, which has
// none left when n is 0.
func (l *Limiter) take(tenant string, window time.Time) (of *lease, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !window.Equal(l.window) || l.leases == nil {
		l.window, l.leases = window, map[string]*lease{}
	}
	of = l.leases[tenant]
	if of == nil {
		of = &lease{}
		l.leases[tenant] = of
	}
	if of.free > 0 {
		of.free--
		return nil, 0
	}
	if of.spent {
		return of, 0
	}
	of.last = max(1, min(2*of.last, l.Limit/share))
	return of, of.last
}

// Memory is the Counter of an engine that is one process. The zero value is ready, and safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	window time.Time
	sums   map[string]int
}

var _ Counter = (*Memory)(nil)

// Count adds. A new window forgets the one before.
func (m *Memory) Count(_ context.Context, tenant string, window time.Time, n int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !window.Equal(m.window) || m.sums == nil {
		m.window, m.sums = window, map[string]int{}
	}
	m.sums[tenant] += n
	return m.sums[tenant], nil
}
