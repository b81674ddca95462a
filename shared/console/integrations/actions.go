package integrations

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// Tester serves what a form asks a system for: the test button, and the values that a parameter can have.
type Tester interface {
	Options(ctx context.Context, opened integration.Opened, field string) (sending.OptionList, error)
	Test(ctx context.Context, opened integration.Opened, who activity.Actor, id string,
		tell func(sending.TestStep)) (sending.TestResult, error)
	Samples(ctx context.Context, system destination.System, of sending.SampleOf, who activity.Actor,
		id string) ([]sending.Sample, error)
	Shown(system destination.System, e event.Event) (sending.Sample, error)
}

type choicesInput struct {
	Body struct {
		System      string          `json:"system,omitempty" example:"jira"`
		Integration string          `json:"integration,omitempty" doc:"the id of a saved integration whose secrets the masks stand for"`
		Parameters  json.RawMessage `json:"parameters"`
		Parameter   string          `json:"parameter" example:"project" doc:"one of the system's choosable parameters"`
	}
}

type choicesOutput struct {
	Body struct {
		Choices []destination.Option `json:"choices"`
		More    bool                 `json:"more,omitempty" doc:"there are more than these: another value can be entered"`
		Reason  string               `json:"reason,omitempty" worded:"true" doc:"why there is no list, and what to do" example:"answered 401 Unauthorized: the token was not accepted: check e-mail, token and token type"`
		Status  int                  `json:"status,omitempty" doc:"absent when there was no answer" example:"200"`
	}
}

// HealthView is an integration's window.
type HealthView struct {
	health.Tally
	Percent       int        `json:"percent" doc:"of the attempts that failed"`
	LimitPercent  int        `json:"limit_percent" doc:"from this share on the platform disables the integration, if the next three hold too" example:"60"`
	MinimumSample int        `json:"minimum_attempts" doc:"so many attempts were made" example:"20"`
	MinimumSteps  int        `json:"minimum_steps" doc:"failures lie in so many steps of 10 minutes" example:"3"`
	LastingMin    int        `json:"lasting_minutes" doc:"it has been failing for so long" example:"30"`
	WindowHours   int        `json:"window_hours" example:"12"`
	Steps         int        `json:"steps" doc:"steps of 10 minutes with a failure"`
	Broken        bool       `json:"broken" doc:"all four hold: its next failure disables it"`
	FailuresLeft  *int       `json:"failures_left,omitempty" doc:"how many more failures in a row make share and number suffice; absent when no number does"`
	DisabledFrom  *time.Time `json:"disabled_from,omitempty" doc:"while it is failing: not before this time is it disabled"`
	// Series is told for the chart of a card.
	Series []health.Point `json:"series" doc:"attempts in steps of 10 minutes, oldest first, also of before it was last enabled; a step without any is left out"`
}

type healthOutput struct{ Body HealthView }

func (s *API) actions(api huma.API) {
	tags := []string{"Integrations"}
	for _, a := range []struct {
		verb, summary, description string
		on                         bool
	}{
		{"enable", "Enable an integration", "Events are delivered from now on, and a new health window begins. It is " +
			"no error when it is enabled already.", true},
		{"disable", "Disable an integration",
			"Its settings are kept. What waits to be sent to it is not sent, and can be replayed.", false},
	} {
		huma.Register(api, rest.Operation(access.Administer, huma.Operation{
			OperationID: a.verb + "-integration", Method: http.MethodPost, Path: "/v1/integrations/{id}/" + a.verb,
			Tags: tags, Errors: []int{404, 409, 412},
			Summary: a.summary, Description: a.description,
		}), func(ctx context.Context, in *rest.ConditionalInput) (*integrationOutput, error) {
			var i integration.Integration
			err := s.UnlessChanged(ctx, in.IfMatch, func(revision int64) (err error) {
				i, err = s.Integrations.SetEnabled(ctx, rest.Person(ctx), in.ID, revision, a.on)
				return err
			})
			if err != nil {
				return nil, err
			}
			s.Changed(i.Tenant, i.ID)
			return s.one(ctx, i, nil)
		})
	}
}

// forms are the operations that a form asks a system by: choices, and the health beside it.
func (s *API) forms(api huma.API) {
	tags := []string{"Integrations"}
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-choices", Method: http.MethodPost, Path: "/v1/integrations/choices", Tags: tags,
		Errors:  []int{400, 404, 413, 415, 422},
		Summary: "List the values of a parameter", Description: "Asks the system for the values that one of its " +
			"`choosable` parameters can have: the projects of Jira. The other parameters must be right; those that " +
			"are still to be chosen may be missing. With the id of a saved integration, masks stand for its secrets, " +
			"as in test-parameters.",
	}), s.choices)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "get-integration-health", Method: http.MethodGet, Path: "/v1/integrations/{id}/health", Tags: tags,
		Errors:  []int{404},
		Summary: "Read an integration's health",
		Description: "How many requests of the window were made and failed, and how near that is to being " +
			"disabled.",
	}), s.health)
}

// used logs that a person had secrets sent: who, and where to.
func (s *API) used(ctx context.Context, what string, opened integration.Opened, host string) {
	p := rest.Principal(ctx)
	s.Log.Info(what, "tenant", p.Tenant, "integration", opened.Of, "system", opened.System.Name, "host", host, "by",
		p.Who())
}

func (s *API) choices(ctx context.Context, in *choicesInput) (*choicesOutput, error) {
	b := in.Body
	opened, err := s.Integrations.OpenIncomplete(ctx, rest.Principal(ctx).Tenant, b.Integration, b.System, b.Parameters)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	c, err := s.Tester.Options(ctx, opened, b.Parameter)
	s.used(ctx, "choices asked for", opened, c.Host)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &choicesOutput{}
	out.Body.Choices, out.Body.More, out.Body.Reason, out.Body.Status = c.Choices, c.More, c.Reason, c.Status
	if out.Body.Choices == nil {
		out.Body.Choices = []destination.Option{}
	}
	return out, nil
}

func (s *API) health(ctx context.Context, in *rest.IDInput) (*healthOutput, error) {
	i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v, err := s.healthOf(ctx, i)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return &healthOutput{Body: *v}, nil
}

// before are the steps of the window that ended when the integration was last enabled, where they may be of the last
// hours: enabling it is a change of it.
func (s *API) before(ctx context.Context, i integration.Integration, now time.Time) ([]health.Point, error) {
	if i.Window <= 1 || i.UpdatedAt.Before(s.Health.Rule.Since(now)) {
		return nil, nil
	}
	return s.Health.Series(ctx, i.Tenant, i.ID, i.Window-1, now)
}

func (s *API) healthOf(ctx context.Context, i integration.Integration) (*HealthView, error) {
	now := s.Now()
	series, err := s.Health.Series(ctx, i.Tenant, i.ID, i.Window, now)
	if err != nil {
		return nil, err
	}
	rule := s.Health.Rule.Filled()
	w := rule.Window(series)
	v := &HealthView{
		Tally: w.Tally, Steps: w.Spread, LimitPercent: rule.Percent, MinimumSample: rule.Minimum,
		MinimumSteps: rule.Spread,
		LastingMin:   int(max(0, rule.Lasting).Minutes()), WindowHours: int(rule.Span.Hours()),
	}
	earlier, err := s.before(ctx, i, now)
	if err != nil {
		return nil, err
	}
	v.Series = append([]health.Point{}, slices.Concat(earlier, series)...) // never null: the Console reads it as a list
	var since time.Time
	if i.Failing != nil {
		since = i.Failing.Since
		from := since.Add(max(0, rule.Lasting)).UTC()
		v.DisabledFrom = &from
	}
	v.Broken = rule.Broken(w, since, now)
	if left := rule.Left(v.Tally); left >= 0 {
		v.FailuresLeft = &left
	}
	if v.Attempts > 0 {
		v.Percent = v.Failures * 100 / v.Attempts
	}
	return v, nil
}
