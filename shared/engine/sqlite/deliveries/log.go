package deliveries

import (
	"context"
	"fmt"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/tables"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trace"
)

// The log over all integrations costs a delivery and an event nothing: no table and no index is there for it. Lists are
// read by the keys of the tables of deliveries (ref, id), events by the index of their ids.

var _ deliverylog.Heads = (*Deliveries)(nil)

// Newest reads all lists as they are at one moment.
func (d *Deliveries) Newest(ctx context.Context, queries []delivery.Query) (out []deliverylog.Chunk, err error) {
	err = d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) (err error) {
		out, err = d.Lists(conn, queries, d.ref)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries of %d integrations: %w", len(queries), err)
	}
	return out, nil
}

// Lookup looks each up as Get does.
func (d *Deliveries) Lookup(ctx context.Context, tenant string, names []deliverylog.Name) (out []delivery.Delivery,
	err error) {
	err = d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
		for _, name := range names {
			v := delivery.Delivery{Tenant: tenant, Integration: name.Integration}
			found, err := d.get(conn, name.ID, &v)
			found = found && v.ID == name.ID // else another has its events
			if err != nil {
				return fmt.Errorf("delivery %s: %w", name.ID, err)
			}
			if found {
				out = append(out, v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find %d deliveries: %w", len(names), err)
	}
	return out, nil
}

// Event finds the number of the event by its id.
func (d *Deliveries) Event(ctx context.Context, tenant, id string) (e deliverylog.Event, err error) {
	found := false
	err = d.db.Reading(ctx, func(conn *driver.Conn) error {
		seq, known, err := d.ids.Find(conn, tenant, id)
		if err != nil || !known {
			return err
		}
		return db.Each(conn, "SELECT at, kind, detail, trace FROM events WHERE seq = ?",
			func(s *driver.Stmt) { s.BindInt64(1, seq) }, func(s *driver.Stmt) error {
				decoded, err := event.Decode(s.ColumnText(1), db.Blob(s, 2))
				decoded.Trace = trace.Parent(s.ColumnText(3))
				e.Accepted = fanout.Accepted{Event: decoded, Entry: delivery.Entry{
					Receipt: strconv.FormatInt(seq, 10), DetailType: s.ColumnText(1),
					At: time.Unix(0, s.ColumnInt64(0)).UTC(),
				}}
				found = true
				return err
			})
	})
	if err == nil && !found {
		err = deliverylog.ErrNoEvent
	}
	if err != nil {
		return e, fmt.Errorf("find event %s of tenant %s: %w", id, tenant, err)
	}
	return e, nil
}

// Carrying reads the numbers of the events of deliveries.
func (d *Deliveries) Carrying(ctx context.Context, tenant, integration string, e deliverylog.Event,
	most int) (id string, through bool, err error) {
	ref, ok := d.ref(tenant, integration)
	if !ok {
		return "", true, nil
	}
	seq, err := strconv.ParseInt(e.Entry.Receipt, 10, 64)
	if err != nil {
		return "", false, fmt.Errorf("the receipt %q is not of this engine: %w", e.Entry.Receipt, err)
	}
	within := blocks.Range{From: delivery.FirstID(e.Entry.At.Add(-fanout.CarriedWithin)),
		Before: delivery.FirstID(e.Entry.At.Add(time.Millisecond))}
	var all []tables.Candidate
	err = d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) (err error) {
		all, err = tables.Candidates(conn, ref, within, seq, most+1)
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("look for the delivery of event %s to integration %s: %w", e.Accepted.Event.ID,
			integration, err)
	}
	for n, one := range all {
		if n == most {
			return "", false, nil
		}
		if one.Carrier != "" {
			return one.Carrier, true, nil
		}
	}
	return "", true, nil
}
