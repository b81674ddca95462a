package destination

import (
	"time"

	"tocsin/shared/notification"
)

// Follower is a destination whose system gives what it makes an id of its own, the reference: later events of the same
// object (event.Object) are added to that. Encode makes the request that makes something; its Judge, or that of the
// request, gives the Reference.
//
// The requests of Find and Follow bring a Judge of their own.
type Follower interface {
	// Following says how events of an object follow each other at a target; ok is false where each is a thing of its
	// own.
	Following(t Target) (f Following, ok bool)
	// Find makes the request that looks for what was made of the notification's object. It is delivered whenever the
	// system answered; its verdict has the reference, "" for none. since is when the request was begun whose answer was
	// lost, zero when none was.
	Find(t Target, n notification.Notification, since time.Time) Request
	// Follow makes the requests that add the notification to what the reference names, in turn: each is sent when the
	// one before is delivered. Where a later one fails, the next attempt goes on with that. A verdict is Missing where
	// what the reference names is not there any more.
	Follow(t Target, n notification.Notification, reference string) ([]Request, error)
}

// Keyed is a Destination of a system that keeps one thing of an object under a key which the request names, and in
// which the last request decides what becomes of it: an incident is resolved, or opened. An event that is older than
// one which was sent is not sent there.
type Keyed interface {
	Keyed()
}

// Following is how events of an object follow each other. The zero value is that of a system which lists nothing old,
// and in which nothing is made to say that something is over.
type Following struct {
	// Lists says that Find sees whatever was made at any time, so that it is asked before anything is made. Otherwise
	// it is asked only after an answer was lost.
	Lists bool
	// TellsClosed says that something is made of an event which closes what nothing was made of.
	TellsClosed bool
}
