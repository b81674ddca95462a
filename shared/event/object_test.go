package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func TestAllEventsOfOneObjectHaveItsKey(t *testing.T) {
	for _, c := range []struct {
		kind event.Kind
		data string
		want event.Object
		ok   bool
	}{
		{event.Vuln, `{"vuln":{"id":"V-1","threat":"High"}}`, event.Object{Key: "vuln:V-1"}, true},
		{event.Vuln, `{"vuln":{"id":"V-1","threat":"High","status":null}}`, event.Object{Key: "vuln:V-1"}, true},
		{event.Vuln, `{"vuln":{"id":"V-1","threat":"Low","status":"reopened"}}`,
			event.Object{Key: "vuln:V-1", Step: event.Reopened}, true},
		{event.Vuln, `{"object_id":555,"vuln":{"id":null,"threat":"Low","status":"closed"}}`,
			event.Object{Key: "vuln:#555", Step: event.Closed}, true},
		{event.Vuln, `{"vuln":{"id":"","threat":"Low","status":"closed"}}`, event.Object{Step: event.Closed}, false},
		{event.SecurityIssue, `{"security_issue":{"id":"V-1","risk":"Info"}}`,
			event.Object{Key: "security_issue:V-1"}, true},
		{event.IntegrationFailing, `{"integration":{"id":"I"}}`, event.Object{Key: "integration_health:I"}, true},
		{event.IntegrationBroken, `{"integration":{"id":"I"}}`,
			event.Object{Key: "integration_health:I", Step: event.Worsened}, true},
		{event.IntegrationWorking, `{"integration":{"id":"I"}}`,
			event.Object{Key: "integration_health:I", Step: event.Closed}, true},
		{event.EnableIntegration, `{"integration":{"id":"I"}}`, event.Object{}, false},
	} {
		e := event.Event{ID: "e", Tenant: "t", Kind: c.kind, Time: time.Unix(1, 0), Data: json.RawMessage(c.data)}
		require.NoError(t, e.Validate(), c.data)
		o, ok := e.Object()
		require.Equal(t, c.ok, ok, c.data)
		require.Equal(t, c.want, o, c.data)
	}
}

func TestAKeyIsShortAndPlainWhateverTheID(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a", "a b", "a\u00a0b", "é", strings.Repeat("x", 123), strings.Repeat("x", 124),
		strings.Repeat("x", 5000), "#555", "\n", "~"} {
		data, err := json.Marshal(map[string]any{"vuln": map[string]any{"id": id, "threat": "High"}})
		require.NoError(t, err)
		o, ok := event.Event{Kind: event.Vuln, Data: data}.Object()
		require.True(t, ok)
		require.LessOrEqual(t, len(o.Key), 128)
		require.Regexp(t, `^vuln:[!-~]+$`, o.Key)
		require.Empty(t, seen[o.Key], "another id has the same key")
		seen[o.Key] = id
	}
}

func TestAStatusThatNobodyKnowsIsRefused(t *testing.T) {
	for _, c := range []struct{ kind, data, says string }{
		{"vuln", `{"vuln":{"threat":"High","status":"fixed"}}`, "data.vuln.status: must be open, reopened or closed"},
		{"security_issue", `{"security_issue":{"risk":"High","status":""}}`, "data.security_issue.status: must be open"},
		{"vuln", `{"vuln":{"threat":"High","port":"https"}}`, "data"},
	} {
		_, err := event.Parse(c.kind, []byte(`{"version":1,"id":"e","tenant":"t","time":"2023-03-01T00:00:00Z","data":`+
			c.data+`}`))
		require.ErrorContains(t, err, c.says)
	}
}
