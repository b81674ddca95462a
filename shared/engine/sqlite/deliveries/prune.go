package deliveries

import (
	"context"
	"maps"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/event"
)

// Prune removes deliveries that ended and were made before a time.
func (d *Deliveries) Prune(ctx context.Context, before time.Time) (removed int, err error) {
	for _, ref := range d.refs() {
		n, err := d.pruneLane(ctx, ref, delivery.FirstID(before))
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// pruneLane removes the deliveries of a lane that ended and whose ids are before one.
func (d *Deliveries) pruneLane(ctx context.Context, ref int64, before string) (removed int, err error) {
	if removed, err = blocks.Prune(ctx, d.db, ref, before); err != nil {
		return removed, err
	}
	for _, table := range [...]string{"finished", "merged"} {
		n, err := d.db.Chunks(ctx, "DELETE FROM "+table+" WHERE ref = ?1 AND id IN (SELECT id FROM "+table+
			" WHERE ref = ?1 AND id < ?2 ORDER BY id LIMIT ?3)", func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, before)
			s.BindInt64(3, db.Chunk)
		})
		if removed += n; err != nil {
			return removed, err
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

// clockBack is how much earlier than the first event of a delivery, whose time its id has, another of them can say that
// it came: the clock went back between them.
const clockBack = time.Hour

// PruneEvents removes events that fan-out has passed and no waiting delivery can refer to: those that came before the
// oldest of them was made. The numbers of events would not do: they do not rise with the ids, where events came within
// a millisecond or the clock went back.
func (d *Deliveries) PruneEvents(ctx context.Context, before time.Time) (removed int, err error) {
	refs := d.refs()
	for {
		n := 0
		err := d.db.Write(ctx, func(w *db.Writer) error {
			n = 0
			oldest, waits, err := oldestWaiting(w.Conn, refs)
			if err != nil {
				return err
			}
			if kept := oldest.Add(-clockBack); waits && kept.Before(before) {
				before = kept
			}
			var gone []eventids.ID
			err = db.Each(w.Conn, `DELETE FROM events WHERE seq IN (SELECT seq FROM events
				WHERE seq <= (SELECT value FROM progress WHERE name = 'fanout') AND at < ?1 ORDER BY seq LIMIT ?2)
				RETURNING seq, kind, detail`, func(s *driver.Stmt) {
				s.BindInt64(1, before.UnixNano())
				s.BindInt64(2, db.Chunk)
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

// oldestWaiting is when the oldest delivery that waits was made, by its id, which has the time of the first event that
// it carries. Ended deliveries need not be asked: those of the age were removed before.
func oldestWaiting(conn *driver.Conn, refs []int64) (oldest time.Time, waits bool, err error) {
	note := func(id string) error {
		at, err := delivery.MadeAt(id)
		if !waits || at.Before(oldest) {
			oldest, waits = at, true
		}
		return err
	}
	for _, ref := range refs {
		for _, sql := range []string{
			"SELECT id FROM pending WHERE ref = ? ORDER BY id LIMIT 1",
			"SELECT id FROM retrying WHERE ref = ? ORDER BY id LIMIT 1",
			"SELECT id FROM gathering WHERE ref = ? ORDER BY id LIMIT 1",
		} {
			if err := db.Each(conn, sql, func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
				return note(s.ColumnText(0))
			}); err != nil {
				return oldest, waits, err
			}
		}
		if err := blocks.Waiting(conn, ref, "", func(i packed.Item, _ blocks.Place) error {
			if err := note(i.ID); err != nil {
				return err
			}
			return blocks.ErrEnough
		}); err != nil {
			return oldest, waits, err
		}
	}
	return oldest, waits, nil
}
