package console_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
)

const severe = `{"system":"slack","name":"Ops","events":[{"event":"vuln_high"},{"event":"vuln_low"}],"filters":` +
	onlySevere + `,"parameters":{"webhook_url":%q}}`

// accept has fan-out take events of vulnerabilities, now.
func (r *rig) accept(threats ...string) {
	r.t.Helper()
	i, err := r.db.Integrations.Enabled(r.t.Context(), "42")
	require.NoError(r.t, err)
	f := fanout.Fanout{Integrations: all(i), Systems: r.config.Systems, Store: r.db.Deliveries, Logger: r.config.Log}
	entries := make([]delivery.Entry, len(threats))
	for n, threat := range threats {
		entries[n] = delivery.Entry{Receipt: fmt.Sprint(n + 1), DetailType: "vuln",
			At: r.config.Now().Add(-time.Minute),
			Detail: fmt.Appendf(nil, `{"version":1,"id":"e%d","tenant":"42","time":"2023-03-01T12:00:00Z",`+
				`"data":{"vuln":{"id":"V%d","threat":%q}}}`, n, n, threat)}
	}
	_, err = f.Process(r.t.Context(), entries)
	require.NoError(r.t, err)
}

const onlySevere = `[{"id":"severity","operator":"eq","values":["critical","high"]}]`

func TestTheFiltersOfAnIntegrationAreKeptAndChanged(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations", fmt.Sprintf(severe, slackURL))
	require.Equal(t, 201, a.status, a.raw)
	path := "/v1/integrations/" + a.body["id"].(string)
	require.JSONEq(t, onlySevere, member(t, r.call("GET", path, ""), "filters"))
	a = r.call("PATCH", path, `{"name":"Night"}`)
	require.JSONEq(t, onlySevere, member(t, a, "filters"), "a change of something else leaves them")
	a = r.call("PATCH", path, `{"filters":[{"id":"pool","operator":"ne","values":[7,"-1"]}]}`)
	require.JSONEq(t, `[{"id":"pool","operator":"ne","values":[7,-1]}]`, member(t, a, "filters"))
	require.Contains(t, r.call("GET", "/v1/activity?object_id="+a.body["id"].(string), "").raw, `"filters`)
	a = r.call("PATCH", path, `{"filters":[]}`)
	require.JSONEq(t, `[]`, member(t, a, "filters"))

	a = r.call("PATCH", path, `{"filters":[{"id":"severity","operator":"eq","values":["grave"]}]}`)
	require.Equal(t, 422, a.status, a.raw)
	require.Contains(t, a.raw, "filters.0.values.0")
	a = r.call("PATCH", path, `{"filters":[{"id":"pool","operator":"eq","values":[{}]}]}`)
	require.Equal(t, 422, a.status, a.raw)
	require.Contains(t, a.raw, "must be a string or a whole number")
}

func TestFiltersAreTriedBeforeTheyAreSaved(t *testing.T) {
	r := start(t)
	r.accept("High", "Low", "Medium", "High", "Low", "Medium")
	const draft = `{"system":"slack","events":[{"event":"vuln_high"},{"event":"vuln_low"}],"filters":%s}`
	a := r.call("POST", "/v1/filters/try", fmt.Sprintf(draft, onlySevere))
	require.Equal(t, 200, a.status, a.raw)
	require.EqualValues(t, 4, a.body["takes"])
	require.EqualValues(t, 2, a.body["passed"])
	require.JSONEq(t, `[{"filter":"severity","events":2}]`, member(t, a, "stopped"))
	a = r.call("POST", "/v1/filters/try", fmt.Sprintf(draft, `[{"id":"url","operator":"eq","values":["~.*"]}]`))
	require.Equal(t, 422, a.status, a.raw)
	require.Contains(t, a.raw, "must not be a regular expression here")
	require.Equal(t, 422, r.call("POST", "/v1/filters/try", `{"system":"no","events":[],"filters":[]}`).status)
}

func TestTheEventSaysWhichFilterStoppedIt(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations", fmt.Sprintf(severe, slackURL))
	require.Equal(t, 201, a.status, a.raw)
	r.accept("Low")
	a = r.call("GET", "/v1/events/e0", "")
	require.Equal(t, 200, a.status, a.raw)
	left := member(t, a, "left_out")
	require.Contains(t, left, `"reason":"filtered"`)
	require.Contains(t, left, `"filter":"severity"`)
}

func TestWhatQuietHoursOrAMuteDropIsCountedForTheIntegrationAndTheOverview(t *testing.T) {
	for _, by := range []string{"mute", "quiet"} {
		r := start(t)
		a := r.call("POST", "/v1/integrations", fmt.Sprintf(severe, slackURL))
		require.Equal(t, 201, a.status, a.raw)
		path := "/v1/integrations/" + a.body["id"].(string)
		rules := `{"hold":{"then":"drop","quiet":[{"zone":"UTC","from":"00:30","to":"23:30"}]},"filters":[]}`
		if by == "mute" {
			rules = `{"hold":{"then":"drop"},"filters":[]}`
			m := r.call("POST", path+"/mute", `{"hours":1,"reason":"a test"}`)
			require.Less(t, m.status, 300, m.raw)
		}
		a = r.call("PATCH", path, rules)
		require.Equal(t, 200, a.status, a.raw)
		r.accept("High", "High")
		require.JSONEq(t, fmt.Sprintf(`[{"filter":%q,"events":2}]`, by),
			member(t, r.call("GET", path+"/left-out", ""), "stopped"))
		require.Equal(t, 2, r.overviewOf().Integrations[0].LeftOut)
	}
}

func TestWhatFiltersLeftOutIsCountedForTheIntegrationAndTheOverview(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations", fmt.Sprintf(severe, slackURL))
	require.Equal(t, 201, a.status, a.raw)
	path := "/v1/integrations/" + a.body["id"].(string)
	require.JSONEq(t, `[{"filter":"severity","events":0}]`, member(t, r.call("GET", path+"/left-out", ""), "stopped"))
	r.accept("Low", "High", "Medium", "Low")
	a = r.call("GET", path+"/left-out", "")
	require.JSONEq(t, `[{"filter":"severity","events":2}]`, member(t, a, "stopped"), "Medium is not one of its types")
	line := r.overviewOf().Integrations[0]
	require.Equal(t, 2, line.LeftOut)
	require.Equal(t, a.body["from"], r.overviewOf().From.Format(time.RFC3339))
	r.call("PATCH", path, `{"filters":[]}`)
	require.JSONEq(t, `[{"filter":"severity","events":2}]`, member(t, r.call("GET", path+"/left-out", ""), "stopped"),
		"a filter that was removed")
	require.Equal(t, 2, r.overviewOf().Integrations[0].LeftOut)
	r.call("PATCH", path, `{"filters":[{"id":"domain","operator":"eq","values":["a.example"]},
		{"id":"domain","operator":"ne","values":["b.example"]}]}`)
	require.JSONEq(t, `[{"filter":"domain","events":0},{"filter":"severity","events":2}]`,
		member(t, r.call("GET", path+"/left-out", ""), "stopped"), "two filters of one kind count as one")
	require.Equal(t, 404, r.call("GET", "/v1/integrations/nothing/left-out", "").status)
}

func TestTheRulesOfAnIntegrationsFiltersOfferNoRegularExpression(t *testing.T) {
	r := start(t)
	for path, offers := range map[string]bool{"/v1/systems": false, "/v1/trigger-templates": true,
		"/configuration.schema.json": true} {
		require.Equal(t, offers, strings.Contains(r.call("GET", path, "").raw, "is a regular expression"), path)
	}
}

// TestEveryFaultNamesItsFieldInOneWay: huma writes filters[0] where our own checks, and the form that puts a fault at
// its field, have filters.0; and where something is missing it names what should have it.
func TestEveryFaultNamesItsFieldInOneWay(t *testing.T) {
	r := start(t)
	for _, c := range [][2]string{
		{"filters.1.operator", `{"filters":[{"id":"kind","operator":"eq","values":["vuln"]},` +
			`{"id":"kind","operator":"like","values":["a"]}]}`},
		{"filters.0.values", `{"filters":[{"id":"kind","operator":"eq"}]}`},
		{"filters.0.values.0", `{"filters":[{"id":"kind","operator":"eq","values":["nothing"]}]}`},
		{"filters.0.values.0", `{"filters":[{"id":"kind","operator":"eq","values":[true]}]}`},
		{"filters.0.more", `{"filters":[{"id":"kind","operator":"eq","values":["vuln"],"more":1}]}`},
		{"hold.quiet.0.zone", `{"hold":{"quiet":[{"from":"01:00","to":"02:00"}]}}`},
		{"hold.quiet.0.from", `{"hold":{"quiet":[{"from":1,"to":"02:00","zone":"UTC"}]}}`},
		{"hold.then", `{"hold":{"then":"later"}}`},
		{"events.0.event", `{"events":[{"active":true}]}`},
		{"events.1.active", `{"events":[{"event":"vuln_high"},{"event":"vuln_low","active":"yes"}]}`},
		{"message_template.title", `{"message_template":{"title":1}}`},
		{"message_template.title", `{"message_template":{"title":"{{.Nothing}}"}}`},
		{"message_template.text", `{"message_template":{"text":"{{range .Hits}}{{end}}"}}`},
		{"grouping", `{"grouping":"1/5m"}`},
		{"storm_guard", `{"storm_guard":"0/minute"}`},
	} {
		field, body := c[0], c[1]
		whole := `{"system":"slack","name":"Ops","parameters":{"webhook_url":"` + slackURL + `"},` + body[1:]
		a := r.call("POST", "/v1/integrations", whole)
		require.Equal(t, 422, a.status, body)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"`+field+`"`, body)
	}
	a := r.call("POST", "/v1/integrations", `{"name":"Ops","parameters":{}}`)
	require.Contains(t, a.raw, `"field":"system"`)
}
