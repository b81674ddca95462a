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

// recent keeps events by their numbers. It is void once something else than the hot path wrote, which may have taken
// some of them away, or have others stand behind them.
type recent struct {
	count  int64 // see Bus.known
	newest int64 // the number of the newest that came in, kept or not
	ring   [recentEvents]numbered
}

// numbered is an event that stands in the line.
type numbered struct {
	seq int64
	delivery.Entry
}

// known counts what makes memory void, and reports whether all of it has ended: operations of everybody else, and
// events that come into the line by Append.
func (b *Bus) known() (count int64, quiet bool) {
	writes, quiet := b.db.Quiet()
	return writes + b.others.Load(), quiet
}

// keep keeps events that were written while the count was this one.
func (r *recent) keep(count int64, events []numbered) {
	if r.count != count {
		*r = recent{count: count}
	}
	for _, e := range events {
		r.newest = max(r.newest, e.seq)
		if len(e.Detail) > recentBytes {
			continue
		}
		e.Receipt, e.Tenant = strconv.FormatInt(e.seq, 10), ""
		e.At = time.Unix(0, e.At.UnixNano()).UTC()
		e.Detail = slices.Clone(e.Detail) // what they came in is used again
		r.ring[e.seq%recentEvents] = e
	}
}

// after are the events that follow a number, as the file has them: a batch, or all that came in; else none.
func (r *recent) after(seq, count int64, limit int) (out []delivery.Entry) {
	if r.count != count {
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
