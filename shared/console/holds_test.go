package console_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
)

const nights = `{"quiet":[{"days":["mon","tue"],"from":"22:00","to":"07:00","zone":"Europe/Berlin"}],"then":"digest",` +
	`"pass":["vuln_high"]}`

// released notes for which integrations what is held was let go, and for which tenants.
type released []string

func (r *released) Release(_ context.Context, tenant, integration string) error {
	*r = append(*r, tenant+"/"+integration)
	return nil
}

func (r *released) ReleaseAll(_ context.Context, tenant string) error {
	*r = append(*r, tenant)
	return nil
}

func TestQuietHoursAreCheckedKeptAndTakenAway(t *testing.T) {
	r := start(t)
	var let released
	r.config.Integrations.Held = &let
	with := func(hold string) string {
		return `{"system":"slack","name":"Ops","hold":` + hold + `,"parameters":{"webhook_url":"` + slackURL + `"}}`
	}
	for body, field := range map[string]string{
		`{"quiet":[{"from":"22:00","to":"07:00","zone":"Mars"}]}`:                     "hold.quiet.0.zone",
		`{"quiet":[{"from":"22:00","to":"22:00","zone":"UTC"}]}`:                      "hold.quiet.0.to",
		`{"quiet":[{"from":"25:00","to":"26:00","zone":"UTC"}]}`:                      "hold.quiet.0.from",
		`{"quiet":[{"zone":"UTC"}]}`:                                                  "hold.quiet",
		`{"quiet":[{"zone":"UTC","first":"2026-12-24","last":"2026-12-01"}]}`:         "hold.quiet.0.last",
		`{"quiet":[{"zone":"UTC","first":"2026-12-24","last":"2027-12-01"}]}`:         "hold.quiet.0.last",
		`{"quiet":[{"zone":"UTC","first":"tomorrow","last":"2027-12-01"}]}`:           "hold.quiet.0.first",
		`{"quiet":[{"zone":"UTC","days":["monday"],"from":"22:00","to":"07:00"}]}`:    "hold.quiet.0.days.0",
		`{"quiet":[{"zone":"UTC","days":["mon","mon"],"from":"22:00","to":"07:00"}]}`: "hold.quiet.0.days.1",
		`{"quiet":[{"zone":"UTC","from":"22:00"}]}`:                                   "hold.quiet.0.to",
		`{"pass":["report_daily"]}`:                                                   "hold.pass.0",
	} {
		a := r.call("POST", "/v1/integrations", with(body))
		require.Equal(t, 422, a.status, body)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"`+field+`"`, body)
	}
	made := r.create(with(nights))
	require.Equal(t, "digest", made.body["hold"].(map[string]any)["then"])
	at := "/v1/integrations/" + made.body["id"].(string)
	require.Equal(t, made.body["hold"], r.call("PATCH", at, `{"name":"Other"}`).body["hold"], "as it was")
	require.Empty(t, let)
	require.Equal(t, 422, r.call("PATCH", at, `{"hold":{"then":"later"}}`).status)
	require.Equal(t, map[string]any{"then": "drop", "pass": []any{}},
		r.call("PATCH", at, `{"hold":{"then":"drop","pass":[]}}`).body["hold"])
	require.NotContains(t, r.call("PATCH", at, `{"hold":{}}`).body, "hold")
	require.NotContains(t, r.call("GET", at, "").body, "hold")
	require.Len(t, let, 2, "what was held is let go when the rules change")

	machine := `{"system":"web_hooks","name":"M","hold":{"then":"digest"},"parameters":{"url":"https://w.example.com/"}}`
	a := r.call("POST", "/v1/integrations", machine)
	require.Equal(t, 422, a.status, "a digest is not for machines")
	requireWorded(t, a.body)
	require.Contains(t, a.raw, `"field":"hold.then"`)
}

func TestAnIntegrationIsMutedAndUnmuted(t *testing.T) {
	r := start(t)
	var let released
	r.config.Integrations.Held = &let
	id := r.slack("Ops")
	at := "/v1/integrations/" + id
	r.forgetLog()
	for body, field := range map[string]string{
		`{"hours":0,"reason":"x"}`: "hours", `{"hours":721,"reason":"x"}`: "hours", `{"hours":1,"reason":" "}`: "reason",
		`{"hours":1,"reason":"x","then":"later"}`: "then",
	} {
		a := r.call("POST", at+"/mute", body)
		require.Equal(t, 422, a.status, body)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"`+field+`"`, body)
	}
	require.Empty(t, r.entries())
	a := r.call("POST", at+"/mute", `{"hours":2,"reason":" migration ","then":"drop"}`)
	require.Equal(t, 200, a.status, a.raw)
	muted := a.body["muted"].(map[string]any)
	require.Equal(t, "migration", muted["reason"])
	require.Equal(t, r.email, muted["by"])
	require.Equal(t, "drop", muted["then"])
	require.True(t, a.body["enabled"].(bool))
	require.Equal(t, muted, r.call("PATCH", at, `{"hold":`+nights+`}`).body["muted"], "a change of the rules keeps it")
	require.NotContains(t, r.exported(true), "migration", "a mute is not of a configuration")
	listed := r.call("GET", "/v1/integrations?brief=true", "").body["items"].([]any)[0].(map[string]any)
	require.Equal(t, muted, listed["muted"])
	require.Equal(t, 412, r.call("POST", at+"/mute", `{"hours":2,"reason":"x"}`, "If-Match", `"1"`).status)

	r.forgetLog()
	let = nil
	require.NotContains(t, r.call("POST", at+"/unmute", "").body, "muted")
	require.Equal(t, released{"42/" + id}, let, "what it held is let go at once")
	require.Equal(t, activity.Unmute, r.entries()[0].Action)
	r.forgetLog()
	told, err := r.db.Bus.Receive(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, 200, r.call("POST", at+"/unmute", "").status, "no error when it is not muted")
	require.Empty(t, r.entries())
	again, err := r.db.Bus.Receive(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, again, len(told), "nobody is told twice")
}

func TestTheAccountHasQuietHoursOfItsOwn(t *testing.T) {
	r := start(t)
	var let released
	r.config.Reports.Held = &let
	const at = "/v1/report-settings"
	a := r.call("PUT", at, `{"time_zone":"Europe/Berlin","hold":`+nights+`}`)
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, released{"42"}, let)
	require.Equal(t, a.body["hold"], r.call("GET", at, "").body["hold"])
	require.Equal(t, a.body["hold"], r.call("PUT", at, `{"time_zone":"Asia/Tokyo"}`).body["hold"], "as it was")
	bad := r.call("PUT", at, `{"time_zone":"Asia/Tokyo","hold":{"quiet":[{"zone":"Mars"}]}}`)
	require.Equal(t, 422, bad.status)
	requireWorded(t, bad.body)
	require.Contains(t, bad.raw, "hold.quiet.0.zone")
	require.Equal(t, 422, r.call("PUT", at, `{"time_zone":"Asia/Tokyo","hold":{"own_only":true}}`).status)
	require.NotContains(t, r.call("PUT", at, `{"time_zone":"Asia/Tokyo","hold":{}}`).body, "hold")
	require.Len(t, let, 2)
}

func TestQuietHoursAreAppliedAsAConfiguration(t *testing.T) {
	r := start(t)
	const document = `version: 1
integrations:
  Ops:
    system: slack
    hold:
      quiet:
        - days: [mon, tue]
          from: 22:00
          to: 07:00
          zone: Europe/Berlin
        - first: 2026-12-24
          last: 2026-12-26
          zone: Europe/Berlin
      then: digest
      own_only: true
    parameters:
      webhook_url: ${HOOK}
report_settings:
  time_zone: Europe/Berlin
  hold:
    quiet: [{days: [sat, sun], zone: Europe/Berlin}]
    pass: []
`
	env := map[string]string{"HOOK": slackURL}
	require.Len(t, r.applied(document, env, false), 2)
	plan, _, err := r.planned(document, env, false)
	require.NoError(t, err)
	require.False(t, plan.Differs(), "%+v", plan.Steps)
	got := r.exported(true)
	for _, line := range []string{"from: \"22:00\"", "first: \"2026-12-24\"", "then: digest", "own_only: true",
		"pass: []"} {
		require.Contains(t, got, line)
	}
	none := strings.NewReplacer("hold:", "hold: {}\n#", "      quiet", "#", "      then", "#", "      own", "#",
		"        ", "#       ", "    quiet:", "#", "    pass", "#").Replace(document)
	require.Len(t, r.applied(none, env, false), 2, none)
	require.NotContains(t, r.exported(true), " hold:")
	for _, bad := range []string{"then: later", "quiet: [{zone: UTC, from: 25:00, to: 26:00}]", "pass: all",
		"quiet: [{days: [monday], zone: UTC}]", "quiets: []", "quiet: [{zone: UTC, first: 2026-12-24}]"} {
		_, _, err := r.planned(strings.Replace(document, "then: digest", bad, 1), env, false)
		require.Error(t, err, bad)
	}
}
