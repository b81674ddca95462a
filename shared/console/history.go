package console

import (
	"context"
	"time"

	"tocsin/shared/delivery"
)

// History reads deliveries and their attempts, and sends them again. Implementations are safe for concurrent use.
type History interface {
	// Get returns one delivery with its events and attempts. Error: ErrNotFound.
	Get(ctx context.Context, tenant, integration, id string) (delivery.Delivery, error)
	// List returns an integration's deliveries, newest first, without events.
	List(ctx context.Context, q delivery.Query) ([]delivery.Delivery, error)
	// Replay makes ended deliveries (see delivery.Replay) ready to be sent again, in a new run under the same ids, and
	// returns how many and the last id it looked at, "" when the range is done: call again with After set. One that is
	// named and retrying is on its way, unless its next attempt is Overdue: then it begins a new run as well.
	Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error)
}

// RejectedEntries lists the entries that fan-out refused: each is kept as a dead letter.
type RejectedEntries interface {
	// DeadLetters returns rejected entries, newest first: those of one tenant, or all with tenant "*". before is
	// the id to go on from, "" at first.
	DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error)
}

// Resender sends rejected entries again after what was wrong is mended: the platform's release, or ours.
type Resender interface {
	// Resend puts a dead letter's entry on the bus anew, from where it goes through fan-out, and notes the time with
	// it. A dead letter is sent again once: sent is false when it was before. If it is refused again, that is a dead
	// letter of its own. The tenant "*" finds those of all. Errors: delivery.ErrNotFound, delivery.ErrNoEntry.
	Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error)
}
