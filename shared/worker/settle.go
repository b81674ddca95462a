package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"tocsin/shared/delivery"
)

// OutcomeWriter writes what became of deliveries.
type OutcomeWriter interface {
	// Settle writes the new state of deliveries after an attempt and ends their leases. Due deliveries are handed
	// out again when their time comes. With a dead one the delivery is made that its Fallback has, and kept with its
	// events as a new one: both or neither; one whose id exists is left as it is. Error: *NotWaitingError when some of
	// them wait nowhere, which make none; the others are written.
	Settle(ctx context.Context, deliveries []delivery.Delivery) error
}

// settle writes outcomes. Some may wait nowhere any more, because they were handed out twice and the other call was
// faster.
func settle(ctx context.Context, s OutcomeWriter, log *slog.Logger, deliveries []delivery.Delivery) error {
	err := s.Settle(ctx, deliveries)
	var late *delivery.NotWaitingError
	if !errors.As(err, &late) {
		return err
	}
	for _, d := range deliveries {
		if slices.Contains(late.IDs, d.ID) {
			log.Warn("an outcome was written by another call before",
				"tenant", d.Tenant, "integration", d.Integration, "delivery", d.ID, "state", d.State)
		}
	}
	return nil
}
