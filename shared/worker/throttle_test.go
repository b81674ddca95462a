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
	"tocsin/shared/health"
	"tocsin/shared/worker"
)

// patient is a system that takes one request a second and says so, as Slack does (wire facts), with a burst of one.
type patient struct {
	mu   sync.Mutex
	next time.Time
	took int
	told int // to wait
}

func (p *patient) Do(context.Context, destination.Request) (destination.Response, error) {
	time.Sleep(20 * time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Before(p.next) {
		p.told++
		return destination.Response{Status: 429, Header: http.Header{"Retry-After": {"1"}}}, nil
	}
	p.next = time.Now().Add(time.Second)
	p.took++
	return destination.Response{Status: 200}, nil
}

func TestABurstDoesNotDisableASystemThatTakesAMessageASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &patient{}
		r := start(t, worker.Limits{}, slow.Do)
		r.add("i")
		var list []string
		for n := range 300 {
			list = append(list, fmt.Sprintf("d%03d", n))
		}
		r.send("i", list...)
		for range 1000 {
			if time.Sleep(time.Second); r.queue.count(delivery.Delivered) == 300 {
				break
			}
		}
		r.stop()
		i, err := r.integrations.Get(t.Context(), "42", "i")
		require.NoError(t, err)
		require.True(t, i.Enabled(), "%v of %d requests were told to wait", slow.told, slow.told+slow.took)
		require.Equal(t, 300, r.queue.count(delivery.Delivered))
		require.Less(t, health.DefaultPercent*(slow.told+slow.took), 100*slow.took*2, "far from the limit")
	})
}

func TestALaneThatIsToldToWaitSendsNothingMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
			if len(at) == 1 {
				return destination.Response{Status: 503, Header: http.Header{"Retry-After": {"90"}}}, nil
			}
			return status(200)
		})
		r.add("i")
		r.send("i", "a")
		time.Sleep(time.Second)
		r.send("i", "b")
		time.Sleep(5 * time.Minute)
		r.stop()
		require.Equal(t, []time.Duration{0, 90 * time.Second, 90 * time.Second}, at,
			"b waits too: the system asked for quiet")
	})
}

func TestAMessageBatchToASystemThatTakesAMessageASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &patient{}
		s := sender(t, slow.Do)
		s.Monitor.Rule.Minimum = 20
		var list []string
		for n := range 90 {
			list = append(list, fmt.Sprintf("d%03d", n))
		}
		s.deliver(s.pending(list...))
		for visits := 0; len(s.batches.enqueued) > 0; visits++ {
			require.Less(t, visits, 200)
			p, after := s.batches.enqueued[0], s.batches.after[0]
			s.batches.enqueued, s.batches.after = s.batches.enqueued[1:], s.batches.after[1:]
			require.GreaterOrEqual(t, after, time.Second)
			time.Sleep(after)
			s.deliver(p)
		}
		i, err := s.integrations.Get(t.Context(), "42", "i")
		require.NoError(t, err)
		require.True(t, i.Enabled(), "%v of %d requests were told to wait", slow.told, slow.told+slow.took)
		for _, b := range s.batches.started {
			s.machine(b)
		}
		require.Equal(t, 90, s.batches.count(delivery.Delivered))
	})
}
