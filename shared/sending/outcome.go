package sending

import (
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/trace"
)

// Outcome is a delivery after an attempt, and what the attempt says beside: package worker goes by it, and nobody
// stores it.
type Outcome struct {
	delivery.Delivery
	Mark  Mark
	Quiet time.Duration // how long the system asked for no requests
	Slow  bool          // it asked for a lower rate
	Own   bool          // the system was asked nothing: the attempt waits for something of our own
	Fault bool          // it failed, and only this deployment's operator can mend that
	Kept  bool          // the attempt broke off, and Parts says what had arrived
	Span  trace.Context // of the attempt, where it is recorded
}

// Mark is what an attempt says of the health of its system.
type Mark int

const (
	// Silent: nothing. It was asked to slow down, or the failures were of single parts.
	Silent Mark = iota
	Well        // it took something
	Ill         // it failed
	// Doubtful: it refused what it was sent for what that held, and took nothing beside. Whether that is a fault of the
	// system's settings or of one bad record, only what else it takes can say: see count.
	Doubtful
)

// Unanswered reports whether the attempt got no answer at all. Where the last request of several got none, the system
// took a part.
func (o *Outcome) Unanswered() bool { return o.Mark != Well && !o.Own && o.Delivery.Unanswered() }

// attempt is one that goes on.
type attempt struct {
	delivery.Attempt
	said   []string // why a message has our words and not those of the integration's template
	broken bool     // the answer broke off
	lost   string   // the host of a request that could not be reached, perhaps by our own fault
}
