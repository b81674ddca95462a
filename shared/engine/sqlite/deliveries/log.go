package deliveries

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trace"
)

// The log over all integrations costs a delivery and an event nothing: no table and no index is there for it. Lists are
// read by the keys of the tables of deliveries (ref, id), events by the index of their ids.

var _ deliverylog.Store = (*Deliveries)(nil)

// tablesOf are the parts of a query for deliveries in these states; the parameters are the ref, the first id and the id
// after the last.
func tablesOf(states []delivery.State) (parts []string) {
	in := func(s delivery.State) bool { return len(states) == 0 || slices.Contains(states, s) }
	const within = "WHERE ref = ?1 AND id >= ?2 AND id < ?3"
	if in(delivery.Pending) {
		parts = append(parts, "SELECT id, 0, 0, body FROM pending "+within,
			"SELECT id, 0, due, body FROM gathering "+within)
	}
	if in(delivery.Retrying) {
		parts = append(parts, "SELECT id, 1, due, body FROM retrying "+within)
	}
	switch dead, delivered := in(delivery.Dead), in(delivery.Delivered); {
	case dead && delivered:
		parts = append(parts, "SELECT id, 2 + dead, 0, body FROM finished "+within)
	case dead:
		parts = append(parts, "SELECT id, 3, 0, body FROM finished "+within+" AND dead = 1")
	case delivered:
		parts = append(parts, "SELECT id, 2, 0, body FROM finished "+within+" AND dead = 0")
	}
	return parts
}

// newest reads the newest deliveries of an integration that a query selects: SQLite merges the tables by their keys.
func (d *Deliveries) newest(conn *driver.Conn, q delivery.Query) (out []delivery.Delivery, err error) {
	ref, ok := d.ref(q.Tenant, q.Integration)
	if !ok {
		return nil, nil
	}
	before := delivery.GreatestID
	if !q.To.IsZero() {
		before = delivery.FirstID(q.To)
	}
	if q.Before != "" {
		before = min(before, q.Before)
	}
	err = db.Each(conn, strings.Join(tablesOf(q.States), " UNION ALL ")+" ORDER BY 1 DESC LIMIT ?4",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, delivery.FirstID(q.From))
			s.BindText(3, before)
			s.BindInt64(4, int64(q.Limit))
		}, func(s *driver.Stmt) error {
			v := delivery.Delivery{ID: s.ColumnText(0), Tenant: q.Tenant, Integration: q.Integration,
				State: places[s.ColumnInt(1)], Due: db.Time(s.ColumnInt64(2))}
			v.CreatedAt = madeAt(v.ID)
			_, err := packed.Decode(db.Blob(s, 3), &v)
			out = append(out, v)
			return err
		})
	return out, err
}

// Newest reads all lists as they are at one moment.
func (d *Deliveries) Newest(ctx context.Context, queries []delivery.Query) ([]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	err := d.db.Reading(ctx, func(conn *driver.Conn) error {
		for n, q := range queries {
			rows, err := d.newest(conn, q)
			if err != nil {
				return err
			}
			if out[n].Rows = rows; len(rows) == q.Limit {
				out[n].Reached = rows[len(rows)-1].ID
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries of %d integrations: %w", len(queries), err)
	}
	return out, nil
}

// Lookup looks each up as Get does.
func (d *Deliveries) Lookup(ctx context.Context, tenant string, names []deliverylog.Name) (out []delivery.Delivery,
	err error) {
	err = d.db.Reading(ctx, func(conn *driver.Conn) error {
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

// carryingOne lists the deliveries within a range of ids, each with the one that its events are in.
const carryingOne = `SELECT id, id, body FROM pending WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, id, body FROM gathering WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, id, body FROM retrying WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, id, body FROM finished WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, into_id, body FROM merged WHERE ref = ?1 AND id >= ?2 AND id < ?3`

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
	looked := 0
	err = d.db.Query(ctx, carryingOne+" ORDER BY 1 DESC LIMIT ?4",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, delivery.FirstID(e.Entry.At.Add(-fanout.CarriedWithin)))
			s.BindText(3, delivery.FirstID(e.Entry.At.Add(time.Millisecond)))
			s.BindInt64(4, int64(most)+1)
		}, func(s *driver.Stmt) error {
			if looked++; looked > most {
				return errEnough
			}
			var v delivery.Delivery
			seqs, err := packed.Decode(db.Blob(s, 2), &v)
			if err == nil && slices.Contains(seqs, seq) {
				id, err = s.ColumnText(1), errEnough
			}
			return err
		})
	if err != nil && !errors.Is(err, errEnough) {
		return "", false, fmt.Errorf("look for the delivery of event %s to integration %s: %w", e.Accepted.Event.ID,
			integration, err)
	}
	return id, looked <= most, nil
}
