package deliveries

import (
	"context"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/tables"
)

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
	err := d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) (err error) {
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
		v.State, v.Due = tables.States[s.ColumnInt(0)], db.Time(s.ColumnInt64(1))
		_, err := d.fill(conn, id, db.Blob(s, 2), v)
		return err
	})
	if err != nil || found {
		return found, err
	}
	b, index, found, err := blocks.Find(conn, ref, id)
	if err != nil {
		return false, err
	}
	if found {
		return true, d.load(conn, b.Fill(index, v), v)
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

// newest reads the newest deliveries of an integration that a query selects.
func (d *Deliveries) newest(conn *driver.Conn, q delivery.Query) ([]delivery.Delivery, error) {
	ref, ok := d.ref(q.Tenant, q.Integration)
	if !ok {
		return nil, nil
	}
	return tables.Newest(conn, ref, q)
}

// List reads what the query selects.
func (d *Deliveries) List(ctx context.Context, q delivery.Query) (out []delivery.Delivery, err error) {
	err = d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
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
	err = d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) (err error) {
		ids, err = tables.Ended(conn, ref, r)
		return err
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
			moved, err := tables.Restart(w, ref, id)
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
