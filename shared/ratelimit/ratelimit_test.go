package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/ratelimit"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func at(second int) *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, second, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func limiter(c *clock, counter ratelimit.Counter, limit int) *ratelimit.Limiter {
	return &ratelimit.Limiter{Counter: counter, Limit: limit, Now: c.Now, Log: slog.New(slog.DiscardHandler)}
}

func TestATenantGetsItsLimitInEachMinuteAndDelaysNobodyElse(t *testing.T) {
	c := at(15)
	l := limiter(c, &ratelimit.Memory{}, 100)
	for range 100 {
		require.Zero(t, l.Wait(t.Context(), "42"))
	}
	require.Equal(t, 45*time.Second, l.Wait(t.Context(), "42"), "until the minute ends")
	require.Zero(t, l.Wait(t.Context(), "43"))
	c.advance(44 * time.Second)
	require.Equal(t, time.Second, l.Wait(t.Context(), "42"))
	c.advance(time.Second)
	for range 100 {
		require.Zero(t, l.Wait(t.Context(), "42"))
	}
	require.Equal(t, time.Minute, l.Wait(t.Context(), "42"))
}

func TestProcessesTogetherLetThroughNoMoreThanTheLimitAndNoFewerThanHalf(t *testing.T) {
	for _, processes := range []int{1, 2, 7, 40, 300} {
		c, counter := at(0), &ratelimit.Memory{}
		var all []*ratelimit.Limiter
		for range processes {
			all = append(all, limiter(c, counter, 240))
		}
		passed, refused := 0, 0
		var work sync.WaitGroup
		var mu sync.Mutex
		for _, l := range all {
			work.Go(func() {
				for range 1 + 1200/processes {
					ok := l.Wait(t.Context(), "42") == 0
					mu.Lock()
					if ok {
						passed++
					} else {
						refused++
					}
					mu.Unlock()
				}
			})
		}
		work.Wait()
		require.LessOrEqual(t, passed, 240, processes)
		require.GreaterOrEqual(t, passed, 120, processes)
		require.Positive(t, refused, processes)
	}
}

// counted tells how often it was asked.
type counted struct {
	ratelimit.Memory
	mu    sync.Mutex
	calls int
	err   error
}

func (c *counted) Count(ctx context.Context, tenant string, window time.Time, n int) (int, error) {
	c.mu.Lock()
	c.calls++
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Memory.Count(ctx, tenant, window, n)
}

func TestAFloodAsksTheCounterAFewTimesOnly(t *testing.T) {
	counter := &counted{}
	l := limiter(at(0), counter, 1200)
	for range 100_000 {
		l.Wait(t.Context(), "42")
	}
	require.Less(t, counter.calls, 30)
}

func TestACounterThatFailsBoundsNothing(t *testing.T) {
	l := limiter(at(0), &counted{err: errors.New("away")}, 1)
	for range 5 {
		require.Zero(t, l.Wait(t.Context(), "42"))
	}
}

func TestNoLimitCountsNothing(t *testing.T) {
	counter := &counted{}
	l := limiter(at(0), counter, 0)
	require.Zero(t, l.Wait(t.Context(), "42"))
	require.Zero(t, counter.calls)
}
