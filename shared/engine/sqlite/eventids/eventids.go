package eventids

import (
	"context"
	"fmt"
	"slices"
	"sync"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/event"
)

// IDs are the ids of a state file. The filters know every id whose transaction is committed, and some that are gone.
type IDs struct {
	mu          sync.Mutex
	generations []*generation // by number
	earlier     bool          // an earlier release's ids may be there
}

// generation is the filter of a million events.
type generation struct {
	number int64
	bits   filter
	stored bool // the file has it
}

// ID is the id of an event, and the event's number.
type ID struct {
	tenant, id string
	digest     uint64
	seq        int64
}

// Of is the id of an event.
func Of(tenant, id string, seq int64) ID {
	return ID{tenant: tenant, id: id, digest: digestOf(tenant, id), seq: seq}
}

// Seq is the event's number.
func (of ID) Seq() int64 { return of.seq }

// Load reads the filters, and makes those that the file does not have.
func (x *IDs) Load(w *db.Writer) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.generations = nil
	if err := db.Each(w.Conn, "SELECT generation, bits FROM event_filters ORDER BY generation", nil,
		func(s *driver.Stmt) error {
			bits := filter(db.Blob(s, 1))
			if len(bits) != filterBytes {
				return fmt.Errorf("the filter of generation %d has %d bytes", s.ColumnInt64(0), len(bits))
			}
			x.generations = append(x.generations, &generation{number: s.ColumnInt64(0), bits: bits, stored: true})
			return nil
		}); err != nil {
		return fmt.Errorf("read the filters of event ids: %w", err)
	}
	stored := slices.Clone(x.generations)
	next := int64(0) // the first part that no stored filter covers
	for _, g := range append(stored, nil) {
		end := int64(1<<63 - 1)
		if g != nil {
			end = g.number << (generationBits - partBits)
		}
		if err := x.scan(w.Conn, next, end); err != nil {
			return fmt.Errorf("read the event ids: %w", err)
		}
		if g != nil {
			next = (g.number + 1) << (generationBits - partBits)
		}
	}
	earlier, err := anyEarlier(w.Conn)
	x.earlier = earlier
	return err
}

// scan adds the digests of the parts [from, to).
func (x *IDs) scan(conn *driver.Conn, from, to int64) error {
	return db.Each(conn, "SELECT part, digest FROM event_digests WHERE part >= ? AND part < ?", func(s *driver.Stmt) {
		s.BindInt64(1, from)
		s.BindInt64(2, to)
	}, func(s *driver.Stmt) error {
		x.of(s.ColumnInt64(0) >> (generationBits - partBits)).bits.add(uint64(s.ColumnInt64(1)))
		return nil
	})
}

// of finds or makes a generation. It needs the lock.
func (x *IDs) of(number int64) *generation {
	at, ok := slices.BinarySearchFunc(x.generations, number, func(g *generation, n int64) int {
		return int(g.number - n)
	})
	if !ok {
		x.generations = slices.Insert(x.generations, at, &generation{number: number, bits: newFilter()})
	}
	return x.generations[at]
}

// Unknown says that an id was surely never seen, without a look into the file.
func (x *IDs) Unknown(tenant, id string) bool {
	digest := digestOf(tenant, id)
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.earlier && len(x.candidates(digest)) == 0
}

// candidates are the generations that may have a digest, the newest first. It needs the lock.
func (x *IDs) candidates(digest uint64) (out []int64) {
	for _, g := range slices.Backward(x.generations) {
		if g.bits.has(digest) {
			out = append(out, g.number)
		}
	}
	return out
}

// Find is the number of the event that an id counts for.
func (x *IDs) Find(conn *driver.Conn, tenant, id string) (seq int64, found bool, err error) {
	digest := digestOf(tenant, id)
	x.mu.Lock()
	generations, earlier := x.candidates(digest), x.earlier
	x.mu.Unlock()
	for _, g := range generations {
		if seq, found, err = find(conn, g, digest, tenant, id); found || err != nil {
			return seq, found, err
		}
	}
	if !earlier {
		return 0, false, nil
	}
	err = db.Each(conn, "SELECT seq FROM event_ids WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		seq, found = s.ColumnInt64(0), true
		return nil
	})
	return seq, found, err
}

// find looks through the parts of a generation.
func find(conn *driver.Conn, number int64, digest uint64, tenant, id string) (seq int64, found bool, err error) {
	var seqs []int64
	const parts = 1 << (generationBits - partBits)
	for part := number * parts; part < (number+1)*parts; part++ {
		if err := db.Each(conn, "SELECT seq FROM event_digests WHERE part = ? AND digest = ?", func(s *driver.Stmt) {
			s.BindInt64(1, part)
			s.BindInt64(2, int64(digest))
		}, func(s *driver.Stmt) error {
			seqs = append(seqs, s.ColumnInt64(0))
			return nil
		}); err != nil {
			return 0, false, err
		}
	}
	for _, seq := range seqs {
		err := db.Each(conn, "SELECT kind, detail FROM events WHERE seq = ?",
			func(s *driver.Stmt) { s.BindInt64(1, seq) }, func(s *driver.Stmt) error {
				e, err := event.Decode(s.ColumnText(0), db.Blob(s, 1))
				found = err == nil && e.Tenant == tenant && e.ID == id
				return err
			})
		if err != nil || found {
			return seq, found, err
		}
	}
	return 0, false, nil
}

// Counts says whether it is this event, of all with its id, that counts.
func (x *IDs) Counts(conn *driver.Conn, of ID) (ok bool, err error) {
	yes := func(*driver.Stmt) error {
		ok = true
		return nil
	}
	err = db.Each(conn, "SELECT 1 FROM event_digests WHERE part = ? AND digest = ? AND seq = ?", of.bind, yes)
	if err != nil || ok {
		return ok, err
	}
	x.mu.Lock()
	earlier := x.earlier
	x.mu.Unlock()
	if !earlier {
		return false, nil
	}
	err = db.Each(conn, "SELECT 1 FROM event_ids WHERE tenant = ? AND id = ? AND seq = ?", func(s *driver.Stmt) {
		s.BindText(1, of.tenant)
		s.BindText(2, of.id)
		s.BindInt64(3, of.seq)
	}, yes)
	return ok, err
}

// bind gives a statement the key of the id's row.
func (of ID) bind(s *driver.Stmt) {
	s.BindInt64(1, of.seq>>partBits)
	s.BindInt64(2, int64(of.digest))
	s.BindInt64(3, of.seq)
}

// Put writes new ids. Added is due when its transaction is committed.
func (x *IDs) Put(w *db.Writer, ids []ID) error {
	if err := x.store(w); err != nil {
		return fmt.Errorf("store a filter of event ids: %w", err)
	}
	for _, one := range ids {
		if err := w.Do("INSERT OR IGNORE INTO event_digests (part, digest, seq) VALUES (?, ?, ?)",
			one.bind); err != nil {
			return err
		}
	}
	return nil
}

// store writes the filters to which nothing more will be added: those before the newest.
func (x *IDs) store(w *db.Writer) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for n, g := range x.generations {
		if g.stored || n == len(x.generations)-1 {
			continue
		}
		if err := w.Do("INSERT OR REPLACE INTO event_filters (generation, bits) VALUES (?, ?)",
			func(s *driver.Stmt) {
				s.BindInt64(1, g.number)
				s.BindBytes(2, g.bits)
			}); err != nil {
			return err
		}
	}
	return nil
}

// Added notes ids that are committed.
func (x *IDs) Added(ids []ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for n, g := range x.generations {
		g.stored = n < len(x.generations)-1 // Put of the same transaction stored it
	}
	for _, one := range ids {
		x.of(one.seq >> generationBits).bits.add(one.digest)
	}
}

// Remove forgets ids whose events are removed, and says how many. An id that is unknown is no error.
func (x *IDs) Remove(w *db.Writer, ids []ID) (removed int, err error) {
	for _, one := range ids {
		if err := w.Do("DELETE FROM event_digests WHERE part = ? AND digest = ? AND seq = ?", one.bind); err != nil {
			return 0, err
		}
		removed += w.Conn.Changes()
		if err := w.Do("DELETE FROM event_ids WHERE tenant = ? AND id = ? AND seq = ?", func(s *driver.Stmt) {
			s.BindText(1, one.tenant)
			s.BindText(2, one.id)
			s.BindInt64(3, one.seq)
		}); err != nil {
			return 0, err
		}
	}
	return removed, nil
}

// Shrink drops the filters of generations that have no id any more, and notes when the last id of an earlier release
// went.
func (x *IDs) Shrink(ctx context.Context, file *db.File) error {
	var oldest int64
	var earlier bool
	err := file.Write(ctx, func(w *db.Writer) (err error) {
		if earlier, err = anyEarlier(w.Conn); err != nil {
			return err
		}
		if oldest, err = db.Number(w.Conn, "SELECT ifnull(min(part), 0) FROM event_digests"); err != nil {
			return err
		}
		oldest >>= generationBits - partBits
		return w.Do("DELETE FROM event_filters WHERE generation < ?",
			func(s *driver.Stmt) { s.BindInt64(1, oldest) })
	})
	if err != nil {
		return fmt.Errorf("drop filters of event ids: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.earlier = earlier
	x.generations = slices.DeleteFunc(x.generations, func(g *generation) bool { return g.number < oldest })
	return nil
}

func anyEarlier(conn *driver.Conn) (bool, error) {
	n, err := db.Number(conn, "SELECT EXISTS (SELECT 1 FROM event_ids)")
	return n != 0, err
}
