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

// State of a command.
type State string

// The states of a command.
const (
	Pending      State = "pending"
	Acknowledged State = "acknowledged"
)

// Command is one that a trigger gave.
type Command struct {
	// ID is that of its event: whoever gets the command over the bus or by an integration can acknowledge it.
	ID     string            `json:"id"`
	Tenant string            `json:"tenant"`
	Kind   event.Kind        `json:"kind"`
	At     time.Time         `json:"at"`
	Data   event.CommandData `json:"data"`
	// AcknowledgedAt is zero while nobody has; AcknowledgedBy is who did first.
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
}

// Of reads the command in an event, when it is one.
func Of(e event.Event) (c Command, ok bool) {
	if !e.Kind.Command() {
		return c, false
	}
	return Command{ID: e.ID, Tenant: e.Tenant, Kind: e.Kind, At: e.Time.UTC(), Data: event.Data[event.CommandData](e)},
		true
}

// State says whether it was acknowledged.
func (c Command) State() State {
	if c.AcknowledgedAt.IsZero() {
		return Pending
	}
	return Acknowledged
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
	// Acknowledge notes that a command was taken. One that was acknowledged before stays as it is, and is answered so.
	// The entry of the activity log goes with the change; who acknowledges, and when, is the entry's to say.
	// Error: ErrNotFound.
	Acknowledge(ctx context.Context, id string, e activity.Entry) (Command, error)
}
