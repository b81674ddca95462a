package worker

import (
	"cmp"
	"time"
)

// Limits bound the work in flight, so that a slow or hanging system delays nobody else and memory does not grow
// with the backlog. The zero value of a field is its default.
type Limits struct {
	// PerLane is how many requests to one integration are in flight at once. A lane begins with one; see limiter. 32.
	PerLane int
	// Failing replaces PerLane while the last request of the lane failed; 2.
	Failing int
	// Total bounds the requests in flight to integrations that work, FailingTotal those to the failing ones: the
	// dead can not use up the room of the living. 512 and 256.
	Total, FailingTotal int
	// Mails bounds the deliveries of mails in flight, however many people and integrations are mailed to: they share
	// one mail server, which takes a few at a time, and while they wait for it they take up nobody else's room. 64.
	Mails int
	// Lease is how many deliveries a lane takes at once; 128.
	Lease int
	// Grace is how long a stop waits for requests in flight before it gives them up (they are sent again at the
	// next start); 5 s.
	Grace time.Duration
}

func (l Limits) filled() Limits {
	return Limits{
		PerLane: cmp.Or(l.PerLane, 32), Failing: cmp.Or(l.Failing, 2),
		Total: cmp.Or(l.Total, 512), FailingTotal: cmp.Or(l.FailingTotal, 256),
		Mails: cmp.Or(l.Mails, 64), Lease: cmp.Or(l.Lease, 128), Grace: cmp.Or(l.Grace, 5*time.Second),
	}
}
