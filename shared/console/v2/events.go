package v2

import (
	"fmt"
	"net/http"
	"slices"

	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

// eventLine is one line of `events`.
type eventLine struct {
	Event       string `json:"event"`
	Active      *bool  `json:"active"` // true when it is left out
	WithHeaders *bool  `json:"with_headers"`
}

// eventView is one line of the events of an answer.
type eventView struct {
	Event       event.Type `json:"event"`
	Active      bool       `json:"active"`
	WithHeaders *bool      `json:"with_headers,omitempty"` // of siem only
}

// aliases are the names of older clients (product facts, 1.5).
var aliases = map[string][]event.Type{
	"hit": {event.Hits}, "vuln": {event.VulnHigh, event.VulnMedium, event.VulnLow},
}

// subscriptions keeps the active lines. An inactive one may name an event that we do not have: the provider lists every
// type that it knows as inactive where a configuration names none.
func subscriptions(system destination.System, lines []eventLine) ([]integration.Subscription, error) {
	out := []integration.Subscription{}
	var wrong []destination.FieldProblem
	for n, line := range lines {
		if line.Active != nil && !*line.Active {
			continue
		}
		types := aliases[line.Event]
		if types == nil {
			types = []event.Type{event.Type(line.Event)}
		}
		for _, t := range types {
			headers := line.WithHeaders != nil && *line.WithHeaders
			field := fmt.Sprintf("events.%d.event", n)
			at := slices.IndexFunc(out, func(s integration.Subscription) bool { return s.Event == t })
			switch {
			case !t.Valid() || !slices.Contains(system.Events, t):
				wrong = append(wrong, rest.Fault(field, system.Title+" is sent no such event here: leave it out, or "+
					"make it inactive"))
			case headers && t != event.Hits:
				wrong = append(wrong, rest.Fault(fmt.Sprintf("events.%d.with_headers", n), "is for siem only"))
			case at < 0:
				out = append(out, integration.Subscription{Event: t, WithHeaders: headers})
			default:
				out[at].WithHeaders = out[at].WithHeaders || headers
			}
		}
	}
	if len(wrong) > 0 {
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid", wrong...)
	}
	return out, nil
}

// eventsOf are all events of the integration's system, in the order of the form.
func eventsOf(system destination.System, i integration.Integration) []eventView {
	out := []eventView{}
	for _, t := range system.Events {
		sub, active := i.Subscribed(t)
		v := eventView{Event: t, Active: active}
		if t == event.Hits {
			v.WithHeaders = &sub.WithHeaders
		}
		out = append(out, v)
	}
	return out
}
