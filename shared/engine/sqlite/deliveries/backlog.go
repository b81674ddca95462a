package deliveries

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/integration"
)

var _ integration.Backlog = (*Deliveries)(nil)

// CountWaiting counts what waits for a first request, for its batch window, or for a retry, and what is held.
func (d *Deliveries) CountWaiting(ctx context.Context, tenant, id string, limit int) (w integration.Waiting,
	err error) {
	ref, ok := d.ref(tenant, id)
	if !ok {
		return w, nil
	}
	if w, err = waiting.Count(ctx, d.db, ref, limit); err != nil {
		return w, fmt.Errorf("count what waits for integration %s: %w", id, err)
	}
	return w, nil
}

// CountWaitingOf looks in the tables which integrations something waits for at all, and counts for those.
func (d *Deliveries) CountWaitingOf(ctx context.Context, tenant string, integrations []string,
	limit int) ([]integration.Waiting, error) {
	refs, err := waiting.Refs(ctx, d.db)
	if err != nil {
		return nil, fmt.Errorf("look for what waits of tenant %s: %w", tenant, err)
	}
	some := make(map[string]bool, len(refs))
	for _, ref := range refs {
		if k := d.laneOf(ref, false); k.Tenant == tenant {
			some[k.Integration] = true
		}
	}
	out := make([]integration.Waiting, len(integrations))
	for n, id := range integrations {
		if some[id] {
			if out[n], err = d.CountWaiting(ctx, tenant, id, limit); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// CountDead counts by the index of the dead.
func (d *Deliveries) CountDead(ctx context.Context, tenant, id string, from time.Time, limit int) (n int, err error) {
	ref, ok := d.ref(tenant, id)
	if !ok {
		return 0, nil
	}
	if n, err = waiting.CountDead(ctx, d.db, ref, from, limit); err != nil {
		return 0, fmt.Errorf("count what was not sent to integration %s: %w", id, err)
	}
	return n, nil
}
