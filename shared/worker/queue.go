package worker

import (
	"context"
	"time"

	"tocsin/shared/delivery"
)

// Queue hands out deliveries to send. A leased delivery is hidden until it is settled, released, or its lease ends;
// leases do not outlive the process.
type Queue interface {
	// Waiting returns the lanes with something to send at now, and when the next retry is due, the next batch window
	// closes, or the next hold ends; zero for never.
	Waiting(ctx context.Context, now time.Time) (lanes []delivery.Lane, next time.Time, err error)
	// Closes is when the first batch window or hold of a lane ends; zero: nothing waits for one. It is asked whenever
	// a lane has nothing left to send, so it takes no I/O.
	Closes(lane delivery.Lane) time.Time
	// Lease hands out up to limit deliveries of a lane, oldest first, with their events: retries that are due by the
	// given time, which need not be now, and none whose lease has not ended by now. Those whose batch
	// windows have closed are coalesced before, as delivery.Coalesce says, and what is held no longer is let go, as
	// delivery.Holding says.
	Lease(ctx context.Context, lane delivery.Lane, limit int, due, now, until time.Time) ([]delivery.Delivery, error)
	// Hasten brings what is due after the given time, and batch windows that close after it, forward by so much, but
	// not before now: the clock went back. What is held stays so until the time that a clock shows.
	Hasten(ctx context.Context, now, after time.Time, by time.Duration) error
	// Release gives leased deliveries back as they are stored.
	Release(ctx context.Context, deliveries []delivery.Delivery) error
}
