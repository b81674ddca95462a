package deliveries

import (
	"context"
	"maps"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/event"
)

// Prune removes deliveries that ended and were made before a time.
func (d *Deliveries) Prune(ctx context.Context, before time.Time) (removed int, err error) {
	for _, ref := range d.refs() {
		for _, table := range [...]string{"finished", "merged"} {
			n, err := d.db.Chunks(ctx, "DELETE FROM "+table+" WHERE ref = ?1 AND id IN (SELECT id FROM "+table+
				" WHERE ref = ?1 AND id < ?2 ORDER BY id LIMIT ?3)", func(s *driver.Stmt) {
				s.BindInt64(1, ref)
				s.BindText(2, delivery.FirstID(before))
				s.BindInt64(3, db.Chunk)
			})
			if removed += n; err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// refs are the numbers of all lanes.
func (d *Deliveries) refs() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.lanes.key))
}

// PruneEvents removes events that fan-out has passed and no waiting delivery can refer to: those before the oldest
// event that one does.
func (d *Deliveries) PruneEvents(ctx context.Context, before time.Time) (removed int, err error) {
	refs := d.refs()
	for {
		n := 0
		err := d.db.Write(ctx, func(w *db.Writer) error {
			n = 0
			limit, err := oldestNeeded(w, refs)
			if err != nil {
				return err
			}
			var gone []eventids.ID
			err = db.Each(w.Conn, `DELETE FROM events WHERE seq IN (SELECT seq FROM events
				WHERE seq < ?1 AND seq <= (SELECT value FROM progress WHERE name = 'fanout')
					AND at < ?2 ORDER BY seq LIMIT ?3)
				RETURNING seq, kind, detail`, func(s *driver.Stmt) {
				s.BindInt64(1, limit)
				s.BindInt64(2, before.UnixNano())
				s.BindInt64(3, db.Chunk)
			}, func(s *driver.Stmt) error {
				n++
				e, _ := event.Decode(s.ColumnText(1), db.Blob(s, 2)) // a dead letter's event has no id to forget
				gone = append(gone, eventids.Of(e.Tenant, e.ID, s.ColumnInt64(0)))
				return nil
			})
			if err != nil {
				return err
			}
			return d.ids.Remove(w, gone)
		})
		if removed += n; err != nil {
			return removed, err
		}
		if n < db.Chunk {
			return removed, d.ids.Shrink(ctx, d.db)
		}
	}
}

// oldestNeeded is the first event of the oldest delivery that waits, or a number after all of them. Ended deliveries
// need not be asked: those of the age were removed before.
func oldestNeeded(w *db.Writer, refs []int64) (int64, error) {
	oldest := int64(1<<63 - 1)
	for _, ref := range refs {
		for _, sql := range []string{
			"SELECT body FROM pending WHERE ref = ? ORDER BY id LIMIT 1",
			"SELECT body FROM retrying WHERE ref = ? ORDER BY id LIMIT 1",
			"SELECT body FROM gathering WHERE ref = ? ORDER BY id LIMIT 1",
		} {
			if err := db.Each(w.Conn, sql, func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
				var d delivery.Delivery
				seqs, err := packed.Decode(db.Blob(s, 0), &d)
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
