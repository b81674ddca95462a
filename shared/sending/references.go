package sending

import (
	"context"
	"errors"
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
	// Maker is the delivery that makes the thing, "" where ID is known. Its answer may be lost: the thing may be there.
	Maker string    `json:"maker,omitempty"`
	Since time.Time `json:"since,omitzero"` // when Maker began its last attempt
	Begun time.Time `json:"begun,omitzero"` // when the first attempt whose answer may be lost began
	// Doer is the delivery of whose requests at the thing (destination.Follower) the first Done were done and a later
	// one failed, "" where there is none.
	Doer string `json:"doer,omitempty"`
	Done int    `json:"done,omitempty"`
	// Left is which of Doer's requests, from 1, failed for itself alone though all others were done; 0 = none.
	Left int `json:"left,omitempty"`
	// Expires is when the reference is forgotten.
	Expires time.Time `json:"expires"`
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
)
