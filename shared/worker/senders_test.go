package worker

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	bound "tocsin/shared/patience"
)

// Each job is done once, at once whatever the others do; few senders rest afterwards, and none when it has ended.
func TestSendersDoEachJobOnce(t *testing.T) {
	var running sync.WaitGroup
	var done, working atomic.Int64
	const jobs = 10 * maxResting
	all, meet := make(chan struct{}), make(chan struct{})
	s := newSenders(func(job) {
		defer running.Done()
		if working.Add(1) == jobs {
			close(all)
		}
		<-meet
		done.Add(1)
	})
	running.Add(jobs)
	for range jobs {
		s.start(job{})
	}
	<-all // none waits for another one's end
	close(meet)
	running.Wait()
	resting := func(n int64) func() bool { return func() bool { return s.resting.Load() == n } }
	require.Eventually(t, resting(maxResting), bound.Long, time.Millisecond)
	running.Add(jobs)
	for range jobs {
		s.start(job{})
	}
	running.Wait()
	require.EqualValues(t, 2*jobs, done.Load())
	s.end()
	require.Eventually(t, resting(0), bound.Long, time.Millisecond)
}
