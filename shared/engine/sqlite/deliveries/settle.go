package deliveries

import (
	"context"
	"errors"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// Settle moves deliveries to where their new state belongs.
func (d *Deliveries) Settle(ctx context.Context, deliveries []delivery.Delivery) error {
	refs, carried := make([]int64, len(deliveries)), make([][]int64, len(deliveries))
	d.mu.Lock()
	for i, v := range deliveries {
		refs[i] = d.lanes.ref[laneKey{v.Tenant, v.Integration}]
		carried[i] = d.leases.of[refs[i]][v.ID].seqs
	}
	d.mu.Unlock()
	var ended []string // before
	made := intake{}   // the deliveries of fallbacks
	err := d.db.WriteRepeatable(ctx, func(w *db.Writer) error {
		ended = nil
		made.refs, made.made, made.windows = map[laneKey]int64{}, made.made[:0], windows{}
		for i, v := range deliveries {
			err := settle(w, refs[i], v, carried[i])
			if errors.Is(err, delivery.ErrNotFound) {
				ended, err = append(ended, v.ID), nil
			} else if err == nil && v.Fallback != nil && v.Fallback.Made != nil {
				err = d.makeFallback(w, &made, *v.Fallback.Made)
			}
			if err != nil {
				return fmt.Errorf("delivery %s: %w", v.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), err)
	}
	d.accepted(made)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, v := range deliveries {
		d.leases.end(refs[i], v.ID, v.State == delivery.Pending)
	}
	if len(ended) > 0 {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), &delivery.NotWaitingError{IDs: ended})
	}
	return nil
}

// makeFallback writes a new delivery of events that are stored, unless its id is known.
func (d *Deliveries) makeFallback(w *db.Writer, i *intake, v delivery.Delivery) error {
	i.seqs = make(map[eventKey]int64, len(v.Events))
	for _, e := range v.Events {
		seq, found, err := d.ids.Find(w.Conn, e.Tenant, e.ID)
		if err != nil {
			return err
		}
		if found {
			i.seqs[eventKey{e.Tenant, e.ID}] = seq
		}
	}
	return d.enqueueNew(w, i, v)
}

// settle moves one delivery. seqs are its events' numbers, nil where the row has to say.
func settle(w *db.Writer, ref int64, v delivery.Delivery, seqs []int64) error {
	key := func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, v.ID)
	}
	there := false
	for _, table := range [...]string{"pending", "retrying"} {
		var err error
		if seqs != nil {
			there, err = removeKnown(w, table, key)
		} else if seqs, err = remove(w, table, key); seqs != nil {
			there = true
		}
		if err != nil {
			return err
		}
		if there {
			break
		}
	}
	if !there {
		return delivery.ErrNotFound
	}
	body := packed.Encode(v, seqs)
	switch v.State {
	case delivery.Pending:
		return insertPending(w, ref, v, seqs)
	case delivery.Retrying:
		return w.Do("INSERT INTO retrying (ref, id, due, body) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
			key(s)
			s.BindInt64(3, v.Due.UnixNano())
			s.BindBytes(4, body)
		})
	default:
		return w.Do("INSERT OR REPLACE INTO finished (ref, id, dead, body) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
			key(s)
			s.BindBool(3, v.State == delivery.Dead)
			s.BindBytes(4, body)
		})
	}
}

// knownRemovals are the statements of removeKnown, made once: they are the writer's most frequent.
var knownRemovals = map[string]string{
	"pending":  "DELETE FROM pending WHERE ref = ? AND id = ?",
	"retrying": "DELETE FROM retrying WHERE ref = ? AND id = ?",
}

// removeKnown takes a row out of a table without reading it: what RETURNING returns goes through a table of its own,
// which costs more than the removal.
func removeKnown(w *db.Writer, table string, key func(*driver.Stmt)) (there bool, err error) {
	err = w.Do(knownRemovals[table], key)
	return err == nil && w.Conn.Changes() > 0, err
}

// removals are the statements of remove, made once.
var removals = map[string]string{
	"pending":  "DELETE FROM pending WHERE ref = ? AND id = ? RETURNING body",
	"retrying": "DELETE FROM retrying WHERE ref = ? AND id = ? RETURNING body",
	"finished": "DELETE FROM finished WHERE ref = ? AND id = ? RETURNING body",
}

// remove takes a row out of a table and returns its events' numbers, nil when it is not there.
func remove(w *db.Writer, table string, key func(*driver.Stmt)) (seqs []int64, err error) {
	err = db.Each(w.Conn, removals[table], key, func(s *driver.Stmt) error {
		var was delivery.Delivery
		var err error
		seqs, err = packed.Decode(db.Blob(s, 0), &was)
		return err
	})
	return seqs, err
}
