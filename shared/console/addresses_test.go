package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/console"
	"tocsin/shared/egress"
)

func TestM3TheAddressesToAdmitAreListedForEveryRoleOfTheConsole(t *testing.T) {
	r := start(t)
	a := r.call("GET", "/v1/egress-addresses", "")
	require.Equal(t, 200, a.status, a.raw)
	require.JSONEq(t, `{"addresses":[]}`, a.raw, "none are configured")
	none := a.header.Get("ETag")

	var err error
	r.config.EgressAddresses,
		err = egress.ParseAddresses("198.51.100.7@eu-west-1,203.0.113.0/28,198.51.100.9@eu-central-1/spare")
	require.NoError(t, err)
	r.handler = console.New(r.config)
	for _, role := range []access.Role{access.Administrator, access.Analyst, access.ReadOnly, access.APIDeveloper,
		access.Operator} {
		r.token = r.issue("42", role)
		a = r.call("GET", "/v1/egress-addresses", "")
		require.Equal(t, 200, a.status, a.raw)
		require.JSONEq(t, `{"addresses":[
			{"address":"198.51.100.7","region":"eu-west-1","purpose":"active"}, {"address":"203.0.113.0/28","purpose":"active"}, {"address":"198.51.100.9","region":"eu-central-1","purpose":"spare"}
		]}`, a.raw)
		require.Contains(t, r.call("GET", "/v1/session", "").body["sections"], "addresses")
	}
	r.token = r.issue("42", access.Deploy)
	require.Equal(t, 403, r.call("GET", "/v1/egress-addresses", "").status, "it has no Console")
	require.NotContains(t, r.call("GET", "/v1/session", "").body["sections"], "addresses")
	r.token = r.issue("42", access.Administrator)

	tag := a.header.Get("ETag")
	require.NotEqual(t, none, tag)
	for condition, status := range map[string]int{tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304,
		none: 200, `"other"`: 200, tag[1:]: 200} {
		got := r.call("GET", "/v1/egress-addresses", "", "If-None-Match", condition)
		require.Equal(t, status, got.status, condition)
		require.Equal(t, tag, got.header.Get("ETag"))
		if status == 304 {
			require.Empty(t, got.raw)
		}
	}
}

// M3: the facts have the addresses on every system's page but those of mail and messengers (1.13).
func TestM3TheFormsOfSystemsThatMayHaveToAdmitUsSaySo(t *testing.T) {
	r := start(t)
	admits := map[string]bool{}
	for _, g := range r.call("GET", "/v1/systems", "").body["groups"].([]any) {
		for _, s := range g.(map[string]any)["systems"].([]any) {
			s := s.(map[string]any)
			admits[s["name"].(string)] = s["admits"].(bool)
		}
	}
	for _, name := range []string{"personal_email", "email", "slack", "telegram", "ms_teams"} {
		require.Contains(t, admits, name)
		require.False(t, admits[name], name)
		delete(admits, name)
	}
	for name, does := range admits {
		require.True(t, does, name)
	}
	require.GreaterOrEqual(t, len(admits), 14)
}
