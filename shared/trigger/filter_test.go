package trigger

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/filter"
)

func hitOf(t *testing.T, data string) *subject {
	t.Helper()
	return see(event.Event{Kind: event.NewHits, Data: json.RawMessage(data)})
}

func TestWhatDoesNotCount(t *testing.T) {
	for _, c := range []struct {
		template TemplateID
		data     string
		want     bool
	}{
		{Hits, `{"hit":{"type":"sqli"}}`, true},
		{Hits, `{"hit":{"type":"sqli"},"sampled_out":true}`, false},
		{Hits, `{"hit":{"type":"sqli"},"experimental":true}`, false},
		{Attacks, `{"hit":{"type":"sqli"},"experimental":true}`, false},
		{Payloads, `{"hit":{"type":"sqli","remote_addr4":"203.0.113.7","payloads":["a"]},"sampled_out":true}`, true},
		{Payloads, `{"hit":{"type":"sqli","remote_addr4":"203.0.113.7"}}`, false},
		{Payloads, `{"hit":{"type":"sqli","payloads":["a"]}}`, false},
		{HitsFromIP, `{"hit":{"type":"sqli","remote_addr4":"203.0.113.7"}}`, true},
		{HitsFromIP, `{"hit":{"type":"brute","remote_addr4":"203.0.113.7"}}`, false},
		{Payloads, `{"hit":{"type":"sqli","remote_addr4":"203.0.113.9, 10.0.0.1","payloads":["a"]}}`, false},
	} {
		m, err := compile(Trigger{Template: c.template, Threshold: &Threshold{1, 1}})
		require.NoError(t, err)
		require.Equal(t, c.want, m.matches(hitOf(t, c.data)), "%s of %s", c.template, c.data)
	}
}

func TestRolesHaveCodesAndTitles(t *testing.T) {
	m, err := compile(Trigger{Template: UserAdded,
		Filters: []filter.Filter{{ID: filter.ByRole, Operator: filter.Equal, Values: []filter.Value{"admin"}}}})
	require.NoError(t, err)
	for role, want := range map[string]bool{"Administrator": true, "admin": true, "admin_ext": true, "ADMIN": true,
		"Analyst": false, "": false} {
		data, err := json.Marshal(map[string]any{"user": map[string]any{"role": role}})
		require.NoError(t, err)
		require.Equal(t, want, m.matches(see(event.Event{Kind: event.CreateUser, Data: data})), role)
	}
}
