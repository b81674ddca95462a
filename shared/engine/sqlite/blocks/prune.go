package blocks

import (
	"context"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// pruneAtOnce is how many blocks one transaction removes: some thousand deliveries.
const pruneAtOnce = 32

// old is a block that begins before the ids that are kept.
type old struct {
	first, last string
	open        bool
	body        []byte
}

// Prune removes the deliveries of an integration that ended and whose ids are before one, and the blocks of which
// nothing is left.
func Prune(ctx context.Context, f *db.File, ref int64, before string) (removed int, err error) {
	for after, more := "", true; more; {
		err := f.Write(ctx, func(w *db.Writer) error {
			n, last, err := prune(w, ref, after, before)
			if err == nil {
				removed, after, more = removed+n, last, last != ""
			}
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// prune does so for some blocks after one, and returns the last of them, "" at the end.
func prune(w *db.Writer, ref int64, after, before string) (removed int, last string, err error) {
	var blocks []old
	if err := db.Each(w.Conn, `SELECT b.first, b.last, o.first IS NOT NULL, b.body FROM blocks b
		LEFT JOIN open_blocks o ON o.ref = b.ref AND o.first = b.first
		WHERE b.ref = ? AND b.first > ? AND b.first < ? ORDER BY b.first LIMIT ?`, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, after)
		s.BindText(3, before)
		s.BindInt64(4, pruneAtOnce)
	}, func(s *driver.Stmt) error {
		blocks = append(blocks, old{s.ColumnText(0), s.ColumnText(1), s.ColumnBool(2), db.Blob(s, 3)})
		return nil
	}); err != nil {
		return 0, "", err
	}
	for _, b := range blocks {
		n, err := b.prune(w, ref, before)
		if removed += n; err != nil {
			return removed, "", err
		}
	}
	if len(blocks) == pruneAtOnce {
		last = blocks[len(blocks)-1].first
	}
	return removed, last, nil
}

func (b old) prune(w *db.Writer, ref int64, before string) (removed int, err error) {
	bind := func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, b.first)
	}
	if b.open || b.last >= before { // some of it stays
		items, err := packed.DecodeBlock(b.body)
		if err != nil {
			return 0, err
		}
		return forget(w, ref, b.first, func(index int) bool {
			return index < len(items) && items[index].ID < before
		})
	}
	if err := db.Each(w.Conn, "SELECT ifnull(sum(delivered), 0) FROM outcomes WHERE ref = ? AND first = ?", bind,
		func(s *driver.Stmt) error {
			removed = s.ColumnInt(0)
			return nil
		}); err != nil {
		return 0, err
	}
	for _, sql := range []string{"DELETE FROM outcomes WHERE ref = ? AND first = ?",
		"DELETE FROM blocks WHERE ref = ? AND first = ?"} {
		if err := w.Do(sql, bind); err != nil {
			return 0, err
		}
	}
	return removed, nil
}
