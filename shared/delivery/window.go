package delivery

import (
	"slices"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// Windowed is a delivery whose batch window is open, as Coalesce needs it.
type Windowed struct {
	ID    string
	Due   time.Time
	Count int
	Size  int // see Size
	// Digest is that of the delivery: what is told for one reason is not told with what is told for another.
	Digest string
	// Held is what held it, of one that is let go; nil = nothing did.
	Held *Held
}

// Size of events in bytes, for the bounds of a delivery.
func Size(events []event.Event) int {
	n := 0
	for _, e := range events {
		n += len(e.Data) + EnvelopeOverhead
	}
	return n
}

// Coalesce says which deliveries of one integration become one, given oldest first: those of the same span and Digest,
// as far as destination.File has room and the Digest allows. Systems that take files get a delivery from each fan-out
// that waits until its Due, the end of its span; then an engine lets the first of each group carry the events of all,
// under its own id and with no Due, and removes the others, in one step. So a file has one id through every repeat, and
// a crash loses none of it.
func Coalesce(waiting []Windowed) [][]Windowed {
	type kind struct {
		due    int64
		digest string
	}
	type group struct{ at, count, size int }
	var out [][]Windowed
	open := map[kind]group{} // the last of its kind, which may have room
	for _, w := range waiting {
		k := kind{w.Due.UnixNano(), w.Digest}
		g, ok := open[k]
		if !ok || g.count+w.Count > mostEvents(w.Digest) || g.size+w.Size > destination.File.Bytes {
			g = group{at: len(out)}
			out = append(out, nil)
		}
		out[g.at] = append(out[g.at], w)
		open[k] = group{g.at, g.count + w.Count, g.size + w.Size}
	}
	return out
}

// Merge takes over what another delivery of the same batch window carries.
func (d *Delivery) Merge(other Delivery) {
	d.Count += other.Count
	d.Events = append(d.Events, other.Events...)
	for _, k := range other.Kinds {
		if !slices.Contains(d.Kinds, k) {
			d.Kinds = append(d.Kinds, k)
		}
	}
}

// EnvelopeOverhead is what an envelope adds to an event's data, in bytes: a bound for batching, not exact. The
// destination splits what does not fit all the same.
const EnvelopeOverhead = 1 << 10
