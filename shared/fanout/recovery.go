package fanout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

// EventLog is what an engine keeps of the events that were accepted, for Recovery.
type EventLog interface {
	// Arrived lists a tenant's accepted events that arrived from a time on and before another, oldest first: about
	// limit, and at least one unless none is left. after is the place to go on from, "" at first; next is "" at the
	// end.
	Arrived(ctx context.Context, tenant string, from, to time.Time, after string, limit int) (events []Accepted,
		next string, err error)
	// Carried tells which of these events are in a delivery to the integration, whatever its state.
	Carried(ctx context.Context, tenant, integration string, events []Accepted) ([]bool, error)
	// Recover makes new deliveries of such events ready to be sent and returns how many. One whose id is there already
	// stays as it is.
	Recover(ctx context.Context, deliveries []delivery.Delivery, events []Accepted) (made int, err error)
}

// CarriedWithin is how much earlier than an event the delivery that carries it can have been made: a delivery has the
// time of its oldest event, and gathers for integration.LongestGrouping at most.
const CarriedWithin = time.Hour

// Recovery makes up for what an integration missed: events that it takes, as it is set up now, and that no delivery to
// it carries, because it was disabled when they came, or was not there yet. It holds nothing between calls: a page is
// made again after an error, and makes nothing twice.
type Recovery struct {
	Fanout  *Fanout // of which Systems is used alone
	Journal EventLog
	Now     func() time.Time
}

// Missed selects what to look for.
type Missed struct {
	From, To time.Time // by arrival; To not included
	// Kinds are those to look for; none = all that the integration takes.
	Kinds []event.Kind
	// Page lets incident managers have events that are old: each of these can call somebody in the night.
	Page bool
	// DryRun only counts.
	DryRun bool
	After  string // where to go on, "" at first
	Limit  int    // events looked at in one call, about
}

// Recovered is what came of one page.
type Recovered struct {
	Looked int // events of the tenant in the page
	Missed int // of them are missed
	Kinds  map[event.Kind]int
	// LeftOut are those of the missed ones that are too old for an incident manager (see Missed.Page).
	LeftOut int
	// Deliveries is how many were made.
	Deliveries int
	// Reached is the arrival of the last event looked at; Next is "" when the range is done.
	Reached time.Time
	Next    string
}

// Recover makes the deliveries of one page. The integration must be enabled unless it only counts.
func (r *Recovery) Recover(ctx context.Context, i integration.Integration, m Missed) (Recovered, error) {
	out := Recovered{Kinds: map[event.Kind]int{}}
	events, next, err := r.Journal.Arrived(ctx, i.Tenant, m.From, m.To, m.After, m.Limit)
	if err != nil {
		return out, fmt.Errorf("list the events from %s to %s: %w", m.From, m.To, err)
	}
	out.Looked, out.Next = len(events), next
	if len(events) > 0 {
		out.Reached = events[len(events)-1].Entry.At
	}
	taken := r.taken(i, m, events)
	if len(taken) == 0 {
		return out, nil
	}
	missed, err := r.missed(ctx, i, taken)
	if err != nil {
		return out, err
	}
	out.Missed = len(missed)
	for _, e := range missed {
		out.Kinds[e.Event.Kind]++
	}
	if system, _, _ := r.Fanout.Systems.Lookup(i.System); system.Group == destination.Incidents && !m.Page {
		before := len(missed)
		now := r.Now()
		missed = slices.DeleteFunc(missed, func(e routed) bool { return now.Sub(e.Entry.At) > delivery.LateAfter })
		out.LeftOut = before - len(missed)
	}
	if m.DryRun || len(missed) == 0 {
		return out, nil
	}
	accepted := make([]Accepted, len(missed))
	for n, e := range missed {
		accepted[n] = e.Accepted
	}
	deliveries := r.Fanout.deliveries(i, missed)
	for n := range deliveries {
		deliveries[n].Due = time.Time{} // a span that is over gathers nothing any more
	}
	if out.Deliveries, err = r.Journal.Recover(ctx, deliveries, accepted); err != nil {
		return out, fmt.Errorf("recover %d events for integration %s: %w", len(missed), i.ID, err)
	}
	return out, nil
}

// taken are the events that the integration would receive if they came now.
func (r *Recovery) taken(i integration.Integration, m Missed, events []Accepted) []routed {
	var out []routed
	seen := map[string]bool{}
	for _, a := range events {
		if len(m.Kinds) > 0 && !slices.Contains(m.Kinds, a.Event.Kind) || seen[a.Event.ID] {
			continue
		}
		if reaction, ok := a.Event.Reaction(); ok {
			if slices.Contains(reaction.Integrations, i.ID) {
				out = append(out, routed{Accepted: a})
			}
			continue
		}
		t := a.Event.Type()
		// what is for one receiver is made again on demand, or is no news any more
		if _, direct := a.Event.Direct(); t == "" || direct {
			continue
		}
		seen[a.Event.ID] = true
		out = append(out, routed{Accepted: a, as: t})
	}
	return slices.DeleteFunc(out, func(e routed) bool {
		if e.as == "" {
			return false
		}
		passed, _ := r.Fanout.passing(i, []routed{e})
		return len(passed) == 0
	})
}

// missed leaves out what is carried already.
func (r *Recovery) missed(ctx context.Context, i integration.Integration, taken []routed) ([]routed, error) {
	events := make([]Accepted, len(taken))
	for n, e := range taken {
		events[n] = e.Accepted
	}
	carried, err := r.Journal.Carried(ctx, i.Tenant, i.ID, events)
	if err != nil {
		return nil, fmt.Errorf("look for the deliveries of %d events to integration %s: %w", len(events), i.ID, err)
	}
	var out []routed
	for n, e := range taken {
		if !carried[n] {
			out = append(out, e)
		}
	}
	return out, nil
}

// What CountMissed looks at, at most: a person waits for it.
const (
	countPage = 500
	countMost = 4 * countPage // events of the tenant
)

// CountMissed counts what Recover would find from a time until now.
func (r *Recovery) CountMissed(ctx context.Context, i integration.Integration, from time.Time) (n int, more bool,
	err error) {
	m := Missed{From: from, To: r.Now(), DryRun: true, Limit: countPage}
	for looked := 0; m.From.Before(m.To); {
		page, err := r.Recover(ctx, i, m)
		if err != nil {
			return 0, false, err
		}
		n, looked, m.After = n+page.Missed, looked+page.Looked, page.Next
		if m.After == "" || looked >= countMost {
			break
		}
	}
	return n, m.After != "", nil
}
