package deliveries

import (
	"time"

	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/packed"
)

// What was accepted last is leased from memory: a reader of the file would read those pages again which the writer has
// just written, since each commit makes what it keeps of them void.

// freshBytes bounds what is kept of deliveries for that: some ten thousand of one integration, encoded.
const freshBytes = 1 << 20

// fresh is, of some integrations, all that waits for its first request and is not leased. It is void once something
// else than the hot path wrote, which may have taken some of it away.
type fresh struct {
	of    map[int64]*backlog
	bytes int
}

// backlog is what waits of one integration, oldest first.
type backlog struct {
	writes int64 // of db.File.Quiet while it was whole
	parts  []part
	last   string // the newest id that came in; all that comes in is newer, as it is where the file is searched
}

// part is a block, or one delivery with a row of its own.
type part struct {
	blocks.Row
	own   []packed.Item
	items []packed.Item // of the block that is being leased: those that are left
	from  int           // where in the block they are
}

func (p *part) bytes() int { return len(p.Body) + 128*(len(p.own)+1) }

// whole begins a backlog with nothing in it, after the delivery that was leased last.
func (f *fresh) whole(ref, writes int64, last string) {
	f.forget(ref)
	f.of[ref] = &backlog{writes: writes, last: last}
}

// forget gives a backlog up: what waits is searched in the file.
func (f *fresh) forget(ref int64) {
	b := f.of[ref]
	if b == nil {
		return
	}
	for n := range b.parts {
		f.bytes -= b.parts[n].bytes()
	}
	delete(f.of, ref)
}

// add puts parts at the end of a backlog; false is that there is none any more.
func (f *fresh) add(ref, writes int64, parts []part, first, last string) bool {
	b := f.of[ref]
	if b == nil || b.writes != writes || first <= b.last {
		return false
	}
	for n := range parts {
		f.bytes += parts[n].bytes()
	}
	b.parts, b.last = append(b.parts, parts...), last
	return f.bytes <= freshBytes
}

// take takes the oldest out of a backlog.
func (f *fresh) take(ref int64, limit int) (rows []row, err error) {
	b := f.of[ref]
	for len(rows) < limit && len(b.parts) > 0 {
		p := &b.parts[0]
		if p.items == nil {
			if p.items = p.own; p.Body != nil {
				if p.items, err = packed.DecodeBlock(p.Body); err != nil {
					return nil, err
				}
			}
		}
		for len(rows) < limit && len(p.items) > 0 {
			r := row{id: p.items[0].ID, item: p.items[0]}
			if p.Body != nil {
				r.at = blocks.Place{First: p.First, Index: p.from}
			}
			rows = append(rows, r)
			p.items, p.from = p.items[1:], p.from+1
		}
		if len(p.items) == 0 {
			f.bytes -= p.bytes()
			b.parts[0] = part{}
			b.parts = b.parts[1:]
		}
	}
	return rows, nil
}

// enter begins a write that may bring deliveries in; entered ends it, when memory knows them.
func (d *Deliveries) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing++
	d.writes++
}

func (d *Deliveries) entered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing--
}

// still is what must not change while the file is searched, for the outcome to be all that waits.
type still struct {
	cold, hot int64
	quiet     bool
}

func (d *Deliveries) still() still {
	cold, quiet := d.db.Quiet()
	d.mu.Lock()
	defer d.mu.Unlock()
	return still{cold, d.writes, quiet && d.writing == 0}
}

// leaseFresh leases from memory; ok is false where the file is to be searched.
func (d *Deliveries) leaseFresh(ref int64, limit int, now, until time.Time) (rows []row, ok bool, err error) {
	writes, _ := d.db.Quiet()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leases.expire(ref, now)
	b := d.leases.fresh.of[ref]
	switch {
	case b == nil:
		return nil, false, nil
	case b.writes != writes:
		d.leases.fresh.forget(ref)
		return nil, false, nil
	}
	if rows, err = d.leases.fresh.take(ref, limit); err != nil {
		d.leases.fresh.forget(ref)
		return nil, false, err
	}
	d.leases.take(ref, rows, until)
	if n := len(rows); n > 0 {
		d.leases.next[ref] = rows[n-1].id
	}
	return rows, true, nil
}
