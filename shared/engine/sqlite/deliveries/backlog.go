package deliveries

import (
	"context"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/integration"
)

var _ integration.Backlog = (*Deliveries)(nil)

const countWaiting = `SELECT count(*) + (SELECT ifnull(sum(n), 0) FROM (
		SELECT n FROM open_blocks WHERE ref = ?1 LIMIT ?2)), (SELECT min(due) FROM retrying WHERE ref = ?1),
	(SELECT count(*) FROM (SELECT 1 FROM gathering WHERE ref = ?1 AND held = 1 LIMIT ?2)),
	(SELECT min(due) FROM gathering WHERE ref = ?1 AND held = 1) FROM (
	SELECT 1 FROM pending WHERE ref = ?1 UNION ALL SELECT 1 FROM gathering WHERE ref = ?1 AND held = 0
	UNION ALL SELECT 1 FROM retrying WHERE ref = ?1 LIMIT ?2)`

// CountWaiting counts what waits for a first request, for its batch window, or for a retry, and what is held.
func (d *Deliveries) CountWaiting(ctx context.Context, tenant, id string, limit int) (w integration.Waiting,
	err error) {
	ref, ok := d.ref(tenant, id)
	if !ok {
		return w, nil
	}
	err = d.db.Query(ctx, countWaiting, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, int64(limit))
	}, func(s *driver.Stmt) error {
		w = integration.Waiting{Count: min(limit, s.ColumnInt(0)), Next: db.Time(s.ColumnInt64(1)),
			Held: s.ColumnInt(2), HeldUntil: db.Time(s.ColumnInt64(3))}
		return nil
	})
	if err != nil {
		return w, fmt.Errorf("count what waits for integration %s: %w", id, err)
	}
	return w, nil
}

// CountDead counts by the index of the dead.
func (d *Deliveries) CountDead(ctx context.Context, tenant, id string, from time.Time, limit int) (n int, err error) {
	ref, ok := d.ref(tenant, id)
	if !ok {
		return 0, nil
	}
	err = d.db.Query(ctx,
		"SELECT count(*) FROM (SELECT 1 FROM finished WHERE ref = ? AND id >= ? AND dead = 1 LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, delivery.FirstID(from))
			s.BindInt64(3, int64(limit))
		}, func(s *driver.Stmt) error {
			n = s.ColumnInt(0)
			return nil
		})
	if err != nil {
		return 0, fmt.Errorf("count what was not sent to integration %s: %w", id, err)
	}
	return n, nil
}
