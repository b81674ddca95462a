package deliveries

import (
	"context"
	"fmt"
	"slices"
	"sync"
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
	all, err := d.CountWaitingOf(ctx, tenant, []string{id}, limit)
	if err != nil {
		return w, err
	}
	return all[0], nil
}

const (
	// atOnce is how many integrations are looked at at a time: each is a query.
	atOnce = 16
	// statementRows bounds what one statement brings of what waits for fifty integrations.
	statementRows = 2000
)

// CountWaitingOf counts for many integrations: the index is read for fifty of them in a call, unless more waits than is
// counted; rows and markers are read by the hundred.
func (d *Store) CountWaitingOf(ctx context.Context, tenant string, integrations []string,
	limit int) ([]integration.Waiting, error) {
	out := make([]integration.Waiting, len(integrations))
	waiting, err := d.retrying(ctx, tenant, integrations, limit)
	if err == nil {
		err = d.nextRetries(ctx, tenant, waiting, integrations, out)
	}
	if err == nil {
		err = d.countHeld(ctx, tenant, integrations, limit, out)
	}
	if err != nil {
		return nil, fmt.Errorf("count what waits for %d integrations of tenant %s: %w", len(integrations), tenant, err)
	}
	return out, nil
}

// retrying are the ids of what waits for a retry, the oldest first, up to a limit for each integration.
func (d *Store) retrying(ctx context.Context, tenant string, integrations []string,
	limit int) (map[string][]string, error) {
	keys, of := make([]string, len(integrations)), make(map[string]string, len(integrations))
	for n, id := range integrations {
		keys[n] = troubleKey(tenant, id, delivery.Retrying)
		of[keys[n]] = id
	}
	out := map[string][]string{}
	many := &table.Partitions{Table: d.Tables.Deliveries, Index: troubleIndex, Key: "trouble",
		Fields: []string{"trouble", "id"}, Most: statementRows, AtOnce: atOnce}
	rest, err := many.Read(ctx, d.DB, keys, func(key string, rows []table.Item) error {
		ids := make([]string, len(rows))
		for n, row := range rows {
			ids[n] = table.TextOf(row, "id")
		}
		slices.Sort(ids)
		out[of[key]] = ids[:min(limit, len(ids))]
		return nil
	})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for _, key := range rest {
		work.Go(func() error {
			ids, err := d.troubledIDs(ctx, tenant, of[key], delivery.Retrying, delivery.LeastID, delivery.GreatestID,
				true, limit)
			if err != nil || len(ids) == 0 {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out[of[key]] = ids
			return nil
		})
	}
	return out, work.Wait()
}

// nextRetries counts what waits, and looks up when the next retry of each integration is due.
func (d *Store) nextRetries(ctx context.Context, tenant string, waiting map[string][]string, integrations []string,
	out []integration.Waiting) error {
	var keys []table.Item
	for n, id := range integrations {
		out[n].Count, out[n].Floor = len(waiting[id]), true
		for _, v := range waiting[id][:min(nextOf, len(waiting[id]))] {
			keys = append(keys, Key(tenant, id, v))
		}
	}
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, false)
	if err != nil {
		return fmt.Errorf("look for the next retries: %w", err)
	}
	next := map[string]time.Time{}
	for _, row := range rows {
		v, err := ReadRow(row)
		if err != nil {
			return err
		}
		if at := next[v.Integration]; v.State == delivery.Retrying && (at.IsZero() || v.Due.Before(at)) {
			next[v.Integration] = v.Due
		}
	}
	for n, id := range integrations {
		out[n].Next = next[id]
	}
	return nil
}

// CountDead counts by the index of what failed.
func (d *Store) CountDead(ctx context.Context, tenant, id string, from time.Time, limit int) (int, error) {
	ids, err := d.troubledIDs(ctx, tenant, id, delivery.Dead, delivery.FirstID(from), delivery.GreatestID, true, limit)
	if err != nil {
		return 0, fmt.Errorf("count what was not sent to integration %s: %w", id, err)
	}
	return len(ids), nil
}
