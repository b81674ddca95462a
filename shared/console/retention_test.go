package console_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATenantChoosesHowLongItsEventsAreKept(t *testing.T) {
	r := start(t)
	const at = "/v1/report-settings"
	kept := func() any { return r.call("GET", at, "").body["retention"] }
	require.Equal(t, map[string]any{"events": 0.0, "deliveries": 0.0, "most": 30.0, "least": 7.0}, kept())
	before := r.call("GET", "/v1/report-filters", "").body
	require.EqualValues(t, 30, before["kept"])
	a := r.call("PUT", at, `{"time_zone":"UTC","retention":{"events":14,"deliveries":7}}`)
	require.Equal(t, 200, a.status, a.raw)
	want := map[string]any{"events": 14.0, "deliveries": 7.0, "most": 30.0, "least": 7.0}
	require.Equal(t, want, a.body["retention"])
	require.Equal(t, want, kept())
	after := r.call("GET", "/v1/report-filters", "").body
	require.EqualValues(t, 14, after["kept"])
	require.Greater(t, after["from"], before["from"])
	refused := r.call("POST", "/v1/reports", `{"period":{"from":"`+before["from"].(string)+`","to":"`+
		before["from"].(string)+`"},"format":"csv","filters":[{"id":"attack_type","operator":"eq","values":["sqli"]}]}`)
	require.Equal(t, 422, refused.status)
	require.Contains(t, refused.raw, "kept for 14 days")
	require.Equal(t, want, r.call("PUT", at, `{"time_zone":"Asia/Tokyo"}`).body["retention"], "as it was")
	require.Contains(t, fmt.Sprint(r.entries()), "retention.events")
	for body, field := range map[string]string{`{"events":6,"deliveries":0}`: "retention.events",
		`{"events":31,"deliveries":0}`: "retention.events", `{"events":14,"deliveries":15}`: "retention.deliveries"} {
		bad := r.call("PUT", at, `{"time_zone":"UTC","retention":`+body+`}`)
		require.Equal(t, 422, bad.status, body)
		requireWorded(t, bad.body)
		require.Contains(t, bad.raw, field)
	}
	require.Equal(t, want, kept())

	r.config.Reports.EndsWritten = true
	until := r.call("GET", at, "").body["retention"].(map[string]any)["until"]
	require.NotEmpty(t, until, "what was written before keeps its end")
}

func TestHowLongEventsAreKeptIsAppliedAsAConfiguration(t *testing.T) {
	r := start(t)
	const zone = "version: 1\nreport_settings:\n  time_zone: UTC\n"
	const chosen = zone + "  retention:\n    events: 14\n    deliveries: 7\n"
	require.Equal(t, []string{"change report settings report settings"}, outcomes(r.applied(chosen, nil, false)))
	require.Contains(t, r.exported(true), chosen[len("version: 1\n"):])
	require.Empty(t, outcomes(r.applied(chosen, nil, false)), "nothing is left to do")
	r.applied(zone+"  retention: {events: 21}\n", nil, false)
	is := r.call("GET", "/v1/report-settings", "").body["retention"].(map[string]any)
	require.EqualValues(t, 21, is["events"])
	require.EqualValues(t, 0, is["deliveries"])
	r.applied(zone, nil, false)
	require.NotContains(t, r.exported(true), "retention")
	_, _, err := r.planned(zone+"  retention: {events: -1}\n", nil, false)
	require.ErrorContains(t, err, "events must not be below 0")
}
