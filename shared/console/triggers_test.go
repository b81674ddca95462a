package console_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

const burst = `{"name":"SQLi burst","template_id":"hits_exceeded","filters":[{"id":"attack_type","operator":"eq","values":["sqli"]},{"id":"pool","operator":"ne","values":[-1,"7"]}],
	"threshold":{"period":60,"operator":"gt","allowed_operators":["gt"],"count":1},"actions":[{"id":"send_notification","params":{"integration_ids":["%s"]}}]}`

// member is a member of an answer as JSON.
func member(t *testing.T, a answer, name string) string {
	t.Helper()
	require.Contains(t, a.body, name, a.raw)
	raw, err := json.Marshal(a.body[name])
	require.NoError(t, err)
	return string(raw)
}

func TestATriggersLife(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	a := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, id))
	require.Equal(t, 201, a.status, a.raw)
	self := a.header.Get("Location")
	require.Equal(t, `"1"`, a.header.Get("ETag"))
	require.JSONEq(t,
		`[{"id":"attack_type","operator":"eq","values":["sqli"]},{"id":"pool","operator":"ne","values":[-1,7]}]`,
		member(t, a, "filters"))
	require.JSONEq(t, `{"period":60,"operator":"gt","allowed_operators":["gt"],"count":1}`, member(t, a, "threshold"))

	a = r.call("PATCH", self, `{"threshold":{"period":120,"count":5}}`, "If-Match", `"1"`)
	require.Equal(t, 200, a.status, a.raw)
	require.EqualValues(t, 5, a.body["threshold"].(map[string]any)["count"])
	require.Equal(t, 412, r.call("PATCH", self, `{"name":"x"}`, "If-Match", `"1"`).status)
	require.Equal(t, false, r.call("POST", self+"/disable", "").body["enabled"])
	require.Equal(t, true, r.call("POST", self+"/enable", "").body["enabled"])
	a = r.call("POST", self+"/enable", "")
	require.Equal(t, `"4"`, a.header.Get("ETag"), "what changes nothing is no change")

	a = r.call("POST", self+"/copy", "")
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "Copy of SQLi burst", a.body["name"])
	require.Equal(t, false, a.body["enabled"])

	a = r.call("GET", "/v1/triggers?status=disabled&q=COPY", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Len(t, a.body["items"], 1)
	require.EqualValues(t, 4, a.body["counts"].(map[string]any)["all"], "two of a new account, this one and its copy")

	require.Equal(t, 204, r.call("DELETE", self, "", "If-Match", `"4"`).status)
	require.Equal(t, 404, r.call("GET", self, "").status)
	entries, err := r.db.Bus.Receive(t.Context(), 100)
	require.NoError(t, err)
	var kinds []string
	for _, e := range entries {
		kinds = append(kinds, e.DetailType)
	}
	require.Equal(t, []string{"create_integration", "trigger_create", "trigger_update", "trigger_update",
		"trigger_update", "trigger_create", "trigger_delete"}, kinds)
}

func TestTriggersAreForAdministrators(t *testing.T) {
	r := start(t)
	self := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, r.slack("Ops"))).header.Get("Location")
	for _, role := range []access.Role{access.Analyst, access.ReadOnly, access.Deploy, access.APIDeveloper} {
		r.token = r.issue("42", role)
		a := r.call("GET", self, "")
		require.Equal(t, 403, a.status)
		require.Contains(t, a.body["detail"], "triggers are for administrators only")
		require.Equal(t, 403, r.call("GET", "/v1/trigger-templates", "").status)
	}
	r.token = r.issue("43", access.Administrator)
	require.Equal(t, 404, r.call("GET", self, "").status)
	require.Equal(t, 404, r.call("DELETE", self, "").status)
}

// wrongTrigger is a draft, the field that is wrong in it, and the beginning of the reason.
type wrongTrigger struct{ name, body, field, reason string }

// wrongTriggers are made of a threshold and a notification that are right, and the id of an Email report integration.
func wrongTriggers(threshold, notify, email string) []wrongTrigger {
	return []wrongTrigger{
		{"a condition that is none", `{"template_id":"no"}`, "template_id", "is not a condition"},
		{"no threshold", `{"template_id":"hits_exceeded",` + notify + `}`, "threshold", "is required"},
		{"a threshold too many", `{"template_id":"user_created",` + threshold + `,` + notify + `}`, "threshold",
			"must be absent"},
		{"a period of two days", `{"template_id":"hits_exceeded","threshold":{"period":172800,"count":1},` + notify +
			`}`, "threshold.period", "from 1 to 86400"},
		{"a period that is no multiple",
			`{"template_id":"bruteforce_started","threshold":{"period":45,"count":1},"actions":[{"id":"mark_as_brute"}]}`, "threshold.period", "multiple of 30"},
		{"a count below zero", `{"template_id":"hits_exceeded","threshold":{"period":60,"count":-1},` + notify + `}`,
			"threshold.count", "from 0"},
		{"a filter of another condition", `{"template_id":"hits_exceeded",` + threshold +
			`,"filters":[{"id":"url","operator":"eq","values":["a"]}],` + notify + `}`, "filters.0.id",
			"is not a filter of"},
		{"a target among hits", `{"template_id":"hits_exceeded",` + threshold +
			`,"filters":[{"id":"target","operator":"eq","values":["server"]}],` + notify + `}`, "filters.0.id",
			"is not a filter of"},
		{"an attack code that is none", `{"template_id":"hits_exceeded",` + threshold +
			`,"filters":[{"id":"attack_type","operator":"eq","values":["sqli","sql"]}],` + notify + `}`,
			"filters.0.values.1", "must be one of sqli"},
		{"a subnet", `{"template_id":"hits_exceeded",` + threshold +
			`,"filters":[{"id":"ip_address","operator":"eq","values":["10.0.0.0/8"]}],` + notify + `}`,
			"filters.0.values.0", "single IPv4"},
		{"a status class that is none", `{"template_id":"hits_exceeded",` + threshold +
			`,"filters":[{"id":"response_status","operator":"eq","values":["6xx"]}],` + notify + `}`,
			"filters.0.values.0", "class such as 5xx"},
		{"no value", `{"template_id":"hits_exceeded",` + threshold +
			`,"filters":[{"id":"attack_type","operator":"eq","values":[]}],` + notify + `}`, "filters.0.values",
			"is required"},
		{"a regular expression that is none",
			`{"template_id":"bruteforce_started","threshold":{"period":30,"count":1},"filters":[{"id":"url","operator":"eq","values":["~("]}],"actions":[{"id":"mark_as_brute"}]}`, "filters.0.values.0", "is not a regular expression"},
		{"no reaction", `{"template_id":"hits_exceeded",` + threshold + `}`, "actions", "at least one"},
		{"a reaction of another condition", `{"template_id":"hits_exceeded",` + threshold +
			`,"actions":[{"id":"block_ips"}]}`, "actions.0.id", "is not a reaction of"},
		{"a reaction twice", `{"template_id":"vector_attack",` + threshold +
			`,"actions":[{"id":"block_ips"},{"id":"block_ips"}]}`, "actions.1.id", "twice"},
		{"a lock of a minute", `{"template_id":"vector_attack",` + threshold +
			`,"actions":[{"id":"block_ips","params":{"lock_time":60}}]}`, "actions.0.params.lock_time", "at least 300"},
		{"nobody to notify", `{"template_id":"hits_exceeded",` + threshold + `,"actions":[{"id":"send_notification"}]}`,
			"actions.0.params.integration_ids", "choose at least one"},
		{"an integration that is none", `{"template_id":"hits_exceeded",` + threshold +
			`,"actions":[{"id":"send_notification","params":{"integration_ids":["x"]}}]}`,
			"actions.0.params.integration_ids.0", "there is no integration"},
		{"mail about the denylist",
			`{"template_id":"blacklist_ip_added","actions":[{"id":"send_notification","params":{"integration_ids":["` +
				email + `"]}}]}`, "actions.0.params.integration_ids.0",
			"Email report can not receive"},
		{"a long name", `{"name":"` + strings.Repeat("x", 201) + `","template_id":"user_created",` + notify + `}`,
			"name", "at most 200"},
	}
}

func TestWhatIsWrongWithATriggerIsToldFieldByField(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	email := r.create(`{"system":"email","name":"Mail","parameters":{"addresses":["a@example.com"]}}`)
	require.Equal(t, 201, email.status, email.raw)
	notify := `"actions":[{"id":"send_notification","params":{"integration_ids":["` + id + `"]}}]`
	threshold := `"threshold":{"period":60,"count":1}`
	for _, c := range wrongTriggers(threshold, notify, email.body["id"].(string)) {
		a := r.call("POST", "/v1/triggers", c.body)
		require.Equal(t, 422, a.status, "%s: %s", c.name, a.raw)
		problems := member(t, a, "errors")
		require.Contains(t, problems, `"field":"`+c.field+`"`, c.name)
		require.Contains(t, problems, c.reason, c.name)
		require.Equal(t, 422, r.call("POST", "/v1/triggers/preview", c.body).status, c.name)
	}
	for value, reason := range map[string]string{`{"a":1}`: "must be a string or a whole number",
		`true`: "must be a string", `"+7"`: "must be a whole number", `1.5`: "must be a whole number"} {
		a := r.call("POST", "/v1/triggers",
			`{"template_id":"hits_exceeded","filters":[{"id":"pool","operator":"eq","values":["1",`+value+`]}],`+
				threshold+`,`+notify+`}`)
		require.Equal(t, 422, a.status, value)
		require.Contains(t, member(t, a, "errors"), `"field":"filters.0.values.1"`, value)
		require.Contains(t, member(t, a, "errors"), reason, value)
	}
}

func TestATriggerShowsWhoGetsNothing(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	self := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, id)).header.Get("Location")
	require.NotContains(t, r.call("GET", self, "").body, "warnings")
	require.Equal(t, 200, r.call("PATCH", "/v1/integrations/"+id, `{"enabled":false}`).status)
	require.Contains(t, member(t, r.call("GET", self, ""), "warnings"), "is disabled")
	require.Equal(t, 204, r.call("DELETE", "/v1/integrations/"+id+"?force=true", "").status)
	a := r.call("GET", self, "")
	require.Contains(t, member(t, a, "warnings"),
		`"field":"actions.0.params.integration_ids.0","reason":"this integration was deleted`)
	require.Equal(t, 200, r.call("PATCH", self, `{"name":"still","actions":`+member(t, a, "actions")+`}`).status,
		"it can be changed all the same")
	p := r.call("POST", self+"/preview", "")
	require.Contains(t, member(t, p, "messages"), "this integration was deleted")
}

func TestAPreviewShowsWhatWouldBeSent(t *testing.T) {
	r := start(t)
	self := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, r.slack("Ops"))).header.Get("Location")
	a := r.call("POST", self+"/preview", "")
	require.Equal(t, 200, a.status, a.raw)
	m := member(t, a, "messages")
	for _, part := range []string{"Trigger: The number of detected hits exceeded the threshold",
		"exceeded 1 in 1 minute", "SQLi burst", "Attack type: SQLi.", "https://hooks.slack.com/"} {
		require.Contains(t, m, part)
	}
	a = r.call("POST", self+"/preview", "", "Accept-Language", "ja")
	require.Contains(t, member(t, a, "messages"), `"summary":"[Tocsin] トリガー：検出したヒットの数がしきい値を超えました"`)
	require.NotContains(t, member(t, a, "messages"), "sent late", "it happens now")
	a = r.call("POST", "/v1/triggers/preview",
		`{"template_id":"vector_attack","threshold":{"period":3600,"count":3},"actions":[{"id":"block_ips","params":{"lock_time":0}}]}`)
	require.Equal(t, 200, a.status, a.raw)
	commands := member(t, a, "commands")
	require.Contains(t, commands, `"detail_type":"ip_denylist_requested"`)
	require.Contains(t, commands, `"lock_time":315360000`)
	entries, err := r.db.Bus.Receive(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the two creations: a preview publishes nothing")
	for _, template := range trigger.Templates() { // every condition has a preview
		action := `{"id":"` + string(template.Actions[0]) + `"}`
		if template.Actions[0] == trigger.Notify {
			action = `{"id":"send_notification","params":{"integration_ids":["` + r.slack("Ops") + `"]}}`
		}
		threshold := ""
		if template.Threshold != nil {
			threshold = `"threshold":{"period":3600,"count":1},`
		}
		a := r.call("POST", "/v1/triggers/preview", `{"template_id":"`+string(template.ID)+`",`+threshold+`"actions":[`+
			action+`]}`)
		require.Equal(t, 200, a.status, "%s: %s", template.ID, a.raw)
		if template.Actions[0] == trigger.Notify {
			require.Contains(t, member(t, a, "messages"), `"body":`, template.ID)
		} else {
			require.NotEmpty(t, a.body["commands"], template.ID)
		}
	}
}

func TestTheTemplatesSayWhoCanBeNotified(t *testing.T) {
	r := start(t)
	a := r.call("GET", "/v1/trigger-templates", "")
	require.Equal(t, 200, a.status, a.raw)
	systems := map[string][]any{}
	for _, item := range a.body["items"].([]any) {
		template := item.(map[string]any)
		for _, action := range template["actions"].([]any) {
			if list, ok := action.(map[string]any)["systems"].([]any); ok {
				systems[template["id"].(string)] = list
			}
		}
	}
	require.Contains(t, systems["hits_exceeded"], "email")
	require.Contains(t, systems["rogue_api_detected"], "ms_teams")
	require.NotContains(t, systems["rogue_api_detected"], "email")
	require.NotContains(t, systems["blacklist_ip_added"], "ms_teams")
	require.Contains(t, systems["blacklist_ip_added"], "slack")
	for _, none := range []string{"jira", "servicenow", "s3", "minio", "sentinel"} {
		require.NotContains(t, systems["hits_exceeded"], none, "facts, 4.6: it has no trigger section")
	}
	require.Contains(t, event.Kinds(), event.IPDenylistRequested)
}

func TestATenantHasAHundredTriggers(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	var last answer
	for range trigger.MaxTriggers {
		last = r.call("POST", "/v1/triggers",
			`{"template_id":"user_created","actions":[{"id":"send_notification","params":{"integration_ids":["`+id+
				`"]}}]}`)
		if last.status != 201 {
			break
		}
	}
	require.Equal(t, 422, last.status)
	require.Contains(t, last.raw, "which is the most")
}
