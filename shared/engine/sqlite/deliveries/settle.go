package deliveries

import (
	"context"
	"errors"
	"fmt"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/tables"
	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/fanout"
)

// Settle moves deliveries to where their new state belongs.
func (d *Deliveries) Settle(ctx context.Context, deliveries []delivery.Delivery) error {
	refs, known := make([]int64, len(deliveries)), make([]lease, len(deliveries))
	d.mu.Lock()
	for i, v := range deliveries {
		refs[i] = d.lanes.ref[laneKey{v.Tenant, v.Integration}]
		known[i] = d.leases.of[refs[i]][v.ID]
	}
	d.mu.Unlock()
	d.enter() // fallbacks, and what waits again
	defer d.entered()
	var ended []string // before
	made := intake{}   // the deliveries of fallbacks
	err := d.db.WriteRepeatable(ctx, func(w *db.Writer) error {
		ended = nil
		made.refs, made.made, made.windows = map[laneKey]int64{}, made.made[:0], waiting.Windows{}
		var shared blocks.Settlement
		for i, v := range deliveries {
			err := tables.Settle(w, &shared, refs[i], v, known[i].Known)
			if errors.Is(err, delivery.ErrNotFound) {
				ended, err = append(ended, v.ID), nil
			} else if err == nil && v.Fallback != nil && v.Fallback.Made != nil {
				err = d.makeFallback(w, &made, *v.Fallback.Made)
			}
			if err != nil {
				return fmt.Errorf("delivery %s: %w", v.ID, err)
			}
		}
		return shared.Write(w)
	})
	if err != nil {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), err)
	}
	d.accepted(made)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, v := range deliveries {
		d.leases.end(refs[i], v.ID, v.State == delivery.Pending)
	}
	if len(ended) > 0 {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), &delivery.NotWaitingError{IDs: ended})
	}
	return nil
}

// makeFallback writes a new delivery of events that are stored, unless its id is known.
func (d *Deliveries) makeFallback(w *db.Writer, i *intake, v delivery.Delivery) error {
	i.Accepted, i.numbers, i.next, i.places = nil, nil, 0, nil
	for _, e := range v.Events {
		seq, found, err := d.ids.Find(w.Conn, e.Tenant, e.ID)
		if err != nil {
			return err
		}
		if found {
			i.Accepted, i.numbers = append(i.Accepted, fanout.Accepted{Event: e}), append(i.numbers, seq)
		}
	}
	return d.enqueueNew(w, i, v)
}
