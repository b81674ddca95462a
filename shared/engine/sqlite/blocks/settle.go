package blocks

import (
	"fmt"
	"math/bits"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// Settlement gathers what came of deliveries in one write: a row for each block.
type Settlement struct {
	by    map[key]*settled
	order []*settled
}

type key struct {
	ref   int64
	first string
}

// settled is what a settlement does to one block.
type settled struct {
	key
	open      uint64
	outcomes  []packed.Outcome
	delivered int
}

// Take takes a delivery out of those that wait; nil when it is none of them.
func (t *Settlement) Take(w *db.Writer, ref int64, at Place) (taken *Taken, err error) {
	k := key{ref, at.First}
	b, ok := t.by[k]
	if !ok {
		b = &settled{key: k}
		if err := db.Each(w.Conn, "SELECT open FROM open_blocks WHERE ref = ? AND first = ?", b.bind,
			func(s *driver.Stmt) error {
				b.open = uint64(s.ColumnInt64(0))
				return nil
			}); err != nil {
			return nil, err
		}
		if t.by == nil {
			t.by = map[key]*settled{}
		}
		t.by[k], t.order = b, append(t.order, b)
	}
	bit := uint64(1) << at.Index
	if b.open&bit == 0 {
		return nil, nil
	}
	b.open &^= bit
	return &Taken{b, at.Index}, nil
}

// Taken is a delivery that waits no more.
type Taken struct {
	of    *settled
	index int
}

// End says what came of it; own reports that it needs a row of its own.
func (t *Taken) End(v delivery.Delivery) (own bool) {
	o := packed.OutcomeOf(t.index, v)
	if t.of.outcomes = append(t.of.outcomes, o); !o.Moved {
		t.of.delivered++
	}
	return o.Moved
}

// Write writes the outcomes.
func (t *Settlement) Write(w *db.Writer) error {
	for _, b := range t.order {
		if len(b.outcomes) == 0 {
			continue
		}
		if err := b.write(w); err != nil {
			return fmt.Errorf("block %s: %w", b.first, err)
		}
	}
	return nil
}

func (b *settled) bind(s *driver.Stmt) {
	s.BindInt64(1, b.ref)
	s.BindText(2, b.first)
}

func (b *settled) write(w *db.Writer) error {
	left := int64(bits.OnesCount64(b.open))
	if err := w.Do("INSERT INTO outcomes (ref, first, still_open, delivered, body) VALUES (?, ?, ?, ?, ?)",
		func(s *driver.Stmt) {
			b.bind(s)
			s.BindInt64(3, left)
			s.BindInt64(4, int64(b.delivered))
			s.BindBytes(5, packed.EncodeOutcomes(b.outcomes))
		}); err != nil {
		return err
	}
	if left == 0 {
		return w.Do("DELETE FROM open_blocks WHERE ref = ? AND first = ?", b.bind)
	}
	return w.Do("UPDATE open_blocks SET n = ?3, open = ?4 WHERE ref = ?1 AND first = ?2", func(s *driver.Stmt) {
		b.bind(s)
		s.BindInt64(3, left)
		s.BindInt64(4, int64(b.open))
	})
}

// Move takes a delivered delivery out of its block, for a row of its own; ok is false when there is none.
func Move(w *db.Writer, ref int64, id string) (v delivery.Delivery, seqs []int64, ok bool, err error) {
	b, index, found, err := Find(w.Conn, ref, id)
	if err != nil || !found || b.Ends[index] == nil {
		return v, nil, false, err
	}
	seqs = b.Fill(index, &v)
	_, err = forget(w, ref, b.First, func(i int) bool { return i == index })
	return v, seqs, true, err
}

// forget makes delivered deliveries of a block moved ones, and says how many.
func forget(w *db.Writer, ref int64, first string, which func(index int) bool) (n int, err error) {
	type row struct {
		left      int64
		delivered int
		outcomes  []packed.Outcome
	}
	var changed []row
	err = db.Each(w.Conn, "SELECT still_open, body FROM outcomes WHERE ref = ? AND first = ? AND delivered > 0",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, first)
		}, func(s *driver.Stmt) error {
			r := row{left: s.ColumnInt64(0)}
			var err error
			if r.outcomes, err = packed.DecodeOutcomes(db.Blob(s, 1)); err != nil {
				return fmt.Errorf("outcomes of block %s: %w", first, err)
			}
			was := n
			for k, o := range r.outcomes {
				switch {
				case o.Moved:
				case which(o.Index):
					r.outcomes[k] = packed.Outcome{Index: o.Index, Moved: true}
					n++
				default:
					r.delivered++
				}
			}
			if n > was {
				changed = append(changed, r)
			}
			return nil
		})
	if err != nil {
		return 0, err
	}
	for _, r := range changed {
		if err := w.Do(`UPDATE outcomes SET delivered = ?4, body = ?5 WHERE ref = ?1 AND first = ?2
			AND still_open = ?3`, func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, first)
			s.BindInt64(3, r.left)
			s.BindInt64(4, int64(r.delivered))
			s.BindBytes(5, packed.EncodeOutcomes(r.outcomes))
		}); err != nil {
			return 0, err
		}
	}
	return n, nil
}
