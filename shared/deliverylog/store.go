package deliverylog

import (
	"context"
	"errors"
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// ErrNoEvent: no accepted event of the tenant has this id, or it is kept no longer.
var ErrNoEvent = errors.New("event not found")

// Name names a delivery of a tenant.
type Name struct{ Integration, ID string }

// Chunk is a piece of an integration's list, newest first.
type Chunk struct {
	Rows []delivery.Delivery // without their events
	// Reached is the id down to which was looked, "" at the end of the list. It can be below the last row: what was
	// looked at and not selected counts too.
	Reached string
}

// Event is an accepted event.
type Event struct {
	fanout.Accepted

	// Made are the deliveries that its fan-out put it in, where the engine keeps that; a batch window can have merged
	// them into others since.
	Made []Name
}

// Store is what an engine keeps of deliveries and events, as the log reads it.
type Store interface {
	// Newest reads a piece of the list of each query's integration: of one, up to Limit rows.
	Newest(ctx context.Context, queries []delivery.Query) ([]Chunk, error)
	// Lookup reads deliveries with their events. Those that are not there are missing in the answer, which has no
	// order.
	Lookup(ctx context.Context, tenant string, names []Name) ([]delivery.Delivery, error)
	// Event reads an accepted event by its id. Error: ErrNoEvent.
	Event(ctx context.Context, tenant, id string) (Event, error)
	// Carrying looks for the delivery that carries the event among the newest of the integration that can, and looks at
	// `most` at most. id is "" where none does; through says that all that can were looked at.
	Carrying(ctx context.Context, tenant, integration string, e Event, most int) (id string, through bool, err error)
}

// Heads is a Store that knows where lists begin: of thousands few are on a page, and the others are not looked into.
type Heads interface {
	Store
	// Head is an id above which an integration's list has nothing, "" of one that has nothing. ok is false where that
	// is not known.
	Head(tenant, integration string) (id string, ok bool)
}

// Log searches.
type Log struct {
	Integrations integration.Lister
	Store        Store
	Systems      integration.Systems // nil: none keeps anything of what it is sent
	Dropper      *fanout.Dropper     // nil: what quiet hours and mutes dropped is among what was missed
}

// integrations are those of the tenant, or the named ones of them.
func (l *Log) integrations(ctx context.Context, tenant string, named []string) ([]integration.Integration, error) {
	all, err := integration.All(ctx, l.Integrations, tenant)
	if err != nil || len(named) == 0 {
		return all, err
	}
	return slices.DeleteFunc(all, func(i integration.Integration) bool { return !slices.Contains(named, i.ID) }), nil
}
