package fanout

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/integration"
)

// Tried is what an integration would have got of the last events.
type Tried struct {
	From, To time.Time // of the arrivals that were looked at
	Takes    int       // events that it takes by their types
	Passed   int       // of them those that pass its filters
	LeftOut  []LeftOut // the others
}

// trySpans are how far back Try looks: on, while it has found fewer events of the tenant than a page.
var trySpans = []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// Try looks at the last events, up to about 2,000, as if the integration had received them.
func (r *Recovery) Try(ctx context.Context, i integration.Integration) (Tried, error) {
	now := r.Now().UTC()
	var events []Accepted
	out := Tried{To: now}
	for _, span := range trySpans {
		var err error
		out.From, out.To = now.Add(-span), now
		var next string
		if events, next, err = r.arrived(ctx, i.Tenant, out.From, now); err != nil {
			return out, fmt.Errorf("list the events from %s on: %w", out.From, err)
		}
		if next != "" {
			out.To = events[len(events)-1].Entry.At
		}
		if len(events) >= countPage {
			break
		}
	}
	all := make([]routed, 0, len(events))
	for _, a := range events {
		_, reaction := a.Event.Reaction()
		if _, direct := a.Event.Direct(); !reaction && !direct {
			all = append(all, routed{Accepted: a, as: a.Event.Type()})
		}
	}
	passed, left := r.Fanout.passing(i, all)
	out.Passed, out.LeftOut = len(passed), left
	out.Takes = out.Passed
	for _, l := range left {
		out.Takes += l.Events
	}
	return out, nil
}

// arrived lists events that arrived in a span, oldest first: up to countMost, and where to go on.
func (r *Recovery) arrived(ctx context.Context, tenant string, from, to time.Time) (out []Accepted, next string,
	err error) {
	for {
		page, after, err := r.Journal.Arrived(ctx, tenant, from, to, next, countPage)
		if err != nil {
			return nil, "", err
		}
		out, next = append(out, page...), after
		if next == "" || len(out) >= countMost {
			return out, next, nil
		}
	}
}
