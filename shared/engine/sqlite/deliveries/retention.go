package deliveries

import (
	"context"
	"maps"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/retention"
)

// PruneChosen removes what tenants chose not to keep so long: deliveries that ended, dead letters, and events that no
// waiting delivery of the tenant can refer to. There is one prune at a time.
func (d *Deliveries) PruneChosen(ctx context.Context, now time.Time, chosen map[string]retention.Kept) (removed int,
	err error) {
	groups := map[time.Duration][]string{}
	for _, tenant := range slices.Sorted(maps.Keys(chosen)) {
		kept := chosen[tenant]
		groups[kept.Events] = append(groups[kept.Events], tenant)
		for _, ref := range d.refsOf(tenant) {
			n, err := d.pruneLane(ctx, ref, delivery.FirstID(now.Add(-kept.Deliveries)))
			if removed += n; err != nil {
				return removed, err
			}
		}
		n, err := d.PruneDeadLettersOf(ctx, tenant, now.Add(-kept.Events))
		if removed += n; err != nil {
			return removed, err
		}
	}
	d.retained.Forget(func(kept time.Duration) bool { return groups[kept] != nil })
	for kept, tenants := range groups {
		limits := make(map[string]time.Time, len(tenants))
		for _, tenant := range tenants {
			if limits[tenant], err = d.limit(ctx, tenant, now.Add(-kept)); err != nil {
				return removed, err
			}
		}
		n, err := d.retained.Sweep(ctx, now.Add(-kept), kept, tenants, limits)
		if removed += n; err != nil {
			return removed, err
		}
	}
	if removed > 0 {
		err = d.ids.Shrink(ctx, d.db)
	}
	return removed, err
}

// refsOf are the numbers of a tenant's lanes.
func (d *Deliveries) refsOf(tenant string) (out []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, ref := range d.lanes.ref {
		if k.tenant == tenant {
			out = append(out, ref)
		}
	}
	return out
}

// limit is before which a tenant's events go: the time, or that of the oldest delivery that waits.
func (d *Deliveries) limit(ctx context.Context, tenant string, before time.Time) (time.Time, error) {
	refs := d.refsOf(tenant)
	err := d.db.Reading(ctx, func(conn *driver.Conn) error {
		oldest, waits, err := oldestWaiting(conn, refs)
		if kept := oldest.Add(-clockBack); waits && kept.Before(before) {
			before = kept
		}
		return err
	})
	return before, err
}
