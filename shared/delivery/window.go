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
}

// Size of events in bytes, for the bounds of a delivery.
func Size(events []event.Event) int {
	n := 0
	for _, e := range events {
		n += len(e.Data) + EnvelopeOverhead
	}
	return n
}

// Coalesce says which deliveries of one integration become one, given oldest first: those of the same span, as far as
// destination.File has room. Systems that take files get a delivery from each fan-out that waits until its Due, the end
// of its span; then an engine lets the first of each group carry the events of all, under its own id and with no Due,
// and removes the others, in one step. So a file has one id through every repeat, and a crash loses none of it.
func Coalesce(waiting []Windowed) [][]Windowed {
	var out [][]Windowed
	count, size := 0, 0
	for _, g := range waiting {
		last := len(out) - 1
		if last >= 0 && out[last][0].Due.Equal(g.Due) && count+g.Count <= destination.File.Count && size+
			g.Size <= destination.File.Bytes {
			out[last] = append(out[last], g)
			count, size = count+g.Count, size+g.Size
			continue
		}
		out = append(out, []Windowed{g})
		count, size = g.Count, g.Size
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
