package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
)

// gathers remembers until when each integration's oldest delivery gathers, so that the others' leases need not look.
type gathers map[int64]time.Time

func (g gathers) add(ref int64, due time.Time) {
	if was, ok := g[ref]; !ok || due.Before(was) {
		g[ref] = due
	}
}

func (db *DB) loadGathers(ctx context.Context) error {
	db.gathers = gathers{}
	return db.query(ctx, "SELECT ref, min(due) FROM gathering GROUP BY ref", nil, func(s *driver.Stmt) error {
		db.gathers[s.ColumnInt64(0)] = time.Unix(0, s.ColumnInt64(1))
		return nil
	})
}

// gathered lists the integrations with something to join at now, and when the next one after now is due.
func (db *DB) gathered(now time.Time) (ripe []int64, next time.Time) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for ref, due := range db.gathers {
		if !due.After(now) {
			ripe = append(ripe, ref)
		} else if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	slices.Sort(ripe)
	return ripe, next
}

// gatheringRow is a row of the table.
type gatheringRow struct {
	delivery.Windowed
	delivery delivery.Delivery
	seqs     []int64
}

// join makes deliveries to send of what an integration has gathered until now.
func (d *Deliveries) join(ctx context.Context, ref int64, now time.Time) error {
	d.db.mu.Lock()
	due, ok := d.db.gathers[ref]
	d.db.mu.Unlock()
	if !ok || due.After(now) {
		return nil
	}
	var made []string
	err := d.db.writer.write(ctx, func(w *writer) (err error) {
		made, err = w.join(ref, now)
		if err != nil {
			return err
		}
		// Within the write: what gathers comes in by writes too, and none of it may be forgotten.
		return d.regather(w, ref)
	})
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	if err != nil {
		d.db.gathers.add(ref, due) // nothing was written: the rows are still there
		return fmt.Errorf("join what was gathered: %w", err)
	}
	for _, id := range made {
		d.db.leases.arrived(ref, id)
	}
	return nil
}

// regather reads anew until when an integration gathers.
func (d *Deliveries) regather(w *writer, ref int64) error {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	delete(d.db.gathers, ref)
	return each(w.conn, "SELECT due FROM gathering WHERE ref = ? ORDER BY due LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
			d.db.gathers[ref] = time.Unix(0, s.ColumnInt64(0))
			return nil
		})
}

// Hasten makes what waits due earlier.
func (d *Deliveries) Hasten(ctx context.Context, now, after time.Time, by time.Duration) error {
	err := d.db.writer.write(ctx, func(w *writer) error {
		for _, sql := range []string{
			"UPDATE retrying SET due = max(?1, due - ?2) WHERE due > ?3",
			"UPDATE gathering SET due = max(?1, due - ?2) WHERE due > ?3",
		} {
			if err := w.do(sql, func(s *driver.Stmt) {
				s.BindInt64(1, now.UnixNano())
				s.BindInt64(2, int64(by))
				s.BindInt64(3, after.UnixNano())
			}); err != nil {
				return err
			}
		}
		d.db.mu.Lock()
		defer d.db.mu.Unlock()
		clear(d.db.gathers)
		return each(w.conn, "SELECT ref, min(due) FROM gathering GROUP BY ref", nil, func(s *driver.Stmt) error {
			d.db.gathers[s.ColumnInt64(0)] = time.Unix(0, s.ColumnInt64(1))
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("make what waits due earlier: %w", err)
	}
	return nil
}

func (w *writer) join(ref int64, now time.Time) (made []string, err error) {
	rows := map[string]gatheringRow{}
	var waiting []delivery.Windowed
	err = each(w.conn, "DELETE FROM gathering WHERE ref = ? AND due <= ? RETURNING id, due, size, body",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindInt64(2, now.UnixNano())
		}, func(s *driver.Stmt) error {
			r := gatheringRow{Windowed: delivery.Windowed{ID: s.ColumnText(0), Due: dueAt(s.ColumnInt64(1)),
				Size: int(s.ColumnInt64(2))}}
			var err error
			if r.seqs, err = decode(blob(s, 3), &r.delivery); err != nil {
				return fmt.Errorf("delivery %s: %w", r.ID, err)
			}
			r.Count = r.delivery.Count
			rows[r.ID] = r
			waiting = append(waiting, r.Windowed)
			return nil
		})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(waiting, func(a, b delivery.Windowed) int { return strings.Compare(a.ID, b.ID) })
	for _, group := range delivery.Coalesce(waiting) {
		first := rows[group[0].ID]
		for _, g := range group[1:] {
			first.delivery.Merge(rows[g.ID].delivery)
			first.seqs = append(first.seqs, rows[g.ID].seqs...)
		}
		first.delivery.ID = first.ID
		if err := insertPending(w, ref, first.delivery, first.seqs); err != nil {
			return nil, err
		}
		made = append(made, first.ID)
	}
	return made, nil
}

func insertGathering(w *writer, ref int64, v delivery.Delivery, seqs []int64) error {
	return w.do("INSERT OR IGNORE INTO gathering (ref, id, due, size, body) VALUES (?, ?, ?, ?, ?)",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, v.ID)
			s.BindInt64(3, v.Due.UnixNano())
			s.BindInt64(4, int64(delivery.Size(v.Events)))
			s.BindBytes(5, encode(v, seqs))
		})
}
