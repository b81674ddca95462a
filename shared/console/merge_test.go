package console_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNullInAMergePatchRemoves: it was answered with 200 and changed nothing, where RFC 7396 has it remove.
func TestNullInAMergePatchRemoves(t *testing.T) {
	r := start(t)
	other := r.slack("Other")
	a := r.call("POST", "/v1/integrations", `{"system":"slack","name":"Ops","language":"ja","rate":"10/minute",`+
		`"grouping":"50/5m","storm_guard":"none","fallback":"`+other+`","hold":`+nights+`,"filters":[{"id":"kind",`+
		`"operator":"eq","values":["vuln"]}],"message_template":{"title":"{{.Kind}}","text":"{{.ID}}"},`+
		`"parameters":{"webhook_url":"`+slackURL+`"}}`)
	require.Equal(t, 201, a.status, a.raw)
	at := "/v1/integrations/" + a.body["id"].(string)
	a = r.call("PATCH", at, `{"message_template":{"text":null}}`)
	require.Equal(t, map[string]any{"title": "{{.Kind}}"}, a.body["message_template"])
	for _, member := range []string{"language", "rate", "grouping", "storm_guard", "fallback", "hold", "filters",
		"message_template"} {
		require.NotEmpty(t, r.call("GET", at, "").body[member], member)
		a := r.call("PATCH", at, fmt.Sprintf(`{%q: null }`, member))
		require.Equal(t, 200, a.status, a.raw)
		require.Empty(t, a.body[member], member)
		require.Empty(t, r.call("GET", at, "").body[member], member)
	}
	for _, member := range []string{"name", "enabled"} {
		a := r.call("PATCH", at, fmt.Sprintf(`{%q:null}`, member))
		require.Equal(t, 422, a.status, a.raw)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"`+member+`"`)
	}
	require.Equal(t, "Ops", r.call("PATCH", at, `{}`).body["name"], "what is left out stays")

	made := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, other))
	self := made.header.Get("Location")
	require.NotEmpty(t, r.call("PATCH", self, `{"comment":"why","filters":[{"id":"domain","operator":"eq","values":`+
		`["a.example"]}]}`).body["filters"])
	got := r.call("PATCH", self, `{"comment":null,"filters":null}`).body
	require.Empty(t, got["filters"])
	require.Empty(t, got["comment"])
	for member, field := range map[string]string{"name": "name", "enabled": "enabled", "actions": "actions",
		"template_id": "template_id", "threshold": "threshold"} {
		a := r.call("PATCH", self, fmt.Sprintf(`{%q:null}`, member))
		require.Equal(t, 422, a.status, a.raw)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"`+field+`"`, member)
	}
	made = r.call("POST", "/v1/triggers", fmt.Sprintf(`{"template_id":"user_created","name":"People","actions":[{"id":`+
		`"send_notification","params":{"integration_ids":[%q]}}]}`, other))
	require.Equal(t, 201, made.status, made.raw)
	a = r.call("PATCH", made.header.Get("Location"), `{"threshold":null}`)
	require.Equal(t, 200, a.status, "there is none to remove: %s", a.raw)
}
