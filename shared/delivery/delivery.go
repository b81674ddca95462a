package delivery

import (
	"fmt"
	"time"

	"tocsin/shared/event"
)

// State of a delivery.
type State string

// The states. A delivery is pending until its first request, retrying while it waits in the cycles, and in the
// end delivered or dead: dead ones are kept, listed and replayable.
const (
	Pending   State = "pending"
	Retrying  State = "retrying"
	Delivered State = "delivered"
	Dead      State = "dead"
)

// States lists all of them.
func States() []State { return []State{Pending, Retrying, Delivered, Dead} }

// Delivery is a set of events on its way to one integration.
type Delivery struct {
	ID          string // 26 characters, sorts by the time of its making
	Tenant      string
	Integration string
	State       State
	CreatedAt   time.Time
	// Due is when the next request goes out: of a Retrying delivery, and of a Pending one whose batch window is open
	// (see Coalesce) or that is held; else zero.
	Due time.Time
	// Held says what holds it until its Due, or held it; nil = nothing did.
	Held *Held
	// Failures counts the failed attempts in a row of the present run; a replay starts a new run.
	Failures int
	// Parts are the outcomes of the parts of a delivery that travels as several requests, where they differ.
	Parts []Part
	// Digest says why its events travel as one message that a person can read (see DigestQuiet and the others), "" of
	// one whose events travel as they are. Fan-out sets it for systems that people read alone; it never changes.
	Digest string
	// Batch is the retry batch that holds it, on an engine whose retries travel in batches (see Sender).
	Batch string
	// Fallback says where the events of a dead delivery went instead; nil = nowhere. It stays when the delivery is sent
	// again: its events fall back once.
	Fallback *Fallback
	// From says whose events it has by fallback; nil = they came to its integration itself. It never changes.
	From *From
	// Reason says why the delivery is dead or waits.
	Reason   string
	Attempts []Attempt
	// Kinds are the distinct kinds of the events, Count their number: known without loading Events.
	Kinds []event.Kind
	Count int
	// Events are loaded for sending and by a history's Get, and left out of its lists.
	Events []event.Event
}

// Attempt is one try at sending a delivery, and what came of it.
type Attempt struct {
	At time.Time `json:"at"`
	// Waited is the planned wait before this attempt, 0 for the first of a run.
	Waited time.Duration `json:"waited,omitempty"`
	// Late is how much later than planned it began.
	Late time.Duration `json:"late,omitempty"`
	Took time.Duration `json:"took"`
	// Status of the last answer, 0 when there was none.
	Status    int    `json:"status,omitempty"`
	Delivered bool   `json:"delivered,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Gone: the system said that what was sent to does not exist any more (destination.Verdict.Gone).
	Gone bool `json:"gone,omitempty"`
	// Answer is the start of the last answer's body, secrets masked; kept of failures only.
	Answer string `json:"answer,omitempty"`
	// Followed is what was done with the thing that is made of the event's object, nil where there is no such thing or
	// the attempt did not come so far.
	Followed *Followed `json:"followed,omitempty"`
}

// Followed is what an attempt did where later events of an object are added to what the first one made. Neither
// Reference nor Made: there was nothing of it to add to, and nothing to make.
type Followed struct {
	// Reference is what the system calls the thing that the event was added to.
	Reference string `json:"reference,omitempty"`
	Made      bool   `json:"made,omitempty"` // a new thing was asked for
	// Outdated: a later event of the object was sent before, so that this one was told and changed nothing.
	Outdated bool `json:"outdated,omitempty"`
	// Then are the requests that were made of answers, and can not be made again without them.
	Then []Then `json:"then,omitempty"`
}

// Then is a request that was made of an answer, secrets masked.
type Then struct {
	After  int                 `json:"after"` // the request of that index, whose answer it was made of
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header,omitempty"`
	Body   string              `json:"body,omitempty"` // its start
	Cut    bool                `json:"cut,omitempty"`  // Body is only the start
}

// Lane is the first attempts or the retries of one integration: the two never wait for one another.
type Lane struct {
	Tenant      string
	Integration string
	Retry       bool
}

// Replayed reports whether the delivery begins a new run after it ended, and whether it had arrived then: then a
// person asked for all of it once more.
func (d *Delivery) Replayed() (again, arrived bool) {
	if d.State != Pending || len(d.Attempts) == 0 {
		return false, false
	}
	return true, d.Attempts[len(d.Attempts)-1].Delivered
}

// Kill ends a delivery that is not to be sent any more, for the reason given.
func (d Delivery) Kill(reason string) Delivery {
	d.State, d.Reason, d.Due = Dead, reason, time.Time{}
	return d
}

// Missing is how many of its events are there no more, of one that has its events: an engine loads those that are kept.
func (d *Delivery) Missing() int { return max(0, d.Count-len(d.Events)) }

// Gone says of one that has its events why it can not be told as delivered; "" where all of them are there.
func (d *Delivery) Gone() string {
	switch gone := d.Missing(); {
	case gone == 0:
		return ""
	case len(d.Events) == 0:
		return "nothing could be sent: the events of this delivery are kept no longer"
	default:
		return fmt.Sprintf("%d of %d events are kept no longer and were not sent; the others arrived", gone, d.Count)
	}
}
