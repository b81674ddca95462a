package sending

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// Told is the place of an event among those of its object. The time of the event decides: processes and retries send
// them in any order. Of events of one time, which a platform can have that knows no other, who was accepted first is
// first; of those of one moment, the step decides.
type Told struct {
	At   time.Time  `json:"at"`
	Made string     `json:"made"` // the part of the delivery's id that is the time of its making
	Step event.Step `json:"step"`
}

// madeLength is how much of a delivery's id (ULID) is the time, in milliseconds.
const madeLength = 10

// ranks of steps: who is found and closed at one moment was found first, and opened again after it was closed.
var ranks = map[event.Step]int{event.Opened: 0, event.Worsened: 1, event.Closed: 2, event.Reopened: 3}

func toldOf(d *delivery.Delivery, e event.Event, s event.Step) Told {
	return Told{At: e.Time, Made: d.ID[:min(madeLength, len(d.ID))], Step: s}
}

func (t Told) compare(other Told) int {
	return cmp.Or(t.At.Compare(other.At), strings.Compare(t.Made, other.Made), ranks[t.Step]-ranks[other.Step])
}

// InTurn puts deliveries of a lane in the order in which they are to be sent, where the system keeps what it is sent by
// its object: of each object those of older events first, and the first ones of all objects before the second ones, so
// that they wait for one another as little as can be. objects are those that they tell of then, "" of none; nil = no
// order matters. Deliveries of one object are to be sent one after the other.
func (r *Target) InTurn(all []delivery.Delivery) (objects []string) {
	if !keeps(r.destination) {
		return nil
	}
	objects = make([]string, len(all))
	told := make([]Told, len(all))
	places := map[string][]int{}
	for n := range all {
		if len(all[n].Events) != 1 {
			continue
		}
		e := all[n].Events[0]
		if o, ok := e.Object(); ok {
			objects[n], told[n] = o.Key, toldOf(&all[n], e, o.Step)
			places[o.Key] = append(places[o.Key], n)
		}
	}
	rounds, order := make([]int, len(all)), make([]int, len(all)) // which of its object, from 0; where it stands now
	for n := range all {
		order[n] = n
	}
	for _, at := range places {
		slices.SortStableFunc(at, func(a, b int) int { return told[a].compare(told[b]) })
		for round, n := range at {
			rounds[n] = round
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return rounds[a] - rounds[b] })
	sorted, of := make([]delivery.Delivery, len(all)), make([]string, len(all))
	for to, from := range order {
		sorted[to], of[to] = all[from], objects[from]
	}
	copy(all, sorted)
	return of
}

// keeps reports whether a system keeps one thing of an object, which the last event that it is sent changes.
func keeps(d destination.Destination) bool {
	_, follows := d.(destination.Follower)
	_, keyed := d.(destination.Keyed)
	return follows || keyed
}
