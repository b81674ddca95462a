package sqlite

import (
	"context"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/integration"
)

var _ integration.Backlog = (*Deliveries)(nil)

const countWaiting = `SELECT count(*), (SELECT min(due) FROM retrying WHERE ref = ?1) FROM (
	SELECT 1 FROM pending WHERE ref = ?1 UNION ALL SELECT 1 FROM gathering WHERE ref = ?1
	UNION ALL SELECT 1 FROM retrying WHERE ref = ?1 LIMIT ?2)`

// CountWaiting counts what waits for a first request, gathers, or waits for a retry.
func (d *Deliveries) CountWaiting(ctx context.Context, tenant, id string, limit int) (w integration.Waiting, err error) {
	ref, ok := d.db.ref(tenant, id)
	if !ok {
		return w, nil
	}
	err = d.db.query(ctx, countWaiting, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, int64(limit))
	}, func(s *driver.Stmt) error {
		w = integration.Waiting{Count: s.ColumnInt(0), Next: dueAt(s.ColumnInt64(1))}
		return nil
	})
	if err != nil {
		return w, fmt.Errorf("count what waits for integration %s: %w", id, err)
	}
	return w, nil
}
