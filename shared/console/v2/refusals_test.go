package v2_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

const aSlack = `{"name":"n","active":true,"type":"slack","target":"https://hooks.slack.com/services/T/B/s3cr3t",` +
	`"events":[{"event":"system","active":true}]`

// object is the object in an answer about an integration.
func object(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	require.Equal(t, 200, w.Code, w.Body.String())
	var got struct {
		Body struct{ Object map[string]any }
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	return got.Body.Object
}

// refused is the words of an error, which has the platform's shape.
func refused(t *testing.T, status int, w *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, status, w.Code, w.Body.String())
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.NotContains(t, w.Body.String(), "s3cr3t")
	var got map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Len(t, got, 2)
	require.EqualValues(t, status, got["status"])
	return got["body"].(string)
}

func TestNobodyReachesAnotherTenantByItsNumbers(t *testing.T) {
	r := inMemory(t)
	theirs := object(t, r.as(t, "43", access.Administrator, "POST", "/v2/integration", aSlack+"}"))
	id := theirs["id"]
	aTrigger := func(integration any) string {
		return fmt.Sprintf(`{"trigger":{"template_id":"user_created","enabled":true,"actions":[`+
			`{"id":"send_notification","params":{"integration_ids":[%v]}}]}}`, integration)
	}
	w := r.as(t, "43", access.Administrator, "POST", "/v2/clients/43/triggers", aTrigger(id))
	require.Equal(t, 200, w.Code, w.Body.String())
	var made struct{ Trigger struct{ ID int } }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &made))

	for _, role := range []access.Role{access.Administrator, access.GlobalAdministrator} {
		as := func(method, path, body string) *httptest.ResponseRecorder {
			return r.as(t, "42", role, method, path, body)
		}
		refused(t, 403, as("GET", "/v2/integration?clientid=43", ""))
		refused(t, 403, as("POST", "/v2/integration", aSlack+`,"clientid":43}`))
		refused(t, 403, as("POST", "/v2/integration/telegram", `{"name":"n","clientid":43}`))
		refused(t, 404, as("PUT", fmt.Sprint("/v2/integration/", id), `{"name":"mine now"}`))
		refused(t, 404, as("DELETE", fmt.Sprint("/v2/integration/", id), ""))
		trigger := fmt.Sprint("/triggers/", made.Trigger.ID)
		for _, client := range []string{"42", "43", "044", "x", "0"} {
			status := map[string]int{"42": 404}[client]
			if status == 0 {
				status = 403
			}
			refused(t, status, as("GET", "/v2/clients/"+client+trigger, ""))
			refused(t, status, as("PUT", "/v2/clients/"+client+trigger, aTrigger(1)))
			refused(t, status, as("DELETE", "/v2/clients/"+client+trigger, ""))
		}
		refused(t, 403, as("GET", "/v2/clients/43/triggers", ""))
		refused(t, 403, as("POST", "/v2/clients/43/triggers", aTrigger(id)))
		require.Equal(t, "actions.0.params.integration_ids.0: there is no such integration",
			refused(t, 422, as("POST", "/v2/clients/42/triggers", aTrigger(id))))
		require.NotContains(t, as("GET", "/v2/integration", "").Body.String(), `"name":"n"`)
	}
	require.Equal(t, "n", object(t, r.as(t, "43", access.Administrator, "PUT", fmt.Sprint("/v2/integration/", id),
		`{}`))["name"])
}

func TestAGlobalRoleManagesALinkedTenantByClientID(t *testing.T) {
	r := inMemory(t)
	_, err := r.config.Tenants.Link(t.Context(), activity.Actor{Email: "op@example.com"}, "42", "44", "Linked")
	require.NoError(t, err)
	global := func(method, path, body string) *httptest.ResponseRecorder {
		return r.as(t, "42", access.GlobalAdministrator, method, path, body)
	}
	made := object(t, global("POST", "/v2/integration", aSlack+`,"clientid":44}`))
	require.EqualValues(t, 44, made["clientid"])
	path := fmt.Sprint("/v2/integration/", made["id"])
	require.Equal(t, "renamed", object(t, global("PUT", path, `{"name":"renamed"}`))["name"], "which names no client")
	for query, there := range map[string]bool{"?clientid=44": true, "?tenant=44": true, "?clientid=42": false,
		"": false} {
		require.Equal(t, there, strings.Contains(global("GET", "/v2/integration"+query, "").Body.String(), "renamed"),
			query)
	}
	require.Equal(t, 200, global("POST", "/v2/clients/44/triggers", fmt.Sprintf(`{"trigger":{"enabled":true,`+
		`"template_id":"user_created","actions":[{"id":"send_notification","params":{"integration_ids":[%v]}}]}}`,
		made["id"])).Code)
	refused(t, 404, r.as(t, "42", access.Administrator, "DELETE", path, ""))
	require.Equal(t, 200, r.as(t, "44", access.Administrator, "GET", "/v2/clients/44/triggers", "").Code)
	require.NoError(t, r.config.Tenants.Unlink(t.Context(), activity.Actor{Email: "op@example.com"}, "42", "44"))
	refused(t, 404, global("DELETE", path, ""))
	refused(t, 403, global("GET", "/v2/clients/44/triggers", ""))
	require.Equal(t, 200, r.as(t, "44", access.Administrator, "DELETE", path, "").Code)
}

func TestADeletionByThePlatformsAPIAsksWhoseFallbackAnIntegrationIs(t *testing.T) {
	r := inMemory(t)
	path := fmt.Sprint("/v2/integration/", object(t, r.as(t, "42", access.Administrator, "POST", "/v2/integration",
		aSlack+"}"))["id"])
	create := func(name, fallback string) string {
		t.Helper()
		w := r.as(t, "42", access.Administrator, "POST", "/v1/integrations", `{"system":"slack","name":"`+name+
			`","fallback":"`+fallback+`","parameters":{"webhook_url":"https://hooks.slack.com/services/T0/B0/s3cr3t"}}`)
		require.Equal(t, 201, w.Code, w.Body.String())
		var made struct{ ID string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &made))
		return made.ID
	}
	all, err := r.config.Integrations.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	first := create("First", all[0].ID)
	create("Second", first)
	require.Equal(t, "integrations that have this one as their fallback: 1, such as First: give them another one "+
		"first, or repeat with force=true, which leaves them without",
		refused(t, 409, r.as(t, "42", access.Administrator, "DELETE", path, "")))
	require.Equal(t, 200, r.as(t, "42", access.Administrator, "DELETE", path+"?force=true", "").Code)
	require.Equal(t, 404, r.as(t, "42", access.Administrator, "DELETE", path, "").Code)
	all, err = r.config.Integrations.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	for _, i := range all {
		err := r.config.Integrations.Delete(t.Context(), activity.Actor{Tenant: "42"}, i.ID, 0)
		if i.ID == first {
			var fallback *integration.FallbackError
			require.ErrorAs(t, err, &fallback, "whatever calls it")
			continue
		}
		require.NoError(t, err)
	}
	require.NoError(t, r.config.Integrations.Delete(t.Context(), activity.Actor{Tenant: "42"}, first, 0))
}

// calls are all operations of this API.
var calls = [][3]string{
	{"GET", "/v2/integration", ""}, {"POST", "/v2/integration", aSlack + "}"},
	{"POST", "/v2/integration/telegram", `{"name":"n"}`}, {"PUT", "/v2/integration/1", `{"name":"n"}`},
	{"DELETE", "/v2/integration/1", ""}, {"GET", "/v2/clients/42/triggers", ""},
	{"GET", "/v2/clients/42/triggers/1", ""},
	{"POST", "/v2/clients/42/triggers", `{}`}, {"PUT", "/v2/clients/42/triggers/1", `{}`},
	{"DELETE", "/v2/clients/42/triggers/1", ""},
}

func TestOnlyRolesWithTheRightAreLetIn(t *testing.T) {
	r := inMemory(t)
	for role, in := range map[access.Role]bool{
		access.Administrator: true, access.GlobalAdministrator: true, access.Operator: true, access.Analyst: false,
		access.GlobalAnalyst: false, access.ReadOnly: false, access.GlobalReadOnly: false, access.APIDeveloper: false,
		access.Deploy: false, "nonsense": false, "": false,
	} {
		for _, c := range calls {
			w := r.as(t, "42", role, c[0], c[1], c[2])
			if in {
				require.NotEqual(t, 403, w.Code, "%s %s %s: %s", role, c[0], c[1], w.Body)
			} else {
				refused(t, 403, w)
			}
		}
		require.Equal(t, 200, r.as(t, "42", role, "POST", "/v1/user", "").Code, role)
	}
	viewer := access.Custom("integrations.view", "triggers.view")
	require.Equal(t, 200, r.as(t, "42", viewer, "GET", "/v2/integration", "").Code)
	require.Equal(t, 200, r.as(t, "42", viewer, "GET", "/v2/clients/42/triggers", "").Code)
	refused(t, 403, r.as(t, "42", viewer, "POST", "/v2/integration", aSlack+"}"))
	for _, c := range append(calls, [3]string{"POST", "/v1/user", ""}) {
		q := httptest.NewRequest(c[0], c[1], strings.NewReader(c[2]))
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, q)
		refused(t, 401, w)
	}
}

func TestErrorsSayWhichMemberIsWrong(t *testing.T) {
	r := inMemory(t)
	for _, c := range []struct{ body, words string }{
		{`{"name":"n","type":"slack","target":"s3cr3t"}`,
			"target: must be a full address such as https://example.com/path"},
		{`{"name":"n","type":"slack","target":17}`, "target: must be of type string"},
		{`{"name":"n","type":"slack"}`, "target: is required"},
		{`{"name":"n","type":"email","target":"a@example.com"}`, "target: must be of type array"},
		{`{"name":"n","type":"email","target":["s3cr3t"]}`, "target.0: "},
		{`{"name":"n","type":"splunk","target":{"token":"s3cr3t","api":"https://hec.example.com"}}`,
			"target.token: must be a UUID"},
		{`{"name":"n","type":"splunk","target":"s3cr3t"}`, "target: must be an object"},
		{`{"name":"n","type":"web_hooks","target":{"url":"https://127.0.0.1/"}}`, "target.url: "},
		{`{"name":"n","type":"web_hooks","target":{"url":"https://example.com","subtype":"syslog"}}`,
			"target.subtype: must be one of web_hooks, fluentd, logstash"},
		{`{"name":" ","type":"slack","target":"https://hooks.slack.com/services/T/B/s3cr3t"}`, "name: is required"},
		{`{"name":"n","target":{}}`, "type: is required"},
		{`{"name":"n","type":"pager","target":{}}`, "type: is not a system of the catalogue"},
		{`{"name":"n","type":"slack","target":"********"}`, "target: is a mask, and no secret is kept"},
		{aSlack + `,"events":[{"event":"siem","active":true}]}`, "events.0.event: Slack is sent no such event here"},
		{aSlack + `,"events":[{"event":"aasm_report"}]}`, "events.0.event: Slack is sent no such event here"},
		{aSlack + `,"events":[{"event":"system","active":true,"with_headers":true}]}`,
			"events.0.with_headers: is for siem only"},
	} {
		require.Contains(t, refused(t, 422, r.as(t, "42", access.Administrator, "POST", "/v2/integration", c.body)),
			c.words, c.body)
	}
	for _, body := range []string{``, `[]`, `"s3cr3t"`, `{"name":`, `{"name":17}`, `{"active":"yes"}`,
		`{"clientid":"x"}`} {
		refused(t, 400, r.as(t, "42", access.Administrator, "POST", "/v2/integration", body))
		refused(t, 400, r.as(t, "42", access.Administrator, "PUT", "/v2/integration/1", body))
	}
	refused(t, 422, r.as(t, "42", access.Administrator, "PUT", "/v2/integration/one", `{}`))
	refused(t, 404, r.as(t, "42", access.Administrator, "PUT", "/v2/integration/99999999999", `{}`))
	refused(t, 404, r.as(t, "42", access.Administrator, "GET", "/v2/nothing", ""))
	refused(t, 405, r.as(t, "42", access.Administrator, "PATCH", "/v2/integration", `{}`))
	refused(t, 413, r.as(t, "42", access.Administrator, "POST", "/v2/integration",
		`{"name":"`+strings.Repeat("x", 300<<10)+`"}`))
	require.Contains(t, refused(t, 422, r.as(t, "acme", access.Administrator, "POST", "/v1/user", "")), "whole numbers")
	for body, words := range map[string]string{
		`{"trigger":{"template_id":"nothing"}}`:                                     "template_id: is not a condition",
		`{"trigger":{"template_id":"user_created","threshold":{"count":1}}}`:        "threshold: must be absent",
		`{"trigger":{"template_id":"hits_exceeded","threshold":{"operator":"lt"}}}`: "threshold.operator: must be gt",
		`{"trigger":{"template_id":"bruteforce_started","filters":[{"id":"hint_tag","operator":"eq",` +
			`"values":["b:1"]}],"actions":[{"id":"mark_as_brute"}]}}`: "filters.0.id: is not a filter of Brute force",
	} {
		w := r.as(t, "42", access.Administrator, "POST", "/v2/clients/42/triggers", body)
		require.Contains(t, refused(t, 422, w), words)
	}
}

func TestATypeIsNotChangedAndUnknownMembersArePassedOver(t *testing.T) {
	r := inMemory(t)
	admin := func(method, path, body string) *httptest.ResponseRecorder {
		return r.as(t, "42", access.Administrator, method, path, body)
	}
	slack := object(t, admin("POST", "/v2/integration", aSlack+`,"clientid":42,"colour":"red","settings":{"a":[1]}}`))
	path := fmt.Sprint("/v2/integration/", slack["id"])
	require.Contains(t, refused(t, 422, admin("PUT", path, `{"type":"ms_teams"}`)), "type: is slack")
	require.Equal(t, "n", object(t, admin("PUT", path,
		`{"type":"slack","name":null,"events":null,"target":null}`))["name"])
	require.Len(t, slack["events"], 11, "each event of the system is listed")

	fluentd := object(t, admin("POST", "/v2/integration",
		`{"name":"f","type":"web_hooks","target":{"url":"https://example.com/","subtype":"fluentd","colour":"red"}}`))
	path = fmt.Sprint("/v2/integration/", fluentd["id"])
	require.Contains(t, refused(t, 422, admin("PUT", path, `{"target":{"subtype":"logstash"}}`)),
		"target.subtype: is fluentd")
	require.Equal(t, "fluentd", object(t, admin("PUT", path,
		`{"target":{"url":"https://example.com/2","subtype":"web_hooks"}}`))["target"].(map[string]any)["subtype"])
}

func TestWhatTheOldAPIHasNoWordForStays(t *testing.T) {
	r := inMemory(t)
	admin := func(method, path, body string) *httptest.ResponseRecorder {
		return r.as(t, "42", access.Administrator, method, path, body)
	}
	w := admin("POST", "/v1/integrations", `{"system":"pager_duty","name":"p","parameters":{"region":"EU",`+
		`"integration_key":"eb7ddfc33acaaacaacaca55a39834dad"}}`)
	require.Equal(t, 201, w.Code, w.Body.String())
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &made))
	var list struct {
		Body struct{ Object []map[string]any }
	}
	require.NoError(t, json.Unmarshal(admin("GET", "/v2/integration", "").Body.Bytes(), &list))
	require.Len(t, list.Body.Object, 1)
	object(t, admin("PUT", fmt.Sprint("/v2/integration/", list.Body.Object[0]["id"]),
		`{"target":"00112233445566778899aabbccddeeff"}`))
	require.Contains(t, admin("GET", "/v1/integrations/"+made.ID, "").Body.String(), `"region":"EU"`)

	jira := object(t, admin("POST", "/v2/integration", `{"name":"j","type":"jira","active":true,"target":{`+
		`"url":"https://acme.atlassian.net/","email":"a@example.com","token":"s3cr3t-s3cr3t","project":"SEC",`+
		`"issue_type":"Bug"},"events":[{"event":"security_issue_high","active":true}]}`))
	require.Equal(t, "jira", jira["type"])
	require.Equal(t, "********", jira["target"].(map[string]any)["token"])
	require.Equal(t, "OPS", object(t, admin("PUT", fmt.Sprint("/v2/integration/", jira["id"]),
		`{"target":{"project":"OPS"}}`))["target"].(map[string]any)["project"])
}

func TestWhatIsOlderThanNumbersGetsOneThatStays(t *testing.T) {
	db := memory.New(nil)
	r := open(t, db.Integrations(), db.Triggers())
	old := enginetest.Sample("42", "01GTD8R4000000000000000001") // as an earlier release stored it
	require.NoError(t, db.Integrations().Create(t.Context(), old, enginetest.Record("42", event.CreateIntegration)))
	read := func(path string) string {
		w := r.as(t, "42", access.Administrator, "GET", path, "")
		require.Equal(t, 200, w.Code, w.Body.String())
		return w.Body.String()
	}
	require.Equal(t, read("/v2/integration"), read("/v2/integration"))
	stored, err := db.Integrations().Get(t.Context(), "42", old.ID)
	require.NoError(t, err)
	require.Positive(t, stored.Number)
	require.Equal(t, old.Revision, stored.Revision)

	first := read("/v2/clients/42/triggers?denormalize=true")
	require.Contains(t, first, `"template_id":"attack_ip_grouping"`, "those of a new account have ids")
	require.NotContains(t, first, `"id":0`)
	require.Equal(t, first, read("/v2/clients/42/triggers?denormalize=true"))
}
