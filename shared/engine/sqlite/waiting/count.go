package waiting

import (
	"context"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/integration"
)

const countWaiting = `SELECT count(*) + (SELECT ifnull(sum(n), 0) FROM (
		SELECT n FROM open_blocks WHERE ref = ?1 LIMIT ?2)), (SELECT min(due) FROM retrying WHERE ref = ?1),
	(SELECT count(*) FROM (SELECT 1 FROM gathering WHERE ref = ?1 AND held = 1 LIMIT ?2)),
	(SELECT min(due) FROM gathering WHERE ref = ?1 AND held = 1),
	(SELECT count(*) FROM (SELECT 1 FROM gathering WHERE ref = ?1 AND held = 0 LIMIT ?2)) FROM (
	SELECT 1 FROM pending WHERE ref = ?1 UNION ALL SELECT 1 FROM gathering WHERE ref = ?1 AND held = 0
	UNION ALL SELECT 1 FROM retrying WHERE ref = ?1 LIMIT ?2)`

// Count counts what waits of an integration, up to limit.
func Count(ctx context.Context, file *db.File, ref int64, limit int) (w integration.Waiting, err error) {
	err = file.Query(ctx, countWaiting, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, int64(limit))
	}, func(s *driver.Stmt) error {
		w = integration.Waiting{Count: min(limit, s.ColumnInt(0)), Next: db.Time(s.ColumnInt64(1)),
			Held: s.ColumnInt(2), HeldUntil: db.Time(s.ColumnInt64(3)), Gathering: s.ColumnInt(4)}
		return nil
	})
	return w, err
}

// CountDead counts by the index of the dead, up to limit.
func CountDead(ctx context.Context, file *db.File, ref int64, from time.Time, limit int) (n int, err error) {
	err = file.Query(ctx,
		"SELECT count(*) FROM (SELECT 1 FROM finished WHERE ref = ? AND id >= ? AND dead = 1 LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, delivery.FirstID(from))
			s.BindInt64(3, int64(limit))
		}, func(s *driver.Stmt) error {
			n = s.ColumnInt(0)
			return nil
		})
	return n, err
}
