package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
)

// merged is a delivery that was held and that another carries the events of since.
type merged struct {
	Was  delivery.Delivery
	Into string
}

// Reconsider lets go what the rules do not hold any more.
func (d *Deliveries) Reconsider(ctx context.Context, tenant, integration string) error {
	return d.letGo(ctx, key{tenant, integration}, d.e.now(), func(delivery.Delivery) bool { return true })
}

// letGo decides on those of an integration's deliveries that are held and meant.
func (d *Deliveries) letGo(ctx context.Context, k key, now time.Time, meant func(delivery.Delivery) bool) error {
	if len(d.held(k, meant)) == 0 {
		return nil
	}
	holding, err := delivery.HoldingOf(ctx, d.e.Holder, k.tenant, k.id) // which may read the engine
	if err != nil {
		return fmt.Errorf("read what holds deliveries to integration %s: %w", k.id, err)
	}
	held := d.held(k, meant)
	defer d.e.lock()()
	all := d.e.deliveries[k]
	to := holding.LetGo(held, now, func(v delivery.Delivery) int { return delivery.Size(v.Events) })
	for _, v := range to.Off {
		all[v.ID] = v
	}
	for _, v := range to.Alone {
		v.Due = time.Time{}
		all[v.ID] = v
	}
	for _, group := range to.Merged {
		first := all[group[0].ID]
		for _, g := range group[1:] {
			first.Merge(all[g.ID])
			if d.e.merged[k] == nil {
				d.e.merged[k] = map[string]merged{}
			}
			d.e.merged[k][g.ID] = merged{all[g.ID], first.ID}
			delete(all, g.ID)
		}
		first.Due, first.Digest, first.Held = time.Time{}, group[0].Digest, group[0].Held
		all[first.ID] = first
	}
	return nil
}

// held are those of an integration's deliveries that are held and meant, oldest first.
func (d *Deliveries) held(k key, meant func(delivery.Delivery) bool) (out []delivery.Delivery) {
	defer d.e.lock()()
	for _, v := range d.e.deliveries[k] {
		if v.State == delivery.Pending && v.Held != nil && !v.Due.IsZero() && meant(v) {
			out = append(out, stored(v))
		}
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
