package fanout

import (
	"context"
	"errors"
	"fmt"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

// Intake is what fan-out made of a batch of entries.
type Intake struct {
	Accepted   []Accepted
	Deliveries []delivery.Delivery
	LeftOut    []LeftOut
	Rejected   []Rejected
	// Repeated are entries whose event is known already: they are done with.
	Repeated []Accepted
	// Records are what the accepted events add to the record for reports; each is of a tenant who has one of them.
	Records []daily.Entry
	// Triggers are what the accepted events mean to triggers: states, and events for the bus.
	Triggers trigger.Outcome
	// Commands are those among the accepted events: they are kept until somebody acknowledges them.
	Commands []command.Command

	systems map[integration.Key]string // of the integrations that deliveries go to, for metrics
}

// Accepted is an entry that held a valid, new event.
type Accepted struct {
	Entry delivery.Entry
	Event event.Event
	// Intake is the engine's id of the intake that has claimed the event (Store.Begin) or brought it in
	// (EventLog.Arrived); "" on an engine that needs none.
	Intake string
}

// arrived counts the accepted events of each tenant. They count where the newest arrived.
func (in *Intake) arrived() (counts []health.Count) {
	at := map[string]int{}
	for _, a := range in.Accepted {
		n, ok := at[a.Event.Tenant]
		if !ok {
			n = len(counts)
			at[a.Event.Tenant] = n
			counts = append(counts, health.Arrived(a.Event.Tenant, a.Entry.At, 0))
		}
		counts[n].Attempts++
		if a.Entry.At.After(counts[n].At) {
			counts[n].At = a.Entry.At
		}
	}
	return counts
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
	Entries []delivery.Entry
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
	Entry  delivery.Entry
	Tenant string // "" when it could not be read
	ID     string // of the event, likewise
	Reason string
}

// Inbox is the queue between the bus and fan-out.
type Inbox interface {
	// Receive returns up to limit entries, oldest first; none when nothing waits. The same entries come again
	// until Store.Accept has taken them.
	Receive(ctx context.Context, limit int) ([]delivery.Entry, error)
}

// Store takes what fan-out makes of events. Implementations are safe for concurrent use.
type Store interface {
	// Begin claims events for one Intake, which is made of those that are Fresh: their Intake is set. What was begun is
	// accepted within a minute or aborted; a process that ends in between holds its claims for that long.
	Begin(ctx context.Context, events []Accepted) ([]Standing, error)
	// Abort gives up what was begun: the events are free at once. What was accepted meanwhile stays accepted.
	Abort(ctx context.Context, events []Accepted) error
	// Accept records the outcome of one fan-out and makes its deliveries ready to be sent. When it returns, all of it
	// is durable and the entries will not be handed out again; after an error, hand in the same Intake again.
	// Deliveries that could not be made ready at once (a queue that is away) become so in some minutes. Error:
	// *Unfinished when all but these entries is accepted. An Intake that was not begun is begun here, and fails as a
	// whole if a part of it is known. A delivery whose id exists is left as it is. One that gathers waits until its
	// Due. An Intake adds its Records once, and publishes the events of its Triggers, however often it is handed in.
	// Error: trigger.ErrStale when a state of a trigger is not any more as it was read: nothing that its tenant's
	// events mean was accepted then. Make the Intake anew.
	Accept(ctx context.Context, in Intake) error
}
