package console

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed page.html
var pageSource string

//go:embed page.js
var pageScript []byte

//go:embed page.css
var pageStyle []byte

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is the API's document for a reader: made once from the OpenAPI document, with nothing from another host.
type page struct{ html []byte }

type pageOperation struct {
	ID, Method, Path, Summary, Description string
	Parameters                             []*huma.Param
	Request                                string // an example body, "" when there is none
	Schema                                 string
	Statuses                               string
	Try                                    bool // a GET without a path parameter
}

type pageGroup struct {
	Title      string
	Operations []pageOperation
}

// tags are the parts of the page, in its order.
var tags = []string{"Session", "Systems", "Integrations", "Deliveries", "Triggers", "Commands", "Reports", "Profile",
	"API tokens", "Tenants", "People", "Addresses", "Mail log", "Dead letters", "Activity log",
	"Configuration"}

func newPage(doc *huma.OpenAPI, platform string) *page {
	groups := map[string]*pageGroup{}
	var order []*pageGroup
	for _, title := range tags {
		groups[title] = &pageGroup{Title: title}
		order = append(order, groups[title])
	}
	paths := make([]string, 0, len(doc.Paths))
	for p := range doc.Paths {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		item := doc.Paths[p]
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if o == nil {
				continue
			}
			g := groups[o.Tags[0]]
			g.Operations = append(g.Operations, describe(doc, p, o))
		}
	}
	var buf bytes.Buffer
	err := pageTemplate.Execute(&buf, map[string]any{
		"Platform": platform, "Description": strings.Split(doc.Info.Description, "\n\n"), "Groups": order,
	})
	if err != nil {
		panic(err) // the template and its data are both of this package
	}
	return &page{buf.Bytes()}
}

func describe(doc *huma.OpenAPI, path string, o *huma.Operation) pageOperation {
	v := pageOperation{
		ID: o.OperationID, Method: o.Method, Path: path, Summary: o.Summary, Description: o.Description,
		Parameters: o.Parameters,
		Try:        o.Method == http.MethodGet && !strings.Contains(path, "{"),
	}
	var statuses []string
	for code := range o.Responses {
		statuses = append(statuses, code)
	}
	slices.Sort(statuses)
	v.Statuses = strings.Join(statuses, ", ")
	if o.RequestBody != nil {
		for _, media := range o.RequestBody.Content {
			schema := media.Schema
			if schema.Ref != "" {
				schema = doc.Components.Schemas.SchemaFromRef(schema.Ref)
			}
			if raw, err := json.MarshalIndent(schema, "", "  "); err == nil {
				v.Schema = string(raw)
			}
		}
	}
	v.Request = requestExamples[o.OperationID]
	return v
}

// requestExamples are bodies that a reader can send as they stand, but for the address.
var requestExamples = map[string]string{
	"create-integration": `{"system":"slack","name":"Ops channel","events":[{"event":"vuln_high"},{"event":"system"}],"parameters":{"webhook_url":"https://hooks.slack.com/services/T…/B…/…"}}`,
	"update-integration": `{"name":"Ops channel, EU"}`,
	"order-report":       `{"period":{"frequency":"weekly","from":"2023-03-01"},"format":"pdf","recipients":["ada@example.com"]}`,
	"set-notifications":  `{"choices":{"report_daily":false,"report_weekly":true,"report_monthly":true,"system":true,"vuln":true,"scope":false}}`,
	"test-parameters":    `{"system":"web_hooks","parameters":{"url":"https://hooks.example.com/tocsin"}}`,
	"replay-deliveries":  `{"from":"2023-03-01T00:00:00Z","to":"2023-03-02T00:00:00Z"}`,
}

// policy lets the page load its own script and style and call its own API, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri " +
	"'none'; form-action 'none'; frame-ancestors 'none'"

func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	_, _ = w.Write(p.html)
}

func (p *page) script(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write(pageScript)
}

func (p *page) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(pageStyle)
}
