package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/health"
)

// pruneChunk is how many rows one transaction removes: others get their turn in between.
const pruneChunk = 1000

// Prune removes ended deliveries, and the events that nothing refers to any more, once they are older than keep;
// counters once no rule reads them; dead letters as deliveries. It returns how many rows it removed.
func (db *DB) Prune(ctx context.Context, now time.Time, keep time.Duration) (removed int, err error) {
	before := now.Add(-keep)
	db.mu.Lock()
	refs := make([]int64, 0, len(db.lanes.key))
	for ref := range db.lanes.key {
		refs = append(refs, ref)
	}
	db.mu.Unlock()
	for _, ref := range refs {
		n, err := db.chunks(ctx, "DELETE FROM finished WHERE ref = ?1 AND id IN (SELECT id FROM finished WHERE ref = "+
			"?1 AND id < ?2 ORDER BY id LIMIT ?3)", func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, firstID(before))
			s.BindInt64(3, pruneChunk)
		})
		if removed += n; err != nil {
			return removed, fmt.Errorf("remove old deliveries: %w", err)
		}
	}
	n, err := db.pruneEvents(ctx, refs, before)
	if removed += n; err != nil {
		return removed, fmt.Errorf("remove old events: %w", err)
	}
	n, err = db.chunks(ctx,
		"DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters WHERE at < ? ORDER BY seq LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindInt64(1, before.UnixNano())
			s.BindInt64(2, pruneChunk)
		})
	if removed += n; err != nil {
		return removed, fmt.Errorf("remove old dead letters: %w", err)
	}
	if err := db.writer.write(ctx, func(w *writer) error {
		return w.do("DELETE FROM dead_letters_resent WHERE seq NOT IN (SELECT seq FROM dead_letters)", nil)
	}); err != nil {
		return removed, fmt.Errorf("remove old dead letters: %w", err)
	}
	n, err = db.chunks(ctx,
		"DELETE FROM commands WHERE (tenant, id) IN (SELECT tenant, id FROM commands WHERE place < ? LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindText(1, command.Command{At: before}.Place())
			s.BindInt64(2, pruneChunk)
		})
	if removed += n; err != nil {
		return removed, fmt.Errorf("remove old commands: %w", err)
	}
	stale := now.Add(-2 * health.DefaultSpan).Unix()
	n, err = db.chunks(ctx, "DELETE FROM counters WHERE (tenant, integration, window, bucket) IN (SELECT tenant, "+
		"integration, window, bucket FROM counters WHERE bucket < ? LIMIT ?)", func(s *driver.Stmt) {
		s.BindInt64(1, stale)
		s.BindInt64(2, pruneChunk)
	})
	if removed += n; err != nil {
		return removed, fmt.Errorf("remove old counters: %w", err)
	}
	n, err = db.pruneReports(ctx, now)
	if removed += n; err != nil {
		return removed, fmt.Errorf("remove old reports: %w", err)
	}
	return removed, db.shrink(ctx)
}

// chunks repeats a bounded removal until it finds nothing.
func (db *DB) chunks(ctx context.Context, sql string, bind func(*driver.Stmt)) (removed int, err error) {
	for {
		n := 0
		if err := db.writer.write(ctx, func(w *writer) error {
			if err := w.do(sql, bind); err != nil {
				return err
			}
			n = w.conn.Changes()
			return nil
		}); err != nil {
			return removed, err
		}
		if removed += n; n < pruneChunk {
			return removed, nil
		}
	}
}

// pruneEvents removes events that fan-out has passed and no waiting delivery can refer to: those before the oldest
// event that one does.
func (db *DB) pruneEvents(ctx context.Context, refs []int64, before time.Time) (removed int, err error) {
	for {
		n := 0
		err := db.writer.write(ctx, func(w *writer) error {
			n = 0
			limit, err := w.oldestNeeded(refs)
			if err != nil {
				return err
			}
			return each(w.conn, `DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq < ?1 AND seq <= (SELECT value FROM progress WHERE name = 'fanout') AND at < ?2 ORDER BY seq LIMIT ?3)
				RETURNING kind, detail`, func(s *driver.Stmt) {
				s.BindInt64(1, limit)
				s.BindInt64(2, before.UnixNano())
				s.BindInt64(3, pruneChunk)
			}, func(s *driver.Stmt) error {
				n++
				e, _ := event.Decode(s.ColumnText(0), blob(s, 1)) // a dead letter's event has no id to forget
				return w.do("DELETE FROM event_ids WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
					s.BindText(1, e.Tenant)
					s.BindText(2, e.ID)
				})
			})
		})
		if removed += n; err != nil || n < pruneChunk {
			return removed, err
		}
	}
}

// oldestNeeded is the first event of the oldest delivery that waits, or a number after all of them. Ended deliveries
// need not be asked: those of the age were removed before.
func (w *writer) oldestNeeded(refs []int64) (int64, error) {
	oldest := int64(1<<63 - 1)
	for _, ref := range refs {
		for _, sql := range []string{
			"SELECT body FROM pending WHERE ref = ? ORDER BY id LIMIT 1",
			"SELECT body FROM retrying WHERE ref = ? ORDER BY id LIMIT 1",
			"SELECT body FROM gathering WHERE ref = ? ORDER BY id LIMIT 1",
		} {
			if err := each(w.conn, sql, func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
				var d delivery.Delivery
				seqs, err := decode(blob(s, 0), &d)
				if len(seqs) > 0 {
					oldest = min(oldest, slices.Min(seqs))
				}
				return err
			}); err != nil {
				return 0, err
			}
		}
	}
	return oldest, nil
}
