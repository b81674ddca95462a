package worker_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/worker"
)

// clocked notes when requests begin; answer says what comes of the nth.
type clocked struct {
	began  time.Time
	answer func(n int) destination.Response

	to time.Duration // truncated to

	mu sync.Mutex
	at []time.Duration
}

func clock() *clocked {
	return &clocked{began: time.Now(), to: time.Second, answer: func(int) destination.Response {
		return destination.Response{Status: 200}
	}}
}

func (c *clocked) Do(context.Context, destination.Request) (destination.Response, error) {
	c.mu.Lock()
	c.at = append(c.at, time.Since(c.began))
	n := len(c.at)
	c.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	return c.answer(n), nil
}

func (c *clocked) times() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]time.Duration, len(c.at))
	for n, at := range c.at {
		out[n] = at.Truncate(c.to)
	}
	return out
}

func rated(r integration.Rate, revision int64) integration.Integration {
	return integration.Integration{ID: "i", Tenant: "42", System: "plain", Name: "i", Revision: revision, Window: 1,
		Rate: r, Subscriptions: []integration.Subscription{{Event: event.System}}}
}

func secondsOf(n ...int) (out []time.Duration) {
	for _, s := range n {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

func TestAnIntegrationIsSentNoMoreThanItsRateAndTheRestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock()
		r := start(t, worker.Limits{}, c.Do)
		r.integrations.set(rated("10/minute", 1))
		r.send("i", "a", "b", "c", "d", "e")
		time.Sleep(time.Minute)
		require.Equal(t, secondsOf(0, 6, 12, 18, 24), c.times())
		r.send("i", "f") // long after: at once
		time.Sleep(time.Minute)
		r.stop()
		require.Equal(t, secondsOf(0, 6, 12, 18, 24, 60), c.times())
	})
}

func TestAChangedRateHoldsAtOnce(t *testing.T) {
	for to, want := range map[integration.Rate][]time.Duration{
		"20/minute": secondsOf(0, 30, 33, 36), "": secondsOf(0, 30, 30, 30), "1/minute": secondsOf(0, 60, 120, 180),
	} {
		t.Run(string(to), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clock()
				r := start(t, worker.Limits{}, c.Do)
				r.integrations.set(rated("1/minute", 1))
				r.send("i", "a", "b", "c", "d")
				time.Sleep(30 * time.Second)
				r.integrations.set(rated(to, 2))
				r.Recheck("42", "i")
				time.Sleep(5 * time.Minute)
				r.stop()
				require.Equal(t, want, c.times())
			})
		})
	}
}

// What a system asks for goes before the rate where it is slower, and the rate where that is.
func TestARateDoesNotOverruleASystemThatAsksToBeSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock()
		c.answer = func(n int) destination.Response {
			if n == 1 {
				return destination.Response{Status: 503, Header: http.Header{"Retry-After": {"90"}}}
			}
			return destination.Response{Status: 200}
		}
		r := start(t, worker.Limits{}, c.Do)
		r.integrations.set(rated("10/minute", 1))
		r.send("i", "a", "b")
		time.Sleep(5 * time.Minute)
		r.stop()
		require.Equal(t, secondsOf(0, 90, 96), c.times())
	})
}

// Several processes share the rate of an integration, and those of others cost no call of the store.
func TestManyProcessesKeepOneRate(t *testing.T) {
	for _, rate := range []integration.Rate{"1/minute", "10/minute", "5/second"} {
		t.Run(string(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clock()
				c.to = time.Nanosecond
				p, stop := processes(t, 5, health.Rule{}, c.Do)
				p.integrations.set(rated(rate, 1))
				const each = 12
				for n := range 5 {
					var list []string
					for k := range each {
						list = append(list, fmt.Sprintf("d%02d-%03d", n, k))
					}
					p.send("i", list...)
				}
				began := time.Now()
				for p.count(delivery.Delivered) < 5*each && time.Since(began) < 10*time.Hour {
					pass(10 * time.Second)
				}
				stop()
				at := c.times()
				require.Len(t, at, 5*each, "each is sent once")
				for n := 1; n < len(at); n++ {
					require.GreaterOrEqual(t, at[n]-at[n-1], rate.Every(), "message %d of %v", n, at)
				}
				require.Less(t, at[len(at)-1], 3*5*each*rate.Every()+time.Minute, "the rate is used")
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := clock()
		p, stop := processes(t, 2, health.Rule{}, c.Do)
		p.add("i")
		p.send("i", "a", "b", "c")
		pass(time.Minute)
		stop()
		require.Len(t, c.times(), 3)
		require.Zero(t, p.paces.reads.Load()+p.paces.writes.Load(), "without a rate nothing is asked")
	})
}
