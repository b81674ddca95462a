package worker

import (
	"context"
	"sync/atomic"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
)

// job is a delivery that may be sent now.
type job struct {
	ctx      context.Context
	lane     *lane
	target   *sending.Target
	delivery *delivery.Delivery
	places   *places // to be given back to leave
	object   string  // whose turn it has
}

// maxResting is how many senders wait for a job at most. Each keeps its stack, 16 KiB or so.
const maxResting = 64

// senders are goroutines that do one job after the other. One for each job would grow its stack anew each time
// (docs/measurements.md).
type senders struct {
	do      func(job)
	jobs    chan job // has no room: what is put in is taken by one that rests
	resting atomic.Int64
}

func newSenders(do func(job)) *senders { return &senders{do: do, jobs: make(chan job)} }

// start has a job done by a sender that rests, or by a new one.
func (s *senders) start(j job) {
	select {
	case s.jobs <- j:
	default:
		go s.run(j)
	}
}

// run does a job and those that follow.
func (s *senders) run(j job) {
	for more := true; more; {
		s.do(j)
		if s.resting.Add(1) > maxResting {
			more = false
		} else {
			j, more = <-s.jobs
		}
		s.resting.Add(-1)
	}
}

// end has those go that rest, and later those that work. Nothing may be started then.
func (s *senders) end() { close(s.jobs) }
