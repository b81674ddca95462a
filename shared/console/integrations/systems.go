package integrations

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/wording"
)

// Systems is the catalogue as the API needs it.
type Systems interface {
	// Prepare comes before the catalogue is shown: what it says can depend on what the deployment finds.
	Prepare(ctx context.Context)
	All() []catalogue.Entry
	Lookup(name string) (s destination.System, available, ok bool)
	Names() []string
}

// GroupView is a heading of the catalogue with its systems.
type GroupView struct {
	Title    string       `json:"title" worded:"true" example:"Email and messengers"`
	Enabled  int          `json:"enabled" doc:"integrations that are on"`
	Disabled int          `json:"disabled"`
	Systems  []SystemView `json:"systems"`
}

// SystemView is a system that an integration can be made for.
type SystemView struct {
	Name       string            `json:"name" example:"slack"`
	Title      string            `json:"title" worded:"true" example:"Slack"`
	Available  bool              `json:"available" doc:"false: listed, and not offered yet"`
	Personal   bool              `json:"personal,omitempty" doc:"each person's own: set in /v1/profile/notifications, not as an integration"`
	NamesOne   bool              `json:"names_one,omitempty" doc:"the title names one integration, so that a default name needs no further word"`
	BoundThere bool              `json:"bound_there,omitempty" doc:"a place at the system is bound to an integration by links: see make-telegram-link"`
	Incidents  bool              `json:"incidents,omitempty" doc:"an incident manager: what it gets can call somebody"`
	Worded     bool              `json:"worded,omitempty" doc:"people read what it is sent: the language of an integration counts"`
	Templated  bool              `json:"templated,omitempty" doc:"people see a title or a text of what it is sent: an integration can have its own"`
	Enabled    int               `json:"enabled"`
	Disabled   int               `json:"disabled"`
	Events     []EventTypeView   `json:"events"`
	Parameters json.RawMessage   `json:"parameters,omitempty" doc:"JSON Schema (2020-12) of the parameters; writeOnly marks a secret"`
	Choosable  []string          `json:"choosable,omitempty" doc:"parameters whose values the system itself can list: see list-choices; in the order in which they can be chosen"`
	Missing    string            `json:"missing,omitempty" doc:"what this deployment lacks for the system: integrations can be made, and nothing is delivered until its operator mends it"`
	Admits     bool              `json:"admits" doc:"the system, or a firewall before it, may admit known addresses only: see list-egress-addresses"`
	SetUp      string            `json:"set_up,omitempty" doc:"steps at the system's side, in Markdown"`
	SetUpIn    map[string]string `json:"set_up_in,omitempty" doc:"set_up in the languages that were asked for, by language" example:"{\"ja\":\"1. …\"}"`
}

// EventTypeView is an event type that a system can receive.
type EventTypeView struct {
	Event event.Type `json:"event" example:"vuln_high"`
	Title string     `json:"title" worded:"true" example:"Vulnerabilities detected: high risk"`
}

type systemsInput struct {
	Brief     bool     `query:"brief" doc:"without what a form shows: parameters, choosable and set_up"`
	Accept    string   `header:"Accept-Language" doc:"the language of the titles and helps, those of the fields included: English or Japanese" example:"ja"`
	Languages []string `query:"languages" enum:"en,ja" doc:"languages, beside English, in which the steps at the systems' sides are answered, such as ja" example:"[\"ja\"]"`
}

type systemsOutput struct {
	Body struct {
		Groups  []GroupView           `json:"groups"`
		Filters []rest.FilterRuleView `json:"filters,omitempty" doc:"what an integration with any system can be narrowed by; not in a brief list"`
		// Template is nil in a brief list.
		Template *MessageTemplateRulesView `json:"message_template,omitempty" doc:"what a message template can hold; not in a brief list"`
	}
}

func (s *API) systems(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-systems", Method: http.MethodGet, Path: "/v1/systems", Tags: []string{"Systems"},
		Errors: []int{422}, Summary: "List the systems", Description: "The catalogue in page order: " +
			"groups, systems, the parameters that each asks for and the event types that it can receive, with the " +
			"number of integrations of the tenant.",
	}), func(ctx context.Context, in *systemsInput) (*systemsOutput, error) {
		counts, err := s.Integrations.Count(ctx, rest.Principal(ctx).Tenant)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		s.Systems.Prepare(ctx)
		out := &systemsOutput{}
		out.Body.Groups = s.groups(counts)
		if !in.Brief {
			out.Body.Template = templateRules()
			out.Body.Filters = rest.FilterRules(filter.IntegrationRules())
			s.addForms(rest.Principal(ctx).Tenant, out.Body.Groups, in.Languages, wording.Accepted(in.Accept))
		}
		return out, nil
	})
}

func (s *API) groups(counts integration.Counts) []GroupView {
	var out []GroupView
	for _, title := range destination.Groups() {
		g := GroupView{Title: string(title)}
		for _, entry := range s.Systems.All() {
			if entry.System.Group != title {
				continue
			}
			v := SystemView{
				Name: entry.System.Name, Title: entry.System.Title, Available: entry.Available,
				Missing: entry.System.Missing, Personal: entry.System.Personal,
				NamesOne: entry.System.NamesOne, BoundThere: entry.System.BoundThere,
				Incidents: entry.System.Group == destination.Incidents, Worded: entry.System.Class.Read(),
				Templated: entry.System.Templated(),
				Enabled:   counts.Enabled[entry.System.Name], Disabled: counts.Disabled[entry.System.Name],
				Admits: entry.System.Admits(),
			}
			for _, t := range entry.System.Events {
				v.Events = append(v.Events, EventTypeView{t, entry.System.Label(t)})
			}
			g.Systems = append(g.Systems, v)
			g.Enabled += v.Enabled
			g.Disabled += v.Disabled
		}
		out = append(out, g)
	}
	return out
}

// addForms adds what the forms of the systems show.
func (s *API) addForms(tenant string, groups []GroupView, languages []string, l wording.Language) {
	for _, g := range groups {
		for n := range g.Systems {
			v := &g.Systems[n]
			system, _, _ := s.Systems.Lookup(v.Name)
			v.SetUp, v.SetUpIn = system.Steps(tenant, destination.English), stepsIn(system, tenant, languages)
			v.Choosable = system.Choosable
			switch {
			case v.Personal:
			case l == wording.English:
				v.Parameters = system.Parameters.Schema()
			default:
				v.Parameters = s.form(system, l)
			}
		}
	}
}

// form is the schema of a system's parameters in a language. It is made once: it is the same for every caller.
func (s *API) form(system destination.System, l wording.Language) json.RawMessage {
	key := formKey{system.Name, l}
	if made, ok := s.worded.Load(key); ok {
		return made.(json.RawMessage)
	}
	made := system.Parameters.SchemaIn(func(text string) string { return s.say(l, text) })
	s.worded.Store(key, made)
	return made
}

type formKey struct {
	system   string
	language wording.Language
}

// say words a text of a form: as the folder of a system does, which can share its form with others, else as the common
// texts do.
func (s *API) say(l wording.Language, english string) string {
	for _, entry := range s.Systems.All() {
		if own, ok := entry.System.Texts[string(l)][english]; ok {
			return own
		}
	}
	return wording.In(l, english)
}

// stepsIn are the set-up texts of a system in those of the languages that it has them in.
func stepsIn(s destination.System, tenant string, languages []string) map[string]string {
	out := map[string]string{}
	for _, l := range languages {
		if _, ok := s.SetUpIn[l]; ok {
			out[l] = s.Steps(tenant, l)
		}
	}
	return out
}
