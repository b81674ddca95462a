package v2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// triggerBody is what creates a trigger, and what replaces one (product facts, 4.5).
type triggerBody struct {
	Trigger struct {
		Name      string             `json:"name"`
		Comment   string             `json:"comment"`
		Enabled   bool               `json:"enabled"`
		Template  trigger.TemplateID `json:"template_id"`
		Filters   []filterBody       `json:"filters"`
		Threshold *thresholdBody     `json:"threshold"` // the condition's own when it is left out
		Actions   []actionBody       `json:"actions"`
	} `json:"trigger"`
}

type filterBody struct {
	ID       filter.ID      `json:"id"`
	Operator string         `json:"operator"`
	Values   []filter.Value `json:"values"`
}

type thresholdBody struct {
	Period   int64  `json:"period"` // seconds
	Operator string `json:"operator"`
	Count    int64  `json:"count"`
}

type actionBody struct {
	ID     trigger.ActionID `json:"id"`
	Params struct {
		Integrations []int64 `json:"integration_ids"`
		LockTime     int64   `json:"lock_time"` // seconds; 0 = for ever
	} `json:"params"`
}

func (s *API) triggers(api huma.API) {
	const path = "/v2/clients/{client}/triggers"
	rest.Register(api, operation(access.Triggers, "platform-list-triggers", http.MethodGet, path), s.listTriggers)
	rest.Register(api, operation(access.Triggers, "platform-get-trigger", http.MethodGet, path+"/{id}"), s.getTrigger)
	rest.Register(api, operation(access.Triggers, "platform-create-trigger", http.MethodPost, path), s.createTrigger)
	rest.Register(api, operation(access.Triggers, "platform-update-trigger", http.MethodPut, path+"/{id}"),
		s.updateTrigger)
	rest.Register(api, operation(access.Triggers, "platform-delete-trigger", http.MethodDelete, path+"/{id}"),
		s.deleteTrigger)
}

type clientInput struct {
	Client string `path:"client"`
}

type triggerInput struct {
	Client string `path:"client"`
	ID     int64  `path:"id"`
}

func (s *API) listTriggers(ctx context.Context, in *clientInput) (*triggersOutput, error) {
	who, err := s.acting(ctx, in.Client)
	if err != nil {
		return nil, err
	}
	list, err := s.Triggers.Numbered(ctx, who)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	numbers, err := s.integrationNumbers(ctx, who.Tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &triggersOutput{}
	out.Body.Triggers = []triggerView{}
	for _, t := range list {
		out.Body.Triggers = append(out.Body.Triggers, viewOf(t, numbers))
	}
	return out, nil
}

func (s *API) getTrigger(ctx context.Context, in *triggerInput) (*triggerOutput, error) {
	_, t, err := s.findTrigger(ctx, in)
	if err != nil {
		return nil, err
	}
	return s.oneTrigger(ctx, t)
}

func (s *API) createTrigger(ctx context.Context, in *struct {
	Client  string `path:"client"`
	RawBody []byte
}) (*triggerOutput, error) {
	var b triggerBody
	if err := decode(in.RawBody, &b); err != nil {
		return nil, err
	}
	who, err := s.acting(ctx, in.Client)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(ctx, who.Tenant, b)
	if err != nil {
		return nil, err
	}
	t, err := s.Triggers.Create(ctx, who, d)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return s.oneTrigger(ctx, t)
}

// updateTrigger replaces a trigger. The provider changes its condition, too, and keeps the id.
func (s *API) updateTrigger(ctx context.Context, in *struct {
	Client  string `path:"client"`
	ID      int64  `path:"id"`
	RawBody []byte
}) (*triggerOutput, error) {
	var b triggerBody
	if err := decode(in.RawBody, &b); err != nil {
		return nil, err
	}
	who, t, err := s.findTrigger(ctx, &triggerInput{in.Client, in.ID})
	if err != nil {
		return nil, err
	}
	d, err := s.draft(ctx, who.Tenant, b)
	if err != nil {
		return nil, err
	}
	enabled := !d.Disabled
	p := trigger.Patch{Comment: &d.Comment, Enabled: &enabled, Template: &d.Template, Filters: &d.Filters,
		Threshold: d.Threshold, Actions: &d.Actions}
	if d.Name != "" {
		p.Name = &d.Name
	}
	var changed trigger.Trigger
	err = s.UnlessChanged(ctx, "", func(revision int64) (err error) {
		changed, err = s.Triggers.Update(ctx, who, t.ID, revision, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.oneTrigger(ctx, changed)
}

func (s *API) deleteTrigger(ctx context.Context, in *triggerInput) (*done, error) {
	who, t, err := s.findTrigger(ctx, in)
	if err != nil {
		return nil, err
	}
	err = s.UnlessChanged(ctx, "", func(revision int64) error {
		return s.Triggers.Delete(ctx, who, t.ID, revision)
	})
	if err != nil {
		return nil, err
	}
	return deleted(), nil
}

// findTrigger is a trigger of a client.
func (s *API) findTrigger(ctx context.Context, in *triggerInput) (activity.Actor, trigger.Trigger, error) {
	who, err := s.acting(ctx, in.Client)
	if err != nil {
		return who, trigger.Trigger{}, err
	}
	tenant, id, err := s.Triggers.ByNumber(ctx, in.ID)
	if err == nil && tenant != who.Tenant {
		err = trigger.ErrNotFound
	}
	var t trigger.Trigger
	if err == nil {
		t, err = s.Triggers.Get(ctx, who, id)
	}
	return who, t, s.Answer(ctx, err)
}

// integrationNumbers are the numbers of a tenant's integrations, by their ids.
func (s *API) integrationNumbers(ctx context.Context, tenant string) (map[string]int64, error) {
	all, err := s.all(ctx, tenant)
	out := map[string]int64{}
	for _, i := range all {
		out[i.ID] = i.Number
	}
	return out, err
}

func (s *API) oneTrigger(ctx context.Context, t trigger.Trigger) (*triggerOutput, error) {
	numbers, err := s.integrationNumbers(ctx, t.Tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &triggerOutput{}
	out.Body.Trigger = viewOf(t, numbers)
	return out, nil
}

// draft is what a body says of a tenant's trigger.
func (s *API) draft(ctx context.Context, tenant string, b triggerBody) (trigger.Draft, error) {
	d := trigger.Draft{Name: b.Trigger.Name, Comment: b.Trigger.Comment, Disabled: !b.Trigger.Enabled,
		Template: b.Trigger.Template, Filters: []filter.Filter{}, Actions: []trigger.Action{}}
	var wrong []destination.FieldProblem
	for _, f := range b.Trigger.Filters {
		d.Filters = append(d.Filters, filter.Filter{ID: f.ID, Operator: f.Operator, Values: ours(f.ID, f.Values)})
	}
	if th := b.Trigger.Threshold; th != nil {
		d.Threshold = &trigger.Threshold{Period: th.Period, Count: th.Count}
		if th.Operator != "" && th.Operator != moreThan {
			wrong = append(wrong, rest.Fault("threshold.operator", "must be gt: more than"))
		}
	} else if t, ok := trigger.Find(d.Template); ok && t.Threshold != nil {
		d.Threshold = &t.Threshold.Default
	}
	for n, a := range b.Trigger.Actions {
		action := trigger.Action{ID: a.ID, LockTime: a.Params.LockTime}
		for k, number := range a.Params.Integrations {
			key, err := s.Integrations.ByNumber(ctx, number)
			switch {
			case errors.Is(err, integration.ErrNotFound), err == nil && key.Tenant != tenant:
				wrong = append(wrong, rest.Fault(fmt.Sprintf("actions.%d.params.integration_ids.%d", n, k),
					"there is no such integration"))
			case err != nil:
				return d, s.Answer(ctx, err)
			}
			action.Integrations = append(action.Integrations, key.ID)
		}
		d.Actions = append(d.Actions, action)
	}
	if len(wrong) > 0 {
		return d, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid", wrong...)
	}
	return d, nil
}

// Endpoints that are not used any more: `excluded` with the platform's client, `unused` in its events (facts, 4.4).
const excluded, unused filter.Value = "excluded", "unused"

// ours are the values of a filter as we write them. The provider's documents write targets with capitals.
func ours(id filter.ID, values []filter.Value) []filter.Value {
	out := make([]filter.Value, len(values))
	for n, v := range values {
		switch {
		case id == filter.ByChange && v == excluded:
			v = unused
		case id == filter.ByTarget:
			v = filter.Value(strings.ToLower(string(v)))
		}
		out[n] = v
	}
	return out
}

// theirs is the inverse.
func theirs(id filter.ID, values []filter.Value) []json.RawMessage {
	out := []json.RawMessage{}
	for _, v := range values {
		if id == filter.ByChange && v == unused {
			v = excluded
		}
		raw, err := v.MarshalJSON()
		if err != nil {
			panic(err) // a text always encodes
		}
		out = append(out, raw)
	}
	return out
}
