package sending

import (
	"context"
	"errors"
	"slices"
	"time"

	"tocsin/shared/delivery"
)

// References keeps what systems call the things that were made of objects (event.Object), for all processes: a row for
// each integration and object, replaced under its version.
type References interface {
	// Reference reads one; the zero value and version 0 when there is none, or when it is kept no longer.
	Reference(ctx context.Context, l delivery.Lane, object string) (r Reference, version int64, err error)
	// Swap replaces one that has the version, 0 for none. It returns the new version, or ErrReferenceChanged. One that
	// is over (Reference.Expires) at once is as none.
	Swap(ctx context.Context, l delivery.Lane, object string, version int64, r Reference) (next int64, err error)
}

// ErrReferenceChanged says that another attempt was quicker.
var ErrReferenceChanged = errors.New("the reference was changed meanwhile")

// Reference is what a system calls the thing that was made of an object, or the note that one delivery is making it.
type Reference struct {
	ID string `json:"id,omitempty"` // at the system
	// Maker is the delivery whose turn it is, "" = nobody's. Where ID is not known it makes the thing: its answer may be
	// lost, and the thing may be there.
	Maker string    `json:"maker,omitempty"`
	Since time.Time `json:"since,omitzero"` // when Maker began its last attempt
	Begun time.Time `json:"begun,omitzero"` // when the first attempt whose answer may be lost began
	// Doers are the deliveries of whose requests at the thing (destination.Follower) not all were done: the last ones,
	// at most maxDoers.
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

// doers are Doers, in a list of their own.
func (r Reference) doers() []Doer {
	all := slices.Clone(r.Doers)
	if r.Doer != "" {
		all = append(all, Doer{Delivery: r.Doer, Done: r.Done, Left: r.Left})
	}
	return all
}

// of is how far a delivery came.
func (r Reference) of(delivery string) (how Doer) {
	for _, how := range r.doers() {
		if how.Delivery == delivery {
			return how
		}
	}
	return how
}

// left are which of so many requests are still to be made: from one on, up to another. The settings can have made them
// fewer.
func (d Doer) left(all int) (from, to int) {
	if d.Left > 0 {
		return min(d.Left-1, all), min(d.Left, all)
	}
	return min(d.Done, all), all
}

const (
	// ReferenceKeep is how long a reference is kept after the last event of its object.
	ReferenceKeep = 400 * 24 * time.Hour
	// makingLimit is how long one delivery alone may make the thing: longer than an attempt lasts. After it another
	// delivery of the object looks for the thing and, where there is none, makes it.
	makingLimit = 5 * time.Minute
	// findAfter is how long after a lost answer the thing is looked for: some systems list it a little later.
	findAfter = 10 * time.Second
	// makingWait is how long an event waits while another of its object is being sent.
	makingWait = 2 * time.Second
	// maxDoers bounds Reference.Doers: how many events of one object are being retried at once, as a rule.
	maxDoers = 16
)
