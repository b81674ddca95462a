package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"tocsin/shared/command"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/trigger"
)

// ErrNotFound: the integration has no such delivery.
var ErrNotFound = errors.New("delivery not found")

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
	// Due is when the next request goes out: of a Retrying delivery, and of a Pending one that gathers (see Join); else
	// zero.
	Due time.Time
	// Failures counts the failed attempts in a row of the present run; a replay starts a new run.
	Failures int
	// Parts are the outcomes of the parts of a delivery that travels as several requests, where they differ.
	Parts []Part
	// Batch is the retry batch that holds it, on an engine whose retries travel in batches (see Sender).
	Batch string
	// Reason says why the delivery is dead or waits.
	Reason   string
	Attempts []Attempt
	// Kinds are the distinct kinds of the events, Count their number: known without loading Events.
	Kinds []event.Kind
	Count int
	// Events are loaded for sending and by a history's Get, and left out of its lists.
	Events []event.Event

	// Of the last attempt; not stored.
	mark  mark
	quiet time.Duration // how long the system asked for no requests
	slow  bool          // it asked for a lower rate
	kept  bool          // the attempt broke off, and Parts says what had arrived
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

	// lost is the host of a request that could not be reached, perhaps by our own fault. It is not stored.
	lost string
}

// Limits of what the log keeps of a delivery.
const (
	maxAnswer   = 1 << 10 // bytes of an answer
	maxReason   = 1 << 10 // bytes
	maxAttempts = 64      // the newest are kept: three full runs of the cycles
)

// Entry is one event as the bus hands it over.
type Entry struct {
	// Receipt names the entry to the engine that handed it over.
	Receipt    string
	DetailType string
	Detail     []byte
	// At is when the bus took it.
	At time.Time
}

// Intake is what fan-out made of a batch of entries.
type Intake struct {
	Accepted   []Accepted
	Deliveries []Delivery
	Rejected   []Rejected
	// Repeated are entries whose event is known already: they are done with.
	Repeated []Accepted
	// Records are what the accepted events add to the record for reports; each is of a tenant who has one of them.
	Records []report.DayEntry
	// Triggers are what the accepted events mean to triggers: states, and events for the bus.
	Triggers trigger.Outcome
	// Commands are those among the accepted events: they are kept until somebody acknowledges them.
	Commands []command.Command
}

// Accepted is an entry that held a valid, new event.
type Accepted struct {
	Entry Entry
	Event event.Event
	// Intake is the engine's id of the intake that has claimed the event (FanoutStore.Begin) or brought it in
	// (EventLog.Arrived); "" on an engine that needs none.
	Intake string
}

// Standing is how an event stands when an Intake is to be made of it.
type Standing int

// The standings.
const (
	Fresh Standing = iota // nobody accepted it: it is claimed for this Intake
	Known                 // it was accepted before
	// Busy is an event that another fan-out is about to accept, or ended on the way with: hand it in again some seconds
	// later.
	Busy
)

// Unfinished is the error of a batch that is done with but for some entries: these are to be handed in again.
type Unfinished struct {
	Entries []Entry
	Err     error
}

func (u *Unfinished) Error() string {
	return fmt.Sprintf("%d entries are to be handed in again: %s", len(u.Entries), u.Err)
}

// Unwrap returns the reason.
func (u *Unfinished) Unwrap() error { return u.Err }

// ErrBusy: other fan-outs are at work on some of the same events.
var ErrBusy = errors.New("another fan-out is accepting the same events at this moment")

// Rejected is an entry that held none. It is kept as a dead letter with its reason.
type Rejected struct {
	Entry  Entry
	Tenant string // "" when it could not be read
	ID     string // of the event, likewise
	Reason string
}

// DeadLetter is a rejected entry as it is kept.
type DeadLetter struct {
	ID         string
	Tenant     string
	DetailType string
	Detail     []byte
	At         time.Time
	Reason     string
	// ReplayedAt is when it was sent again, zero for never. What became of that is an entry of its own.
	ReplayedAt time.Time
}

// ErrNoEntry: a dead letter is in no form that the bus takes. It came there by another way than the bus.
var ErrNoEntry = errors.New("the dead letter is no entry of the bus")

// Query selects deliveries of one integration.
type Query struct {
	Tenant      string
	Integration string
	States      []State   // none = all
	From, To    time.Time // by CreatedAt, From included, To not; zero = open
	Before      string    // id to go on from, not included
	Limit       int
}

// Replay selects ended deliveries of one integration for sending again.
type Replay struct {
	Tenant      string
	Integration string
	ID          string    // one delivery, or
	From, To    time.Time // a range by CreatedAt, To not included
	States      []State   // Dead, Delivered or both; none = Dead
	After       string    // id to go on from, not included
	Limit       int       // of one call
}

// Lane is the first attempts or the retries of one integration: the two never wait for one another.
type Lane struct {
	Tenant      string
	Integration string
	Retry       bool
}

// Queue hands out deliveries to send. A leased delivery is hidden until it is settled, released, or its lease ends;
// leases do not outlive the process.
type Queue interface {
	// Waiting returns the lanes with something to send at now, and when the next retry, or the next delivery that
	// gathers, is due, zero for never.
	Waiting(ctx context.Context, now time.Time) (lanes []Lane, next time.Time, err error)
	// Lease hands out up to limit deliveries of a lane, oldest first, with their events: retries that are due by the
	// given time, which need not be now, and none whose lease has not ended by now. Those that have gathered until now
	// are joined before, as Join says.
	Lease(ctx context.Context, lane Lane, limit int, due, now, until time.Time) ([]Delivery, error)
	// Hasten makes what is due, or gathers, after the given time due earlier by so much, but not before now: the clock
	// went back.
	Hasten(ctx context.Context, now, after time.Time, by time.Duration) error
	// Release gives leased deliveries back as they are stored.
	Release(ctx context.Context, deliveries []Delivery) error
}

// Inbox is the queue between the bus and fan-out.
type Inbox interface {
	// Receive returns up to limit entries, oldest first; none when nothing waits. The same entries come again
	// until FanoutStore.Accept has taken them.
	Receive(ctx context.Context, limit int) ([]Entry, error)
}

// newID makes the id of a delivery: the time of its oldest entry and a digest of what it carries to whom, so that
// a fan-out done twice over the same entries makes the same delivery.
func newID(integration string, at time.Time, events []event.Event) string {
	h := sha256.New()
	h.Write([]byte(integration))
	for _, e := range events {
		h.Write([]byte{0})
		h.Write([]byte(e.ID))
	}
	var id ulid.ULID
	sum := h.Sum(nil)
	copy(id[6:], sum)
	// Only a time before 1970 or after the year 10889 is refused.
	_ = id.SetTime(uint64(max(0, at.UnixMilli())))
	return id.String()
}

// MadeAt is the time that an id of a delivery holds.
func MadeAt(id string) (time.Time, error) {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the id of a delivery: %w", err)
	}
	return parsed.Timestamp().UTC(), nil
}
