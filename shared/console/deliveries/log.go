package deliveries

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
)

// LogView is a delivery in the log over all integrations.
type LogView struct {
	ID          string         `json:"id"`
	Integration LogTarget      `json:"integration"`
	State       delivery.State `json:"state" enum:"pending,retrying,delivered,dead"`
	CreatedAt   time.Time      `json:"created_at"`
	Kinds       []event.Kind   `json:"kinds" doc:"what its events are"`
	Count       int            `json:"count" doc:"how many events it carries"`
	Due         *time.Time     `json:"due,omitempty" doc:"when it is sent again; of one that is held, or waits for a file of several: when it is sent"`
	Fallback    *FallbackView  `json:"fallback,omitempty" doc:"of a dead one: where its events went instead; it stays when it is sent again"`
	From        *FromView      `json:"from,omitempty" doc:"whose events it has by fallback; absent of those that came for its integration"`
	Held        *HeldView      `json:"held,omitempty" doc:"what holds it until due, or held it; absent when nothing did"`
	Reason      string         `json:"reason,omitempty" worded:"true" doc:"why it failed last, or why it is dead"`
	Attempts    int            `json:"attempts" doc:"how often it was tried; the newest 64 are counted"`
	Last        *AttemptView   `json:"last,omitempty" doc:"the last attempt; absent when there was none"`
	Summary     string         `json:"summary,omitempty" worded:"true" doc:"of the first event that holds the text; present where one was asked for"`
}

// LogTarget is where a delivery goes.
type LogTarget struct {
	ID      string `json:"id"`
	Name    string `json:"name" example:"Ops channel"`
	System  string `json:"system" example:"slack"`
	Enabled bool   `json:"enabled"`
}

// LogFilter narrows the log.
type LogFilter struct {
	Event       string    `query:"event" maxLength:"256" doc:"id of an event: every delivery that carries it"`
	Delivery    string    `query:"delivery" maxLength:"64" doc:"id of a delivery"`
	Kind        []string  `query:"kind" maxItems:"50" doc:"kinds of events, with commas between"`
	Integration []string  `query:"integration" maxItems:"100" doc:"ids of integrations, with commas between"`
	State       []string  `query:"state" maxItems:"4" enum:"pending,retrying,delivered,dead" doc:"states, with commas between"`
	Status      string    `query:"status" maxLength:"4" doc:"an attempt was answered so: a status such as 404, a class such as 5xx, or none for no answer" example:"5xx"`
	Text        string    `query:"text" maxLength:"200" doc:"in what people read of an event; upper and lower case are the same"`
	From        time.Time `query:"from" doc:"made at this time or later, with its zone" example:"2026-03-01T09:00:00+09:00"`
	To          time.Time `query:"to" doc:"made before this time, with its zone"`
	Cursor      string    `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
}

type logInput struct {
	LogFilter

	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"items on a page, at most 1,000"`
}

type logOutput struct {
	Body struct {
		Items      []LogView  `json:"items" doc:"newest first"`
		NextCursor string     `json:"next_cursor,omitempty" doc:"go on with it, also when a page has few items or none"`
		Reached    *time.Time `json:"reached,omitempty" doc:"with next_cursor: the log was looked through to this time"`
	}
}

// EventTrace is an event and what became of it.
type EventTrace struct {
	EventView
	ArrivedAt  time.Time      `json:"arrived_at" doc:"when the bus took it"`
	Summary    string         `json:"summary" worded:"true" doc:"in one sentence"`
	Trigger    string         `json:"trigger,omitempty" doc:"id of the trigger whose notification it is"`
	Deliveries []CarriedView  `json:"deliveries" doc:"every delivery of it, by integration"`
	LeftOut    []LeftOutEvent `json:"left_out" doc:"the integrations that did not get it, and why"`
}

// CarriedView is a delivery of an event.
type CarriedView struct {
	LogView
	Why fanout.Route `json:"why" enum:"subscription,trigger,address,fallback,not_subscribed,not_named,for_another,about_itself,filtered,for_triggers" doc:"why it went there: the integration takes this type of event (subscription), a trigger names it (trigger), it is for it alone (address), it could not be delivered to an integration whose fallback this one is (fallback). Another value says that the integration was set up otherwise then"`
}

// LeftOutEvent is an integration that did not get an event.
type LeftOutEvent struct {
	Integration LogTarget `json:"integration"`
	Reason      string    `json:"reason" enum:"not_subscribed,not_named,for_another,about_itself,filtered,for_triggers,disabled,added,quiet,mute,missed,unknown" doc:"not_subscribed: it does not take this type of event; not_named: the trigger names others; for_another: it is for one other receiver; about_itself: it tells of a change of this integration; filtered: one of its filters, as they are now, stops it; for_triggers: nobody can subscribe to it; disabled: it has been disabled since before; added: it was added later; quiet, mute: it came in quiet hours or while the integration was muted, by the rules as they are now, and such events are not sent; missed: it takes the event now and did not then (recover-events sends what was missed, dropped or came while it was disabled); unknown: too much was sent to it within minutes to look through"`
	Filter      filter.ID `json:"filter,omitempty" doc:"with filtered: the first that stops it" example:"severity"`
	FilterTitle string    `json:"filter_title,omitempty" worded:"true" doc:"its title" example:"Severity"`
	Since       time.Time `json:"since,omitzero" doc:"when it was disabled, or added"`
}

type eventOutput struct{ Body EventTrace }

const logList rest.List = "log"

func (s *API) log(api huma.API) {
	tags := []string{"Deliveries"}
	const how = "Of the integrations that there are, newest first. No filter is needed; each narrows. Filters by " +
		"kind, status and text are looked for in the list: one call looks at 10,000 deliveries at most, with a text " +
		"at the events of 1,000. reached says how far back that was, and next_cursor goes on."
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "search-deliveries", Method: http.MethodGet, Path: "/v1/deliveries", Tags: tags,
		Errors: []int{400, 422}, Summary: "Search the deliveries to all integrations", Description: how,
	}), s.searchLog)
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "export-deliveries", Method: http.MethodGet, Path: "/v1/deliveries/export", Tags: tags,
		Errors: []int{400, 422}, Summary: "Read the deliveries to all integrations as CSV",
		Description: how + " A value that a spreadsheet would take for a formula has an apostrophe before it. One " +
			"answer has at most 5,000 lines: X-Next-Cursor says that there is more.",
		Responses: rest.CSVAnswers(),
	}), s.exportLog)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "get-event", Method: http.MethodGet, Path: "/v1/events/{id}", Tags: tags, Errors: []int{404},
		Summary: "Read an event and what became of it",
		Description: "Every delivery of it, why it went there, and what left it out elsewhere, as the integrations " +
			"are set up now. An event that could not be processed is none: see list-dead-letters.",
	}), s.traceEvent)
}

func (s *API) index() *deliverylog.Log {
	return &deliverylog.Log{Integrations: s.Integrations, Store: s.Deliveries, Systems: s.Systems}
}

// query checks a filter.
func (f LogFilter) query(ctx context.Context, limit int) (q deliverylog.Query, err error) {
	q = deliverylog.Query{Tenant: rest.Principal(ctx).Tenant, Integrations: f.Integration,
		Event: strings.TrimSpace(f.Event), Delivery: strings.ToUpper(strings.TrimSpace(f.Delivery)),
		Status: deliverylog.Status(strings.ToLower(f.Status)), Text: strings.TrimSpace(f.Text), From: f.From, To: f.To,
		Limit: limit}
	for _, state := range f.State {
		q.States = append(q.States, delivery.State(state))
	}
	for _, k := range f.Kind {
		if q.Kinds = append(q.Kinds, event.Kind(k)); !event.Kind(k).Known() {
			return q, rest.NewProblem(http.StatusUnprocessableEntity, "there is no such kind of event",
				rest.Fault("query.kind", "is not a kind of event: "+k))
		}
	}
	if err := q.Status.Validate(); err != nil {
		return q, rest.NewProblem(http.StatusUnprocessableEntity, "there is no such status",
			rest.Fault("query.status", err.Error()))
	}
	q.Before, err = rest.OpenCursor(logList, q.Tenant, f.Cursor)
	return q, err
}

// found answers an event that is not there as one without deliveries.
func (s *API) found(ctx context.Context, page deliverylog.Page, err error) (deliverylog.Page, error) {
	if errors.Is(err, deliverylog.ErrNoEvent) {
		return deliverylog.Page{}, nil
	}
	return page, s.Answer(ctx, err)
}

func (s *API) searchLog(ctx context.Context, in *logInput) (*logOutput, error) {
	q, err := in.query(ctx, in.Limit)
	if err != nil {
		return nil, err
	}
	page, err := s.index().Search(ctx, q)
	if page, err = s.found(ctx, page, err); err != nil {
		return nil, err
	}
	out := &logOutput{}
	out.Body.Items = make([]LogView, len(page.Found))
	for n, f := range page.Found {
		out.Body.Items[n] = logView(f.Delivery, f.To, f.Summary)
	}
	if page.Next != "" {
		out.Body.NextCursor, out.Body.Reached = rest.MakeCursor(logList, q.Tenant, page.Next), &page.Reached
	}
	return out, nil
}

func logView(d delivery.Delivery, to integration.Integration, summary string) LogView {
	whole := deliveryView(d)
	v := LogView{ID: d.ID, Integration: logTarget(to), State: d.State, CreatedAt: d.CreatedAt, Kinds: whole.Kinds,
		Count: d.Count, Due: whole.Due, Held: whole.Held, Fallback: whole.Fallback, From: whole.From,
		Reason: d.Reason, Attempts: len(whole.Attempts),
		Summary: summary}
	if n := len(whole.Attempts); n > 0 {
		v.Last = &whole.Attempts[n-1]
	}
	return v
}

func logTarget(i integration.Integration) LogTarget {
	return LogTarget{ID: i.ID, Name: i.Name, System: i.System, Enabled: i.Enabled()}
}

func (s *API) traceEvent(ctx context.Context, in *rest.IDInput) (*eventOutput, error) {
	index := s.index()
	tenant := rest.Principal(ctx).Tenant
	index.Dropper = &fanout.Dropper{Systems: s.Systems}
	if s.Settings != nil {
		of, err := s.Settings.Settings(ctx, tenant)
		if err != nil {
			return nil, s.Answer(ctx, fmt.Errorf("read the quiet hours of tenant %s: %w", tenant, err))
		}
		index.Dropper.Tenants = of.Hold
	}
	t, err := index.Trace(ctx, tenant, in.ID)
	if errors.Is(err, deliverylog.ErrNoEvent) {
		return nil, rest.Missing("there is no such event, or it is kept no longer",
			`there is no event "%s", or it is kept no longer: the id is that in the event's Detail, not the EventId `+
				"that PutEvents answers; what could not be processed is a dead letter, see GET /v1/dead-letters", "id")
	}
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	e := t.Event.Accepted.Event
	out := &eventOutput{EventTrace{
		EventView: EventView{e.ID, e.Kind, e.Time, e.Data}, ArrivedAt: t.Event.Entry.At, Summary: deliverylog.Says(e),
		Deliveries: []CarriedView{}, LeftOut: []LeftOutEvent{},
	}}
	if r, ok := e.Reaction(); ok {
		out.Body.Trigger = r.Trigger
	}
	for _, d := range t.Deliveries {
		out.Body.Deliveries = append(out.Body.Deliveries, CarriedView{logView(d.Delivery, d.To, ""), d.Route})
	}
	for _, l := range t.LeftOut {
		v := LeftOutEvent{Integration: logTarget(l.To), Reason: string(l.Cause), Filter: l.Filter,
			FilterTitle: l.Filter.Rule().Title, Since: l.Since}
		if l.Cause == deliverylog.NotRouted {
			v.Reason = string(l.Route)
		}
		out.Body.LeftOut = append(out.Body.LeftOut, v)
	}
	return out, nil
}
