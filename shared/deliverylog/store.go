package deliverylog

import (
	"context"
	"errors"

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

// Integrations are the integrations of a tenant.
type Integrations interface {
	List(ctx context.Context, tenant, after string, limit int) ([]integration.Integration, error)
}

// Log searches.
type Log struct {
	Integrations Integrations
	Store        Store
}

// integrationPage is how many integrations are read at once.
const integrationPage = 200

// integrations are those of the tenant, or the named ones of them.
func (l *Log) integrations(ctx context.Context, tenant string, named []string) ([]integration.Integration, error) {
	var out []integration.Integration
	wanted := make(map[string]bool, len(named))
	for _, id := range named {
		wanted[id] = true
	}
	for after := ""; ; {
		page, err := l.Integrations.List(ctx, tenant, after, integrationPage)
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			if len(named) == 0 || wanted[i.ID] {
				out = append(out, i)
			}
		}
		if len(page) < integrationPage {
			return out, nil
		}
		after = page[len(page)-1].ID
	}
}
