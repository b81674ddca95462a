// Package command is what triggers ask of the platform: to list an address, to mark requests, to group hits. The
// platform owns the traffic, so Tocsin can only ask. Each command is an event on the bus, reaches integrations that
// subscribe to commands, and is kept here until somebody says that it was taken: so nobody has to guess whether an
// address was blocked.
package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/event"
)

// ErrNotFound: the tenant has no such command. Another tenant's id is not found either.
var ErrNotFound = errors.New("command not found")

// State of a command: what upstream said of it. Time alone changes none, since only upstream knows what it did.
type State string

// The states of a command.
const (
	Pending      State = "pending" // published, and nobody said that it was taken
	Acknowledged State = "acknowledged"
	Failed       State = "failed" // whoever tried could not carry it out
	Lifted       State = "lifted" // it was carried out, and that is over
)

// Command is one that a trigger gave.
type Command struct {
	// ID is that of its event: whoever gets the command over the bus or by an integration can acknowledge it.
	ID         string            `json:"id"`
	Tenant     string            `json:"tenant"`
	ClientName string            `json:"client_name,omitempty"` // the tenant's company name
	Kind       event.Kind        `json:"kind"`
	At         time.Time         `json:"at"`
	Data       event.CommandData `json:"data"`
	// AcknowledgedAt is zero while nobody has; AcknowledgedBy is who did first.
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	FailedAt       time.Time `json:"failed_at,omitzero"`
	FailedBy       string    `json:"failed_by,omitempty"`
	Failure        string    `json:"failure,omitempty"` // why
	LiftedAt       time.Time `json:"lifted_at,omitzero"`
	LiftedBy       string    `json:"lifted_by,omitempty"`
	LiftReason     string    `json:"lift_reason,omitempty"` // "" = nobody said
	// OverdueAt is when it was found that nobody had said anything of it within its time: see Notices.
	OverdueAt time.Time `json:"overdue_at,omitzero"`
}

// Of reads the command in an event, when it is one.
func Of(e event.Event) (c Command, ok bool) {
	if !e.Kind.Command() {
		return c, false
	}
	return Command{ID: e.ID, Tenant: e.Tenant, ClientName: e.ClientName, Kind: e.Kind, At: e.Time.UTC(),
		Data: event.Data[event.CommandData](e)}, true
}

// State is the last thing that was said of it.
func (c Command) State() State {
	switch {
	case !c.LiftedAt.IsZero():
		return Lifted
	case !c.AcknowledgedAt.IsZero():
		return Acknowledged
	case !c.FailedAt.IsZero():
		return Failed
	}
	return Pending
}

// Ends is when the lock time of a command that was taken is over, counted from when that was said; zero without one,
// and of one that was lifted.
// Whether the address left the list then is upstream's to say.
func (c Command) Ends() time.Time {
	if c.State() != Acknowledged || c.Data.LockTime <= 0 || c.Data.LockTime >= event.Forever {
		return time.Time{}
	}
	return c.AcknowledgedAt.Add(time.Duration(c.Data.LockTime) * time.Second)
}

// Place is where the command stands in a list: places sort by time.
func (c Command) Place() string { return fmt.Sprintf("%019d %s", max(0, c.At.UnixNano()), c.ID) }

// Query asks for commands of one tenant, newest first.
type Query struct {
	Tenant  string
	State   State  // "" = any
	Trigger string // "" = any
	Before  string // the Place of the last one of the page before, "" = from the newest on
	Limit   int
}

// Store keeps commands. They are put in by fanout.Store.Accept, together with their event, and are kept as long as
// events are. Implementations are safe for concurrent use.
type Store interface {
	// List answers a query.
	List(ctx context.Context, q Query) ([]Command, error)
	// Several returns those of a tenant's commands that are there, in any order.
	Several(ctx context.Context, tenant string, ids []string) ([]Command, error)
	// Acknowledge notes what became of a command, by Command.Next. What was said before stays as it is, and the command
	// is answered so. The entry of the activity log goes with the change, with its Changes; who acknowledges, and when,
	// is the entry's to say. An outcome that tells that somebody takes commands of the kind ends what Untaken lists of
	// it. Errors: ErrNotFound, *Impossible.
	Acknowledge(ctx context.Context, id string, o Outcome, e activity.Entry) (Command, error)
	Watcher
}
