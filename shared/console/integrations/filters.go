package integrations

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/overview"
)

// FilterTester tries filters on the events that came last: the part of fanout.Recovery that this package needs.
type FilterTester interface {
	Try(ctx context.Context, i integration.Integration) (fanout.Tried, error)
}

type tryInput struct {
	Body struct {
		System  string               `json:"system" example:"slack"`
		Events  []SubscriptionChange `json:"events" maxItems:"50" doc:"what it receives"`
		Filters []rest.FilterView    `json:"filters" maxItems:"6"`
	}
}

type tryOutput struct {
	Body struct {
		From    time.Time     `json:"from" doc:"the events that came since are looked at"`
		To      time.Time     `json:"to" doc:"and before this time"`
		Takes   int           `json:"takes" doc:"of them, those of the types that it receives" example:"2310"`
		Passed  int           `json:"passed" doc:"of these, those that pass all filters: what it would have got" example:"14"`
		Stopped []StoppedView `json:"stopped" doc:"the others, by the first filter that stopped them"`
	}
}

// StoppedView is what a filter stopped, or what quiet hours or a mute dropped.
type StoppedView struct {
	Filter filter.ID `json:"filter" example:"severity" doc:"or quiet or mute, of what quiet hours or a mute dropped"`
	Events int       `json:"events" example:"2296"`
}

type leftOutOutput struct {
	Body struct {
		From    time.Time     `json:"from" doc:"24 hours are counted, of which the last is not over"`
		To      time.Time     `json:"to" doc:"now"`
		Stopped []StoppedView `json:"stopped" doc:"by each filter that it has now, in their order, and by what else stopped any; an event counts for the first that stopped it"`
	}
}

func (s *API) filters(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "try-filters", Method: http.MethodPost, Path: "/v1/filters/try", Tags: []string{"Integrations"},
		Errors: []int{400, 413, 415, 422}, Summary: "Try filters on the last events",
		Description: "What an integration with these filters would have got of the last events, up to about 2,000 " +
			"within seven days. Nothing is sent and nothing is saved.",
	}), s.tryFilters)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "get-integration-left-out", Method: http.MethodGet, Path: "/v1/integrations/{id}/left-out",
		Tags: []string{"Integrations"}, Errors: []int{404}, Summary: "Count what an integration did not get",
		Description: "By its filters, quiet hours and mutes, of the last 24 hours, as the overview counts. " +
			"What was left out is written nowhere: an event's page says of each event which filter stopped it, and " +
			"recovery sends what filters let pass by then.",
	}), s.leftOut)
}

func (s *API) leftOut(ctx context.Context, in *rest.IDInput) (*leftOutOutput, error) {
	i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &leftOutOutput{}
	out.Body.To = s.Now().UTC()
	out.Body.From, out.Body.Stopped = overview.Since(out.Body.To), []StoppedView{}
	counts, err := overview.LeftOut(ctx, s.Health.Counters, i, out.Body.From)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	for _, c := range counts {
		out.Body.Stopped = append(out.Body.Stopped, StoppedView{c.By, c.Events})
	}
	return out, nil
}

func (s *API) tryFilters(ctx context.Context, in *tryInput) (*tryOutput, error) {
	filters, err := rest.Filters(in.Body.Filters)
	if err != nil {
		return nil, err
	}
	who := rest.Principal(ctx)
	i, err := s.Integrations.Shape(who.Tenant, in.Body.System, subscriptions(in.Body.Events), filters)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	tried, err := s.FilterTester.Try(ctx, i)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &tryOutput{}
	out.Body.From, out.Body.To, out.Body.Takes, out.Body.Passed = tried.From, tried.To, tried.Takes, tried.Passed
	out.Body.Stopped = []StoppedView{}
	for _, l := range tried.LeftOut {
		out.Body.Stopped = append(out.Body.Stopped, StoppedView{l.By, l.Events})
	}
	return out, nil
}
