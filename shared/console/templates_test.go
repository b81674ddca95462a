package console_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMessageTemplateIsCheckedKeptShownAndTakenAway(t *testing.T) {
	r := start(t)
	body := func(title, text string) string {
		raw, err := json.Marshal(map[string]any{"system": "slack", "name": "Ops",
			"events":           []any{map[string]any{"event": "vuln_high"}, map[string]any{"event": "system"}},
			"parameters":       map[string]string{"webhook_url": slackURL},
			"message_template": map[string]string{"title": title, "text": text}})
		require.NoError(t, err)
		return string(raw)
	}
	for bad, field := range map[[2]string]string{
		{"{{.Nothing}}", ""}: "message_template.title", {"", "a\n{{range .}}"}: "message_template.text",
		{"{{.Title}}", ""}:                        "message_template.title", // users have none
		{"", `{{if eq .Kind "vuln"}}a{{end}}`}:    "message_template.text",
		{"", "{{.Details}} {{ printf .Host }}"}:   "message_template.text",
		{`{{upper}}`, "{{.Details"}:               "message_template.text",
		{"{{block `x` .}}{{end}}", "{{.Client}}"}: "message_template.title",
	} {
		a := r.call("POST", "/v1/integrations", body(bad[0], bad[1]))
		require.Equal(t, 422, a.status, bad)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, fmt.Sprintf(`"field":%q`, field), bad)
	}
	made := r.create(body(`{{.Severity}}: {{or .Title .User .Headline}}`, "{{.Details}}"))
	require.Equal(t, map[string]any{"title": `{{.Severity}}: {{or .Title .User .Headline}}`, "text": "{{.Details}}"},
		made.body["message_template"])
	at := "/v1/integrations/" + made.body["id"].(string)
	patch := func(body string) map[string]any {
		t.Helper()
		a := r.call("PATCH", at, body)
		require.Equal(t, 200, a.status, a.raw)
		return a.body
	}
	require.Contains(t, patch(`{"name":"Other"}`), "message_template", "as it was")
	require.Equal(t, map[string]any{"title": "{{.Kind}}", "text": "{{.Details}}"},
		patch(`{"message_template":{"title":" {{.Kind}} "}}`)["message_template"], "what is left out stays")
	// it is tried again on what is subscribed to
	require.Contains(t, patch(`{"events":[{"event":"vuln_high"}],"message_template":{"title":"{{.Title}}"}}`),
		"message_template")
	a := r.call("PATCH", at, `{"events":[{"event":"vuln_high"},{"event":"scope"}]}`)
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, `"field":"message_template.title"`)
	require.NotContains(t, patch(`{"message_template":{"title":"","text":""}}`), "message_template")
	// who shows nobody a text takes none
	a = r.call("POST", "/v1/integrations", `{"system":"splunk","name":"S","message_template":{"title":"a"},"parameters":{}}`)
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, `"field":"message_template"`)
}

func TestATemplateIsRefusedForATriggerOnlyWhereOneNamesTheIntegration(t *testing.T) {
	r := start(t)
	slack := func(title string) answer {
		return r.call("POST", "/v1/integrations", fmt.Sprintf(`{"system":"slack","name":"Ops",
			"events":[{"event":"vuln_high"}],"message_template":{"title":%q},"parameters":{"webhook_url":%q}}`, title,
			slackURL))
	}
	made := slack("{{.Title}}")
	require.Equal(t, 201, made.status, "findings have titles: %s", made.raw)
	id := made.body["id"].(string)
	at := "/v1/integrations/" + id
	// the trigger that begins to send there is saved, and says what its messages will be
	trigger := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, id))
	require.Equal(t, 201, trigger.status, trigger.raw)
	self := trigger.header.Get("Location")
	const warned = `"field":"actions.0.params.integration_ids.0","reason":"the message template of \"Ops\" makes ` +
		`no title of what this trigger sends: the standard title is sent"`
	require.Contains(t, member(t, trigger, "warnings"), warned)
	require.Contains(t, member(t, r.call("GET", "/v1/triggers", ""), "items"), warned)
	japanese := r.call("GET", self, "", "Accept-Language", "ja")
	require.Contains(t, japanese.raw, "「Ops」のメッセージテンプレートでは、このトリガーから送られるもののタイトルが空になります")
	// what is not touched is not refused for it
	for _, body := range []string{`{"name":"Ops 2"}`, `{"events":[{"event":"vuln_high"},{"event":"vuln_low"}]}`,
		`{"message_template":{"title":"{{.Title}}","text":"{{.Details}}"}}`} {
		require.Equal(t, 200, r.call("PATCH", at, body).status, body)
	}
	// what is written anew is, by the trigger's name
	a := r.call("PATCH", at, `{"message_template":{"title":"{{.Host}}{{.Title}}","text":"{{.Host}}{{.Title}}"}}`)
	require.Equal(t, 422, a.status)
	requireWorded(t, a.body)
	for _, part := range []string{"title", "text"} {
		require.Contains(t, a.raw, fmt.Sprintf(`"field":"message_template.%s"`, part))
		require.Contains(t, a.raw, "makes no "+part+` of an event of the kind attacks_exceeded, which the trigger \"`)
	}
	require.Equal(t, 200, r.call("PATCH", at, `{"message_template":{"title":"{{or .Title .Headline}}"}}`).status)
	require.NotContains(t, r.call("GET", self, "").body, "warnings")
	require.Equal(t, 204, r.call("DELETE", self, "").status)
	require.Equal(t, 200, r.call("PATCH", at, `{"message_template":{"title":"{{.Title}}"}}`).status)
}

func TestSamplesAndTestsHaveTheWordsOfATemplate(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations/samples",
		`{"system":"slack","message_template":{"title":"{{upper .Severity}} {{.Title}}"}}`)
	require.Equal(t, 200, a.status, a.raw)
	var title, reason any
	for _, item := range a.body["items"].([]any) {
		v := item.(map[string]any)
		switch v["event"] {
		case "vuln_high":
			title = v["summary"]
			require.NotContains(t, v, "reason")
			require.Contains(t, fmt.Sprint(v["requests"]), "HIGH Test")
		case "system":
			reason = v["reason"]
		}
	}
	require.Equal(t, "HIGH Test", title)
	require.Nil(t, reason, "INFO is a title")
	a = r.call("POST", "/v1/integrations/samples", `{"system":"slack","message_template":{"title":"{{.Title}}"}}`)
	require.Contains(t, a.raw, "the message template made no title of create_user: the standard title was sent")
	a = r.call("POST", "/v1/integrations/samples", `{"system":"slack","message_template":{"text":"a\n{{.Hots}}"}}`)
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, "line 2: there is no field .Hots")
	a = r.call("POST", "/v1/integrations/samples", `{"system":"slack","message_template":{"text":"a\n{{.Hots}}"}}`,
		"Accept-Language", "ja")
	require.Contains(t, a.raw, "2 行目：.Hots というフィールドはありません")
	a = r.call("POST", "/v1/integrations/test", `{"system":"slack","parameters":{"webhook_url":"`+slackURL+
		`"},"message_template":{"text":"{{"}}`)
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, `"field":"message_template.text"`)
}
