package eventids

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/event"
)

// IDs are the ids of a state file. What is in memory knows every id whose transaction is committed, and some that are
// gone.
type IDs struct {
	mu          sync.Mutex
	generations []*generation // by number
	newest      []entry       // of the newest part
	earlier     bool          // an earlier release's ids may be there
}

// generation is the filters of a million events.
type generation struct {
	number int64
	seen   seen
	parts  parts
	stored bool // the file has it
}

func newGeneration(number int64) *generation {
	return &generation{number: number, seen: make(seen, seenBytes), parts: make(parts, partsBytes)}
}

// ID is the id of an event, and the event's number.
type ID struct {
	tenant, id string
	entry
}

// Of is the id of an event.
func Of(tenant, id string, seq int64) ID {
	return ID{tenant: tenant, id: id, entry: entry{seq, digestOf(tenant, id)}}
}

// Seq is the event's number.
func (of ID) Seq() int64 { return of.seq }

func part(seq int64) int64 { return seq >> partBits }

// Load reads the filters, and makes those that the file does not have.
func (x *IDs) Load(w *db.Writer) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.generations, x.newest = nil, nil
	if err := db.Each(w.Conn, "SELECT generation, seen, parts FROM event_filters ORDER BY generation", nil,
		func(s *driver.Stmt) error {
			g := &generation{number: s.ColumnInt64(0), seen: db.Blob(s, 1), parts: db.Blob(s, 2), stored: true}
			if len(g.seen) != seenBytes || len(g.parts) != partsBytes {
				return fmt.Errorf("generation %d has %d and %d bytes", g.number, len(g.seen), len(g.parts))
			}
			x.generations = append(x.generations, g)
			return nil
		}); err != nil {
		return fmt.Errorf("read the filters of event ids: %w", err)
	}
	stored := slices.Clone(x.generations)
	next := int64(0) // the first event that no stored filter covers
	for _, g := range append(stored, nil) {
		end := int64(1<<63 - 1)
		if g != nil {
			end = g.number << generationBits
		}
		if err := x.scan(w.Conn, next, end); err != nil {
			return fmt.Errorf("read the event ids: %w", err)
		}
		if g != nil {
			next = (g.number + 1) << generationBits
		}
	}
	if err := x.loadNewest(w.Conn); err != nil {
		return fmt.Errorf("read the newest event ids: %w", err)
	}
	earlier, err := anyEarlier(w.Conn)
	x.earlier = earlier
	return err
}

// scan adds the digests of the events [from, to) to the filters.
func (x *IDs) scan(conn *driver.Conn, from, to int64) error {
	return rows(conn, from, to, func(e entry) bool {
		x.of(e.seq >> generationBits).add(e)
		return true
	})
}

// rows visits the entries of the events [from, to); false ends the row.
func rows(conn *driver.Conn, from, to int64, visit func(entry) bool) error {
	return db.Each(conn, "SELECT first, body FROM event_digests WHERE first >= ? AND first < ?", func(s *driver.Stmt) {
		s.BindInt64(1, from)
		s.BindInt64(2, to)
	}, func(s *driver.Stmt) error { return decode(s.ColumnInt64(0), db.Blob(s, 1), visit) })
}

func (x *IDs) loadNewest(conn *driver.Conn) error {
	last, err := db.Number(conn, "SELECT ifnull(max(first), 0) FROM event_digests")
	if err != nil {
		return err
	}
	return rows(conn, part(last)<<partBits, (part(last)+1)<<partBits, func(e entry) bool {
		x.newest = append(x.newest, e)
		return true
	})
}

func (g *generation) add(e entry) {
	g.seen.add(e.digest)
	g.parts.add(part(e.seq)%generationParts, e.digest)
}

// of finds or makes a generation. It needs the lock.
func (x *IDs) of(number int64) *generation {
	at, ok := slices.BinarySearchFunc(x.generations, number, func(g *generation, n int64) int {
		return int(g.number - n)
	})
	if !ok {
		x.generations = slices.Insert(x.generations, at, newGeneration(number))
	}
	return x.generations[at]
}

// Unknown says that an id was surely never seen, without a look into the file.
func (x *IDs) Unknown(tenant, id string) bool {
	digest := digestOf(tenant, id)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.earlier {
		return false
	}
	for _, g := range x.generations {
		if g.seen.has(digest) && g.parts.of(digest) != 0 {
			return false
		}
	}
	return true
}

// candidates are the parts that may have a digest, the newest first, and the events of the newest part that do.
func (x *IDs) candidates(digest uint64) (places, seqs []int64, earlier bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	newest := int64(-1)
	if len(x.newest) > 0 {
		newest = part(x.newest[0].seq)
	}
	for _, e := range x.newest {
		if e.digest == digest {
			seqs = append(seqs, e.seq)
		}
	}
	for _, g := range slices.Backward(x.generations) {
		if !g.seen.has(digest) {
			continue
		}
		for left := g.parts.of(digest); left != 0; {
			n := 63 - bits.LeadingZeros64(left)
			left &^= 1 << n
			if place := g.number*generationParts + int64(n); place != newest {
				places = append(places, place)
			}
		}
	}
	return places, seqs, x.earlier
}

// Find is the number of the event that an id counts for.
func (x *IDs) Find(conn *driver.Conn, tenant, id string) (seq int64, found bool, err error) {
	digest := digestOf(tenant, id)
	places, seqs, earlier := x.candidates(digest)
	for n := 0; ; n++ {
		for _, seq := range seqs {
			if found, err = counts(conn, seq, tenant, id); found || err != nil {
				return seq, found, err
			}
		}
		if n == len(places) {
			break
		}
		seqs = seqs[:0]
		if err := rows(conn, places[n]<<partBits, (places[n]+1)<<partBits, func(e entry) bool {
			if e.digest == digest {
				seqs = append(seqs, e.seq)
			}
			return true
		}); err != nil {
			return 0, false, err
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

// counts says whether the event of a number is there, and has the id.
func counts(conn *driver.Conn, seq int64, tenant, id string) (ok bool, err error) {
	err = db.Each(conn, "SELECT kind, detail FROM events WHERE seq = ?", func(s *driver.Stmt) { s.BindInt64(1, seq) },
		func(s *driver.Stmt) error {
			e, err := event.Decode(s.ColumnText(0), db.Blob(s, 1))
			ok = err == nil && e.Tenant == tenant && e.ID == id
			return err
		})
	return ok, err
}

// Counts says whether it is this event, of all with its id, that counts.
func (x *IDs) Counts(conn *driver.Conn, of ID) (ok bool, err error) {
	err = db.Each(conn, "SELECT first, body FROM event_digests WHERE first <= ? ORDER BY first DESC LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, of.seq) }, func(s *driver.Stmt) error {
			return decode(s.ColumnInt64(0), db.Blob(s, 1), func(e entry) bool {
				ok = e == of.entry
				return e.seq < of.seq
			})
		})
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
	}, func(*driver.Stmt) error {
		ok = true
		return nil
	})
	return ok, err
}

// Put writes new ids, in the order of their events, which are newer than all before. Added is due when its transaction
// is committed.
func (x *IDs) Put(w *db.Writer, ids []ID) error {
	if len(ids) == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.store(w); err != nil {
		return fmt.Errorf("store a filter of event ids: %w", err)
	}
	whole := x.newest // of the part that the entries below are in, as far as it is written
	var fresh []entry
	for n, one := range ids {
		if fresh = append(fresh, one.entry); n+1 < len(ids) && part(ids[n+1].seq) == part(one.seq) {
			continue
		}
		if len(whole) > 0 && part(whole[0].seq) != part(one.seq) {
			if err := putPart(w, whole); err != nil { // complete: see below
				return err
			}
			whole = nil
		}
		if n+1 < len(ids) { // others follow: this part is complete
			if err := putPart(w, slices.Concat(whole, fresh)); err != nil {
				return err
			}
			whole, fresh = nil, nil
			continue
		}
		if err := putRow(w, fresh); err != nil {
			return err
		}
	}
	return nil
}

// putPart makes one row of a part's entries.
func putPart(w *db.Writer, entries []entry) error {
	if err := w.Do("DELETE FROM event_digests WHERE first >= ? AND first < ?", func(s *driver.Stmt) {
		s.BindInt64(1, part(entries[0].seq)<<partBits)
		s.BindInt64(2, (part(entries[0].seq)+1)<<partBits)
	}); err != nil {
		return err
	}
	return putRow(w, entries)
}

func putRow(w *db.Writer, entries []entry) error {
	return w.Do("INSERT INTO event_digests (first, body) VALUES (?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, entries[0].seq)
		s.BindBytes(2, encode(entries[0].seq, entries))
	})
}

// store writes the filters to which nothing more will be added: those before the newest.
func (x *IDs) store(w *db.Writer) error {
	for n, g := range x.generations {
		if g.stored || n == len(x.generations)-1 {
			continue
		}
		if err := w.Do("INSERT OR REPLACE INTO event_filters (generation, seen, parts) VALUES (?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindInt64(1, g.number)
				s.BindBytes(2, g.seen)
				s.BindBytes(3, g.parts)
			}); err != nil {
			return err
		}
	}
	return nil
}

// Added notes ids that are committed.
func (x *IDs) Added(ids []ID) {
	if len(ids) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for n, g := range x.generations {
		g.stored = n < len(x.generations)-1 // Put of the same transaction stored it
	}
	for _, one := range ids {
		x.of(one.seq >> generationBits).add(one.entry)
		switch last := len(x.newest) - 1; {
		case last >= 0 && one.seq <= x.newest[last].seq: // the same again, after an answer that got lost
		case last >= 0 && part(one.seq) != part(x.newest[last].seq):
			x.newest = append(x.newest[:0], one.entry)
		default:
			x.newest = append(x.newest, one.entry)
		}
	}
}

// Remove forgets the ids of an earlier release whose events are removed. Those of this one are forgotten with their
// events: see Find.
func (x *IDs) Remove(w *db.Writer, ids []ID) error {
	x.mu.Lock()
	earlier := x.earlier
	x.mu.Unlock()
	if !earlier {
		return nil
	}
	for _, one := range ids {
		if err := w.Do("DELETE FROM event_ids WHERE tenant = ? AND id = ? AND seq = ?", func(s *driver.Stmt) {
			s.BindText(1, one.tenant)
			s.BindText(2, one.id)
			s.BindInt64(3, one.seq)
		}); err != nil {
			return err
		}
	}
	return nil
}

// Shrink drops the digests of the parts that have no event any more, and the filters of such generations.
func (x *IDs) Shrink(ctx context.Context, file *db.File) error {
	var oldest int64 // generation
	var earlier bool
	err := file.Write(ctx, func(w *db.Writer) (err error) {
		if earlier, err = anyEarlier(w.Conn); err != nil {
			return err
		}
		// Without an event the digests go with the next ones.
		first, err := db.Number(w.Conn, "SELECT ifnull((SELECT seq FROM events ORDER BY seq LIMIT 1), 0)")
		if err != nil {
			return err
		}
		oldest = first >> generationBits
		if err := w.Do("DELETE FROM event_digests WHERE first < ?",
			func(s *driver.Stmt) { s.BindInt64(1, part(first)<<partBits) }); err != nil {
			return err
		}
		return w.Do("DELETE FROM event_filters WHERE generation < ?",
			func(s *driver.Stmt) { s.BindInt64(1, oldest) })
	})
	if err != nil {
		return fmt.Errorf("drop what is known of event ids: %w", err)
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
