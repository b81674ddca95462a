package deliveries

import (
	"context"
	"fmt"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// madeAt is the time of an id that was read from the file; zero for one that is none.
func madeAt(id string) time.Time {
	at, _ := delivery.MadeAt(id)
	return at
}

func (d *Deliveries) ref(tenant, integration string) (int64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ref, ok := d.lanes.ref[laneKey{tenant, integration}]
	return ref, ok
}

// Get looks for the delivery in all its possible places.
func (d *Deliveries) Get(ctx context.Context, tenant, integration, id string) (delivery.Delivery, error) {
	v := delivery.Delivery{Tenant: tenant, Integration: integration}
	found := false
	err := d.db.Reading(ctx, func(conn *driver.Conn) (err error) {
		found, err = d.get(conn, id, &v)
		return err
	})
	if err == nil && !found {
		err = delivery.ErrNotFound
	}
	if err != nil {
		return v, fmt.Errorf("get delivery %s: %w", id, err)
	}
	return v, nil
}

// get reads the delivery of v's tenant and integration that has the id, with its events.
func (d *Deliveries) get(conn *driver.Conn, id string, v *delivery.Delivery) (found bool, err error) {
	ref, ok := d.ref(v.Tenant, v.Integration)
	if !ok {
		return false, nil
	}
	err = db.Each(conn, `SELECT 0 AS at, 0 AS due, body FROM pending WHERE ref = ?1 AND id = ?2
		UNION ALL SELECT 0, due, body FROM gathering WHERE ref = ?1 AND id = ?2
		UNION ALL SELECT 1, due, body FROM retrying WHERE ref = ?1 AND id = ?2
		UNION ALL SELECT 2 + dead, 0, body FROM finished WHERE ref = ?1 AND id = ?2`, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		found = true
		v.State, v.Due = places[s.ColumnInt(0)], db.Time(s.ColumnInt64(1))
		_, err := d.fill(conn, id, db.Blob(s, 2), v)
		return err
	})
	if err != nil || found {
		return found, err
	}
	into := ""
	err = db.Each(conn, "SELECT into_id FROM merged WHERE ref = ? AND id = ?", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		into = s.ColumnText(0)
		return nil
	})
	if err != nil || into == "" {
		return false, err
	}
	return d.get(conn, into, v)
}

// places numbers the states as the queries of this file do.
var places = [...]delivery.State{delivery.Pending, delivery.Retrying, delivery.Delivered, delivery.Dead}

// List reads what the query selects.
func (d *Deliveries) List(ctx context.Context, q delivery.Query) (out []delivery.Delivery, err error) {
	err = d.db.Reading(ctx, func(conn *driver.Conn) error {
		out, err = d.newest(conn, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries of integration %s: %w", q.Integration, err)
	}
	return out, nil
}

// Replay moves ended deliveries back to pending.
func (d *Deliveries) Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error) {
	ref, ok := d.ref(r.Tenant, r.Integration)
	if !ok {
		if r.ID != "" {
			return 0, "", fmt.Errorf("replay delivery %s: %w", r.ID, delivery.ErrNotFound)
		}
		return 0, "", nil
	}
	if r.ID != "" {
		return d.replayOne(ctx, ref, r)
	}
	ids, err := d.ended(ctx, ref, r)
	if err != nil {
		return 0, "", fmt.Errorf("replay deliveries of integration %s: %w", r.Integration, err)
	}
	if count, err = d.replay(ctx, ref, ids); err != nil {
		return 0, "", fmt.Errorf("replay deliveries of integration %s: %w", r.Integration, err)
	}
	if len(ids) == r.Limit {
		after = ids[len(ids)-1]
	}
	return count, after, nil
}

func (d *Deliveries) replayOne(ctx context.Context, ref int64, r delivery.Replay) (int, string, error) {
	v, err := d.Get(ctx, r.Tenant, r.Integration, r.ID)
	if err != nil {
		return 0, "", err
	}
	if v.ID != r.ID { // another has its events
		return 0, "", fmt.Errorf("replay delivery %s: %w", r.ID, delivery.ErrNotFound)
	}
	if v.State != delivery.Dead && v.State != delivery.Delivered {
		return 0, "", nil // it is on its way already
	}
	count, err := d.replay(ctx, ref, []string{r.ID})
	if err != nil {
		return 0, "", fmt.Errorf("replay delivery %s: %w", r.ID, err)
	}
	return count, "", nil
}

// ended lists the ids of a range, oldest first.
func (d *Deliveries) ended(ctx context.Context, ref int64, r delivery.Replay) (ids []string, err error) {
	dead, delivered := len(r.States) == 0 || slices.Contains(r.States, delivery.Dead),
		slices.Contains(r.States, delivery.Delivered)
	sql := "SELECT id FROM finished WHERE ref = ? AND id >= ? AND id > ? AND id < ?"
	if !delivered {
		sql += " AND dead = 1"
	} else if !dead {
		sql += " AND dead = 0"
	}
	to := delivery.GreatestID
	if !r.To.IsZero() {
		to = delivery.FirstID(r.To)
	}
	err = d.db.Query(ctx, sql+" ORDER BY id LIMIT ?", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, delivery.FirstID(r.From))
		s.BindText(3, r.After)
		s.BindText(4, to)
		s.BindInt64(5, int64(r.Limit))
	}, func(s *driver.Stmt) error {
		ids = append(ids, s.ColumnText(0))
		return nil
	})
	return ids, err
}

func (d *Deliveries) replay(ctx context.Context, ref int64, ids []string) (count int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	err = d.db.Write(ctx, func(w *db.Writer) error {
		count = 0
		for _, id := range ids {
			moved, err := restart(w, ref, id)
			if err != nil {
				return fmt.Errorf("delivery %s: %w", id, err)
			}
			if moved {
				count++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.leases.arrived(ref, id)
	}
	return count, nil
}

// restart begins a new run of one ended delivery under its old id. Its parts and attempts say what arrived.
func restart(w *db.Writer, ref int64, id string) (moved bool, err error) {
	v := delivery.Delivery{ID: id}
	var seqs []int64
	err = db.Each(w.Conn, removals["finished"], func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		moved = true
		var err error
		seqs, err = packed.Decode(db.Blob(s, 0), &v)
		return err
	})
	if err != nil || !moved {
		return false, err
	}
	v.Failures, v.Reason = 0, ""
	return true, insertPending(w, ref, v, seqs)
}
