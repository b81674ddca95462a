package v2test

// kind is a type of integrations with what the provider sends of it.
type kind struct {
	name, kind string
	// target and next are two connections, shown and nextShown how they are answered.
	target, shown, next, nextShown string
	// events and nextEvents are two choices, active and nextActive what is on then, in the order of the form.
	events, nextEvents string
	active, nextActive []string
}

const (
	// basicEvents are what the provider sends for a messenger whose configuration names two events; noEvents what it
	// sends where none is named.
	basicEvents = `[{"event":"system","active":true},{"event":"security_issue_high","active":true}]`
	basicOther  = `[{"event":"rules_and_triggers","active":true},{"event":"system","active":false}]`
	noEvents    = `[{"event":"siem","active":false},{"event":"rules_and_triggers","active":false},` +
		`{"event":"number_of_requests_per_hour","active":false},{"event":"security_issue_critical","active":false},` +
		`{"event":"security_issue_high","active":false},{"event":"security_issue_medium","active":false},` +
		`{"event":"security_issue_low","active":false},{"event":"security_issue_info","active":false},` +
		`{"event":"system","active":false}]`
	hitsEvents = `[{"event":"siem","active":true,"with_headers":true},{"event":"system","active":true}]`
)

// basic is a type whose target is one text.
func basic(name, target, next string) kind {
	return kind{name: name, kind: name, target: target, shown: `"********"`, next: next, nextShown: `"********"`,
		events: basicEvents, nextEvents: basicOther, active: []string{"system", "security_issue_high"},
		nextActive: []string{"rules_and_triggers"}}
}

// advanced is a type that is sent hits. Its configuration names no events at first.
func advanced(name, target, shown, next, nextShown string) kind {
	return kind{name: name, kind: name, target: target, shown: shown, next: next, nextShown: nextShown,
		events: noEvents, nextEvents: hitsEvents, nextActive: []string{"siem", "system"}}
}

var kinds = append([]kind{
	{
		name: "email", kind: "email", target: `["a@example.com","b@example.com"]`,
		shown: `["a@example.com","b@example.com"]`, next: `["c@example.com"]`, nextShown: `["c@example.com"]`,
		events: `[{"event":"system","active":true},{"event":"aasm_report","active":true},` +
			`{"event":"api_discovery_hourly_changes_report","active":false},{"event":"report_monthly","active":true}]`,
		active:     []string{"report_monthly", "aasm_report", "system"},
		nextEvents: `[{"event":"report_daily","active":true}]`, nextActive: []string{"report_daily"},
	},
	basic("slack", `"https://hooks.slack.com/services/T/B/1"`, `"https://hooks.slack.com/services/T/B/2"`),
	basic("ms_teams", `"https://acme.webhook.office.com/1"`, `"https://acme.webhook.office.com/2"`),
	basic("pager_duty", `"eb7ddfc33acaaacaacaca55a39834dad"`, `"00112233445566778899aabbccddeeff"`),
	{
		name: "opsgenie", kind: "opsgenie",
		target:    `{"token":"11111111-1111-1111-1111-111111111111","api":"https://api.opsgenie.com/v2/alerts"}`,
		shown:     `{"token":"********","api":"https://api.opsgenie.com/v2/alerts"}`,
		next:      `{"token":"22222222-1111-1111-1111-111111111111","api":"https://api.eu.opsgenie.com/v2/alerts"}`,
		nextShown: `{"token":"********","api":"https://api.eu.opsgenie.com/v2/alerts"}`,
		events:    basicEvents, nextEvents: basicOther, active: []string{"system", "security_issue_high"},
		nextActive: []string{"rules_and_triggers"},
	},
	advanced("insight_connect",
		`{"token":"12345678-abcd","api":"https://us.api.insight.rapid7.com/connect/v1/workflows/1/events/execute"}`,
		`{"token":"********","api":"********"}`,
		`{"token":"87654321-abcd","api":"https://eu.api.insight.rapid7.com/connect/v1/workflows/2/events/execute"}`,
		`{"token":"********","api":"********"}`),
	advanced("splunk", `{"token":"b1e2d6dc-e4b5-400d-9dae-270c39c5daa2","api":"https://hec.example.com:8088"}`,
		`{"token":"********","api":"https://hec.example.com:8088"}`,
		`{"token":"c1e2d6dc-e4b5-400d-9dae-270c39c5daa2","api":"https://other.example.com:8088"}`,
		`{"token":"********","api":"https://other.example.com:8088"}`),
	advanced("sumo_logic", `"https://endpoint6.collection.us2.sumologic.com/receiver/v1/http/Za=="`, `"********"`,
		`"https://endpoint6.collection.us2.sumologic.com/receiver/v1/http/Zb=="`, `"********"`),
	advanced("data_dog", `{"region":"US1","token":"0123456789abcdef0123456789abcdef"}`,
		`{"region":"US1","token":"********"}`, `{"region":"us5","token":"abcdef0123456789abcdef0123456789"}`,
		`{"region":"US5","token":"********"}`),
}, webhooks()...)

// webhooks are the types whose target has a subtype.
func webhooks() (out []kind) {
	for _, subtype := range []string{"web_hooks", "fluentd", "logstash"} {
		k := advanced("web_hooks",
			`{"url":"https://example.com/hook","format":"json","http_method":"POST","headers":{"X-Key":"k1"},`+
				`"ca_file":"","ca_verify":true,"timeout":15,"open_timeout":20,"subtype":"`+subtype+`"}`,
			`{"url":"https://example.com/hook","format":"json","http_method":"POST","headers":{"X-Key":"********"},`+
				`"ca_verify":true,"timeout":15,"open_timeout":20,"max_events":100,"trace_context":false,"subtype":"`+subtype+`"}`,
			`{"url":"https://example.com/other","format":"jsonl","http_method":"PUT","headers":{"X-Other":"k2"},`+
				`"ca_file":"","ca_verify":false,"timeout":20,"open_timeout":10,"subtype":"`+subtype+`"}`,
			`{"url":"https://example.com/other","format":"jsonl","http_method":"PUT","headers":{"X-Other":"********"},`+
				`"ca_verify":false,"timeout":20,"open_timeout":10,"max_events":100,"trace_context":false,"subtype":"`+subtype+`"}`)
		k.name += ", " + subtype
		out = append(out, k)
	}
	return out
}
