package fanout

import (
	"context"
	"time"

	"tocsin/shared/event"
)

// Events reads the event log from its oldest event to its newest.
type Events struct{ Log EventLog }

// eventsPage is how many events are read at once.
const eventsPage = 1000

// Each visits a tenant's accepted events that arrived from a time on and before another.
func (r Events) Each(ctx context.Context, tenant string, from, to time.Time, visit func(event.Event) error) error {
	for after := ""; ; {
		page, next, err := r.Log.Arrived(ctx, tenant, from, to, after, eventsPage)
		if err != nil {
			return err
		}
		for _, a := range page {
			if err := visit(a.Event); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}
