package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStormGuardIsCheckedKeptAndTakenAway(t *testing.T) {
	r := start(t)
	body := func(guard string) string {
		return `{"system":"slack","name":"Ops","storm_guard":"` + guard + `","parameters":{"webhook_url":"` + slackURL +
			`"}}`
	}
	for _, bad := range []string{"60", "0/minute", "1001/minute", "60/second", "off", "x", "60/minute "} {
		a := r.call("POST", "/v1/integrations", body(bad))
		require.Equal(t, 422, a.status, bad)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"storm_guard"`, bad)
	}
	made := r.create(body("90/minute"))
	require.Equal(t, "90/minute", made.body["storm_guard"])
	at := "/v1/integrations/" + made.body["id"].(string)
	require.Equal(t, "90/minute", r.call("PATCH", at, `{"name":"Other"}`).body["storm_guard"], "as it was")
	require.Equal(t, 422, r.call("PATCH", at, `{"storm_guard":"all"}`).status)
	require.Equal(t, "none", r.call("PATCH", at, `{"storm_guard":"none"}`).body["storm_guard"])
	require.NotContains(t, r.call("PATCH", at, `{"storm_guard":""}`).body, "storm_guard")
	require.NotContains(t, r.call("GET", at, "").body, "storm_guard")

	a := r.call("POST", "/v1/integrations",
		`{"system":"web_hooks","name":"Machine","storm_guard":"none","parameters":{"url":"https://w.example.com/"}}`)
	require.Equal(t, 422, a.status)
	requireWorded(t, a.body)
	require.Contains(t, a.raw, "it guards people")
}
