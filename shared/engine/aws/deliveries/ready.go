package deliveries

import (
	"context"
	"fmt"
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// Ready writes the rows of an intake's deliveries, sends their messages, and returns how many were to be sent: what is
// held is not among them, since its own marker looks after it. again
// is true where some of that may have been done, written where all rows were: what is missing then was merged into a
// file.
func (d *Store) Ready(ctx context.Context, m intakes.Intake, again, written bool) (count int, err error) {
	rows := make([]table.Item, len(m.Deliveries))
	expires := d.DeliveriesExpire(ctx, m.Tenant)
	for n, v := range m.Deliveries {
		if rows[n], err = d.write(v, []string{m.ID}, expires); err != nil {
			return 0, err
		}
	}
	ready := m.Deliveries
	if again {
		ready, err = d.rewrite(ctx, m.Deliveries, rows, written)
	} else {
		// What is there was written by this very call, whose answer was lost, or by the sweeper a moment ago. What was
		// there and was merged since is written again, as a copy: see windows.go.
		_, err = table.InsertAll(ctx, d.DB, d.Tables.Deliveries, rows)
	}
	if err != nil {
		return 0, fmt.Errorf("write %d deliveries: %w", len(m.Deliveries), err)
	}
	count = len(ready)
	for _, v := range ready {
		if v.Held != nil && !v.Due.IsZero() {
			count--
		}
	}
	return count, d.Send(ctx, ready, again)
}

// rewrite writes the rows that are missing, unless all were written, and returns them and those that are pending.
func (d *Store) rewrite(
	ctx context.Context, deliveries []delivery.Delivery, rows []table.Item, written bool,
) (ready []delivery.Delivery, err error) {
	keys := make([]table.Item, len(deliveries))
	for n, v := range deliveries {
		keys[n] = Key(v.Tenant, v.Integration, v.ID)
	}
	found, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, true, "lane", "id", "state", "due")
	if err != nil {
		return nil, err
	}
	by := make(map[string]table.Item, len(found))
	for _, r := range found {
		by[table.TextOf(r, "lane")+" "+table.TextOf(r, "id")] = r
	}
	var missing []table.Item
	for n, v := range deliveries {
		row := by[table.LaneKey(v.Tenant, v.Integration)+" "+v.ID]
		switch {
		case table.TextOf(row, "state") == string(delivery.Pending):
			v.Due = table.Instant(table.NumberOf(row, "due")) // what has been merged waits no longer
			ready = append(ready, v)
		case row == nil && !written:
			merged, err := d.merged(ctx, v)
			if err != nil {
				return nil, err
			}
			if !merged {
				ready, missing = append(ready, v), append(missing, rows[n])
			}
		}
	}
	_, err = table.InsertAll(ctx, d.DB, d.Tables.Deliveries, missing)
	return ready, err
}

// merged reports whether another delivery of the same window carries a delivery that waited: then its row is gone. It
// spares the log a copy for a moment; where one is written all the same it is removed with its window.
func (d *Store) merged(ctx context.Context, v delivery.Delivery) (bool, error) {
	if v.Due.IsZero() || v.Held != nil { // the row of one that was held stays
		return false, nil
	}
	// Also before the window has closed by this clock: by that of the function which merged it, it may be.
	list := make([]fanout.Accepted, len(v.Events))
	for n, e := range v.Events {
		list[n] = fanout.Accepted{Event: e, Entry: delivery.Entry{At: v.Due}}
	}
	carried, err := d.Carried(ctx, v.Tenant, v.Integration, list)
	return slices.Contains(carried, true), err
}

// Send sends the messages of deliveries: those that wait for a window have one message together, and those that are
// held for an integration have a marker.
func (d *Store) Send(ctx context.Context, ready []delivery.Delivery, again bool) error {
	var now []delivery.Delivery
	var waiting, held []delivery.Delivery
	for _, v := range ready {
		switch {
		case v.Due.IsZero():
			now = append(now, v)
		case v.Held != nil:
			held = append(held, v)
		default:
			waiting = append(waiting, v)
		}
	}
	windows, err := d.windowBatches(ctx, waiting, again)
	if err != nil {
		return err
	}
	due, err := d.markHeld(ctx, held)
	if err != nil {
		return err
	}
	windows = append(windows, due...)
	return d.Enqueue(ctx, append(messageBatches(now), windows...), 0)
}
