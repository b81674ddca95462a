package deliveries

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// Lanes counts what waits, integration by integration.
func (d *Deliveries) Lanes(ctx context.Context, visit func(metrics.Lane) error) error {
	waiting, err := d.waitingRefs(ctx)
	if err != nil {
		return fmt.Errorf("look for what waits: %w", err)
	}
	for _, ref := range waiting {
		k := d.laneOf(ref, false)
		l := metrics.Lane{Tenant: k.Tenant, Integration: k.Integration}
		if err := d.countLane(ctx, ref, &l); err != nil {
			return fmt.Errorf("count what waits for integration %s: %w", k.Integration, err)
		}
		if l.Waiting+l.Held == 0 {
			continue // it was sent meanwhile
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// waitingRefs hops from one integration to the next in each of the tables of what waits.
func (d *Deliveries) waitingRefs(ctx context.Context) (out []int64, err error) {
	seen := map[int64]bool{}
	err = d.db.Reading(ctx, func(conn *driver.Conn) error {
		for _, sql := range []string{"SELECT ref FROM open_blocks WHERE ref > ? ORDER BY ref LIMIT 1",
			"SELECT ref FROM pending WHERE ref > ? ORDER BY ref LIMIT 1",
			"SELECT ref FROM retrying WHERE ref > ? ORDER BY ref LIMIT 1",
			"SELECT ref FROM gathering WHERE ref > ? ORDER BY ref LIMIT 1"} {
			found, err := refs(conn, sql)
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

func (d *Deliveries) countLane(ctx context.Context, ref int64, l *metrics.Lane) error {
	for _, sql := range []string{countBlocks, countPending, countRetrying, countGathering} {
		for after, more := "", true; more; {
			err := d.db.Query(ctx, sql, func(s *driver.Stmt) {
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
	if err := d.db.Query(ctx, firstDue, func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
		for n := range 2 {
			if due := db.Time(s.ColumnInt64(n)); !due.IsZero() && (l.Due.IsZero() || due.Before(l.Due)) {
				l.Due = due
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return d.firstPending(ctx, ref, l)
}

// looked is how many of the oldest are looked at for one that waits for its first request. What is sent again by hand
// may lie before it, with the id that it had.
const looked = 100

func (d *Deliveries) firstPending(ctx context.Context, ref int64, l *metrics.Lane) error {
	return d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
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

const inbox = `SELECT (SELECT max(seq) FROM events) - ?1, (SELECT at FROM events WHERE seq > ?1 ORDER BY seq LIMIT 1)`

// Inbox counts by the numbers of the entries, which have no gaps behind the last that fan-out passed.
func (d *Deliveries) Inbox(ctx context.Context) (count int, oldest time.Time, err error) {
	passed := d.bus.Passed()
	err = d.db.Query(ctx, inbox, func(s *driver.Stmt) { s.BindInt64(1, passed) }, func(s *driver.Stmt) error {
		count, oldest = max(0, s.ColumnInt(0)), db.Time(s.ColumnInt64(1))
		return nil
	})
	deferred, first := 0, time.Time{}
	if err == nil {
		deferred, first, err = d.bus.Deferred(ctx)
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count the events that wait for fan-out: %w", err)
	}
	if oldest.IsZero() || !first.IsZero() && first.Before(oldest) {
		oldest = first
	}
	return count + deferred, oldest, nil
}
