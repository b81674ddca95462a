package deliveries

import (
	"time"

	"tocsin/shared/engine/sqlite/tables"
)

// What the process remembers beside the file. All of it is guarded by DB.mu, bounded, and can be lost.

type laneKey struct{ tenant, integration string }

// lanes numbers integrations: a row names its integration by a short number.
type lanes struct {
	ref map[laneKey]int64
	key map[int64]laneKey
}

func newLanes() lanes { return lanes{ref: map[laneKey]int64{}, key: map[int64]laneKey{}} }

func (l lanes) add(ref int64, k laneKey) { l.ref[k], l.key[ref] = ref, k }

// leases hides what is being sent.
type leases struct {
	of map[int64]map[string]lease // by lane, then delivery
	// ends is a time before which no lease of a lane ends.
	ends map[int64]time.Time
	// next is where the search for pending deliveries goes on: all before it are leased. A delivery that comes in
	// or back before it moves it back.
	next map[int64]string
	// fresh is what was accepted last.
	fresh *fresh
}

// lease hides one delivery.
type lease struct {
	until        time.Time
	tables.Known // of a row of its own nothing of its events until carry
}

func newLeases() leases {
	return leases{of: map[int64]map[string]lease{}, ends: map[int64]time.Time{}, next: map[int64]string{},
		fresh: &fresh{of: map[int64]*backlog{}}}
}

func (l leases) take(ref int64, rows []row, until time.Time) {
	if l.of[ref] == nil {
		l.of[ref] = map[string]lease{}
	}
	if ends, ok := l.ends[ref]; len(rows) > 0 && (!ok || until.Before(ends)) {
		l.ends[ref] = until
	}
	for _, r := range rows {
		l.of[ref][r.id] = lease{until: until, Known: tables.Known{At: r.at, Seqs: r.item.Seqs}}
	}
}

// carry notes what a leased delivery carries.
func (l leases) carry(ref int64, id string, seqs []int64) {
	if held, ok := l.of[ref][id]; ok {
		held.Seqs = seqs
		l.of[ref][id] = held
	}
}

func (l leases) held(ref int64, id string, now time.Time) bool {
	held, ok := l.of[ref][id]
	return ok && now.Before(held.until)
}

// end forgets a lease; back says that the delivery waits again.
func (l leases) end(ref int64, id string, back bool) {
	if delete(l.of[ref], id); len(l.of[ref]) == 0 {
		delete(l.of, ref)
	}
	if back {
		l.arrived(ref, id)
	}
}

// arrived makes sure that a pending delivery will be found.
func (l leases) arrived(ref int64, id string) {
	l.fresh.forget(ref)
	if next, ok := l.next[ref]; ok && id <= next {
		delete(l.next, ref)
	}
}

// expire lets a lane be searched from its head again if a lease has run out.
func (l leases) expire(ref int64, now time.Time) {
	if ends, ok := l.ends[ref]; !ok || now.Before(ends) {
		return
	}
	delete(l.ends, ref)
	for id, held := range l.of[ref] {
		if !now.Before(held.until) {
			delete(l.of[ref], id)
			l.fresh.forget(ref)
			delete(l.next, ref)
		} else if ends, ok := l.ends[ref]; !ok || held.until.Before(ends) {
			l.ends[ref] = held.until
		}
	}
}
