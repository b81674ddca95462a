package tables

import (
	"errors"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// Insert writes a new delivery that is to be sent, or one that is to be sent again.
func Insert(w *db.Writer, ref int64, v delivery.Delivery, seqs []int64) error {
	return w.Do("INSERT OR IGNORE INTO pending (ref, id, body) VALUES (?, ?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, v.ID)
		s.BindBytes(3, packed.Encode(v, seqs))
	})
}

// Known is what a lease says of a delivery; the zero value is nothing.
type Known struct {
	// Seqs are its events, so that its outcome is written without its row being read again.
	Seqs []int64
	At   blocks.Place // of one that has no row of its own
}

// Settle moves one delivery. What its lease does not say of it is read.
func Settle(w *db.Writer, shared *blocks.Settlement, ref int64, v delivery.Delivery, known Known) error {
	done, err := settleShared(w, shared, ref, v, known.At, known.Seqs)
	if done || err != nil {
		return err
	}
	seqs, err := removeOwn(w, ref, v, known.Seqs)
	if err == nil {
		return insertOwn(w, ref, v, seqs)
	}
	if known.Seqs != nil || !errors.Is(err, delivery.ErrNotFound) {
		return err
	}
	b, index, found, err := blocks.Find(w.Conn, ref, v.ID)
	if err != nil {
		return err
	}
	if found {
		at := blocks.Place{First: b.First, Index: index}
		if done, err = settleShared(w, shared, ref, v, at, b.Items[index].Seqs); done || err != nil {
			return err
		}
	}
	return delivery.ErrNotFound
}

// settleShared ends a delivery of a block; done is false where it is not one that waits.
func settleShared(w *db.Writer, shared *blocks.Settlement, ref int64, v delivery.Delivery, at blocks.Place,
	seqs []int64) (done bool, err error) {
	if at.First == "" {
		return false, nil
	}
	taken, err := shared.Take(w, ref, at)
	if taken == nil || err != nil {
		return false, err
	}
	if taken.End(v) {
		err = insertOwn(w, ref, v, seqs)
	}
	return true, err
}

// removeOwn takes the row of a delivery that waits out of its table. seqs are its events' numbers, nil where the row
// has to say.
func removeOwn(w *db.Writer, ref int64, v delivery.Delivery, seqs []int64) ([]int64, error) {
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
			return nil, err
		}
		if there {
			return seqs, nil
		}
	}
	return nil, delivery.ErrNotFound
}

// insertOwn writes the row of a delivery that was tried.
func insertOwn(w *db.Writer, ref int64, v delivery.Delivery, seqs []int64) error {
	key := func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, v.ID)
	}
	body := packed.Encode(v, seqs)
	switch v.State {
	case delivery.Pending:
		return Insert(w, ref, v, seqs)
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

// Restart begins a new run of one ended delivery under its old id. Its parts and attempts say what arrived.
func Restart(w *db.Writer, ref int64, id string) (moved bool, err error) {
	v := delivery.Delivery{ID: id}
	var seqs []int64
	err = db.Each(w.Conn, removals["finished"], func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		moved = true
		var err error
		seqs, err = packed.Decode(db.Blob(s, 0), &v)
		return err
	})
	if err == nil && !moved {
		v, seqs, moved, err = blocks.Move(w, ref, id)
	}
	if err != nil || !moved {
		return false, err
	}
	v.Failures, v.Reason = 0, ""
	return true, Insert(w, ref, v, seqs)
}
