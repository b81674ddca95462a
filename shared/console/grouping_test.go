package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAGroupingIsCheckedKeptAndTakenAway(t *testing.T) {
	r := start(t)
	body := func(grouping string) string {
		return `{"system":"slack","name":"Ops","grouping":"` + grouping + `","parameters":{"webhook_url":"` + slackURL +
			`"}}`
	}
	for _, bad := range []string{"50", "1/5m", "1001/5m", "50/61m", "50/5", "x", "50/5m "} {
		a := r.call("POST", "/v1/integrations", body(bad))
		require.Equal(t, 422, a.status, bad)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"grouping"`, bad)
	}
	made := r.create(body("50/5m"))
	require.Equal(t, "50/5m", made.body["grouping"])
	at := "/v1/integrations/" + made.body["id"].(string)
	require.Equal(t, "50/5m", r.call("PATCH", at, `{"name":"Other"}`).body["grouping"], "as it was")
	require.Equal(t, 422, r.call("PATCH", at, `{"grouping":"all"}`).status)
	require.Equal(t, "2/10m", r.call("PATCH", at, `{"grouping":"2/10m"}`).body["grouping"])
	require.NotContains(t, r.call("PATCH", at, `{"grouping":""}`).body, "grouping")
	require.NotContains(t, r.call("GET", at, "").body, "grouping")

	a := r.call("POST", "/v1/integrations",
		`{"system":"web_hooks","name":"Machine","grouping":"50/5m","parameters":{"url":"https://w.example.com/"}}`)
	require.Equal(t, 422, a.status)
	requireWorded(t, a.body)
	require.Contains(t, a.raw, "messages are grouped for people")
}
