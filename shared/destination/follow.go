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
	// Find makes the request that looks for what was made of the notification's object. It is delivered whenever the
	// system answered; its verdict has the reference, "" for none. since is when the request was begun whose answer was
	// lost, zero when none was.
	Find(t Target, n notification.Notification, since time.Time) Request
	// Lists says that Find sees whatever was made at any time, so that it is asked before anything is made. Otherwise
	// it is asked only after an answer was lost.
	Lists() bool
	// Follow makes the request that adds the notification to what the reference names. Its verdict is Missing where
	// that is not there any more.
	Follow(t Target, n notification.Notification, reference string) (Request, error)
}
