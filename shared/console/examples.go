package console

import (
	"encoding/json"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// tags are the parts of the document, in its order.
var tags = []string{"Session", "Systems", "Integrations", "Deliveries", "Triggers", "Commands", "Reports", "Profile",
	"API tokens", "Tenants", "People", "Addresses", "Mail log", "Dead letters", "Activity log", "Configuration",
	"Events"}

// requestExamples are bodies by their operation, which a reader can send as they stand but for ids and secrets.
var requestExamples = map[string]string{
	"create-integration": `{"system":"slack","name":"Ops channel","events":[{"event":"vuln_high"},{"event":"system"}],
		"parameters":{"webhook_url":"https://hooks.slack.com/services/T000/B000/secret"}}`,
	"update-integration": `{"name":"Ops channel, EU"}`,
	"mute-integration":   `{"hours":2,"reason":"database migration","then":"digest"}`,
	"list-choices": `{"system":"jira","parameter":"project","parameters":{"url":"https://example.atlassian.net",
		"email":"ada@example.com","api_token":"secret"}}`,
	"show-samples":        `{"system":"slack"}`,
	"try-filters":         `{"system":"slack","events":[{"event":"vuln_high"}],"filters":[{"id":"severity","operator":"eq","values":["critical","high"]}]}`,
	"test-parameters":     `{"system":"web_hooks","parameters":{"url":"https://hooks.example.com/tocsin"}}`,
	"acknowledge-command": `{"outcome":"failed","reason":"no such list"}`,
	"recover-events":      `{"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z","dry_run":true}`,
	"replay-deliveries": `{"states":["dead"],"from":"2026-11-01T00:00:00Z",
		"to":"2026-11-02T00:00:00Z"}`,
	"set-notifications": `{"choices":{"report_daily":false,"report_weekly":true,"report_monthly":true,"system":true,
		"vuln":true,"scope":false}}`,
	"set-report-settings": `{"time_zone":"Europe/Berlin"}`,
	"order-report": `{"period":{"frequency":"weekly","from":"2026-11-02"},"format":"pdf",
		"recipients":["ada@example.com"]}`,
	"end-session":  `{"everywhere":false}`,
	"link-tenant":  `{"client_name":"Acme Japan"}`,
	"erase-tenant": `{"confirm":"42"}`,
	"erase-person": `{"person":"ada@example.com","confirm":"ada@example.com"}`,
	"make-token":   `{"name":"CI","kind":"shared","role":"administrator","expires_at":"2027-11-01T00:00:00Z"}`,
	"create-trigger": `{"template_id":"user_created","name":"New people","actions":[{"id":"send_notification",
		"params":{"integration_ids":["01JD0000000000000000000000"]}}]}`,
	"preview-unsaved-trigger": `{"template_id":"attacks_exceeded","threshold":{"period":3600,"count":10,
		"operator":"gt"},"actions":[{"id":"send_notification",
		"params":{"integration_ids":["01JD0000000000000000000000"]}}]}`,
	"update-trigger": `{"name":"New people, EU"}`,
}

// complete adds what is of no operation alone: parts, where the API is, and examples of what is sent.
func complete(document *huma.OpenAPI) {
	document.Servers = []*huma.Server{{URL: "/", Description: "the deployment that this document is of"}}
	for _, name := range tags {
		document.Tags = append(document.Tags, &huma.Tag{Name: name})
	}
	for _, item := range document.Paths {
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if o == nil {
				continue
			}
			answered(document.Components.Schemas, o)
			if o.RequestBody == nil {
				continue
			}
			for _, media := range o.RequestBody.Content {
				nullable(document.Components.Schemas, media.Schema)
				var example any
				if raw := requestExamples[o.OperationID]; json.Unmarshal([]byte(raw), &example) == nil {
					media.Example = example
				}
			}
		}
	}
}

// nullable says what is so of what a caller sends: null for a member that may be left out is the same as none. A schema
// that another one names can not say so where it is named.
func nullable(known huma.Registry, s *huma.Schema) {
	for s != nil && s.Ref != "" {
		s = known.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return
	}
	nullable(known, s.Items)
	for name, member := range s.Properties {
		nullable(known, member)
		if member.Type == "" || member.Nullable || slices.Contains(s.Required, name) {
			continue
		}
		if member.Nullable = true; len(member.Enum) > 0 {
			member.Enum = append(slices.Clip(member.Enum), nil)
		}
	}
}
