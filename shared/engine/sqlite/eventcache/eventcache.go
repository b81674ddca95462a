// Package eventcache keeps the events that were fanned out last, decoded: they are sent next, to several integrations.
package eventcache

import (
	"cmp"
	"slices"

	"tocsin/shared/event"
)

// bound is how many bytes of events are kept, with own bytes for what is not their data.
const bound, own = 4 << 20, 256

// Cache keeps events by their numbers, those that came last. The zero value keeps none. It is not safe for concurrent
// use.
type Cache struct {
	all  []numbered // their numbers rise; those before from are gone
	from int
	size int
}

type numbered struct {
	seq   int64
	event event.Event
}

func weight(e event.Event) int { return len(e.Data) + own }

// Add keeps an event; the oldest numbers go for it.
func (c *Cache) Add(seq int64, e event.Event) {
	at, known := c.place(seq)
	if known {
		return
	}
	if len(c.all) == cap(c.all) && c.from > len(c.all)/2 { // half of the room is free
		n := copy(c.all, c.all[c.from:])
		clear(c.all[n:])
		c.all, at, c.from = c.all[:n], at-c.from, 0
	}
	c.all = slices.Insert(c.all, at, numbered{seq, e.Lean()})
	for c.size += weight(e); c.size > bound && c.from < len(c.all)-1; c.from++ {
		c.size -= weight(c.all[c.from].event)
		c.all[c.from] = numbered{}
	}
}

// Find returns an event that is kept.
func (c *Cache) Find(seq int64) (e event.Event, ok bool) {
	at, ok := c.place(seq)
	if ok {
		e = c.all[at].event
	}
	return e, ok
}

// place is where a number stands, or would. Most follow one another without a gap.
func (c *Cache) place(seq int64) (at int, known bool) {
	kept := c.all[c.from:]
	n := len(kept)
	if n == 0 || seq > kept[n-1].seq {
		return len(c.all), false
	}
	if at := seq - kept[0].seq; at >= 0 && at < int64(n) && kept[at].seq == seq {
		return c.from + int(at), true
	}
	at, known = slices.BinarySearchFunc(kept, seq, func(k numbered, seq int64) int { return cmp.Compare(k.seq, seq) })
	return c.from + at, known
}
