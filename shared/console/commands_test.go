package console_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

func (r *rig) asked(tenant string, ids ...string) {
	r.t.Helper()
	var in fanout.Intake
	for n, id := range ids {
		in.Commands = append(in.Commands, command.Command{
			ID: id, Tenant: tenant, Kind: event.IPDenylistRequested, At: time.Unix(int64(1677628800+n), 0).UTC(),
			Data: event.CommandData{TriggerID: "t1", TriggerName: "Payloads", IP: "203.0.113.7", LockTime: 3600},
		})
	}
	require.NoError(r.t, r.db.Deliveries.Accept(r.t.Context(), in))
}

func TestP2CommandsAreListedAndAcknowledged(t *testing.T) {
	r := start(t)
	r.asked("42", "trigger:t1:a:block_ips", "trigger:t1:b:block_ips", "trigger:t1:c:block_ips")
	r.asked("43", "foreign")
	a := r.call("GET", "/v1/commands?limit=2", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Len(t, a.body["items"], 2)
	first := a.body["items"].([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{
		"id": "trigger:t1:c:block_ips", "kind": "ip_denylist_requested", "at": "2023-03-01T00:00:02Z",
		"state": "pending", "trigger_id": "t1",
		"trigger_name": "Payloads", "ip": "203.0.113.7", "lock_time": 3600.0,
	}, first)
	next := r.call("GET", "/v1/commands?limit=2&cursor="+a.body["next_cursor"].(string), "")
	require.Len(t, next.body["items"], 1)
	require.NotContains(t, next.body, "next_cursor")
	require.Equal(t, 400, r.call("GET", "/v1/dead-letters?cursor="+a.body["next_cursor"].(string), "").status,
		"a cursor of another list")

	self := "/v1/commands/" + url.PathEscape("trigger:t1:c:block_ips") + "/ack"
	done := r.call("POST", self, "")
	require.Equal(t, 200, done.status, done.raw)
	require.Equal(t, "acknowledged", done.body["state"])
	require.Equal(t, "ada@example.com", done.body["acknowledged_by"])
	r.email = "grace@example.com"
	r.token = r.issue("42", access.Administrator)
	again := r.call("POST", self, "")
	require.Equal(t, 200, again.status)
	require.Equal(t, done.body, again.body, "idempotent: the first one stays")
	require.Len(t, r.call("GET", "/v1/commands?state=pending", "").body["items"], 2)
	require.Len(t, r.call("GET", "/v1/commands?state=acknowledged&trigger=t1", "").body["items"], 1)
	require.Empty(t, r.call("GET", "/v1/commands?trigger=t2", "").body["items"])
	require.Equal(t, 422, r.call("GET", "/v1/commands?state=odd", "").status)
	require.Equal(t, 404, r.call("POST", "/v1/commands/foreign/ack", "").status, "another tenant's")
	for _, role := range []access.Role{access.Analyst, access.ReadOnly, access.APIDeveloper, access.Deploy, ""} {
		r.token = r.issue("42", role)
		for _, a := range []answer{r.call("GET", "/v1/commands", ""), r.call("POST", self, "")} {
			require.Equal(t, 403, a.status, role)
			require.Contains(t, a.raw, "triggers are for administrators only")
		}
	}
}

func TestP2TheWebhookOffersCommandsAndNoMessengerDoes(t *testing.T) {
	r := start(t)
	offered := map[string]bool{}
	for _, g := range r.call("GET", "/v1/systems", "").body["groups"].([]any) {
		for _, s := range g.(map[string]any)["systems"].([]any) {
			system := s.(map[string]any)
			if events, ok := system["events"].([]any); ok && strings.Contains(fmt.Sprint(events), "commands") {
				offered[system["name"].(string)] = true
			}
		}
	}
	require.Equal(t, map[string]bool{"web_hooks": true, "fluentd": true, "logstash": true}, offered)
	r.create(`{"system":"web_hooks","name":"edge","events":[{"event":"commands"}],"parameters":{"url":"https://93.184.215.14/edge"}}`)
}

func TestP6ARejectedEventIsSentThroughAgainOnce(t *testing.T) {
	r := start(t)
	reject := func(tenant string, n int) {
		require.NoError(t, r.db.Bus.Put(t.Context(),
			[]delivery.Entry{{DetailType: "a_new_kind", Detail: []byte(`{}`), At: time.Now()}}))
		entries, err := r.db.Bus.Receive(t.Context(), 10)
		require.NoError(t, err)
		require.Len(t, entries, n)
		require.NoError(t, r.db.Deliveries.Accept(t.Context(),
			fanout.Intake{Rejected: []fanout.Rejected{
				{Entry: entries[n-1], Tenant: tenant, Reason: "not a known kind"}}}))
	}
	reject("42", 1)
	reject("", 1)
	id := func() string {
		return r.call("GET", "/v1/dead-letters", "").body["items"].([]any)[0].(map[string]any)["id"].(string)
	}
	mine := id()
	a := r.call("POST", "/v1/dead-letters/"+mine+"/replay", "")
	require.Equal(t, 200, a.status, a.raw)
	require.EqualValues(t, 1, a.body["count"])
	require.EqualValues(t, 0, r.call("POST", "/v1/dead-letters/"+mine+"/replay", "").body["count"])
	require.Contains(t, r.call("GET", "/v1/dead-letters", "").raw, `"replayed_at":`)
	left, err := r.db.Bus.Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, left, 1, "it goes the way of a new event")
	require.Equal(t, "a_new_kind", left[0].DetailType)
	r.token = r.issue("42", access.Operator)
	nobodys := id()
	r.token = r.issue("42", access.Administrator)
	require.Equal(t, 404, r.call("POST", "/v1/dead-letters/"+nobodys+"/replay", "").status, "of nobody: an operator's")
	require.Equal(t, 404, r.call("POST", "/v1/dead-letters/odd/replay", "").status)
	r.token = r.issue("42", access.Operator)
	require.Equal(t, 200, r.call("POST", "/v1/dead-letters/"+nobodys+"/replay", "").status)
	r.token = r.issue("42", access.Analyst)
	require.Equal(t, 403, r.call("POST", "/v1/dead-letters/"+mine+"/replay", "").status)
}

func TestACommandFailsIsTakenAndLiftedAndTheFiringTellsOfIt(t *testing.T) {
	r := start(t)
	trig := r.call("POST", "/v1/triggers", `{"name":"Many","template_id":"vector_attack",`+
		`"threshold":{"period":3600,"count":1},"actions":[{"id":"add_to_graylist","params":{"lock_time":3600}}]}`).
		header.Get("Location")
	r.hits(t, "203.0.113.5", 0, 2)
	fired := func() map[string]any {
		t.Helper()
		a := r.call("GET", trig+"/firings", "")
		require.Equal(t, 200, a.status, a.raw)
		return a.body["items"].([]any)[0].(map[string]any)["reactions"].([]any)[0].(map[string]any)
	}
	id := fired()["event_id"].(string)
	require.NotContains(t, fired(), "command", "the event did not come over the bus yet")
	r.asked("42", id)
	require.Equal(t, map[string]any{"state": "pending"}, fired()["command"])
	self := "/v1/commands/" + url.PathEscape(id) + "/ack"
	say := func(status int, body, state string) answer {
		t.Helper()
		a := r.call("POST", self, body)
		require.Equal(t, status, a.status, a.raw)
		require.Equal(t, state, fired()["command"].(map[string]any)["state"])
		if status == 200 {
			require.Equal(t, state, a.body["state"])
			require.Len(t, r.call("GET", "/v1/commands?state="+state, "").body["items"], 1)
		}
		return a
	}
	a := say(409, `{"outcome":"lifted"}`, "pending")
	require.Contains(t, a.raw, "acknowledge it before you say that it was lifted")
	a = say(422, `{"outcome":"failed"}`, "pending")
	require.Equal(t, []any{map[string]any{"field": "reason", "code": "field.needed_failed",
		"reason": "is needed with the outcome failed"}}, a.body["errors"], "as the body and the document name it")
	say(422, `{"outcome":"failed","reason":" \n "}`, "pending")
	say(422, `{"outcome":"pending"}`, "pending")
	say(422, `{"outcome":"failed","reason":"`+strings.Repeat("x", 501)+`"}`, "pending")
	a = say(200, `{"outcome":"failed","reason":"no such\nlist"}`, "failed")
	require.NotContains(t, a.body["failure"], "\n", "on one line")
	failed := a.body
	r.email = "grace@example.com"
	r.token = r.issue("42", access.Administrator)
	require.Equal(t, failed, say(200, `{"outcome":"failed","reason":"another"}`, "failed").body, "the first one stays")
	say(409, `{"outcome":"lifted"}`, "failed")
	a = say(200, `{}`, "acknowledged")
	require.Equal(t, "grace@example.com", a.body["acknowledged_by"])
	require.Equal(t, "ada@example.com", a.body["failed_by"])
	taken, err := time.Parse(time.RFC3339Nano, a.body["acknowledged_at"].(string))
	require.NoError(t, err)
	require.Equal(t, taken.Add(time.Hour).Format(time.RFC3339Nano), a.body["ends_at"])
	require.Contains(t, fired()["command"], "ends_at")
	say(200, ``, "acknowledged")
	a = say(200, `{"outcome":"lifted","reason":"by hand"}`, "lifted")
	require.Equal(t, "by hand", a.body["lift_reason"])
	require.NotContains(t, a.body, "ends_at")
	say(200, ``, "lifted")
	entries := r.call("GET", "/v1/activity?object=Command", "").body["items"].([]any)
	require.Len(t, entries, 3, "one for each change")
	require.Equal(t, []any{
		map[string]any{"field": "state", "before": "acknowledged", "after": "lifted"},
		map[string]any{"field": "reason", "after": "by hand"},
	}, entries[0].(map[string]any)["changes"])
}

func TestTheOverviewTellsOfCommandsThatNobodyTakes(t *testing.T) {
	r := start(t)
	require.Empty(t, r.overviewOf().Commands)
	r.asked("42", "c1", "c2")
	n := command.Notices{Store: r.db.Commands, Wait: command.DefaultWait, Now: r.config.Now, Log: r.config.Log}
	told, err := n.Send(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, told)
	v := r.overviewOf().Commands
	require.Len(t, v, 1)
	require.Equal(t, "c1", v[0].ID)
	require.Equal(t, "Payloads", v[0].TriggerName)
	require.Contains(t, r.call("GET", "/v1/commands", "").raw, "overdue_at")
	r.call("POST", "/v1/commands/c2/ack", "")
	require.Empty(t, r.overviewOf().Commands, "somebody takes them")
}
