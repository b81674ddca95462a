package console_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
)

const exported = `# What administrators set, without secrets. Apply it with ` + "`tocsin apply FILE`" + `.
version: 1
integrations:
  Hook:
    system: web_hooks
    enabled: false
    events:
      - {event: siem, with_headers: true}
      - system
    parameters:
      url: https://hooks.example.com/$${x}
      http_method: POST
      headers:
        Authorization: ${WEB_HOOKS_HOOK_HEADERS_AUTHORIZATION}
        X-Tenant: ${WEB_HOOKS_HOOK_HEADERS_X_TENANT}
      ca_verify: true
      timeout: 15
      open_timeout: 20
      format: json
      max_events: 100
      trace_context: false
  Ops:
    system: slack
    enabled: true
    events:
      - system
    parameters:
      authorization: webhook
      webhook_url: ${SLACK_OPS_WEBHOOK_URL}
triggers:
  Graylist IPs with high count of malicious payloads:
    template_id: vector_attack
    enabled: true
    threshold: {count: 3, period: 3600}
    filters:
      - id: attack_type
        operator: ne
        values: [brute, dirbust, overlimit_res, data_bomb, vpatch]
    actions:
      - id: add_to_graylist
        lock_time: 3600
  Group hits from the same IP into one attack:
    template_id: attack_ip_grouping
    enabled: true
    threshold: {count: 50, period: 900}
    actions:
      - id: group_attack_by_ip
  SQLi burst:
    template_id: hits_exceeded
    enabled: true
    threshold: {count: 1, period: 60}
    filters:
      - id: attack_type
        operator: eq
        values: [sqli]
      - id: pool
        operator: ne
        values: [-1, 7]
    actions:
      - id: send_notification
        integrations:
          - Ops
report_settings:
  time_zone: UTC
`

func TestTheExportIsADocumentWithoutSecretsInAFixedOrder(t *testing.T) {
	r := start(t)
	ops := r.create(`{"system":"slack","name":"Ops","events":[{"event":"system"}],"parameters":{"webhook_url":"` +
		slackURL + `"}}`)
	r.create(`{"system":"web_hooks","name":"Hook","enabled":false,
		"events":[{"event":"system"},{"event":"siem","with_headers":true}],"parameters":{
		"url":"https://hooks.example.com/${x}","headers":{"X-Tenant":"s3cr3t","Authorization":"s3cr3t"}}}`)
	made := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, ops.body["id"]))
	require.Equal(t, 201, made.status, made.raw)
	for _, accept := range []string{"application/yaml", "text/html, application/yaml;q=0.9", "text/yaml"} {
		a := r.call("GET", "/v1/export", "", "Accept", accept)
		require.Equal(t, 200, a.status, a.raw)
		require.Equal(t, "application/yaml", a.header.Get("Content-Type"))
		require.Equal(t, exported, a.raw)
	}
	for _, accept := range []string{"", "*/*", "application/json", "text/html"} {
		a := r.call("GET", "/v1/export", "", "Accept", accept)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		ops := a.body["integrations"].(map[string]any)["Ops"].(map[string]any)
		require.Equal(t, map[string]any{"authorization": "webhook", "webhook_url": "${SLACK_OPS_WEBHOOK_URL}"},
			ops["parameters"])
	}
	r.token = r.issue("43", access.Administrator)
	require.NotContains(t, r.call("GET", "/v1/export", "").raw, "Ops", "another tenant's is another document")
}

func TestTwoObjectsOfOneNameAreToldAndNotExported(t *testing.T) {
	r := start(t)
	a, b := r.slack("Ops"), r.slack("Ops")
	got := r.call("GET", "/v1/export", "")
	require.Equal(t, 409, got.status)
	for _, part := range []string{a, b, `"Ops"`, "give each a name of its own"} {
		require.Contains(t, got.body["detail"], part)
	}
}

func TestATriggerOfADeletedIntegrationKeepsItsIDInTheExport(t *testing.T) {
	r := start(t)
	ops, other := r.slack("Ops"), r.slack("Other")
	made := r.call("POST", "/v1/triggers", `{"name":"Two","template_id":"user_created","actions":[{"id":
		"send_notification","params":{"integration_ids":["`+ops+`","`+other+`"]}}]}`)
	require.Equal(t, 201, made.status, made.raw)
	require.Equal(t, 204, r.call("DELETE", "/v1/integrations/"+ops+"?force=true", "").status)
	a := r.call("GET", "/v1/export", "")
	require.Contains(t, a.raw, ops)
	require.NotContains(t, a.raw, other)
}

func TestAPatchThatChangesNothingLeavesTheRevisionAsItIs(t *testing.T) {
	r := start(t)
	made := r.create(`{"system":"slack","name":"Ops","events":[{"event":"system"}],"parameters":{"webhook_url":"` +
		slackURL + `"}}`)
	path := "/v1/integrations/" + made.body["id"].(string)
	patch := func(body string) string {
		a := r.call("PATCH", path, body, "Content-Type", "application/merge-patch+json")
		require.Equal(t, 200, a.status, a.raw)
		return a.header.Get("ETag")
	}
	for _, body := range []string{
		`{}`, `{"name":" Ops "}`, `{"enabled":true}`, `{"events":[{"event":"system"}]}`,
		`{"parameters":{"webhook_url":"********"}}`, `{"parameters":{"webhook_url":"` + slackURL + `"}}`,
	} {
		require.Equal(t, `"1"`, patch(body), body)
	}
	announced, err := r.db.Bus.Receive(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, announced, 1, "nothing but its making is announced")
	require.Equal(t, `"2"`, patch(`{"parameters":{"webhook_url":"`+slackURL+`2"}}`), "another secret is a change")
	require.Equal(t, `"3"`, patch(`{"events":[]}`))
}
