// Package triggers is the operations on triggers, and on what they asked of the platform.
package triggers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/command"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/integrations"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/trigger"
	"tocsin/shared/trigger/notified"
)

// TemplateView is a condition as a form is drawn from it.
type TemplateView struct {
	ID          trigger.TemplateID    `json:"id" example:"hits_exceeded"`
	Title       string                `json:"title" worded:"true" example:"Number of hits"`
	Description string                `json:"description" worded:"true" doc:"what counts and what does not"`
	Threshold   *ThresholdRuleView    `json:"threshold" doc:"null when the condition takes none, else it is required"`
	Filters     []rest.FilterRuleView `json:"filters"`
	Actions     []ActionRuleView      `json:"actions" doc:"one to four are needed"`
}

// TransformSchema says that a condition without a threshold answers null.
func (TemplateView) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	threshold := s.Properties["threshold"]
	s.Properties["threshold"] = &huma.Schema{Description: threshold.Description,
		OneOf: []*huma.Schema{{Ref: threshold.Ref}, {Type: "null"}}}
	return s
}

// ThresholdRuleView says what a condition counts.
type ThresholdRuleView struct {
	Subject   string `json:"subject" worded:"true" example:"hits"`
	PerSource bool   `json:"per_source" doc:"counted apart for each IP address"`
	Default   struct {
		Period int64 `json:"period"`
		Count  int64 `json:"count"`
	} `json:"default"`
	MinPeriod int64 `json:"min_period" doc:"seconds"`
	MaxPeriod int64 `json:"max_period" doc:"seconds"`
	Step      int64 `json:"step" doc:"the period is a multiple of it, in seconds"`
	MaxCount  int64 `json:"max_count"`
}

// ActionRuleView is a reaction that a condition can have.
type ActionRuleView struct {
	ID       trigger.ActionID `json:"id" example:"send_notification"`
	Title    string           `json:"title" worded:"true" example:"Send a notification"`
	Systems  []string         `json:"systems,omitempty" doc:"whose integrations can be notified"`
	LockTime bool             `json:"lock_time,omitempty" doc:"it takes a lock time"`
}

// ThresholdView is a trigger's threshold.
type ThresholdView struct {
	Period    int64    `json:"period" doc:"seconds" example:"60"`
	Operator  string   `json:"operator,omitempty" enum:"gt" default:"gt" doc:"more than"`
	Operators []string `json:"allowed_operators,omitempty" maxItems:"1" enum:"gt"`
	Count     int64    `json:"count" example:"1"`
}

// ActionView is a trigger's reaction.
type ActionView struct {
	ID     trigger.ActionID `json:"id" example:"send_notification"`
	Params *ActionParams    `json:"params,omitempty"`
}

// ActionParams are the settings of a reaction.
type ActionParams struct {
	Integrations []string `json:"integration_ids,omitempty" maxItems:"20" doc:"of send_notification"`
	LockTime     *int64   `json:"lock_time,omitempty" doc:"of block_ips and add_to_graylist, in seconds; 0 = for ever, answered as 315360000"`
}

// TriggerView is a trigger as an answer shows it.
type TriggerView struct {
	ID        string                     `json:"id" example:"01GTD8R4000000000000000001"`
	Name      string                     `json:"name" example:"SQLi burst"`
	Comment   string                     `json:"comment"`
	Enabled   bool                       `json:"enabled"`
	Default   bool                       `json:"default,omitempty" doc:"a new account has it"`
	Template  trigger.TemplateID         `json:"template_id" example:"hits_exceeded"`
	Filters   []rest.FilterView          `json:"filters"`
	Threshold *ThresholdView             `json:"threshold,omitempty"`
	Actions   []ActionView               `json:"actions"`
	Warnings  []destination.FieldProblem `json:"warnings,omitempty" doc:"integrations that get nothing: they were deleted or are disabled; message templates that make nothing of what the trigger sends; patterns that are too large"`
	LastFired *time.Time                 `json:"last_fired_at,omitempty" doc:"of a trigger with a threshold, by what has been counted: on AWS some seconds behind what arrived; absent when it never did"`
	// LastSkipped is absent when it never did.
	LastSkipped *time.Time `json:"last_skipped_at,omitempty" doc:"when it last left a request out because the URI patterns of its tenant took too long"`
	Revision    int64      `json:"revision" doc:"counts changes; the ETag"`
	CreatedAt   time.Time  `json:"created_at"`
	CreatedBy   string     `json:"created_by,omitempty"`
	UpdatedAt   time.Time  `json:"updated_at"`
	UpdatedBy   string     `json:"updated_by,omitempty" doc:"who changed it last; system: Tocsin itself"`
}

// TriggerDraft is what makes a trigger.
type TriggerDraft struct {
	Name      string             `json:"name,omitempty" doc:"made from your name and the date when it is left out"`
	Comment   string             `json:"comment,omitempty"`
	Enabled   *bool              `json:"enabled,omitempty" doc:"true when it is left out"`
	Template  trigger.TemplateID `json:"template_id" example:"hits_exceeded"`
	Filters   []rest.FilterView  `json:"filters,omitempty" maxItems:"6" doc:"all must match"`
	Threshold *ThresholdView     `json:"threshold,omitempty" doc:"more than count in period seconds; required where the condition has one"`
	Actions   []ActionView       `json:"actions,omitempty" maxItems:"4" doc:"at least one"`
}

// PreviewView is what a trigger would send.
type PreviewView struct {
	Messages []PreviewMessage `json:"messages" doc:"one for each integration; nothing was sent"`
	Commands []PreviewCommand `json:"commands" doc:"events for the platform's own systems"`
}

// PreviewMessage is what one integration would get.
type PreviewMessage struct {
	Integration string                   `json:"integration"`
	Name        string                   `json:"name,omitempty"`
	System      string                   `json:"system,omitempty"`
	Summary     string                   `json:"summary,omitempty" worded:"true"`
	Requests    []deliveries.RequestView `json:"requests"`
	Skipped     string                   `json:"skipped,omitempty" worded:"true" doc:"why it would get nothing"`
}

// PreviewCommand is an event for the platform's own systems.
type PreviewCommand struct {
	DetailType event.Kind      `json:"detail_type" example:"ip_denylist_requested"`
	Detail     json.RawMessage `json:"detail"`
}

type (
	templatesOutput struct {
		Body struct {
			Items []TemplateView `json:"items" doc:"in the order of a form"`
		}
	}
	triggersInput struct {
		Status string `query:"status" enum:"all,enabled,disabled" default:"all" doc:"the tab"`
		Query  string `query:"q" maxLength:"200" doc:"text in the name or the comment"`
	}
	triggersOutput struct {
		Body struct {
			Counts struct {
				All      int `json:"all"`
				Enabled  int `json:"enabled"`
				Disabled int `json:"disabled"`
			} `json:"counts" doc:"of the tabs, whatever the filter"`
			Items []TriggerView `json:"items" doc:"all of them: there are 100 at most"`
		}
	}
	triggerOutput struct {
		Location string `header:"Location" doc:"of a new trigger"`
		ETag     string `header:"ETag"`
		Body     TriggerView
	}
	triggerInput struct{ Body TriggerDraft }
	triggerPatch struct {
		ID      string           `path:"id"`
		IfMatch string           `header:"If-Match" doc:"the ETag that you read; without it the last change wins"`
		Body    triggerPatchBody `contentType:"application/merge-patch+json"`
	}
	triggerPatchBody struct {
		Name      *string             `json:"name,omitempty"`
		Comment   *string             `json:"comment,omitempty"`
		Template  *trigger.TemplateID `json:"template_id,omitempty" doc:"another condition; then the threshold is replaced too, by none when it is left out"`
		Enabled   *bool               `json:"enabled,omitempty"`
		Filters   *[]rest.FilterView  `json:"filters,omitempty" maxItems:"6" doc:"replaces all"`
		Threshold *ThresholdView      `json:"threshold,omitempty"`
		Actions   *[]ActionView       `json:"actions,omitempty" maxItems:"4" doc:"replaces all"`

		refused error // what null can not remove
	}
	previewOutput struct{ Body PreviewView }
)

// UnmarshalJSON has null remove: see rest.Remove.
func (b *triggerPatchBody) UnmarshalJSON(raw []byte) error {
	type plain triggerPatchBody
	if err := json.Unmarshal(raw, (*plain)(b)); err != nil {
		return err
	}
	b.refused = rest.Remove(raw, b)
	return nil
}

// API is the operations on triggers, and on what they ask of the platform.
type API struct {
	rest.Kit
	Platform     string
	Integrations *integration.Service
	Systems      integrations.Systems
	Previewer    deliveries.Previewer
	// Triggers keeps triggers; nil = this deployment has none.
	Triggers *trigger.Service
	// Commands are what triggers asked of the platform; nil = this deployment has no triggers.
	Commands command.Store
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	if s.Triggers != nil {
		s.triggers(api)
		s.changes(api)
		s.copies(api)
		s.firings(api)
	}
	if s.Commands != nil {
		s.commands(api)
	}
}

func (s *API) triggers(api huma.API) {
	tags := []string{"Triggers"}
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "list-trigger-templates", Method: http.MethodGet, Path: "/v1/trigger-templates", Tags: tags,
		Summary: "List the conditions",
		Description: "With the threshold, the filters and the reactions that each can have: a form can be drawn from " +
			"it.",
	}), func(context.Context, *struct{}) (*templatesOutput, error) {
		out := &templatesOutput{}
		for _, t := range trigger.Templates() {
			out.Body.Items = append(out.Body.Items, s.template(t))
		}
		return out, nil
	})
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "list-triggers", Method: http.MethodGet, Path: "/v1/triggers", Tags: tags, Errors: []int{422},
		Summary: "List triggers", Description: "In the order of their making, those of a new account first.",
	}), s.listTriggers)
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "create-trigger", Method: http.MethodPost, Path: "/v1/triggers", Tags: tags,
		Errors: []int{400, 413, 415, 422}, DefaultStatus: http.StatusCreated,
		Summary: "Add a trigger", Description: "It is enabled unless you say otherwise.",
	}), func(ctx context.Context, in *triggerInput) (*triggerOutput, error) {
		d, err := draft(in.Body)
		if err != nil {
			return nil, err
		}
		t, err := s.Triggers.Create(ctx, rest.Person(ctx), d)
		return s.newTrigger(ctx, t, err)
	})
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "get-trigger", Method: http.MethodGet, Path: "/v1/triggers/{id}", Tags: tags, Errors: []int{404},
		Summary:     "Read a trigger",
		Description: "With the ETag that a conditional change needs, and when it fired last.",
	}), func(ctx context.Context, in *rest.IDInput) (*triggerOutput, error) {
		t, err := s.Triggers.Get(ctx, rest.Person(ctx), in.ID)
		return s.oneTrigger(ctx, t, err)
	})
}

// changes are the operations that change a trigger.
func (s *API) changes(api huma.API) {
	tags := []string{"Triggers"}
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "update-trigger", Method: http.MethodPatch, Path: "/v1/triggers/{id}", Tags: tags,
		Errors:  []int{400, 404, 409, 412, 413, 415, 422},
		Summary: "Change a trigger", Description: "A merge patch (RFC 7396): what is left out stays, null removes, a " +
			"list is replaced as a whole. New filters, a new threshold, and enabling begin the counting anew.",
	}), s.patchTrigger)
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "delete-trigger", Method: http.MethodDelete, Path: "/v1/triggers/{id}", Tags: tags,
		Errors: []int{404, 409, 412}, DefaultStatus: http.StatusNoContent,
		Summary: "Delete a trigger", Description: "This can not be undone.",
	}), func(ctx context.Context, in *rest.ConditionalInput) (*struct{}, error) {
		return nil, s.UnlessChanged(ctx, in.IfMatch, func(revision int64) error {
			return s.Triggers.Delete(ctx, rest.Person(ctx), in.ID, revision)
		})
	})
	for _, on := range []bool{true, false} {
		verb, title := "disable", "Disable"
		if on {
			verb, title = "enable", "Enable"
		}
		huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
			OperationID: verb + "-trigger", Method: http.MethodPost, Path: "/v1/triggers/{id}/" + verb, Tags: tags,
			Errors:  []int{404, 409, 412},
			Summary: title + " a trigger", Description: "It is no error when it already is.",
		}), func(ctx context.Context, in *rest.ConditionalInput) (*triggerOutput, error) {
			return s.switchTrigger(ctx, in, on)
		})
	}
}

// copies are the operations that make a copy of a trigger, or show what it would send.
func (s *API) copies(api huma.API) {
	tags := []string{"Triggers"}
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "copy-trigger", Method: http.MethodPost, Path: "/v1/triggers/{id}/copy", Tags: tags,
		Errors: []int{404, 422}, DefaultStatus: http.StatusCreated,
		Summary: "Copy a trigger", Description: "The copy is disabled: change it, then enable it.",
	}), func(ctx context.Context, in *rest.IDInput) (*triggerOutput, error) {
		t, err := s.Triggers.Copy(ctx, rest.Person(ctx), in.ID)
		return s.newTrigger(ctx, t, err)
	})
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "preview-trigger", Method: http.MethodPost, Path: "/v1/triggers/{id}/preview", Tags: tags,
		Errors:  []int{404},
		Summary: "Show what a trigger would send", Description: "On made-up data. Nothing is sent.",
	}), func(ctx context.Context, in *rest.IDInput) (*previewOutput, error) {
		t, err := s.Triggers.Get(ctx, rest.Person(ctx), in.ID)
		return s.preview(ctx, t, err)
	})
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "preview-unsaved-trigger", Method: http.MethodPost, Path: "/v1/triggers/preview", Tags: tags,
		Errors:      []int{400, 413, 415, 422},
		Summary:     "Show what a trigger that is not saved would send",
		Description: "On made-up data. Nothing is sent or saved.",
	}), func(ctx context.Context, in *triggerInput) (*previewOutput, error) {
		d, err := draft(in.Body)
		if err != nil {
			return nil, err
		}
		t, err := s.Triggers.Check(ctx, rest.Person(ctx), d)
		return s.preview(ctx, t, err)
	})
}

func (s *API) template(t trigger.Template) TemplateView {
	v := TemplateView{ID: t.ID, Title: t.Title, Description: t.Description,
		Filters: rest.FilterRules(filter.Rules(t.Filters))}
	if r := t.Threshold; r != nil {
		v.Threshold = &ThresholdRuleView{
			Subject: r.Subject, PerSource: r.PerSource, MinPeriod: r.MinPeriod, MaxPeriod: r.MaxPeriod, Step: r.Step,
			MaxCount: r.MaxCount,
		}
		v.Threshold.Default.Period, v.Threshold.Default.Count = r.Default.Period, r.Default.Count
	}
	for _, id := range t.Actions {
		a := ActionRuleView{ID: id, Title: id.Title(), LockTime: id.Lists()}
		if id == trigger.Notify {
			for _, e := range s.Systems.All() {
				if e.Available && !e.System.Personal && t.Sends(e.System.Triggered) {
					a.Systems = append(a.Systems, e.System.Name)
				}
			}
		}
		v.Actions = append(v.Actions, a)
	}
	return v
}

func (s *API) listTriggers(ctx context.Context, in *triggersInput) (*triggersOutput, error) {
	list, err := s.Triggers.List(ctx, rest.Person(ctx))
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	histories, err := s.Triggers.Histories(ctx, rest.Principal(ctx).Tenant, list...)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	warnings, err := notified.Warnings(ctx, s.Triggers.Integrations, list...)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &triggersOutput{}
	out.Body.Items = []TriggerView{}
	q := strings.ToLower(strings.TrimSpace(in.Query))
	for _, t := range list {
		if out.Body.Counts.All++; t.Off {
			out.Body.Counts.Disabled++
		} else {
			out.Body.Counts.Enabled++
		}
		if in.Status != "all" && (in.Status == "disabled") != t.Off ||
			!strings.Contains(strings.ToLower(t.Name+"\n"+t.Comment), q) {
			continue
		}
		out.Body.Items = append(out.Body.Items, triggerView(t, histories[t.ID], warnings[t.ID]))
	}
	return out, nil
}

func (s *API) newTrigger(ctx context.Context, t trigger.Trigger, err error) (*triggerOutput, error) {
	out, err := s.oneTrigger(ctx, t, err)
	if err == nil {
		out.Location = "/v1/triggers/" + t.ID
	}
	return out, err
}

func (s *API) oneTrigger(ctx context.Context, t trigger.Trigger, err error) (*triggerOutput, error) {
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	histories, err := s.Triggers.Histories(ctx, rest.Principal(ctx).Tenant, t)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	warnings, err := notified.Warnings(ctx, s.Triggers.Integrations, t)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return &triggerOutput{ETag: rest.MakeETag(t.Revision), Body: triggerView(t, histories[t.ID], warnings[t.ID])}, nil
}

func triggerView(t trigger.Trigger, h trigger.History, warnings []destination.FieldProblem) TriggerView {
	v := TriggerView{
		ID: t.ID, Name: t.Name, Comment: t.Comment, Enabled: !t.Off, Default: t.Default, Template: t.Template,
		Filters: rest.FilterViews(t.Filters), Actions: []ActionView{},
		Warnings: warnings, Revision: t.Revision, CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
		UpdatedAt: t.UpdatedAt, UpdatedBy: t.UpdatedBy,
	}
	if !h.Fired.IsZero() {
		v.LastFired = &h.Fired
	}
	if !h.Skipped.IsZero() {
		v.LastSkipped = &h.Skipped
	}
	if t.Threshold != nil {
		v.Threshold = &ThresholdView{Period: t.Threshold.Period, Operator: "gt", Operators: []string{"gt"},
			Count: t.Threshold.Count}
	}
	for _, a := range t.Actions {
		w := ActionView{ID: a.ID}
		switch {
		case a.ID == trigger.Notify:
			w.Params = &ActionParams{Integrations: a.Integrations}
		case a.ID.Lists():
			w.Params = &ActionParams{LockTime: &a.LockTime}
		}
		v.Actions = append(v.Actions, w)
	}
	return v
}

func (s *API) patchTrigger(ctx context.Context, in *triggerPatch) (*triggerOutput, error) {
	if in.Body.refused != nil {
		return nil, in.Body.refused
	}
	b := in.Body
	p := trigger.Patch{Name: b.Name, Comment: b.Comment, Enabled: b.Enabled, Template: b.Template,
		Threshold: threshold(b.Threshold)}
	if b.Filters != nil {
		list, err := rest.Filters(*b.Filters)
		if err != nil {
			return nil, err
		}
		p.Filters = &list
	}
	if b.Actions != nil {
		list := actions(*b.Actions)
		p.Actions = &list
	}
	return s.changeTrigger(ctx, in.ID, in.IfMatch, p)
}

func (s *API) switchTrigger(ctx context.Context, in *rest.ConditionalInput, on bool) (*triggerOutput, error) {
	return s.changeTrigger(ctx, in.ID, in.IfMatch, trigger.Patch{Enabled: &on})
}

func (s *API) changeTrigger(ctx context.Context, id, ifMatch string, p trigger.Patch) (*triggerOutput, error) {
	var t trigger.Trigger
	err := s.UnlessChanged(ctx, ifMatch, func(revision int64) (err error) {
		t, err = s.Triggers.Update(ctx, rest.Person(ctx), id, revision, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.oneTrigger(ctx, t, nil)
}

func draft(b TriggerDraft) (trigger.Draft, error) {
	list, err := rest.Filters(b.Filters)
	return trigger.Draft{
		Name: b.Name, Comment: b.Comment, Disabled: b.Enabled != nil && !*b.Enabled, Template: b.Template,
		Filters: list, Threshold: threshold(b.Threshold), Actions: actions(b.Actions),
	}, err
}

func threshold(v *ThresholdView) *trigger.Threshold {
	if v == nil {
		return nil
	}
	return &trigger.Threshold{Period: v.Period, Count: v.Count}
}

func actions(list []ActionView) []trigger.Action {
	var out []trigger.Action
	for _, v := range list {
		a := trigger.Action{ID: v.ID}
		if v.Params != nil {
			a.Integrations = v.Params.Integrations
			if v.Params.LockTime != nil {
				a.LockTime = *v.Params.LockTime
			}
		}
		out = append(out, a)
	}
	return out
}

// preview shows what a trigger would send, as each integration would get it.
func (s *API) preview(ctx context.Context, t trigger.Trigger, err error) (*previewOutput, error) {
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	events, err := trigger.Preview(t, s.Now())
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &previewOutput{}
	out.Body.Messages, out.Body.Commands = []PreviewMessage{}, []PreviewCommand{}
	for _, e := range events {
		r, ok := e.Reaction()
		if !ok {
			detail, err := e.Encode()
			if err != nil {
				return nil, s.Answer(ctx, err)
			}
			out.Body.Commands = append(out.Body.Commands, PreviewCommand{e.Kind, detail})
			continue
		}
		for _, id := range r.Integrations {
			m, err := s.previewOf(ctx, e, id)
			if err != nil {
				return nil, s.Answer(ctx, err)
			}
			out.Body.Messages = append(out.Body.Messages, m)
		}
	}
	return out, nil
}

func (s *API) previewOf(ctx context.Context, e event.Event, id string) (PreviewMessage, error) {
	m := PreviewMessage{Integration: id, Requests: []deliveries.RequestView{}}
	i, err := s.Integrations.Get(ctx, e.Tenant, id)
	if errors.Is(err, integration.ErrNotFound) {
		m.Skipped = "this integration was deleted"
		return m, nil
	}
	if err != nil {
		return m, err
	}
	m.Name, m.System = i.Name, i.System
	m.Summary = notification.Notification{Event: e, Platform: notification.Platform{Name: s.Platform}}.Summary()
	if !i.Enabled() {
		m.Skipped = "this integration is disabled"
	}
	d := delivery.Delivery{ID: s.NewID(), Tenant: i.Tenant, Integration: i.ID, Events: []event.Event{e},
		Kinds: []event.Kind{e.Kind}, Count: 1, CreatedAt: s.Now()}
	previews, err := s.Previewer.Preview(ctx, s.Integrations, i, d)
	if err != nil {
		s.Log.Warn("preview of a trigger", "tenant", i.Tenant, "integration", i.ID, "error", err.Error())
		m.Skipped = "with its present settings this integration can not write the message: open it and mend them"
		return m, nil
	}
	for _, r := range previews {
		m.Requests = append(m.Requests, deliveries.ViewOf(r))
	}
	return m, nil
}
