// Package export is the operation that writes what administrators set as a document.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"

	"tocsin/shared/access"
	"tocsin/shared/configuration"
	"tocsin/shared/configuration/schema"
	"tocsin/shared/console/integrations"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/report"
	"tocsin/shared/trigger"
)

// API is the operation.
type API struct {
	rest.Kit
	Integrations *integration.Service
	Systems      integrations.Systems
	// Triggers and Reports are nil where this deployment has none.
	Triggers *trigger.Service
	Reports  *report.Service
}

type input struct {
	Accept string `header:"Accept" doc:"application/yaml for YAML; JSON otherwise"`
}

type output struct {
	ContentType string `header:"Content-Type"`
	Vary        string `header:"Vary"`
	Body        []byte
}

// Media types of the document. That of YAML is RFC 9512's.
const (
	typeJSON = "application/json"
	typeYAML = "application/yaml"
)

// Register adds the operation.
func (s *API) Register(api huma.API) {
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "export-configuration", Method: http.MethodGet, Path: "/v1/export",
		Tags: []string{"Configuration"}, Errors: []int{409},
		Summary: "Export the configuration",
		Description: "Integrations, triggers and the settings of reports, as a document for a repository: names are " +
			"keys, and the order is that of the names. Where a secret is, it has a reference to an environment " +
			"variable, such as `${SLACK_OPS_WEBHOOK_URL}`. The same configuration is always the same bytes. " +
			"`tocsin apply FILE` makes an account like it; its JSON Schema is at /configuration.schema.json.",
		Responses: map[string]*huma.Response{"200": {Description: "the document",
			Content: map[string]*huma.MediaType{
				typeJSON: {Schema: &huma.Schema{Type: huma.TypeObject}},
				typeYAML: {Schema: &huma.Schema{Type: huma.TypeString}},
			}}},
	}), s.export)
}

func (s *API) export(ctx context.Context, in *input) (*output, error) {
	state, err := s.state(ctx)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	document, err := configuration.Export(state)
	var twice *configuration.DoubleError
	if errors.As(err, &twice) {
		return nil, rest.NewProblem(http.StatusConflict, twice.Error())
	}
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if !wantsYAML(in.Accept) {
		return &output{typeJSON, "Accept", document.JSON()}, nil
	}
	body, err := document.YAML()
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return &output{typeYAML, "Accept", body}, nil
}

// wantsYAML reads an Accept header. YAML has had other names before RFC 9512.
func wantsYAML(accept string) bool {
	offers := []string{typeJSON, typeYAML, "application/x-yaml", "text/yaml", "text/x-yaml"}
	return strings.HasSuffix(negotiation.SelectQValueFast(strings.ToLower(accept), offers), "yaml")
}

// state reads what the account has: the sections that the caller may read.
func (s *API) state(ctx context.Context) (out configuration.State, err error) {
	p := rest.Principal(ctx)
	if out.Systems, err = s.systems(ctx); err != nil {
		return out, err
	}
	all, err := integration.All(ctx, s.Integrations, p.Tenant)
	if err != nil {
		return out, err
	}
	for _, i := range all {
		stored, err := s.integration(ctx, i)
		if err != nil {
			return out, err
		}
		out.Integrations = append(out.Integrations, stored)
	}
	if s.Triggers != nil && p.May(access.Triggers) {
		list, err := s.Triggers.List(ctx, rest.Person(ctx))
		if err != nil {
			return out, err
		}
		out.Triggers = []configuration.StoredTrigger{}
		for _, t := range list {
			out.Triggers = append(out.Triggers, stored(t))
		}
	}
	if s.Reports != nil && p.May(access.ReportSettings) {
		v, err := s.Reports.Settings(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		out.Reports = &configuration.StoredReports{TimeZone: v.Zone, Hour: v.At(),
			Retention: configuration.Retention{Events: int64(v.Retention.Events),
				Deliveries: int64(v.Retention.Deliveries)},
			Language: string(v.Language), Hold: held(v.Hold)}
	}
	return out, nil
}

func (s *API) systems(ctx context.Context) (map[string]configuration.System, error) {
	s.Systems.Prepare(ctx)
	out := map[string]configuration.System{}
	for _, e := range s.Systems.All() {
		if !e.Available {
			continue
		}
		system, err := configuration.SystemOf(e.System)
		if err != nil {
			return nil, err
		}
		out[system.Name] = system
	}
	return out, nil
}

func (s *API) integration(ctx context.Context, i integration.Integration) (configuration.StoredIntegration, error) {
	out := configuration.StoredIntegration{ID: i.ID, Revision: i.Revision, Name: i.Name, System: i.System,
		Language: string(i.Language), Rate: string(i.Rate), Grouping: string(i.Grouping),
		StormGuard: string(i.StormGuard), Enabled: i.Enabled(), Fallback: i.Fallback,
		MessageTemplate: i.MessageTemplate}
	for _, sub := range i.Subscriptions {
		out.Events = append(out.Events, configuration.Subscription{Event: string(sub.Event),
			WithHeaders: sub.WithHeaders})
	}
	out.Filters, out.Hold = filters(i.Filters), held(i.Hold)
	var err error
	out.Parameters, err = s.Integrations.Masked(ctx, i)
	if integration.Unreadable(err) == integration.LostSecrets {
		out.Lost, err = true, nil
	}
	return out, err
}

func held(r hold.Rules) configuration.Hold {
	out := configuration.Hold{Then: string(r.Then), OwnOnly: r.OwnOnly}
	if r.Pass != nil {
		out.Pass = &r.Pass
	}
	for _, q := range r.Quiet {
		quiet := configuration.Quiet{First: q.First, Last: q.Last, From: q.From, To: q.To, Zone: q.Zone}
		for _, d := range q.Days {
			quiet.Days = append(quiet.Days, string(d))
		}
		out.Quiet = append(out.Quiet, quiet)
	}
	return out
}

func filters(list []filter.Filter) (out []configuration.Filter) {
	for _, f := range list {
		values := make([]string, len(f.Values))
		for n, v := range f.Values {
			values[n] = string(v)
		}
		out = append(out, configuration.Filter{ID: string(f.ID), Operator: f.Operator, Values: values})
	}
	return out
}

func stored(t trigger.Trigger) configuration.StoredTrigger {
	enabled := !t.Off
	out := configuration.StoredTrigger{ID: t.ID, Revision: t.Revision, Trigger: configuration.Trigger{
		Name: t.Name, Comment: t.Comment, Template: string(t.Template), Enabled: &enabled,
	}}
	if t.Threshold != nil {
		out.Threshold = &configuration.Threshold{Count: t.Threshold.Count, Period: t.Threshold.Period}
	}
	out.Filters = filters(t.Filters)
	for _, a := range t.Actions {
		out.Actions = append(out.Actions, configuration.Action{ID: string(a.ID), Integrations: a.Integrations,
			LockTime: a.LockTime})
	}
	return out
}

// SchemaPath is where the JSON Schema of documents is. It is for editors and open to everybody: it holds the catalogue,
// and nothing of a tenant.
const SchemaPath = "/configuration.schema.json"

// Schema answers with the JSON Schema of documents.
func Schema(of integrations.Systems, log *slog.Logger) http.HandlerFunc {
	made := sync.OnceValues(func() (json.RawMessage, error) {
		var systems []destination.System
		for _, e := range of.All() {
			systems = append(systems, e.System)
		}
		return schema.Of(systems)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		of.Prepare(r.Context()) // a default can depend on what the deployment finds
		schema, err := made()
		if err != nil {
			log.Error("make the schema of configurations", "error", err.Error())
			rest.Write(w, rest.NewProblem(http.StatusInternalServerError, "this is a fault of ours; it was logged"))
			return
		}
		w.Header().Set("Content-Type", typeJSON)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Write(schema)
	}
}
