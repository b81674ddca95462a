package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tocsin/shared/delivery"
)

// Waiting lists the lanes with work.
func (d *Deliveries) Waiting(_ context.Context, now time.Time) (lanes []delivery.Lane, next time.Time, err error) {
	defer d.e.lock()()
	ready := map[delivery.Lane]bool{}
	for k, all := range d.e.deliveries {
		for _, v := range all {
			switch {
			case v.State != delivery.Pending && v.State != delivery.Retrying:
			case !v.Due.After(now):
				ready[delivery.Lane{Tenant: k.tenant, Integration: k.id, Retry: v.State == delivery.Retrying}] = true
			case next.IsZero() || v.Due.Before(next):
				next = v.Due
			}
		}
	}
	return slices.SortedFunc(maps.Keys(ready), func(a, b delivery.Lane) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Integration, b.Integration))
	}), next, nil
}

// Closes is when the first batch window or hold of a lane ends.
func (d *Deliveries) Closes(l delivery.Lane) (first time.Time) {
	defer d.e.lock()()
	for _, v := range d.e.deliveries[key{l.Tenant, l.Integration}] {
		if v.State == delivery.Pending && !v.Due.IsZero() && (first.IsZero() || v.Due.Before(first)) {
			first = v.Due
		}
	}
	return first
}

// Lease hands out the oldest deliveries of a lane that are not leased.
func (d *Deliveries) Lease(ctx context.Context, lane delivery.Lane, limit int, due, now,
	until time.Time) (out []delivery.Delivery, err error) {
	k := key{lane.Tenant, lane.Integration}
	if !lane.Retry {
		if err := d.letGo(ctx, k, now, func(v delivery.Delivery) bool { return !v.Due.After(now) }); err != nil {
			return nil, err
		}
	}
	defer d.e.lock()()
	if !lane.Retry {
		d.e.closeWindows(k, now)
	}
	for id, v := range d.e.deliveries[k] {
		if held, ok := d.e.leases[id]; ok && now.Before(held) {
			continue
		}
		first := !lane.Retry && v.State == delivery.Pending && v.Due.IsZero()
		if first || lane.Retry && v.State == delivery.Retrying && !v.Due.After(due) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
	out = out[:min(limit, len(out))]
	for n, v := range out {
		d.e.leases[v.ID], out[n] = until, stored(v)
	}
	return out, nil
}

// closeWindows lets the deliveries of batch windows that are closed at now become one for each window.
func (e *Engine) closeWindows(k key, now time.Time) {
	var waiting []delivery.Windowed
	for _, v := range e.deliveries[k] {
		if v.State == delivery.Pending && v.Held == nil && !v.Due.IsZero() && !v.Due.After(now) {
			waiting = append(waiting, delivery.Windowed{ID: v.ID, Due: v.Due, Count: v.Count,
				Size: delivery.Size(v.Events), Digest: v.Digest})
		}
	}
	slices.SortFunc(waiting, func(a, b delivery.Windowed) int { return cmp.Compare(a.ID, b.ID) })
	for _, group := range delivery.Coalesce(waiting) {
		first := e.deliveries[k][group[0].ID]
		for _, g := range group[1:] {
			first.Merge(e.deliveries[k][g.ID])
			delete(e.deliveries[k], g.ID)
		}
		first.Due = time.Time{}
		e.deliveries[k][first.ID] = first
	}
}

// Hasten makes what waits due earlier.
func (d *Deliveries) Hasten(_ context.Context, now, after time.Time, by time.Duration) error {
	defer d.e.lock()()
	for _, all := range d.e.deliveries {
		for id, v := range all {
			if !v.Due.After(after) || v.Held != nil && v.State == delivery.Pending {
				continue
			}
			if v.Due = v.Due.Add(-by); v.Due.Before(now) {
				v.Due = now
			}
			all[id] = v
		}
	}
	return nil
}

// Release ends leases without a change.
func (d *Deliveries) Release(_ context.Context, deliveries []delivery.Delivery) error {
	defer d.e.lock()()
	for _, v := range deliveries {
		delete(d.e.leases, v.ID)
	}
	return nil
}

// Settle writes the new state of deliveries that wait.
func (d *Deliveries) Settle(_ context.Context, deliveries []delivery.Delivery) error {
	defer d.e.lock()()
	var ended []string
	for _, v := range deliveries {
		delete(d.e.leases, v.ID)
		k := key{v.Tenant, v.Integration}
		was, ok := d.e.deliveries[k][v.ID]
		if !ok || was.State != delivery.Pending && was.State != delivery.Retrying {
			ended = append(ended, v.ID)
			continue
		}
		now := stored(v)
		now.Events, now.CreatedAt = was.Events, was.CreatedAt
		if now.State != delivery.Retrying {
			now.Due, now.Batch = time.Time{}, ""
		}
		if now.Fallback != nil && now.Fallback.Made != nil {
			to := *now.Fallback
			d.e.insert(*to.Made)
			to.Made = nil
			now.Fallback = &to
		}
		d.e.deliveries[k][v.ID] = now
	}
	if len(ended) > 0 {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), &delivery.NotWaitingError{IDs: ended})
	}
	return nil
}

// Leased are the ids of the deliveries whose leases nobody ended.
func (d *Deliveries) Leased() []string {
	defer d.e.lock()()
	return slices.Sorted(maps.Keys(d.e.leases))
}
