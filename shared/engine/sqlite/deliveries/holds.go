package deliveries

import (
	"context"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/tables"
)

// A delivery that is held is a row of the table gathering, as one that waits for its batch window is. What is merged
// with others leaves a row in the table merged, which says where its events are: a digest is found by each of them,
// however much older the first is. Nobody writes it again: an Intake is accepted once.

// SetHolder says who knows what is held; without one nothing is when its time has come. Call it before anything is
// leased.
func (d *Deliveries) SetHolder(h delivery.Holder) { d.holder = h }

// Reconsider lets go what the rules of an integration do not hold any more, and puts off what they hold for longer.
func (d *Deliveries) Reconsider(ctx context.Context, tenant, integration string, now time.Time) error {
	ref, ok := d.ref(tenant, integration)
	if !ok {
		return nil
	}
	return d.letGo(ctx, ref, now, true)
}

// letGo decides on what is held for an integration: all of it, or what is due.
func (d *Deliveries) letGo(ctx context.Context, ref int64, now time.Time, all bool) error {
	due := now.UnixNano()
	if all {
		due = 1<<63 - 1
	}
	some := false
	err := d.db.Query(ctx, "SELECT 1 FROM gathering WHERE ref = ? AND due <= ? AND held = 1 LIMIT 1",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindInt64(2, due)
		}, func(*driver.Stmt) error {
			some = true
			return nil
		})
	if err != nil {
		return fmt.Errorf("look for what is held: %w", err)
	}
	if !some {
		return nil
	}
	lane := d.laneOf(ref, false)
	// Before the write, which it would wait for: it may read the same file.
	holding, err := delivery.HoldingOf(ctx, d.holder, lane.Tenant, lane.Integration)
	if err != nil {
		return fmt.Errorf("read what holds deliveries to integration %s: %w", lane.Integration, err)
	}
	g := letting{ref: ref, lane: lane}
	err = d.db.Write(ctx, func(w *db.Writer) error {
		if err := g.read(w, due); err != nil {
			return err
		}
		if err := g.write(w, holding.LetGo(g.held, now, g.size)); err != nil {
			return err
		}
		return d.reloadWindow(w, ref)
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.windows.Add(ref, now) // nothing was written: the rows are still there
		return fmt.Errorf("let go what was held for integration %s: %w", lane.Integration, err)
	}
	for _, id := range g.made {
		d.leases.arrived(ref, id)
	}
	return nil
}

// letting lets go what was held for one integration, in one write.
type letting struct {
	ref  int64
	lane delivery.Lane
	held []delivery.Delivery // oldest first
	by   map[string]windowRow
	made []string // what is to be sent
}

func (g *letting) size(v delivery.Delivery) int { return g.by[v.ID].Size }

// read reads what is held and due; a write can be made again.
func (g *letting) read(w *db.Writer, due int64) error {
	g.held, g.by, g.made = nil, map[string]windowRow{}, nil
	return db.Each(w.Conn,
		"SELECT id, due, size, body FROM gathering WHERE ref = ? AND due <= ? AND held = 1 ORDER BY id",
		func(s *driver.Stmt) {
			s.BindInt64(1, g.ref)
			s.BindInt64(2, due)
		}, func(s *driver.Stmt) (err error) {
			var r windowRow
			r.ID, r.Size = s.ColumnText(0), int(s.ColumnInt64(2))
			r.delivery = delivery.Delivery{ID: r.ID, Tenant: g.lane.Tenant, Integration: g.lane.Integration,
				State: delivery.Pending, CreatedAt: tables.MadeAt(r.ID), Due: db.Time(s.ColumnInt64(1))}
			if r.seqs, err = packed.Decode(db.Blob(s, 3), &r.delivery); err != nil {
				return fmt.Errorf("delivery %s: %w", r.ID, err)
			}
			if r.delivery.Held == nil {
				return fmt.Errorf("delivery %s: %w: it does not say what holds it", r.ID, packed.ErrRow)
			}
			g.by[r.ID], g.held = r, append(g.held, r.delivery)
			return nil
		})
}

func (g *letting) write(w *db.Writer, to delivery.LetGo) error {
	for _, v := range to.Off {
		if err := w.Do("UPDATE gathering SET due = ?3, body = ?4 WHERE ref = ?1 AND id = ?2", func(s *driver.Stmt) {
			s.BindInt64(1, g.ref)
			s.BindText(2, v.ID)
			s.BindInt64(3, v.Due.UnixNano())
			s.BindBytes(4, packed.Encode(v, g.by[v.ID].seqs))
		}); err != nil {
			return err
		}
	}
	for _, v := range to.Alone {
		if err := g.send(w, v, g.by[v.ID].seqs); err != nil {
			return err
		}
	}
	for _, group := range to.Merged {
		first := g.by[group[0].ID]
		first.delivery.Digest, first.delivery.Held = group[0].Digest, group[0].Held
		for _, m := range group[1:] {
			r := g.by[m.ID]
			if err := g.merged(w, r, first.ID); err != nil {
				return err
			}
			first.delivery.Merge(r.delivery)
			first.seqs = append(first.seqs, r.seqs...)
		}
		if err := g.send(w, first.delivery, first.seqs); err != nil {
			return err
		}
	}
	return nil
}

func (g *letting) send(w *db.Writer, v delivery.Delivery, seqs []int64) error {
	if err := g.remove(w, v.ID); err != nil {
		return err
	}
	g.made = append(g.made, v.ID)
	return tables.Insert(w, g.ref, v, seqs)
}

func (g *letting) merged(w *db.Writer, r windowRow, into string) error {
	if err := g.remove(w, r.ID); err != nil {
		return err
	}
	return w.Do("INSERT OR REPLACE INTO merged (ref, id, into_id, body) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, g.ref)
		s.BindText(2, r.ID)
		s.BindText(3, into)
		s.BindBytes(4, packed.Encode(r.delivery, r.seqs))
	})
}

func (g *letting) remove(w *db.Writer, id string) error {
	return w.Do("DELETE FROM gathering WHERE ref = ? AND id = ?", func(s *driver.Stmt) {
		s.BindInt64(1, g.ref)
		s.BindText(2, id)
	})
}
