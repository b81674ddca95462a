package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

var _ deliverylog.Store = (*Deliveries)(nil)

// Newest lists each integration's.
func (d *Deliveries) Newest(ctx context.Context, queries []delivery.Query) ([]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	for n, q := range queries {
		rows, err := d.List(ctx, q)
		if err != nil {
			return nil, err
		}
		if out[n].Rows = rows; len(rows) == q.Limit {
			out[n].Reached = rows[len(rows)-1].ID
		}
	}
	return out, nil
}

// Lookup returns those that are there.
func (d *Deliveries) Lookup(_ context.Context, tenant string, names []deliverylog.Name) (out []delivery.Delivery,
	err error) {
	defer d.e.lock()()
	for _, name := range names {
		if v, ok := d.e.deliveries[key{tenant, name.Integration}][name.ID]; ok {
			out = append(out, stored(v))
		}
	}
	return out, nil
}

// Event looks for an accepted event.
func (d *Deliveries) Event(_ context.Context, tenant, id string) (deliverylog.Event, error) {
	defer d.e.lock()()
	for _, a := range d.e.accepted {
		if a.Event.Tenant == tenant && a.Event.ID == id {
			return deliverylog.Event{Accepted: fanout.Accepted{Event: a.Event, Entry: a.Entry}}, nil
		}
	}
	return deliverylog.Event{}, fmt.Errorf("find event %s of tenant %s: %w", id, tenant, deliverylog.ErrNoEvent)
}

// Carrying looks at the deliveries of the time before the event.
func (d *Deliveries) Carrying(_ context.Context, tenant, integration string, e deliverylog.Event,
	most int) (id string, through bool, err error) {
	defer d.e.lock()()
	from, to := e.Entry.At.Add(-fanout.CarriedWithin), e.Entry.At.Add(time.Millisecond)
	near := d.e.of(key{tenant, integration}, from, to)
	for id, m := range d.e.merged[key{tenant, integration}] {
		holds := slices.ContainsFunc(m.Was.Events, func(c event.Event) bool { return c.ID == e.Accepted.Event.ID })
		if holds && id >= delivery.FirstID(from) && id < delivery.FirstID(to) {
			return m.Into, true, nil
		}
	}
	for n, v := range slices.Backward(near) {
		if n < len(near)-most {
			return "", false, nil
		}
		if slices.ContainsFunc(v.Events, func(c event.Event) bool { return c.ID == e.Accepted.Event.ID }) {
			return v.ID, true, nil
		}
	}
	return "", true, nil
}
