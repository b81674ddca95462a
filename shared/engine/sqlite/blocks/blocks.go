package blocks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// Tables are those of blocks, by the number of the integration.
var Tables = []string{"blocks", "open_blocks", "outcomes"}

// Place is where a delivery is in the blocks of an integration. The zero value is no place.
type Place struct {
	First string // of the block
	Index int
}

// Block is a row of the table blocks with what came of it.
type Block struct {
	First, Last string
	Items       []packed.Item
	Ends        [packed.MostItems]*packed.Outcome // nil: it waits
}

// State is that of the delivery at an index; ok is false of one with a row of its own.
func (b *Block) State(index int) (s delivery.State, ok bool) {
	switch end := b.Ends[index]; {
	case end == nil:
		return delivery.Pending, true
	case end.Moved:
		return "", false
	}
	return delivery.Delivered, true
}

// Fill completes a delivery by what its block says of it; seqs are the numbers of its events.
func (b *Block) Fill(index int, v *delivery.Delivery) (seqs []int64) {
	i := b.Items[index]
	v.ID, v.State, v.Count, v.Kinds = i.ID, delivery.Pending, i.Count, i.Kinds
	if end := b.Ends[index]; end != nil {
		end.Apply(v)
	}
	return i.Seqs
}

// Row is a block as it was written: its first delivery, and its body (packed.DecodeBlock).
type Row struct {
	First string
	Body  []byte
}

// Insert writes items of one integration as blocks, and returns these, and those items that are to have rows of their
// own: all where they are less than least.
func Insert(w *db.Writer, ref int64, items []packed.Item, least int) (made []Row, own []packed.Item, err error) {
	if len(items) < least {
		return nil, items, nil
	}
	slices.SortFunc(items, func(a, b packed.Item) int { return strings.Compare(a.ID, b.ID) })
	items = slices.CompactFunc(items, func(a, b packed.Item) bool { return a.ID == b.ID })
	last := ""
	if err := db.Each(w.Conn, "SELECT last FROM blocks WHERE ref = ? ORDER BY first DESC LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, ref) }, func(s *driver.Stmt) error {
			last = s.ColumnText(0)
			return nil
		}); err != nil {
		return nil, nil, err
	}
	for len(items) > 0 && items[0].ID <= last {
		_, _, found, err := Find(w.Conn, ref, items[0].ID)
		if err != nil {
			return nil, nil, err
		}
		if !found { // else it is kept already
			own = append(own, items[0])
		}
		items = items[1:]
	}
	for len(items) >= max(1, least) {
		n := min(len(items), packed.MostItems)
		row, err := insert(w, ref, items[:n])
		if err != nil {
			return nil, nil, err
		}
		items, made = items[n:], append(made, row)
	}
	return made, append(own, items...), nil
}

func insert(w *db.Writer, ref int64, items []packed.Item) (Row, error) {
	body, err := packed.EncodeBlock(items)
	if err != nil {
		return Row{}, err
	}
	first := items[0].ID
	if err := w.Do("INSERT INTO blocks (ref, first, last, body) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, first)
		s.BindText(3, items[len(items)-1].ID)
		s.BindBytes(4, body)
	}); err != nil {
		return Row{}, err
	}
	err = w.Do("INSERT INTO open_blocks (ref, first, n, open) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, first)
		s.BindInt64(3, int64(len(items)))
		s.BindInt64(4, int64(^uint64(0)>>(packed.MostItems-len(items))))
	})
	return Row{first, body}, err
}

// Find reads the block of a delivery; found is false where it is in none, or has a row of its own.
func Find(conn *driver.Conn, ref int64, id string) (b *Block, index int, found bool, err error) {
	err = db.Each(conn, "SELECT first, last, body FROM blocks WHERE ref = ? AND first <= ? ORDER BY first DESC LIMIT 1",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, id)
		}, func(s *driver.Stmt) error {
			if s.ColumnText(1) < id {
				return nil
			}
			b, err = read(conn, ref, s)
			return err
		})
	if err != nil || b == nil {
		return nil, 0, false, err
	}
	index, found = slices.BinarySearchFunc(b.Items, id, func(i packed.Item, id string) int {
		return strings.Compare(i.ID, id)
	})
	if found {
		_, found = b.State(index)
	}
	return b, index, found, nil
}

// read reads a row of the columns first, last and body.
func read(conn *driver.Conn, ref int64, s *driver.Stmt) (*Block, error) {
	b := &Block{First: s.ColumnText(0), Last: s.ColumnText(1)}
	var err error
	if b.Items, err = packed.DecodeBlock(db.Blob(s, 2)); err != nil {
		return nil, fmt.Errorf("block %s: %w", b.First, err)
	}
	err = db.Each(conn, "SELECT body FROM outcomes WHERE ref = ? AND first = ?", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, b.First)
	}, func(s *driver.Stmt) error {
		ends, err := packed.DecodeOutcomes(db.Blob(s, 0))
		for n := range ends {
			b.Ends[ends[n].Index] = &ends[n]
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("outcomes of block %s: %w", b.First, err)
	}
	return b, nil
}

// ErrEnough ends a visit early, without an error.
var ErrEnough = errors.New("enough")

// Range selects blocks of an integration with ids from From to those before Before.
type Range struct {
	From, Before string
	// Waiting: only those with deliveries that wait.
	Waiting bool
	// Enter is asked before Newest reads a block, by its last id; nil = each is read.
	Enter func(last string) error
}

// Statements of Newest and Oldest.
const (
	newest = `SELECT first, last, body FROM blocks WHERE ref = ?1 AND first < ?2 ORDER BY first DESC`
	oldest = `SELECT first, last, body FROM blocks WHERE ref = ?1 AND first < ?2 AND first >=
		ifnull((SELECT max(first) FROM blocks WHERE ref = ?1 AND first <= ?3), '') ORDER BY first`
	newestOpen = `SELECT b.first, b.last, b.body FROM open_blocks o CROSS JOIN blocks b ON b.ref = o.ref
		AND b.first = o.first WHERE o.ref = ?1 AND o.first < ?2 ORDER BY o.first DESC`
)

// Newest visits the deliveries in a range that have no rows of their own, newest first.
func Newest(conn *driver.Conn, ref int64, r Range, visit func(b *Block, index int) error) error {
	sql := newest
	if r.Waiting {
		sql = newestOpen
	}
	return enough(db.Each(conn, sql, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, r.Before)
	}, func(s *driver.Stmt) error {
		last := s.ColumnText(1)
		if last < r.From {
			return ErrEnough
		}
		if r.Enter != nil {
			if err := r.Enter(last); err != nil {
				return err
			}
		}
		b, err := read(conn, ref, s)
		if err != nil {
			return err
		}
		for index := len(b.Items) - 1; index >= 0; index-- {
			if err := b.visit(index, r, visit); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Oldest visits them oldest first.
func Oldest(conn *driver.Conn, ref int64, r Range, visit func(b *Block, index int) error) error {
	return enough(db.Each(conn, oldest, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, r.Before)
		s.BindText(3, r.From)
	}, func(s *driver.Stmt) error {
		if s.ColumnText(1) < r.From {
			return nil
		}
		b, err := read(conn, ref, s)
		if err != nil {
			return err
		}
		for index := range b.Items {
			if err := b.visit(index, r, visit); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (b *Block) visit(index int, r Range, visit func(b *Block, index int) error) error {
	if id := b.Items[index].ID; id < r.From || id >= r.Before {
		return nil
	}
	if _, ok := b.State(index); !ok {
		return nil
	}
	return visit(b, index)
}

func enough(err error) error {
	if errors.Is(err, ErrEnough) {
		return nil
	}
	return err
}

const waiting = `SELECT o.first, o.open, b.body FROM open_blocks o CROSS JOIN blocks b ON b.ref = o.ref
	AND b.first = o.first WHERE o.ref = ?1 AND o.first >=
	ifnull((SELECT max(first) FROM open_blocks WHERE ref = ?1 AND first <= ?2), '') ORDER BY o.first`

// Waiting visits the deliveries that wait, oldest first, after an id.
func Waiting(conn *driver.Conn, ref int64, after string, visit func(packed.Item, Place) error) error {
	return enough(db.Each(conn, waiting, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, after)
	}, func(s *driver.Stmt) error {
		first := s.ColumnText(0)
		items, err := packed.DecodeBlock(db.Blob(s, 2))
		if err != nil {
			return fmt.Errorf("block %s: %w", first, err)
		}
		for _, index := range packed.Places(uint64(s.ColumnInt64(1))) {
			if index >= len(items) {
				return fmt.Errorf("block %s: %w: it has no place %d", first, packed.ErrRow, index)
			}
			if items[index].ID <= after {
				continue
			}
			if err := visit(items[index], Place{first, index}); err != nil {
				return err
			}
		}
		return nil
	}))
}
