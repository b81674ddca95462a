package console_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
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
	a = r.call("PATCH", path, `{"filters":[{"id":"kind","operator":"ne","values":["security_issue"]}]}`)
	require.JSONEq(t, `[{"id":"kind","operator":"ne","values":["security_issue"]}]`, member(t, a, "filters"))
	require.Contains(t, r.call("GET", "/v1/activity?object_id="+a.body["id"].(string), "").raw, `"filters`)
	path = "/v1/integrations/" + r.hook(`[]`)
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

// hook makes a webhook of hits and system events, with filters.
func (r *rig) hook(filters string) string {
	r.t.Helper()
	a := r.call("POST", "/v1/integrations", `{"system":"web_hooks","name":"Hook","events":[{"event":"siem"},`+
		`{"event":"system"}],"filters":`+filters+`,"parameters":{"url":"https://hooks.example.com/in"}}`)
	require.Equal(r.t, 201, a.status, a.raw)
	return a.body["id"].(string)
}

func TestAFilterThatCanNeverApplyIsRefused(t *testing.T) {
	r := start(t)
	const fromNL = `[{"id":"country","operator":"eq","values":["NL"]}]`
	refused := func(a answer, field, reason string) {
		t.Helper()
		require.Equal(t, 422, a.status, a.raw)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"`+field+`"`)
		require.Contains(t, a.raw, reason)
	}
	path := "/v1/integrations/" + r.hook(fromNL)
	refused(r.call("PATCH", path, `{"events":[{"event":"system"}]}`), "filters.0.id", "only events of siem have")
	refused(r.call("POST", "/v1/filters/try", `{"system":"web_hooks","events":[{"event":"system"}],"filters":`+fromNL+
		`}`), "filters.0.id", "only events of siem have")
	refused(r.call("POST", "/v1/integrations", fmt.Sprintf(strings.Replace(severe, onlySevere, fromNL, 1), slackURL)),
		"filters.0.id", "no event that comes here has")
	refused(r.call("PATCH", path, `{"filters":[{"id":"kind","operator":"eq","values":["vuln"]}]}`), "filters.0.values",
		"only events of vuln_high, vuln_medium, vuln_low can pass it")
	a := r.call("PATCH", path, `{"events":[{"event":"system"}],"filters":[]}`)
	require.Equal(t, 200, a.status, a.raw)
	refused(r.call("PATCH", path, `{"filters":`+fromNL+`}`), "filters.0.id", "only events of siem have")

	refused(r.call("POST", "/v1/triggers", `{"template_id":"hits_exceeded","threshold":{"period":60,"count":1},`+
		`"filters":[{"id":"attack_type","operator":"eq","values":["sqli"]},{"id":"attack_type","operator":"ne",`+
		`"values":["sqli"]}],"actions":[{"id":"send_notification","params":{"integration_ids":["`+r.slack("Ops")+
		`"]}}]}`), "filters.1.values", "no event can pass it together with the filters before it")
	from, _ := r.call("GET", "/v1/report-filters", "").body["from"].(string)
	refused(r.call("POST", "/v1/reports", `{"period":{"frequency":"daily","from":"`+from+`"},"format":"csv","filters":`+
		fromNL[:len(fromNL)-1]+`,{"id":"severity","operator":"eq","values":["high"]}]}`), "filters.1.values",
		"no event can pass it together with the filters before it")
}

// neverApplies stores an integration with a filter that nothing it is sent can pass, as earlier releases let people do.
func (r *rig) neverApplies() (id string) {
	r.t.Helper()
	id = r.hook(`[]`)
	i, err := r.db.Integrations.Get(r.t.Context(), "42", id)
	require.NoError(r.t, err)
	i.Subscriptions = []integration.Subscription{{Event: event.System}}
	i.Filters = []filter.Filter{{ID: filter.ByCountry, Operator: filter.Equal, Values: []filter.Value{"NL"}}}
	i.Revision++
	require.NoError(r.t, r.db.Integrations.Update(r.t.Context(), i, activity.Record{}))
	return id
}

func TestAnIntegrationWhoseFiltersNeverAppliedCanStillBeChanged(t *testing.T) {
	r := start(t)
	id := r.neverApplies()
	const fromNL = `[{"id":"country","operator":"eq","values":["NL"]}]`
	path := "/v1/integrations/" + id
	require.JSONEq(t, fromNL, member(t, r.call("GET", path, ""), "filters"))
	for _, change := range []string{`{"name":"Night"}`, `{"enabled":false}`, `{"enabled":true}`,
		`{"name":"Day","events":[{"event":"system"}],"filters":` + fromNL + `}`} { // as the form sends all
		a := r.call("PATCH", path, change)
		require.Equal(t, 200, a.status, a.raw)
		require.JSONEq(t, fromNL, member(t, a, "filters"))
	}
	a := r.call("PATCH", path, `{"events":[{"event":"system"},{"event":"scope"}]}`)
	require.Equal(t, 422, a.status, a.raw)
	a = r.call("PATCH", path, `{"events":[{"event":"system"},{"event":"siem"}]}`)
	require.Equal(t, 200, a.status, a.raw)
}

func TestTheRulesOfFiltersSayWhichEventsHaveWhatTheyLookAt(t *testing.T) {
	var systems struct {
		Filters []struct {
			ID, Title string
			Events    []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(start(t).call("GET", "/v1/systems", "").raw), &systems))
	events := map[string][]string{}
	for _, f := range systems.Filters {
		events[f.ID] = f.Events
	}
	require.Equal(t, []string{"siem"}, events["country"])
	require.Contains(t, events["domain"], "scope")
	require.NotContains(t, events["severity"], "siem")
	require.Nil(t, events["kind"])
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
