package triggers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/trigger"
)

// FiringView is one time that a trigger went off.
type FiringView struct {
	At        time.Time      `json:"at"`
	IP        string         `json:"ip,omitempty" doc:"the address that the threshold was exceeded from; absent where all are counted together" example:"203.0.113.5"`
	Count     int64          `json:"count,omitempty" doc:"how many were in the period when it fired" example:"11"`
	From      *time.Time     `json:"from,omitempty" doc:"the period that was full"`
	To        *time.Time     `json:"to,omitempty"`
	Threshold *ThresholdView `json:"threshold,omitempty" doc:"the one that was exceeded"`
	Event     string         `json:"event_id,omitempty" doc:"what set it off: the event that was counted last, or the only one"`
	Object    string         `json:"object,omitempty" doc:"what that event is about: an address, an e-mail address, an endpoint"`
	Reactions []ReactionView `json:"reactions"`
}

// ReactionView is what came of a firing.
type ReactionView struct {
	Action       trigger.ActionID `json:"action" example:"send_notification"`
	Event        string           `json:"event_id" doc:"of the event that it published: deliveries carry it, and GET /v1/commands lists it where it asks something of the platform"`
	Integrations []string         `json:"integration_ids,omitempty" doc:"that were notified"`
	LockTime     int64            `json:"lock_time,omitempty" doc:"seconds"`
	// Command is absent of a notification, and of a command that is not kept any more.
	Command *CommandStateView `json:"command,omitempty" doc:"what became of what it asked of the platform"`
}

// CountView is what a trigger counts now.
type CountView struct {
	At        time.Time          `json:"at" doc:"when this was read"`
	Threshold *ThresholdView     `json:"threshold,omitempty" doc:"absent where the condition has none: then there is nothing to count"`
	PerSource bool               `json:"per_source" doc:"each IP address is counted apart"`
	Total     int                `json:"total" doc:"of addresses that something is counted of"`
	Groups    []CountedGroupView `json:"groups" doc:"those nearest to firing first, 10 at most"`
}

// CountedGroupView is what is counted apart.
type CountedGroupView struct {
	IP     string     `json:"ip,omitempty" doc:"absent where all are counted together, and of an address that an older release counted last" example:"203.0.113.5"`
	Count  int64      `json:"count" doc:"in the period that ends now; exact up to one more than the threshold: more is not kept" example:"7"`
	LastAt *time.Time `json:"last_at,omitempty" doc:"when the newest of them was"`
	Quiet  *time.Time `json:"quiet_until,omitempty" doc:"it fired, and does not again before"`
}

type (
	firingsInput struct {
		rest.IDInput
		rest.PageInput
	}
	firingsOutput struct {
		Body struct {
			Items      []FiringView `json:"items" doc:"newest first. A page has the firings of up to limit batches of events: up to 20 of each"`
			More       int          `json:"more,omitempty" doc:"how many more there were in these batches"`
			NextCursor string       `json:"next_cursor,omitempty"`
		}
	}
	countOutput struct{ Body CountView }
)

const firingList rest.List = "firings"

// firings are the operations that tell what a trigger did, and how far it is from doing it.
func (s *API) firings(api huma.API) {
	tags := []string{"Triggers"}
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "list-firings", Method: http.MethodGet, Path: "/v1/triggers/{id}/firings", Tags: tags,
		Errors: []int{400, 404, 422}, Summary: "List when a trigger fired",
		Description: "And what came of it. Kept for 30 days, as events and deliveries are; of one machine the newest " +
			"1,000 batches.",
	}), s.listFirings)
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "get-trigger-count", Method: http.MethodGet, Path: "/v1/triggers/{id}/count", Tags: tags,
		Errors: []int{404}, Summary: "Read what a trigger counts now",
		Description: "Against its threshold, for the addresses nearest to it. By what has been counted: on AWS " +
			"that is some seconds behind what arrived.",
	}), s.count)
}

func (s *API) listFirings(ctx context.Context, in *firingsInput) (*firingsOutput, error) {
	tenant := rest.Principal(ctx).Tenant
	before, err := rest.OpenCursor(firingList, tenant+" "+in.ID, in.Cursor)
	if err != nil {
		return nil, err
	}
	if _, err := s.Triggers.Get(ctx, rest.Person(ctx), in.ID); err != nil {
		return nil, s.Answer(ctx, err)
	}
	found, err := s.Triggers.Firings(ctx, trigger.FiringQuery{Tenant: tenant, Trigger: in.ID, Before: before,
		Limit: in.Limit + 1})
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	states, err := s.commandStates(ctx, tenant, found[:min(len(found), in.Limit)])
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &firingsOutput{}
	out.Body.Items = []FiringView{}
	for _, of := range found[:min(len(found), in.Limit)] {
		for n := range of.List {
			out.Body.Items = append(out.Body.Items, firingView(of.List[len(of.List)-1-n], states))
		}
		out.Body.More += of.More
	}
	if len(found) > in.Limit {
		out.Body.NextCursor = rest.MakeCursor(firingList, tenant+" "+in.ID, found[in.Limit-1].Place)
	}
	return out, nil
}

// commandStates reads what became of what firings asked for, by the ids of their events.
func (s *API) commandStates(ctx context.Context, tenant string, list []trigger.Firings) (map[string]*CommandStateView,
	error) {
	var ids []string
	for _, of := range list {
		for _, f := range of.List {
			for _, a := range f.Actions {
				if a.ID != trigger.Notify {
					ids = append(ids, f.EventID(a.ID))
				}
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := s.Commands.Several(ctx, tenant, ids)
	out := make(map[string]*CommandStateView, len(found))
	for _, c := range found {
		state := commandState(c)
		out[c.ID] = &state
	}
	return out, err
}

func firingView(f trigger.Firing, commands map[string]*CommandStateView) FiringView {
	v := FiringView{At: f.At, IP: f.Source, Count: f.Count, Event: f.Event, Object: f.Object,
		Threshold: thresholdView(f.Threshold), Reactions: []ReactionView{}}
	if f.Threshold != nil {
		v.From, v.To = &f.From, &f.To
	}
	for _, a := range f.Actions {
		v.Reactions = append(v.Reactions, ReactionView{Action: a.ID, Event: f.EventID(a.ID),
			Integrations: a.Integrations, LockTime: a.LockTime, Command: commands[f.EventID(a.ID)]})
	}
	return v
}

func thresholdView(t *trigger.Threshold) *ThresholdView {
	if t == nil {
		return nil
	}
	return &ThresholdView{Period: t.Period, Operator: "gt", Operators: []string{"gt"}, Count: t.Count}
}

func (s *API) count(ctx context.Context, in *rest.IDInput) (*countOutput, error) {
	t, err := s.Triggers.Get(ctx, rest.Person(ctx), in.ID)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	now, err := s.Triggers.Standing(ctx, t)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &countOutput{Body: CountView{At: s.Now().UTC(), Threshold: thresholdView(t.Threshold), Total: now.Total,
		Groups: []CountedGroupView{}}}
	if template, ok := trigger.Find(t.Template); ok && template.Threshold != nil {
		out.Body.PerSource = template.Threshold.PerSource
	}
	for _, g := range now.Groups {
		v := CountedGroupView{IP: g.Source, Count: g.Count}
		if !g.Last.IsZero() {
			v.LastAt = &g.Last
		}
		if !g.Quiet.IsZero() {
			v.Quiet = &g.Quiet
		}
		out.Body.Groups = append(out.Body.Groups, v)
	}
	return out, nil
}
