package waiting

import (
	"context"
	"errors"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/tables"
	"tocsin/shared/metrics"
)

// countChunk is how many rows are counted in one reading: some milliseconds, others get their turn in between.
const countChunk = 10_000

// Hop hops from one integration to the next through the table's key.
func Hop(conn *driver.Conn, sql string) (out []int64, err error) {
	for last := int64(-1); ; {
		found := false
		err := db.Each(conn, sql, func(s *driver.Stmt) { s.BindInt64(1, last) }, func(s *driver.Stmt) error {
			last, found = s.ColumnInt64(0), true
			return nil
		})
		if err != nil || !found {
			return out, err
		}
		out = append(out, last)
	}
}

// Refs hops from one integration to the next in each of the tables of what waits.
func Refs(ctx context.Context, file *db.File) (out []int64, err error) {
	seen := map[int64]bool{}
	err = file.Reading(ctx, func(conn *driver.Conn) error {
		for _, sql := range []string{"SELECT ref FROM open_blocks WHERE ref > ? ORDER BY ref LIMIT 1",
			"SELECT ref FROM pending WHERE ref > ? ORDER BY ref LIMIT 1",
			"SELECT ref FROM retrying WHERE ref > ? ORDER BY ref LIMIT 1",
			"SELECT ref FROM gathering WHERE ref > ? ORDER BY ref LIMIT 1"} {
			found, err := Hop(conn, sql)
			if err != nil {
				return err
			}
			for _, ref := range found {
				if !seen[ref] {
					seen[ref] = true
					out = append(out, ref)
				}
			}
		}
		return nil
	})
	return out, err
}

// Statements that count a part of a table after an id, with the last id of that part.
const (
	countBlocks = `SELECT count(*), max(first), sum(n) FROM
		(SELECT first, n FROM open_blocks WHERE ref = ? AND first > ? ORDER BY first LIMIT ?)`
	countPending = `SELECT count(*), max(id) FROM
		(SELECT id FROM pending WHERE ref = ? AND id > ? ORDER BY id LIMIT ?)`
	countRetrying = `SELECT count(*), max(id) FROM
		(SELECT id FROM retrying WHERE ref = ? AND id > ? ORDER BY id LIMIT ?)`
	countGathering = `SELECT count(*), max(id), sum(held) FROM
		(SELECT id, held FROM gathering WHERE ref = ? AND id > ? ORDER BY id LIMIT ?)`
	firstDue = `SELECT (SELECT min(due) FROM retrying WHERE ref = ?1),
		(SELECT min(due) FROM gathering WHERE ref = ?1 AND held = 0)`
)

// CountLane counts what waits of an integration.
func CountLane(ctx context.Context, file *db.File, ref int64, l *metrics.Lane) error {
	for _, sql := range []string{countBlocks, countPending, countRetrying, countGathering} {
		for after, more := "", true; more; {
			err := file.Query(ctx, sql, func(s *driver.Stmt) {
				s.BindInt64(1, ref)
				s.BindText(2, after)
				s.BindInt64(3, countChunk)
			}, func(s *driver.Stmt) error {
				switch sql {
				case countBlocks:
					l.Waiting += s.ColumnInt(2)
				case countGathering:
					l.Held += s.ColumnInt(2)
					l.Waiting += s.ColumnInt(0) - s.ColumnInt(2)
				default:
					l.Waiting += s.ColumnInt(0)
				}
				after, more = s.ColumnText(1), s.ColumnInt(0) == countChunk
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	if err := file.Query(ctx, firstDue, func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
		for n := range 2 {
			if due := db.Time(s.ColumnInt64(n)); !due.IsZero() && (l.Due.IsZero() || due.Before(l.Due)) {
				l.Due = due
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return firstPending(ctx, file, ref, l)
}

// looked is how many of the oldest are looked at for one that waits for its first request. What is sent again by hand
// may lie before it, with the id that it had.
const looked = 100

func firstPending(ctx context.Context, file *db.File, ref int64, l *metrics.Lane) error {
	return file.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
		if err := blocks.Waiting(conn, ref, "", func(i packed.Item, _ blocks.Place) error {
			l.First = tables.MadeAt(i.ID) // none of a block was tried
			return blocks.ErrEnough
		}); err != nil {
			return err
		}
		return firstPendingOwn(conn, ref, l)
	})
}

func firstPendingOwn(conn *driver.Conn, ref int64, l *metrics.Lane) error {
	err := db.Each(conn, "SELECT id, body FROM pending WHERE ref = ? ORDER BY id LIMIT ?", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, looked)
	}, func(s *driver.Stmt) error {
		v := delivery.Delivery{ID: s.ColumnText(0)}
		if _, err := packed.Decode(db.Blob(s, 1), &v); err != nil {
			return fmt.Errorf("delivery %s: %w", v.ID, err)
		}
		at := tables.MadeAt(v.ID)
		if v.Held != nil && v.Held.Until.After(at) {
			at = v.Held.Until
		}
		if len(v.Attempts) > 0 || !l.First.IsZero() && !at.Before(l.First) {
			return nil
		}
		if l.First = at; v.Held == nil {
			return blocks.ErrEnough // all after it came later
		}
		return nil
	})
	if errors.Is(err, blocks.ErrEnough) {
		return nil
	}
	return err
}
