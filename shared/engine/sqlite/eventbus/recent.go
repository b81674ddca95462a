package eventbus

import (
	"slices"
	"strconv"
	"time"

	"tocsin/shared/delivery"
)

// The events that came in last are handed to fan-out from memory: it asks for them a moment after they were written.

// recentEvents is how many are kept, and recentBytes how long the detail of one may be: together a few MiB.
const (
	recentEvents = 1024
	recentBytes  = 4 << 10
)

// recent keeps events by their numbers, as they were committed. It is void once something else than the hot path
// wrote, which may have taken some of them away.
type recent struct {
	writes int64 // of db.File.Quiet, or void
	newest int64 // the number of the newest that came in, kept or not
	ring   [recentEvents]numbered
}

// void is no count of writes.
const void = -1

// numbered is an event that stands in the line.
type numbered struct {
	seq int64
	delivery.Entry
}

// keep keeps an event whose transaction is committed.
func (b *Bus) keep(e numbered) {
	writes, quiet := b.db.Quiet()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !quiet { // something else may be in this transaction, or in the next one
		b.recent.writes = void
		return
	}
	if b.recent.writes != writes {
		b.recent = recent{writes: writes}
	}
	b.recent.keep(e)
}

func (r *recent) keep(e numbered) {
	r.newest = e.seq
	if len(e.Detail) > recentBytes {
		return
	}
	e.Receipt, e.Tenant = strconv.FormatInt(e.seq, 10), ""
	e.At = time.Unix(0, e.At.UnixNano()).UTC()
	e.Detail = slices.Clone(e.Detail) // what they came in is used again
	r.ring[e.seq%recentEvents] = e
}

// after are the events that follow a number, as the file has them: a batch, or all that came in; else none.
func (r *recent) after(seq, writes int64, limit int) (out []delivery.Entry) {
	if r.writes != writes {
		return nil
	}
	for n := seq + 1; len(out) < limit && r.ring[n%recentEvents].seq == n; n++ {
		out = append(out, r.ring[n%recentEvents].Entry)
	}
	if len(out) < limit && seq+int64(len(out)) < r.newest {
		return nil // one is not kept
	}
	return out
}
