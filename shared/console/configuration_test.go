package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"tocsin/shared/configuration"
	"tocsin/shared/configuration/client"
	"tocsin/shared/configuration/tree"
	"tocsin/shared/console"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/ratelimit"
	"tocsin/shared/trigger"
)

// handled is a way to a handler without a network.
type handled struct{ http.Handler }

func (h handled) RoundTrip(q *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w.Result(), nil
}

// api is a client of the rig.
func (r *rig) api() *client.Client {
	r.t.Helper()
	c, err := client.New("http://tocsin.test", r.token, handled{r.handler})
	require.NoError(r.t, err)
	return c
}

// known finds a system of the catalogue.
func known(name string) (destination.System, bool) {
	s, _, ok := catalogue.Default().Lookup(name)
	return s, ok
}

// planned reads a document and compares it with what the account has.
func (r *rig) planned(document string, env map[string]string, prune bool) (configuration.Plan, configuration.State,
	error) {
	r.t.Helper()
	d, err := configuration.Read([]byte(document))
	if err != nil {
		return configuration.Plan{}, configuration.State{}, err
	}
	state, err := r.api().State(r.t.Context())
	require.NoError(r.t, err)
	schema, err := r.api().Schema(r.t.Context())
	require.NoError(r.t, err)
	err = d.Fill(state.Systems, func(name string) string { return env[name] }, false)
	if err = configuration.Join(err, configuration.Check(d, schema)); err != nil {
		return configuration.Plan{}, state, err
	}
	plan, err := configuration.NewPlan(d, state, prune)
	if err == nil {
		err = configuration.Rules{System: known, Now: time.Now()}.Check(d, plan)
	}
	return plan, state, err
}

// applied applies a document, and returns what was done.
func (r *rig) applied(document string, env map[string]string, prune bool) (out []client.Outcome) {
	r.t.Helper()
	plan, state, err := r.planned(document, env, prune)
	require.NoError(r.t, err, document)
	require.NoError(r.t, r.api().Apply(r.t.Context(), plan, state, func(o client.Outcome) { out = append(out, o) }))
	return out
}

func (r *rig) exported(yaml bool) string {
	r.t.Helper()
	raw, err := r.api().Export(r.t.Context(), yaml)
	require.NoError(r.t, err)
	return string(raw)
}

// settings are good parameters of every system that an integration can be made for.
var settings = map[string][]string{
	"email": {`{"addresses":["b@example.com","a@example.com"]}`},
	"slack": {`{"webhook_url":"https://hooks.slack.com/services/T/B/%s"}`,
		`{"authorization":"token","channel":"C0123456789","token":"xoxb-17653672481-%s"}`},
	"telegram":   {`{}`},
	"ms_teams":   {`{"webhook_url":"https://prod.westeurope.logic.azure.com/workflows/%s"}`},
	"opsgenie":   {`{"token":"0123456789"}`, `{"token":"%s-long","api":"https://api.eu.opsgenie.com/v2/alerts"}`},
	"pager_duty": {`{"integration_key":"0123456789abcdef0123456789abcdef","region":"EU"}`},
	"insight_connect": {
		`{"api":"https://us.api.insight.rapid7.com/connect/v1/workflows/%s/events/execute","token":"%s-key"}`},
	"jira": {`{"url":"https://acme.atlassian.net/","email":"s@example.com","token":"%s-token","project":"SEC",` +
		`"issue_type":"Bug","set_priority":true}`},
	"servicenow": {`{"instance":"acme","username":"u","password":"$%s{","client_id":"c","client_secret":"${%s}"}`},
	"sumo_logic": {`{"source_url":"https://collectors.sumologic.com/receiver/v1/http/%s","source_category":"a/b"}`},
	"sentinel": {`{"tenant_id":"11111111-2222-3333-4444-555555555555","client_id":` +
		`"11111111-2222-3333-4444-555555555556","client_secret":"%s-secret","endpoint":` +
		`"https://a-b1.westeurope-1.ingest.monitor.azure.com","dcr_immutable_id":` +
		`"dcr-00000000000000000000000000000000","stream_name":"Custom-Tocsin_CL"}`},
	"splunk":   {`{"api":"https://hec.example.com:8088","token":"11111111-2222-3333-4444-555555555555"}`},
	"data_dog": {`{"token":"00000000000000000000000000000012","region":"US1-FED"}`},
	"fluentd":  {`{"url":"https://f.example.com/a?b=${x}&c=$${y}"}`},
	"logstash": {`{"url":"https://l.example.com/","headers":{"X-A":"%s","x_a":"%s","Authorization":"Bearer %s"}}`},
	"s3": {
		`{"region":"eu-west-1","bucket":"b-1","authorization":"key","access_key_id":"AK","secret_access_key":"%s"}`},
	"minio": {`{"endpoint":"https://m.example.com:9000","bucket":"hits","access_key":"123","secret_key":"%s-key"}`},
	"web_hooks": {`{"url":"https://w.example.com/","ca_verify":false,"timeout":60,"format":"jsonl","max_events":1}`,
		`{"url":"https://w.example.com/","signing_key":"generate"}`},
}

// holds are rules of when what is sent waits.
var holds = []string{`{}`, `{"then":"drop","pass":[]}`, `{"own_only":true,"pass":["siem","create_user"],"quiet":[
	{"zone":"Europe/Berlin","from":"22:00","to":"07:00","days":["sun","mon"]},
	{"zone":"UTC","first":"2026-12-24","last":"2026-12-26"}]}`, `{"quiet":[{"zone":"Asia/Tokyo","from":"00:00","to":"24:00",
	"days":["sat"]}]}`}

// odd are beginnings of names that a reader of YAML, a shell or a path could take for something else.
var odd = []string{"yes", "NO", "~", "null", "- a", "# b", "a: b", "'", `"`, "{", "[", "*x", "&a", "!t", "1e3", "0x1",
	"010", "<<", "=", "日本語", "ß", "𝔘", "${X}", "$${", "%s", "a/b", "..", "?", "|", ">", "@", "`", "2023-03-01", "1:30",
	"\u00a0x", "\u2028x", "\u0085x", "é", "-", "...", "---", "a #b", ",", "]", "true", ".inf", "ops", "Ops", "OPS-1",
	"OPS 1", "SLACK_OPS", "\ufeffx", "x\u009bx", "\\", "a\\u0041"}

// random makes instances.
type random struct {
	*rand.Rand
	names map[string]bool
}

func (r random) name() string {
	for {
		name := strings.TrimSpace(odd[r.IntN(len(odd))] + strings.Repeat(odd[r.IntN(len(odd))], r.IntN(3)))
		if visible := strings.Trim(name, "\u2028\u0085\ufeff \u00a0"); visible != "" && !r.names[name] {
			r.names[name] = true
			return name
		}
	}
}

func (r random) some(list []string) []string {
	out := slices.Clone(list)
	r.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out[:r.IntN(len(out)+1)]
}

// secrets are given to integrations by their names, for the environment.
func (r random) integration(system configuration.System, n int) map[string]any {
	words := settings[system.Name][n]
	args := make([]any, strings.Count(words, "%s"))
	for k := range args {
		args[k] = fmt.Sprintf("t0k3n%d", r.IntN(1000))
	}
	var parameters any
	if err := json.Unmarshal(fmt.Appendf(nil, words, args...), &parameters); err != nil {
		panic(words)
	}
	events := []any{}
	for _, e := range r.some(system.Events) {
		events = append(events, map[string]any{"event": e, "with_headers": e == "siem" && r.IntN(2) == 0})
	}
	grouping, guard := "", ""
	if slices.Contains([]string{"slack", "email", "ms_teams", "opsgenie", "pager_duty", "jira"}, system.Name) {
		grouping = []string{"", "50/5m", "2/10m"}[r.IntN(3)]
		guard = []string{"", "none", "90/minute"}[r.IntN(3)]
	}
	return map[string]any{"system": system.Name, "name": r.name(), "enabled": r.IntN(3) > 0, "events": events,
		"parameters": parameters, "language": []string{"", "en", "ja"}[r.IntN(3)],
		"grouping": grouping, "storm_guard": guard, "rate": []string{"", "10/minute", "1000/second"}[r.IntN(3)],
		"hold":             json.RawMessage(holds[r.IntN(len(holds))]),
		"message_template": r.template(system.Name),
		"filters":          fitting(system, events, r.filters(filter.OfIntegrations))}
}

// template is one that a system may have.
func (r random) template(system string) map[string]any {
	switch system {
	case "slack", "telegram", "ms_teams", "email", "opsgenie", "pager_duty", "jira", "servicenow", "insight_connect":
		return []map[string]any{{}, {"title": "{{.Kind}}: ${x} #1"},
			{"text": "{{.Kind}}\n\n  - {{.Client}} \"x\"\n{{/* a: b */}}"},
			{"title": "{{.Headline}}", "text": "| {{.Details}}\n# {{.Kind}}"}}[r.IntN(4)]
	}
	return map[string]any{}
}

// fitting leaves out filters that could never apply to the events, or would leave all of them out.
func fitting(system configuration.System, events []any, list []any) []any {
	types := func(of []string) (out []event.Type) {
		for _, t := range of {
			out = append(out, event.Type(t))
		}
		return out
	}
	var takes []string
	for _, e := range events {
		takes = append(takes, e.(map[string]any)["event"].(string))
	}
	place := filter.PlaceOfIntegration(types(takes), types(system.Events))
	for {
		raw, err := json.Marshal(list)
		if err != nil {
			panic(err)
		}
		var filters []filter.Filter
		if err := json.Unmarshal(raw, &filters); err != nil {
			panic(err)
		}
		wrong := place.Check(filters)
		if len(wrong) == 0 || len(takes) == 0 {
			return list
		}
		n, _ := strconv.Atoi(strings.Split(wrong[0].Field, ".")[1])
		list = slices.Delete(list, n, n+1)
	}
}

func (r random) filters(ids []filter.ID) []any {
	out := []any{}
	for _, id := range ids {
		if len(out) < filter.Max && r.IntN(2) == 0 {
			out = append(out, map[string]any{"id": id, "operator": id.Operators()[r.IntN(2)], "values": r.values(id)})
		}
	}
	return out
}

// trigger makes a trigger of a condition. notified are ids of integrations that can be told of it.
func (r random) trigger(t trigger.Template, notified []string) map[string]any {
	out := map[string]any{"name": r.name(), "template_id": t.ID, "enabled": r.IntN(3) > 0}
	if r.IntN(2) == 0 {
		out["comment"] = odd[r.IntN(len(odd))] + "\n" + odd[r.IntN(len(odd))] + "\n\n  last"
	}
	if rule := t.Threshold; rule != nil {
		out["threshold"] = map[string]any{"count": r.Int64N(rule.MaxCount + 1),
			"period": rule.Step * (1 + r.Int64N(rule.MaxPeriod/rule.Step))}
	}
	out["filters"] = r.filters(t.Filters)
	if n := slices.Index(t.Filters, filter.ByURL); n >= 0 && r.IntN(2) == 0 {
		out["filters"] = []any{map[string]any{"id": filter.ByURL, "operator": "eq", "values": []any{"~^a.*${b}"}}}
	}
	var actions []any
	for _, id := range t.Actions {
		switch {
		case id == trigger.Notify && len(notified) > 0:
			actions = append(actions, map[string]any{"id": id, "params": map[string]any{"integration_ids": notified}})
		case id.Lists():
			actions = append(actions, map[string]any{"id": id, "params": map[string]any{
				"lock_time": []int{0, 300, 3600}[r.IntN(3)]}})
		case id != trigger.Notify:
			actions = append(actions, map[string]any{"id": id})
		}
	}
	out["actions"] = actions
	return out
}

func (r random) values(id filter.ID) []any {
	switch rule := id.Rule(); rule.Kind {
	case filter.KindChoice:
		return []any{rule.Choices[r.IntN(len(rule.Choices))].Value, rule.Choices[r.IntN(len(rule.Choices))].Value}
	case filter.KindInteger:
		return []any{-1, "7", 0}
	}
	return map[filter.ID][]any{
		filter.ByURL: {"example.com/*/login", "${b}/**"}, filter.ByKind: {"new_hits"}, filter.ByCountry: {"NO", "nl"},
		filter.ByIP:     {"203.0.113.7", "2001:db8::1"},
		filter.ByDomain: {"1.example.com", "yes"}, filter.ByStatus: {404, "5xx"}, filter.ByPII: {"1e3", "no", "12"},
	}[id]
}

// fill gives the rig every system and every condition. It returns the secrets by integration, and those of the
// parameters.
func (r *rig) fill(random random) map[string]map[string]any {
	state, err := r.api().State(r.t.Context())
	require.NoError(r.t, err)
	given := map[string]map[string]any{}
	taken := map[string][]string{}
	for _, name := range slices.Sorted(keys(state.Systems)) {
		require.NotEmpty(r.t, settings[name], "settings of %s are missing in this test", name)
		for n := range settings[name] {
			one := random.integration(state.Systems[name], n)
			body, _ := json.Marshal(one)
			made := r.call("POST", "/v1/integrations", string(body))
			require.Equal(r.t, 201, made.status, made.raw+string(body))
			given[one["name"].(string)] = one["parameters"].(map[string]any)
			taken[name] = append(taken[name], made.body["id"].(string))
		}
	}
	for _, t := range trigger.Templates() {
		var notified []string
		for _, system := range []string{"slack", "web_hooks", "email"} {
			if s, _, _ := r.config.Systems.Lookup(system); t.Sends(s.Triggered) {
				notified = append(notified, taken[system]...)
			}
		}
		body, _ := json.Marshal(random.trigger(t, notified))
		made := r.call("POST", "/v1/triggers", string(body))
		require.Equal(r.t, 201, made.status, made.raw+string(body))
	}
	require.Equal(r.t, 200, r.call("PUT", "/v1/report-settings",
		`{"time_zone":"Asia/Tokyo","hour":7,"language":"ja","hold":`+nights+`}`).status)
	return given
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

var whole = regexp.MustCompile(`^\$\{([A-Z0-9_]+)\}$`)

// environment finds the value of each reference of an export.
func environment(t *testing.T, document string, given map[string]map[string]any) map[string]string {
	var d struct {
		Integrations map[string]struct{ Parameters map[string]any }
	}
	require.NoError(t, json.Unmarshal([]byte(document), &d))
	env := map[string]string{}
	note := func(value, secret any) {
		if s, _ := value.(string); whole.MatchString(s) {
			name := whole.FindStringSubmatch(s)[1]
			require.NotContains(t, env, name, "a variable belongs to one secret")
			env[name] = secret.(string)
		}
	}
	for name, i := range d.Integrations {
		for field, value := range i.Parameters {
			if several, ok := value.(map[string]any); ok {
				for key, one := range several {
					note(one, given[name][field].(map[string]any)[key])
				}
				continue
			}
			note(value, given[name][field])
		}
	}
	return env
}

func TestAnExportThatIsAppliedToAnEmptyInstanceIsTheSameExport(t *testing.T) {
	for seed := range uint64(4) {
		random := random{rand.New(rand.NewPCG(17, seed)), map[string]bool{}}
		source, target := start(t), start(t)
		given := source.fill(random)
		asJSON, asYAML := source.exported(false), source.exported(true)
		require.Equal(t, asYAML, source.exported(true), "the same bytes")
		require.NotContains(t, asYAML, "t0k3n")
		env := environment(t, asJSON, given)
		document := asYAML
		if seed%2 == 1 {
			document = asJSON
		}
		done := target.applied(document, env, true)
		require.NotEmpty(t, done)
		require.Equal(t, asYAML, target.exported(true))
		require.Equal(t, asJSON, target.exported(false))

		before, err := target.api().State(t.Context())
		require.NoError(t, err)
		for _, o := range target.applied(document, env, true) {
			require.Equal(t, configuration.Send, o.Step.Verb, "%s: %v", o.Step.Name, o.Step.Differences)
			require.False(t, o.Changed, o.Step.Name)
		}
		after, err := target.api().State(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after, "a second time changes nothing")
		for _, o := range source.applied(document, env, true) {
			require.False(t, o.Changed, "nor does it at the source: %s %s", o.Step.Verb, o.Step.Name)
		}
	}
}

const small = `version: 1
integrations:
  Ops:
    system: slack
    events: [system]
    parameters: {webhook_url: "${HOOK}"}
  Hook:
    system: web_hooks
    parameters: {url: https://hooks.example.com/a, timeout: 30}
triggers:
  People:
    template_id: user_created
    actions:
      - {id: send_notification, integrations: [Ops, Hook]}
`

var hookEnv = map[string]string{"HOOK": slackURL}

// outcomes are what a person reads.
func outcomes(list []client.Outcome) (out []string) {
	for _, o := range list {
		out = append(out, fmt.Sprintf("%s %s %s", o.Step.Verb, o.Step.Kind, o.Step.Name))
	}
	return out
}

func TestADocumentIsTheWholeOfWhatItNames(t *testing.T) {
	r := start(t)
	r.applied(small, hookEnv, false)
	require.Equal(t, 204, r.call("DELETE", "/v1/triggers/0-group-hits", "").status)
	kept := r.slack("By hand")

	// What a document leaves out of an object goes back to its default, but for secrets and for what is enabled.
	state, err := r.api().State(t.Context())
	require.NoError(t, err)
	for _, i := range state.Integrations {
		require.Equal(t, 200, r.call("POST", "/v1/integrations/"+i.ID+"/disable", "").status)
	}
	changed := strings.NewReplacer("    events: [system]\n", "", ", timeout: 30", "", `{webhook_url: "${HOOK}"}`, "{}",
		"  People", "  Persons").Replace(small)
	changed = strings.Replace(changed, "  Persons:\n", "  Persons:\n    was: People\n    comment: of the account\n", 1)
	require.Equal(t, []string{"change integration Ops", "change integration Hook", "change trigger Persons"},
		outcomes(r.applied(changed, nil, false)))
	require.Empty(t, r.applied(changed, nil, false), "a rename that was made is none")
	got := r.exported(true)
	require.Contains(t, got, "timeout: 15")
	require.NotContains(t, got, "enabled: true\n    events")
	require.Contains(t, got, "${SLACK_OPS_WEBHOOK_URL}", "the secret stays")
	require.Contains(t, got, "comment: of the account")
	require.NotContains(t, got, "People:")

	// A section that is not there is not looked at, even when everything else is pruned.
	require.Equal(t, []string{"remove integration By hand"},
		outcomes(r.applied(changed[:strings.Index(changed, "triggers:")], nil, true)))
	require.Equal(t, 404, r.call("GET", "/v1/integrations/"+kept, "").status)
	require.Equal(t, []string{"remove trigger Persons",
		"remove trigger Graylist IPs with high count of malicious payloads", "remove integration Hook",
		"remove integration Ops"},
		outcomes(r.applied("version: 1\nintegrations: {}\ntriggers: {}\n", nil, true)), "the last made goes first")
}

func TestAnHourThatIsLeftOutIsSix(t *testing.T) {
	r := start(t)
	const zone = "version: 1\nreport_settings: {time_zone: Asia/Tokyo"
	r.applied(zone+", hour: 0}\n", nil, false)
	require.EqualValues(t, 0, r.call("GET", "/v1/report-settings", "").body["hour"])
	require.Contains(t, r.exported(true), "time_zone: Asia/Tokyo\n  hour: 0\n")
	r.applied(zone+"}\n", nil, false)
	require.EqualValues(t, 6, r.call("GET", "/v1/report-settings", "").body["hour"])
	require.NotContains(t, r.exported(true), "hour:")
	_, _, err := r.planned(zone+", hour: 24}\n", nil, false)
	require.ErrorContains(t, err, "hour must be an hour from 0 to 23")
}

func TestALanguageThatIsLeftOutIsThatOfTheOthers(t *testing.T) {
	r := start(t)
	const zone = "report_settings: {time_zone: Asia/Tokyo"
	spoken := strings.Replace(small, "    system: slack", "    system: slack\n    language: ja", 1)
	r.applied(spoken+zone+", language: ja}\n", hookEnv, false)
	got := r.exported(true)
	require.Contains(t, got, "system: slack\n    language: ja\n")
	require.Contains(t, got, "time_zone: Asia/Tokyo\n  language: ja\n")
	plan, _, err := r.planned(small+zone+"}\n", hookEnv, false)
	require.NoError(t, err)
	for _, s := range plan.Steps {
		if s.Verb != configuration.Send {
			require.Equal(t, []configuration.Difference{{Field: "language", Before: `"ja"`}}, s.Differences, s.Name)
		}
	}
	require.Equal(t, []string{"change integration Ops", "change report settings report settings"},
		outcomes(changes(r.applied(small+zone+"}\n", hookEnv, false))))
	require.NotContains(t, r.exported(true), "language")
	_, _, err = r.planned(spoken+zone+", language: fr}\n", hookEnv, false)
	require.ErrorContains(t, err, "language")
}

func TestWhatCanNotBePlannedIsToldBeforeAnythingIsChanged(t *testing.T) {
	r := start(t)
	r.applied(small, hookEnv, false)
	r.slack("Twice")
	r.slack("Twice")
	before := r.exportedState()
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(small) }
	for name, c := range map[string]struct {
		document string
		env      map[string]string
		prune    bool
		says     string
	}{
		"a variable that is not set": {small, nil, false,
			`line 6: integration "Ops": webhook_url: the environment variable HOOK is not set, or is empty`},
		"a secret that a new one needs": {replace(`{webhook_url: "${HOOK}"}`, "{}", "  Ops:", "  New:", "[Ops,", "["),
			nil, false, `line 3: integration "New": webhook_url is required, because there is no such integration yet`},
		"a secret that the chosen way needs": {replace(`{webhook_url: "${HOOK}"}`, "{authorization: token}", "  Ops:",
			"  New:", "[Ops,", "["), nil, false,
			`line 3: integration "New": token is required, because there is no such integration yet`},
		"a name that two have": {replace("  Ops:", "  Twice:", "[Ops,", "[Twice,"), hookEnv, false,
			`there are 2 integrations with the name "Twice"`},
		"a name that two have, which would be pruned": {small, hookEnv, true, `with the name "Twice"`},
		"a trigger of a name that two have": {replace("[Ops,", "[Twice,"), hookEnv, false,
			`with the name "Twice"`},
		"another system": {replace("    system: slack", "    system: ms_teams"), hookEnv, false,
			`"Ops": is of the system ms_teams here and slack there`},
		"an integration that is not there": {replace("[Ops,", "[Opps,"), hookEnv, false,
			`line 14: trigger "People": there is no integration "Opps": did you mean "Ops"?`},
		"an integration under its old name": {replace("  Ops:", "  Team:\n    was: Ops", "x", "x"), hookEnv,
			false, `there is no integration "Ops"`},
		"an event of another system": {replace("[system]", "[report_daily, system]"), hookEnv, false,
			`line 5: integration "Ops": events: must be one of`},
		"a mask": {replace("${HOOK}", "********"), hookEnv, false, "is the mask that stands for a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.planned(c.document, c.env, c.prune)
			var problems tree.Problems
			require.ErrorAs(t, err, &problems)
			require.Contains(t, err.Error(), c.says)
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}
	require.Equal(t, before, r.exportedState())
}

// exportedState is what an account has, to be compared.
func (r *rig) exportedState() configuration.State {
	state, err := r.api().State(r.t.Context())
	require.NoError(r.t, err)
	return state
}

func TestATriggerTakesAnotherCondition(t *testing.T) {
	r := start(t)
	r.applied(small, hookEnv, false)
	for _, condition := range []string{"hits_exceeded\n    threshold: {count: 5, period: 60}\n    filters: [{id: " +
		"pool, operator: eq, values: [1]}]", "user_created\n    filters: [{id: role, operator: eq, values: [admin]}]",
		"compromised_logins"} {
		document := strings.Replace(small, "user_created", condition, 1)
		require.Equal(t, []string{"change trigger People"}, outcomes(changes(r.applied(document, hookEnv, false))))
		require.Empty(t, changes(r.applied(document, hookEnv, false)))
	}
}

func TestASystemThatIsReplacedIsMadeBeforeTheOldOneGoesAndItsTriggersFollow(t *testing.T) {
	r := start(t)
	r.applied(small, hookEnv, false)
	changed := strings.Replace(small, "    system: slack", "    system: ms_teams", 1)
	done := outcomes(r.applied(changed+"  Graylist IPs with high count of malicious payloads:\n    template_id: "+
		"vector_attack\n    threshold: {count: 3, period: 3600}\n    actions:\n      - {id: add_to_graylist, "+
		"lock_time: 3600}\n",
		map[string]string{"HOOK": "https://prod.westeurope.logic.azure.com/workflows/s3cr3t"}, true))
	require.Equal(t, []string{"add integration Ops", "change trigger People",
		"change trigger Graylist IPs with high count of malicious payloads",
		"remove trigger Group hits from the same IP into one attack", "remove integration Ops"}, done)
	warned := r.call("GET", "/v1/triggers", "")
	require.NotContains(t, warned.raw, "this integration was deleted")
}

func TestTwoAppliesAtOnceEndWithAConflictAndNothingTwice(t *testing.T) {
	for name, c := range map[string]struct {
		before, document string
		prune            bool
		first            int // steps of the second that are done nevertheless
	}{
		"both add":          {"version: 1\n", small, false, 0},
		"both change":       {small, strings.Replace(small, "timeout: 30", "timeout: 31", 1), false, 0},
		"both remove":       {small, "version: 1\nintegrations: {}\n", true, 0},
		"both set the zone": {"version: 1\n", "version: 1\nreport_settings: {time_zone: Asia/Tokyo}\n", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.applied(c.before, hookEnv, false)
			one, stateOne, err := r.planned(c.document, hookEnv, c.prune)
			require.NoError(t, err)
			two, stateTwo, err := r.planned(c.document, hookEnv, c.prune)
			require.NoError(t, err)
			require.NoError(t, r.api().Apply(t.Context(), one, stateOne, func(client.Outcome) {}))
			after := r.exportedState()
			var done []client.Outcome
			err = r.api().Apply(t.Context(), two, stateTwo, func(o client.Outcome) {
				if o.Changed {
					done = append(done, o)
				}
			})
			require.ErrorIs(t, err, client.ErrConflict)
			require.Len(t, done, c.first)
			require.Equal(t, after, r.exportedState(), "the second left no trace")
			require.Empty(t, changes(r.applied(c.document, hookEnv, c.prune)), "and there is nothing left to do")
		})
	}
}

// asked is a call, or a wait between two, that waits for its turn.
type asked struct {
	sleeps bool
	turn   chan struct{}
}

// inTurn is a client that does nothing before it is its turn.
func (r *rig) inTurn(asks chan<- asked) *client.Client {
	wait := func(sleeps bool) {
		a := asked{sleeps, make(chan struct{})}
		asks <- a
		<-a.turn
	}
	c, err := client.New("http://tocsin.test", r.token, turns{r.handler, wait})
	require.NoError(r.t, err)
	c.Sleep = func(context.Context, time.Duration) error { wait(true); return nil }
	return c
}

type turns struct {
	http.Handler
	wait func(sleeps bool)
}

func (h turns) RoundTrip(q *http.Request) (*http.Response, error) {
	h.wait(false)
	return handled{h.Handler}.RoundTrip(q)
}

// atOnce applies a plan by several clients whose calls alternate in an order of the seed. A wait is over when all
// others wait too, or are done.
func (r *rig) atOnce(clients int, plan configuration.Plan, state configuration.State, seed uint64) (errs []error) {
	asks, over := make(chan asked), make(chan error)
	for range clients {
		c := r.inTurn(asks)
		go func() { over <- c.Apply(r.t.Context(), plan, state, func(client.Outcome) {}) }()
	}
	random := rand.New(rand.NewPCG(19, seed))
	for waiting := []asked{}; len(errs) < clients; {
		if len(waiting)+len(errs) < clients {
			select {
			case a := <-asks:
				waiting = append(waiting, a)
			case err := <-over:
				errs = append(errs, err)
			}
			continue
		}
		next := random.IntN(len(waiting))
		if calls := slices.IndexFunc(waiting, func(a asked) bool { return !a.sleeps }); calls >= 0 {
			for waiting[next].sleeps {
				next = (next + 1) % len(waiting)
			}
		}
		close(waiting[next].turn)
		waiting = slices.Delete(waiting, next, next+1)
	}
	return errs
}

func TestOfAppliesThatAddTheSameNamesAtOnceOneWins(t *testing.T) {
	overEngines(t, func(t *testing.T, open func(*testing.T) engine) {
		for seed := range uint64(10) {
			r := startOver(t, open(t))
			plan, state, err := r.planned(small, hookEnv, false)
			require.NoError(t, err)
			won := 0
			for _, err := range r.atOnce(2+int(seed%2), plan, state, seed) {
				if err == nil {
					won++
					continue
				}
				require.ErrorIs(t, err, client.ErrConflict, "seed %d", seed)
				require.ErrorContains(t, err, "one of that name was added at the same time, so ours was taken away")
			}
			require.Equal(t, 1, won, "seed %d", seed)
			require.Len(t, r.exportedState().Integrations, 2, "seed %d", seed)
			require.Empty(t, changes(r.applied(small, hookEnv, false)), "nothing is there twice, and nothing is left")
		}
	})
}

func TestAnApplyWaitsAsLongAsTheServiceAsksItTo(t *testing.T) {
	r := start(t)
	plan, state, err := r.planned(small, hookEnv, false)
	require.NoError(t, err)
	unbound := r.handler
	now := time.Unix(1_700_000_000, 0).Truncate(time.Minute).Add(18 * time.Second)
	r.config.Requests = &ratelimit.Limiter{Counter: &ratelimit.Memory{}, Limit: 2, Log: r.config.Log,
		Now: func() time.Time { return now }}
	r.handler = console.New(r.config)
	for range 2 {
		require.Equal(t, 200, r.call("GET", "/v1/session", "").status)
	}
	c := r.api()
	c.Sleep = func(context.Context, time.Duration) error { return nil } // somebody else takes every minute
	var told *client.Error
	require.ErrorAs(t, c.Apply(t.Context(), plan, state, func(client.Outcome) {}), &told)
	require.Equal(t, http.StatusTooManyRequests, told.Status)
	require.Contains(t, told.Detail, "the 2 calls of this minute")

	var waits []time.Duration
	c.Sleep = func(_ context.Context, d time.Duration) error {
		waits, now = append(waits, d), now.Add(d)
		return nil
	}
	var done []client.Outcome
	require.NoError(t, c.Apply(t.Context(), plan, state, func(o client.Outcome) { done = append(done, o) }))
	require.Equal(t, []time.Duration{42 * time.Second, time.Minute, time.Minute}, waits, "two calls in a minute")
	require.Len(t, done, 3)
	r.handler = unbound
	require.Len(t, r.exportedState().Integrations, 2)
}

// changes leaves out secrets that were sent and were the same.
func changes(list []client.Outcome) (out []client.Outcome) {
	for _, o := range list {
		if o.Changed {
			out = append(out, o)
		}
	}
	return out
}

// breaking fails the nth call that changes something: before the server sees it, or after it was done.
type breaking struct {
	http.Handler
	after bool
	left  int
}

func (b *breaking) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method != http.MethodGet {
		if b.left--; b.left == 0 {
			if b.after {
				_, _ = handled{b.Handler}.RoundTrip(q)
			}
			return nil, fmt.Errorf("connection reset")
		}
	}
	return handled{b.Handler}.RoundTrip(q)
}

func TestAServerThatFailsInTheMiddleLeavesWhatIsToldAndASecondApplyFinishes(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprintf("at %d, after it was done: %t", n, after), func(t *testing.T) {
				r := start(t)
				plan, state, err := r.planned(small, hookEnv, false)
				require.NoError(t, err)
				c, err := client.New("http://tocsin.test", r.token, &breaking{r.handler, after, n})
				require.NoError(t, err)
				var done []client.Outcome
				err = c.Apply(t.Context(), plan, state, func(o client.Outcome) { done = append(done, o) })
				var unknown *client.UnknownError
				require.ErrorAs(t, err, &unknown, "it is not sent again")
				require.ErrorContains(t, err, "it is not known whether this was done: no answer: connection reset")
				require.Len(t, done, n-1)
				r.applied(small, hookEnv, false)
				require.Empty(t, changes(r.applied(small, hookEnv, false)))
				require.Len(t, r.exportedState().Integrations, 2, "nothing is there twice")
			})
		}
	}
}

func TestASchemaOfAnotherLibrarySaysWhatIsRightAndWhatIsWrong(t *testing.T) {
	r := start(t)
	random := random{rand.New(rand.NewPCG(3, 1)), map[string]bool{}}
	r.fill(random)
	c := jsonschema.NewCompiler() // which checks the schema against draft 7
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(r.call("GET", "/configuration.schema.json", "").raw))
	require.NoError(t, err)
	require.NoError(t, c.AddResource("schema.json", raw))
	schema, err := c.Compile("schema.json")
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(r.exported(false)))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(document), "an export of every system and every condition")
	// Each object alone, with one thing wrong, must be refused.
	for section, of := range document.(map[string]any) {
		objects, ok := of.(map[string]any)
		if !ok || section == "report_settings" {
			continue
		}
		for name, object := range objects {
			for what, wrong := range spoiled(object.(map[string]any)) {
				err := schema.Validate(map[string]any{"version": 1, section: map[string]any{name: wrong}})
				require.Error(t, err, "%s %s: %s", section, name, what)
			}
		}
	}
}

// spoiled are copies of an object with one thing wrong in each.
func spoiled(o map[string]any) map[string]any {
	out := map[string]any{}
	with := func(what, member string, value any) {
		c := maps.Clone(o)
		c[member] = value
		out[what] = c
	}
	with("an unknown member", "colour", "red")
	with("enabled is a text", "enabled", "yes")
	if o["system"] != nil {
		with("another system", "system", "carrier_pigeon")
		with("another language", "language", "fr")
		with("an unknown event", "events", []any{"thunder"})
		with("an event twice", "events", []any{"system", "system"})
		with("headers of another event", "events", []any{map[string]any{"event": "system", "with_headers": true}})
		parameters := maps.Clone(o["parameters"].(map[string]any))
		parameters["colour"] = "red"
		with("an unknown parameter", "parameters", parameters)
		with("parameters in a list", "parameters", []any{})
		return out
	}
	with("another condition", "template_id", "full_moon")
	with("no action", "actions", []any{})
	with("an unknown action", "actions", []any{map[string]any{"id": "shout"}})
	with("a threshold of words", "threshold", map[string]any{"count": "many", "period": 60})
	with("a period of a week", "threshold", map[string]any{"count": 1, "period": 604800})
	with("an unknown filter", "filters", []any{map[string]any{"id": "mood", "operator": "eq", "values": []any{"x"}}})
	return out
}

// TestACommandNamesACallThatFailedAsTheLogDoes: its user saw no header, and had nothing to report it by.
func TestACommandNamesACallThatFailedAsTheLogDoes(t *testing.T) {
	c, err := client.New("http://tocsin.test", "token", handled{http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(rest.RequestIDHeader, "01REQUEST")
			rest.Write(w, rest.NewProblem(http.StatusInternalServerError, "this could not be done now: try again"))
		})})
	require.NoError(t, err)
	c.Sleep = func(context.Context, time.Duration) error { return nil }
	_, err = c.Export(t.Context(), true)
	require.ErrorContains(t, err, "answered 500: this could not be done now: try again (request 01REQUEST)")
}
