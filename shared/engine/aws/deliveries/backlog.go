package deliveries

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/integration"
)

var _ integration.Backlog = (*Store)(nil)

// nextOf is how many of the oldest that wait are looked at for the time of the next retry: a batch shares its times.
const nextOf = 25

// CountWaiting counts what waits for a retry, by the index, and what is held, which has a marker while there is any.
// What waits for its first request is on its way in the queue.
func (d *Store) CountWaiting(ctx context.Context, tenant, id string, limit int) (w integration.Waiting,
	err error) {
	ids, err := d.troubledIDs(ctx, tenant, id, delivery.Retrying, delivery.LeastID, delivery.GreatestID, true, limit)
	if err != nil {
		return w, fmt.Errorf("count what waits for integration %s: %w", id, err)
	}
	w.Count, w.Floor = len(ids), true
	keys := make([]table.Item, min(nextOf, len(ids)))
	for n := range keys {
		keys[n] = Key(tenant, id, ids[n])
	}
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, false)
	if err != nil {
		return w, fmt.Errorf("look for the next retry of integration %s: %w", id, err)
	}
	for _, row := range rows {
		v, err := ReadRow(row)
		if err != nil {
			return w, err
		}
		if v.State == delivery.Retrying && (w.Next.IsZero() || v.Due.Before(w.Next)) {
			w.Next = v.Due
		}
	}
	return w, d.countHeld(ctx, tenant, id, limit, &w)
}

// atOnce is how many integrations are looked at at a time: each is a query and a read.
const atOnce = 16

// CountWaitingOf counts for one after the other, some at a time.
func (d *Store) CountWaitingOf(ctx context.Context, tenant string, integrations []string,
	limit int) ([]integration.Waiting, error) {
	out := make([]integration.Waiting, len(integrations))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for n, id := range integrations {
		work.Go(func() (err error) {
			out[n], err = d.CountWaiting(ctx, tenant, id, limit)
			return err
		})
	}
	return out, work.Wait()
}

// CountDead counts by the index of what failed.
func (d *Store) CountDead(ctx context.Context, tenant, id string, from time.Time, limit int) (int, error) {
	ids, err := d.troubledIDs(ctx, tenant, id, delivery.Dead, delivery.FirstID(from), delivery.GreatestID, true, limit)
	if err != nil {
		return 0, fmt.Errorf("count what was not sent to integration %s: %w", id, err)
	}
	return len(ids), nil
}
