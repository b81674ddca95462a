package integrations

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/rest"
	"tocsin/shared/event"
	"tocsin/shared/plaintext"
	"tocsin/shared/sending"
	"tocsin/shared/wording"
)

// SampleView is an event as a system is sent it.
type SampleView struct {
	Event       event.Type               `json:"event" example:"vuln_high"`
	Title       string                   `json:"title" example:"Vulnerabilities detected: high risk"`
	Summary     string                   `json:"summary,omitempty" example:"[Acme] New vulnerability detected"`
	Description string                   `json:"description,omitempty" doc:"what people read"`
	Requests    []deliveries.RequestView `json:"requests" doc:"secrets are masked"`
	Reason      string                   `json:"reason,omitempty" worded:"true" doc:"why there are no requests, or why they have the standard title or text"`
}

// digestTitle is that of the sample which is of no event type.
const digestTitle = "Many events as one message"

type samplesInput struct {
	Body struct {
		System     string               `json:"system" example:"slack"`
		Parameters json.RawMessage      `json:"parameters,omitempty" doc:"what is known of them; the rest is made up"`
		Template   *MessageTemplateView `json:"message_template,omitempty" doc:"its title and text of messages"`
		Language   wording.Language     `json:"language,omitempty" doc:"of what people read: en or ja; empty: the tenant's"`
	}
}

type samplesOutput struct {
	Body struct {
		Items []SampleView `json:"items" doc:"one for each event type of the system, and where people read what it is sent one digest: many events as one message"`
	}
}

// samples shows what a system will be sent, before an integration is added.
func (s *API) samples(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "show-samples", Method: http.MethodPost, Path: "/v1/integrations/samples",
		Tags: []string{"Integrations"}, Errors: []int{400, 404, 413, 415, 422},
		Summary: "Show what a system is sent", Description: "A made-up event of each type, written as this system is " +
			"sent it: method, address, headers and body, or a mail. With parameters it is written by those that are " +
			"right. Nothing is sent, and nothing is kept.",
	}), func(ctx context.Context, in *samplesInput) (*samplesOutput, error) {
		system, available, ok := s.Systems.Lookup(in.Body.System)
		if !ok || !available || system.Personal {
			return nil, rest.NewProblem(http.StatusNotFound, fmt.Sprintf(
				`there is no system "%s": GET /v1/systems lists them`, plaintext.Line(in.Body.System)))
		}
		found, err := s.Tester.Samples(ctx, system, sending.SampleOf{
			Parameters: in.Body.Parameters, Words: in.Body.Template.source(), Language: in.Body.Language},
			rest.Person(ctx), s.NewID())
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		out := &samplesOutput{}
		out.Body.Items = []SampleView{}
		for _, f := range found {
			v := SampleView{Event: f.Event, Title: cmp.Or(system.Label(f.Event), digestTitle), Summary: f.Summary,
				Description: f.Description, Requests: []deliveries.RequestView{}, Reason: f.Reason}
			for _, r := range f.Requests {
				v.Requests = append(v.Requests, deliveries.ViewOf(r))
			}
			out.Body.Items = append(out.Body.Items, v)
		}
		return out, nil
	})
}
