package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func wire(member, value string) string {
	m := map[string]json.RawMessage{
		"version": json.RawMessage("1"), "id": json.RawMessage(`"e1"`), "tenant": json.RawMessage(`"42"`),
		"client_name": json.RawMessage(`"Acme"`), "time": json.RawMessage(`"2023-03-01T01:00:00+01:00"`),
		"data": json.RawMessage(`{"user":{"name":"Ada"}}`),
	}
	if m[member] = json.RawMessage(value); value == "" {
		delete(m, member)
	}
	out, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func TestParse(t *testing.T) {
	e, err := event.Parse("create_user", []byte(wire("extra", "")))
	require.NoError(t, err)
	require.Equal(t, event.Event{
		ID: "e1", Tenant: "42", ClientName: "Acme", Kind: event.CreateUser,
		Time: time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC), Data: json.RawMessage(`{"user":{"name":"Ada"}}`),
	}, e)
	raw, err := e.Encode()
	require.NoError(t, err)
	again, err := event.Parse("create_user", raw)
	require.NoError(t, err)
	require.Equal(t, e, again, "what is encoded parses to the same")
}

func TestEveryErrorNamesItsField(t *testing.T) {
	for name, c := range map[string]struct {
		kind, raw, field, says string
	}{
		"not JSON":   {"create_user", `{"version":1`, "", "is not valid JSON"},
		"two values": {"create_user", wire("x", "") + "{}", "", "is not valid JSON"},
		"a list":     {"create_user", `[]`, "", "must be an object"},
		"an unknown member": {"create_user", wire("colour", `"red"`), "colour",
			"is not a member of an event"},
		"an unknown version": {"create_user", wire("version", "2"), "version",
			"this release reads version 1"},
		"no version": {"create_user", wire("version", ""), "version", "is 0"},
		"no id":      {"create_user", wire("id", ""), "id", "is missing"},
		"an id too long": {"create_user", wire("id", `"`+strings.Repeat("x", 129)+`"`), "id",
			"at most 128"},
		"an id with a line break": {"create_user", wire("id", `"a\nb"`), "id", "printable"},
		"an id that is a number":  {"create_user", wire("id", "7"), "id", "must be a string, is number"},
		"no tenant":               {"create_user", wire("tenant", ""), "tenant", "is missing"},
		"a tenant too long": {"create_user", wire("tenant", `"`+strings.Repeat("x", 65)+`"`), "tenant",
			"at most 64"},
		"a client name too long": {"create_user", wire("client_name", `"`+strings.Repeat("x", 257)+`"`),
			"client_name", "at most 256"},
		"no time":             {"create_user", wire("time", ""), "time", "is missing"},
		"a time that is none": {"create_user", wire("time", `"noon"`), "time", "must be a time such as"},
		"no data":             {"create_user", wire("data", ""), "data", "must be an object"},
		"data that is null":   {"create_user", wire("data", "null"), "data", "must be an object"},
		"an unknown kind":     {"no_such_kind", wire("x", ""), "detail-type", "not a known kind"},
		"a user without a name": {"create_user", wire("data", `{"user":{}}`), "data.user",
			"must have a name or an email"},
		"a user that is a string": {"create_user", wire("data", `{"user":"Ada"}`), "data.user",
			"must be an object"},
		"a hit without a type": {"new_hits", wire("data", `{"hit":{}}`), "data.hit.type", "is missing"},
		"a hit's status as text": {"new_hits", wire("data", `{"hit":{"type":"sqli","response_status":"404"}}`),
			"data.hit.response_status", "must be a number"},
		"a threat of its own making": {"vuln", wire("data", `{"vuln":{"threat":"Dire"}}`), "data.vuln.threat",
			"must be High, Medium or Low"},
		"a risk of its own making": {"security_issue", wire("data", `{"security_issue":{"risk":"high"}}`),
			"data.security_issue.risk", "must be Critical"},
		"an empty scope": {"new_scope_object_ips", wire("data", `{"data":[]}`), "data.data",
			"at least one object"},
		"an integration without an id": {"delete_integration", wire("data", `{}`), "data.integration.id", "is missing"},
		"an application without name": {"create_application", wire("data", `{}`), "data.application.name",
			"is missing"},
		"a rule without an id":     {"rule_create", wire("data", `{}`), "data.rule.id", "is missing"},
		"a trigger without a name": {"trigger_create", wire("data", `{}`), "data.trigger.name", "is missing"},
		"a negative count": {"number_of_requests_per_hour", wire("data", `{"requests":-1}`),
			"data.requests", "0 or more"},
		"an address that is none": {"ip_blocked", wire("data", `{"ip":"here"}`), "data.ip",
			"must be an IP address"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := event.Parse(c.kind, []byte(c.raw))
			var invalid *event.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, c.field, invalid.Field, err.Error())
			require.Contains(t, invalid.Reason, c.says)
		})
	}
}

func TestABadEventStillTellsItsTenant(t *testing.T) {
	e, err := event.Parse("no_such_kind", []byte(wire("x", "")))
	require.Error(t, err)
	require.Equal(t, "42", e.Tenant)
}

func TestTypes(t *testing.T) {
	for data, want := range map[string]event.Type{
		`{"vuln":{"threat":"High"}}`: event.VulnHigh, `{"vuln":{"threat":"Medium"}}`: event.VulnMedium,
		`{"vuln":{"threat":"Low"}}`: event.VulnLow,
	} {
		require.Equal(t, want, event.Event{Kind: event.Vuln, Data: json.RawMessage(data)}.Type())
	}
	require.Equal(t, event.Hits, event.Event{Kind: event.NewHits,
		Data: json.RawMessage(`{"hit":{"type":"xss"}}`)}.Type())
	require.Empty(t, event.Event{Kind: event.NewHits,
		Data: json.RawMessage(`{"experimental":true,"hit":{"type":"xss"}}`)}.Type())
	require.Empty(t, event.Event{Kind: event.IPBlocked}.Type(), "it reaches integrations through triggers only")
	require.Empty(t, event.Event{Kind: "no_such_kind"}.Type())
	for _, k := range event.Kinds() {
		require.True(t, k.Known())
		if typ := (event.Event{Kind: k, Data: json.RawMessage(`{}`)}).Type(); typ != "" {
			require.True(t, typ.Valid(), k)
		}
	}
	for _, types := range [][]event.Type{event.Basic(), event.Advanced(), event.Mailed()} {
		for _, typ := range types {
			require.NotEmpty(t, typ.Title())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("create_user", wire("x", ""))
	f.Add("new_hits", wire("data", `{"hit":{"type":"sqli","payloads":["a"]}}`))
	f.Add("vuln", `{"version":1,"a\"b":{}}`)
	f.Add("vuln", `"\`)
	f.Fuzz(func(t *testing.T, kind, raw string) {
		e, err := event.Parse(kind, []byte(raw))
		if err != nil {
			var invalid *event.InvalidError
			require.True(t, errors.As(err, &invalid), "every error is an *InvalidError")
			return
		}
		again, err := e.Encode()
		require.NoError(t, err)
		back, err := event.Parse(kind, again)
		require.NoError(t, err)
		require.Equal(t, e.ID, back.ID)
		require.JSONEq(t, string(e.Data), string(back.Data))
	})
}
