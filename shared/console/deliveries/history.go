package deliveries

import (
	"context"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
)

// History reads deliveries and their attempts, and sends them again. Implementations are safe for concurrent use.
type History interface {
	deliverylog.Store
	// Get returns one delivery with its events and attempts. Error: ErrNotFound.
	Get(ctx context.Context, tenant, integration, id string) (delivery.Delivery, error)
	// List returns an integration's deliveries, newest first, without events.
	List(ctx context.Context, q delivery.Query) ([]delivery.Delivery, error)
	// Replay makes ended deliveries (see delivery.Replay) ready to be sent again, in a new run under the same ids, and
	// returns how many and the last id it looked at, "" when the range is done: call again with After set. One that is
	// named and retrying is on its way, unless its next attempt is Overdue: then it begins a new run as well.
	Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error)
}

// DeadLetters reads and resends the entries that fan-out refused: each is kept with its reason. Implementations are
// safe for concurrent use.
type DeadLetters interface {
	// DeadLetters returns a tenant's rejected entries, newest first. before is the id to go on from, "" at first.
	DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error)
	// AllDeadLetters returns those of all tenants, for an operator of the platform.
	AllDeadLetters(ctx context.Context, before string, limit int) ([]delivery.DeadLetter, error)
	// Resend puts the entry of a tenant's dead letter on the bus anew, after what was wrong is mended. From there it
	// goes through fan-out. The time is noted with the dead letter. It is sent again once: sent is false when it was
	// before. If it is refused again, that is a dead letter of its own. Errors: delivery.ErrNotFound,
	// delivery.ErrNoEntry.
	Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error)
	// ResendOfAny does so with a dead letter of any tenant, for an operator of the platform.
	ResendOfAny(ctx context.Context, id string, at time.Time) (sent bool, err error)
}
