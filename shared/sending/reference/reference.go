// Package reference is what is kept of the things that systems keep of objects: what they call them, whose turn it is
// to change them, and which event was the last.
package reference

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// Store keeps what systems call the things that were made of objects (event.Object), for all processes: a row for
// each integration and object, replaced under its version.
type Store interface {
	// Reference reads one; the zero value and version 0 when there is none, or when it is kept no longer.
	Reference(ctx context.Context, l delivery.Lane, object string) (r Reference, version int64, err error)
	// Swap replaces one that has the version, 0 for none. It returns the new version, or ErrChanged. One that
	// is over (Reference.Expires) at once is as none.
	Swap(ctx context.Context, l delivery.Lane, object string, version int64, r Reference) (next int64, err error)
}

// ErrChanged says that another attempt was quicker.
var ErrChanged = errors.New("the reference was changed meanwhile")

// Reference is what a system calls the thing that was made of an object, or the note that one delivery is making it.
type Reference struct {
	ID string `json:"id,omitempty"` // at the system
	// Maker is the delivery whose turn it is, "" = nobody's. Where ID is not known it makes the thing: its answer may
	// be lost, and the thing may be there.
	Maker string    `json:"maker,omitempty"`
	Since time.Time `json:"since,omitzero"` // when Maker began its last attempt
	Begun time.Time `json:"begun,omitzero"` // when the first attempt whose answer may be lost began
	// Doers are the deliveries of whose requests at the thing (destination.Follower) not all were done: the last ones,
	// at most MaxDoers.
	Doers []Doer `json:"doers,omitempty"`
	// Last is the newest event that was told.
	Last Told `json:"last,omitzero"`
	// Doer, Done and Left are the one of Doers of a row that was written when there was no more than one.
	Doer string `json:"doer,omitempty"`
	Done int    `json:"done,omitempty"`
	Left int    `json:"left,omitempty"`
	// Expires is when the reference is forgotten.
	Expires time.Time `json:"expires"`
}

// Doer is how far a delivery came with its requests at a thing.
type Doer struct {
	Delivery string `json:"delivery"`
	// Done: so many were done, and the next one failed.
	Done int `json:"done,omitempty"`
	// Left is which of them, from 1, failed for itself alone though all others were done; 0 = none.
	Left int `json:"left,omitempty"`
}

// Underway are Doers, in a list of their own.
func (r Reference) Underway() []Doer {
	all := slices.Clone(r.Doers)
	if r.Doer != "" {
		all = append(all, Doer{Delivery: r.Doer, Done: r.Done, Left: r.Left})
	}
	return all
}

// Of is how far a delivery came.
func (r Reference) Of(delivery string) (how Doer) {
	for _, how := range r.Underway() {
		if how.Delivery == delivery {
			return how
		}
	}
	return how
}

// Rest are which of so many requests are still to be made: from one on, up to another. The settings can have made them
// fewer.
func (d Doer) Rest(all int) (from, to int) {
	if d.Left > 0 {
		return min(d.Left-1, all), min(d.Left, all)
	}
	return min(d.Done, all), all
}

// Keep is how long a reference is kept after the last event of its object.
const Keep = 400 * 24 * time.Hour

// MaxDoers bounds Reference.Doers: how many events of one object are being retried at once, as a rule.
const MaxDoers = 16

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

// ToldOf is the place of an event that a delivery has.
func ToldOf(delivery string, e event.Event, s event.Step) Told {
	return Told{At: e.Time, Made: delivery[:min(madeLength, len(delivery))], Step: s}
}

// Compare is negative where an event comes before another, and 0 where it is told again.
func (t Told) Compare(other Told) int {
	return cmp.Or(t.At.Compare(other.At), strings.Compare(t.Made, other.Made), ranks[t.Step]-ranks[other.Step])
}

// InTurn puts deliveries of a lane in the order in which they are to be sent: of each object those of older events
// first, and the first ones of all objects before the second ones, so that they wait for one another as little as can
// be. objects are those that they tell of then, "" of none.
func InTurn(all []delivery.Delivery) (objects []string) {
	objects = make([]string, len(all))
	told := make([]Told, len(all))
	places := map[string][]int{}
	for n := range all {
		if len(all[n].Events) != 1 {
			continue
		}
		e := all[n].Events[0]
		if o, ok := e.Object(); ok {
			objects[n], told[n] = o.Key, ToldOf(all[n].ID, e, o.Step)
			places[o.Key] = append(places[o.Key], n)
		}
	}
	rounds, order := make([]int, len(all)), make([]int, len(all)) // which of its object, from 0; where it stands now
	for n := range all {
		order[n] = n
	}
	for _, at := range places {
		slices.SortStableFunc(at, func(a, b int) int { return told[a].Compare(told[b]) })
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
