package worker

import (
	"context"
	"fmt"

	"tocsin/shared/delivery"
	"tocsin/shared/integration"
)

// Fallbacks says where the events of a dead delivery go instead.
type Fallbacks interface {
	// Of returns what is to be kept with a delivery that died on an integration, with the delivery that is made of it;
	// nil where the integration has no fallback. Asked again it says the same.
	Of(ctx context.Context, i integration.Integration, d delivery.Delivery) (*delivery.Fallback, error)
}

// fallBack adds to a delivery that died on an integration where its events go instead. i is nil where it is gone.
func fallBack(ctx context.Context, f Fallbacks, i *integration.Integration, d *delivery.Delivery) error {
	if f == nil || i == nil || d.State != delivery.Dead {
		return nil
	}
	to, err := f.Of(ctx, *i, *d)
	if err != nil {
		return fmt.Errorf("make the fallback of delivery %s of integration %s: %w", d.ID, d.Integration, err)
	}
	d.Fallback = to
	return nil
}

// fallenLanes are those of the deliveries that were made of dead ones.
func fallenLanes(deliveries []delivery.Delivery) (out []delivery.Lane) {
	for _, d := range deliveries {
		if d.Fallback != nil && d.Fallback.Made != nil {
			out = append(out, delivery.Lane{Tenant: d.Tenant, Integration: d.Fallback.Integration})
		}
	}
	return out
}
