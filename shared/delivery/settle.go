package delivery

import (
	"context"
	"errors"
	"log/slog"
)

// settler is the part of Log and Shelf that writes outcomes.
type settler interface {
	Settle(ctx context.Context, deliveries []Delivery) error
}

// settle writes outcomes. Where some wait nowhere any more, because they were handed out twice and the other visit was
// faster, the rest is written one by one: nothing must keep the others from being written.
func settle(ctx context.Context, s settler, log *slog.Logger, deliveries []Delivery) error {
	err := s.Settle(ctx, deliveries)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	err = nil
	for _, d := range deliveries {
		switch one := s.Settle(ctx, []Delivery{d}); {
		case errors.Is(one, ErrNotFound):
			log.Warn("an outcome was written by another visit before", "tenant", d.Tenant, "integration", d.Integration, "delivery", d.ID, "state", d.State)
		default:
			err = errors.Join(err, one)
		}
	}
	return err
}
