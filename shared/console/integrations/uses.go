package integrations

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// Users finds the triggers that notify an integration.
type Users interface {
	Using(ctx context.Context, who activity.Actor, integration string) ([]trigger.Trigger, error)
}

// UsesView is what an integration is used by.
type UsesView struct {
	Triggers   []UserView    `json:"triggers" doc:"those that notify it"`
	FallbackOf []FallingView `json:"fallback_of" doc:"the integrations that name it as their fallback"`
	Reports    []event.Type  `json:"reports" doc:"the scheduled reports that it is sent" example:"[\"report_daily\"]"`
}

// UserView is a trigger that notifies an integration.
type UserView struct {
	ID      string `json:"id" example:"01GTD8R4000000000000000001"`
	Name    string `json:"name" example:"SQLi burst"`
	Enabled bool   `json:"enabled"`
	Others  int    `json:"others" doc:"how many more integrations it notifies"`
}

// FallingView is an integration whose fallback is another one.
type FallingView struct {
	ID      string `json:"id" example:"01GTD8R4000000000000000002"`
	Name    string `json:"name" example:"On call"`
	Enabled bool   `json:"enabled"`
}

type (
	usesOutput  struct{ Body UsesView }
	deleteInput struct {
		rest.ConditionalInput
		Force bool `query:"force" doc:"delete it although triggers notify it, or it is the fallback of others"`
	}
)

// uses registers where an integration is used, and its deletion, which looks at that.
func (s *API) uses(api huma.API) {
	tags := []string{"Integrations"}
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-integration-uses", Method: http.MethodGet, Path: "/v1/integrations/{id}/uses", Tags: tags,
		Errors: []int{404}, Summary: "List what uses an integration",
		Description: "The triggers that notify it, the integrations whose fallback it is, and the scheduled reports " +
			"that it is sent.",
	}), func(ctx context.Context, in *rest.IDInput) (*usesOutput, error) {
		i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		users, err := s.users(ctx, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		falling, err := s.falling(ctx, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		out := &usesOutput{Body: UsesView{Triggers: users, FallbackOf: falling, Reports: []event.Type{}}}
		for _, sub := range i.Subscriptions {
			if sub.Event.Report() {
				out.Body.Reports = append(out.Body.Reports, sub.Event)
			}
		}
		return out, nil
	})
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "delete-integration", Method: http.MethodDelete, Path: "/v1/integrations/{id}", Tags: tags,
		Errors: []int{404, 409, 412, 422}, DefaultStatus: http.StatusNoContent,
		Summary: "Delete an integration",
		Description: "With all its settings; this can not be undone. What waits to be sent to it is not sent. While " +
			"triggers notify it or it is the fallback of other integrations, 409 names them, unless `force` is true: then " +
			"they stay, and notify it no more, and nothing falls back to it.",
	}), s.remove)
}

func (s *API) users(ctx context.Context, id string) ([]UserView, error) {
	out := []UserView{}
	if s.Users == nil {
		return out, nil
	}
	list, err := s.Users.Using(ctx, rest.Person(ctx), id)
	for _, t := range list {
		out = append(out, UserView{ID: t.ID, Name: t.Name, Enabled: !t.Off, Others: len(t.Notifies()) - 1})
	}
	return out, err
}

func (s *API) falling(ctx context.Context, id string) ([]FallingView, error) {
	out := []FallingView{}
	list, err := s.Integrations.FallbackOf(ctx, rest.Principal(ctx).Tenant, id)
	for _, i := range list {
		out = append(out, FallingView{ID: i.ID, Name: i.Name, Enabled: i.Enabled()})
	}
	return out, err
}

func (s *API) remove(ctx context.Context, in *deleteInput) (*struct{}, error) {
	remove := s.Integrations.DeleteUnused
	if in.Force {
		remove = s.Integrations.DeleteForced
	}
	used := false
	err := s.UnlessChanged(ctx, in.IfMatch, func(revision int64) error {
		err := remove(ctx, rest.Person(ctx), in.ID, revision)
		if used = errors.Is(err, integration.ErrUsed); used {
			return nil // an answer of its own, and no fault to be logged
		}
		return err
	})
	if used {
		return nil, s.inUse(ctx, in.ID)
	}
	if err != nil {
		return nil, err
	}
	s.Changed(rest.Principal(ctx).Tenant, in.ID)
	return nil, nil
}

// toldNames is how many triggers a refusal names.
const toldNames = 5

// inUse says which triggers notify an integration that was not deleted therefore.
func (s *API) inUse(ctx context.Context, id string) error {
	users, err := s.users(ctx, id)
	if err != nil {
		return s.Answer(ctx, err)
	}
	if len(users) == 0 { // they did until now
		return rest.NewProblem(http.StatusConflict, "it is being changed by others all the time: try again")
	}
	var names []string
	for _, u := range users[:min(len(users), toldNames)] {
		names = append(names, u.Name)
	}
	return rest.NewProblem(http.StatusConflict, fmt.Sprintf("triggers that notify this integration: %d, such as %s: "+
		"change them first, or repeat with force=true, which leaves them and ends that they notify it", len(users),
		strings.Join(names, ", ")))
}
