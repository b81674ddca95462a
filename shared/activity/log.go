package activity

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/event"
	"tocsin/shared/mail/address"
)

// Months is how long entries are kept.
const Months = 13

// Expires is when an entry of a time may be forgotten.
func Expires(at time.Time) time.Time { return at.AddDate(0, Months, 0) }

// Oldest is the time of the oldest entry that is kept.
func Oldest(now time.Time) time.Time { return now.AddDate(0, -Months, 0) }

// Record is what a store writes in the transaction of a change: the entry of it, and the event that announces it.
type Record struct {
	Entry Entry
	Event event.Event
}

// Query asks for entries of one tenant. What is empty narrows nothing.
type Query struct {
	Tenant   string
	Person   string // see PersonKey
	Object   Object
	ObjectID string
	Action   Action
	Source   access.Source
	From, To time.Time // at From or later, before To
	Before   string    // Next of the page before
	Limit    int
}

// Takes reports whether the entry is one that is asked for, apart from Tenant, Before and Limit.
func (q Query) Takes(e Entry) bool {
	return (q.Person == "" || q.Person == e.PersonKey()) && (q.Object == "" || q.Object == e.Object) &&
		(q.ObjectID == "" || q.ObjectID == e.ObjectID) && (q.Action == "" || q.Action == e.Action) &&
		(q.Source == "" || q.Source == e.Source) &&
		(q.From.IsZero() || !e.At.Before(q.From)) && (q.To.IsZero() || e.At.Before(q.To))
}

// Page is an answer. An engine may end it before Limit, and before it has found anything, so as not to read all at
// once: go on until Next is empty.
type Page struct {
	Entries []Entry // newest first
	Next    string  // "" = there are no more
}

// Appender takes entries of what has no transaction of a kept object.
type Appender interface {
	Append(ctx context.Context, e Entry) error
}

// Reader answers queries. What is older than Months is not found.
type Reader interface {
	List(ctx context.Context, q Query) (Page, error)
}

// Store keeps entries: those of changes come in the transactions of the stores of what is changed. Implementations are
// safe for concurrent use.
type Store interface {
	Appender
	Reader
}

// Log is the Recorder over a store.
type Log struct {
	Store Appender
	Now   func() time.Time
	NewID func() string
}

var _ Recorder = (*Log)(nil)

// Record adds an entry, of now unless it says of when.
func (l *Log) Record(ctx context.Context, e Entry) error {
	if e.ID == "" {
		e.ID = l.NewID()
	}
	if e.At.IsZero() {
		e.At = l.Now()
	}
	if err := l.Store.Append(ctx, e.Bounded()); err != nil {
		return fmt.Errorf("record that %s did %q with %s %s: %w", e.Who(), e.Action, e.Object, e.ObjectID, err)
	}
	return nil
}

// Place is where the entry stands in the log: places sort by time.
func (e Entry) Place() string { return Place(e.At) + " " + e.ID }

// Place is before that of every entry of the time or later, and after all earlier ones.
func Place(at time.Time) string { return fmt.Sprintf("%019d", max(0, at.UnixNano())) }

// PersonKey is by whom a query finds the entry: the address in the form in which addresses are compared, else what
// there is; "" for Tocsin itself.
func (a Actor) PersonKey() string {
	if a.Email != "" {
		return address.Canonical(a.Email)
	}
	return cmp.Or(a.Subject, a.Name, a.Token)
}
