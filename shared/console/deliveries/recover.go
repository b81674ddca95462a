package deliveries

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

type recoverInput struct {
	ID   string `path:"id"`
	Body struct {
		From   time.Time    `json:"from" doc:"events that arrived at this time or later"`
		To     *time.Time   `json:"to,omitempty" doc:"events that arrived before this time; now when it is left out"`
		Kinds  []event.Kind `json:"kinds,omitempty" maxItems:"50" doc:"only these kinds of events; all that the integration takes when it is left out"`
		DryRun bool         `json:"dry_run,omitempty" doc:"only count"`
		Page   bool         `json:"page,omitempty" doc:"let an incident manager have events that are older than an hour, which can call somebody"`
		Cursor string       `json:"cursor,omitempty" maxLength:"400" doc:"of the answer before"`
	}
}

// RecoverView says what of a range was missed, and what was made ready to be sent.
type RecoverView struct {
	Missed     int                `json:"missed" doc:"events that the integration takes and no delivery to it carries"`
	Kinds      map[event.Kind]int `json:"kinds" doc:"of these by kind"`
	LeftOut    int                `json:"left_out,omitempty" doc:"of these: older than an hour, and its system is an incident manager; see page"`
	Deliveries int                `json:"deliveries" doc:"made ready to be sent; 0 for a dry run"`
	NextCursor string             `json:"next_cursor,omitempty" doc:"call again with it: the range is not done yet. Add the numbers up"`
	Reached    *time.Time         `json:"reached,omitempty" doc:"with next_cursor: the range is done up to this time"`
}

type recoverOutput struct{ Body RecoverView }

const (
	// recoverPage is how many events are looked at at once.
	recoverPage = 500
	// recoverBudget is for how long one call goes on to the next page: it answers in time for somebody who watches.
	recoverBudget = 2 * time.Second
)

func (s *API) recovery(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "recover-events", Method: http.MethodPost, Path: "/v1/integrations/{id}/recover",
		Tags:   []string{"Deliveries"},
		Errors: []int{400, 404, 409, 422}, Summary: "Recover events that an integration missed",
		Description: "Makes deliveries of the events that the integration takes, as it is set up now, and never got: " +
			"they came while it was " +
			"disabled, or before it was added. Events are kept at least as long as deliveries. A single event has " +
			"the delivery id that it would have had. " +
			"One call works for about two seconds; go on with the cursor, or stop. Nothing is made twice.",
	}), s.recoverEvents)
}

func (s *API) recoverEvents(ctx context.Context, in *recoverInput) (*recoverOutput, error) {
	tenant := rest.Principal(ctx).Tenant
	after, err := rest.OpenCursor(recoverList, tenant, in.Body.Cursor)
	if err != nil {
		return nil, err
	}
	i, err := s.Integrations.Get(ctx, tenant, in.ID)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if !i.Enabled() && !in.Body.DryRun {
		return nil, rest.NewProblem(http.StatusConflict, "the integration is disabled: enable it first")
	}
	began := s.Now()
	m := fanout.Missed{
		From: in.Body.From, To: began, Kinds: in.Body.Kinds, Page: in.Body.Page, DryRun: in.Body.DryRun, After: after,
		Limit: recoverPage,
	}
	if in.Body.To != nil && in.Body.To.Before(began) {
		m.To = *in.Body.To
	}
	if !m.From.Before(m.To) {
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the range is empty",
			rest.Fault("from", "must be before to, and before now"))
	}
	for _, k := range m.Kinds {
		if !k.Known() {
			return nil, rest.NewProblem(http.StatusUnprocessableEntity, "there is no such kind of event",
				rest.Fault("kinds", "is not a kind of event: "+string(k)))
		}
	}
	out := &recoverOutput{Body: RecoverView{Kinds: map[event.Kind]int{}}}
	for {
		page, err := s.Recovery.Recover(ctx, i, m)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		out.Body.add(page)
		if m.After = page.Next; m.After == "" {
			break
		}
		if s.Now().Sub(began) >= recoverBudget {
			out.Body.NextCursor, out.Body.Reached = rest.MakeCursor(recoverList, tenant, m.After), &page.Reached
			break
		}
	}
	if out.Body.Deliveries > 0 {
		s.Log.Info("missed events recovered", "tenant", tenant, "integration", i.ID, "events", out.Body.Missed,
			"deliveries", out.Body.Deliveries, "by", rest.Principal(ctx).Who())
		s.Wake(delivery.Lane{Tenant: tenant, Integration: i.ID})
		s.Record(ctx, activity.Entry{Object: s.Integrations.Object(i.System), ObjectID: i.ID, ObjectName: i.Name,
			Action: activity.Recover, Changes: activity.Diff(nil, map[string]any{"events": out.Body.Missed,
				"deliveries": out.Body.Deliveries, "from": told(in.Body.From), "to": told(m.To)})})
	}
	return out, nil
}

func (v *RecoverView) add(page fanout.Recovered) {
	v.Missed += page.Missed
	v.LeftOut += page.LeftOut
	v.Deliveries += page.Deliveries
	for kind, n := range maps.All(page.Kinds) {
		v.Kinds[kind] += n
	}
}

const recoverList rest.List = "recover"
