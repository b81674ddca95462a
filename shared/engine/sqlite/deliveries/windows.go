package deliveries

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/tables"
)

// closedWindows lists the integrations with a batch window that is closed at now, and when the next one closes.
func (d *Deliveries) closedWindows(now time.Time) (closed []int64, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	closed, next = d.windows.Closed(now)
	slices.Sort(closed)
	return closed, next
}

// Closes is when the first batch window or hold of a lane ends.
func (d *Deliveries) Closes(l delivery.Lane) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.windows[d.lanes.ref[laneKey{l.Tenant, l.Integration}]]
}

// windowRow is a row of the table gathering.
type windowRow struct {
	delivery.Windowed
	delivery delivery.Delivery
	seqs     []int64
}

// closeWindows makes deliveries to send of what waits for windows that are closed at now.
func (d *Deliveries) closeWindows(ctx context.Context, ref int64, now time.Time) error {
	d.mu.Lock()
	due, ok := d.windows[ref]
	d.mu.Unlock()
	if !ok || due.After(now) {
		return nil
	}
	if err := d.letGo(ctx, ref, now, false); err != nil {
		return err
	}
	d.mu.Lock()
	due, ok = d.windows[ref]
	d.mu.Unlock()
	if !ok || due.After(now) {
		return nil
	}
	var made []string
	err := d.db.Write(ctx, func(w *db.Writer) (err error) {
		made, err = coalesce(w, ref, now)
		if err != nil {
			return err
		}
		// Within the write: what waits for a window comes in by writes too, and none of it may be forgotten.
		return d.reloadWindow(w, ref)
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.windows.Add(ref, due) // nothing was written: the rows are still there
		return fmt.Errorf("coalesce what waited for a batch window: %w", err)
	}
	for _, id := range made {
		d.leases.arrived(ref, id)
	}
	return nil
}

// reloadWindow reads anew when an integration's next window closes.
func (d *Deliveries) reloadWindow(w *db.Writer, ref int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.windows, ref)
	return db.Each(w.Conn, "SELECT due FROM gathering WHERE ref = ? ORDER BY due LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
			d.windows[ref] = time.Unix(0, s.ColumnInt64(0))
			return nil
		})
}

// Hasten makes what waits due earlier.
func (d *Deliveries) Hasten(ctx context.Context, now, after time.Time, by time.Duration) error {
	err := d.db.Write(ctx, func(w *db.Writer) error {
		for _, sql := range []string{
			"UPDATE retrying SET due = max(?1, due - ?2) WHERE due > ?3",
			"UPDATE gathering SET due = max(?1, due - ?2) WHERE due > ?3 AND held = 0",
		} {
			if err := w.Do(sql, func(s *driver.Stmt) {
				s.BindInt64(1, now.UnixNano())
				s.BindInt64(2, int64(by))
				s.BindInt64(3, after.UnixNano())
			}); err != nil {
				return err
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.loadWindows(w)
	})
	if err != nil {
		return fmt.Errorf("make what waits due earlier: %w", err)
	}
	return nil
}

// coalesce lets the deliveries of each closed window become one, in one transaction.
func coalesce(w *db.Writer, ref int64, now time.Time) (made []string, err error) {
	rows := map[string]windowRow{}
	var waiting []delivery.Windowed
	err = db.Each(w.Conn, "DELETE FROM gathering WHERE ref = ? AND due <= ? AND held = 0 RETURNING id, due, size, body",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindInt64(2, now.UnixNano())
		}, func(s *driver.Stmt) error {
			r := windowRow{Windowed: delivery.Windowed{ID: s.ColumnText(0), Due: db.Time(s.ColumnInt64(1)),
				Size: int(s.ColumnInt64(2))}}
			var err error
			if r.seqs, err = packed.Decode(db.Blob(s, 3), &r.delivery); err != nil {
				return fmt.Errorf("delivery %s: %w", r.ID, err)
			}
			r.Count, r.Digest = r.delivery.Count, r.delivery.Digest
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
		if err := tables.Insert(w, ref, first.delivery, first.seqs); err != nil {
			return nil, err
		}
		made = append(made, first.ID)
	}
	return made, nil
}

func insertWindowed(w *db.Writer, ref int64, v delivery.Delivery, seqs []int64) error {
	return w.Do("INSERT OR IGNORE INTO gathering (ref, id, due, size, body, held) VALUES (?, ?, ?, ?, ?, ?)",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, v.ID)
			s.BindInt64(3, v.Due.UnixNano())
			s.BindInt64(4, int64(delivery.Size(v.Events)))
			s.BindBytes(5, packed.Encode(v, seqs))
			s.BindBool(6, v.Held != nil)
		})
}
