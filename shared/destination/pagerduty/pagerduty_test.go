package pagerduty_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/pagerduty"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const key = "0123456789abcdef0123456789ABCDEF"

func suite(more string) destinationtest.Case {
	return destinationtest.Case{
		Destination: pagerduty.New(), Parameters: `{"integration_key":"` + key + `"` + more + `}`, Check: check,
		Secrets: []string{key},
	}
}

// trigger is PagerDuty's event as its documentation describes it, with the members that we send; scripts/independent
// decodes it with PagerDuty's own library.
type trigger struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Client      string
	ClientURL   string `json:"client_url"`
	Payload     struct {
		Summary, Source, Severity, Group, Class string
		Timestamp                               time.Time
		CustomDetails                           map[string]any `json:"custom_details"`
	}
	Links []struct{ Href, Text string }
}

func decode(t *testing.T, r destination.Request) trigger {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var e trigger
	require.NoError(t, dec.Decode(&e))
	require.False(t, dec.More())
	return e
}

// check holds an event against PagerDuty's limits.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.LessOrEqual(t, len(r.Body), 512<<10)
	e := decode(t, r)
	require.Equal(t, key, e.RoutingKey)
	require.NotEmpty(t, e.DedupKey)
	require.LessOrEqual(t, len(e.DedupKey), 255)
	if e.EventAction == "resolve" {
		require.Zero(t, e.Payload)
		return
	}
	require.Equal(t, "trigger", e.EventAction)
	require.NotEmpty(t, e.Payload.Summary)
	require.LessOrEqual(t, utf8.RuneCountInString(e.Payload.Summary), 1024)
	require.Equal(t, "Platform", e.Payload.Source)
	require.Contains(t, []string{"critical", "error", "warning", "info"}, e.Payload.Severity)
	require.Equal(t, destinationtest.Now, e.Payload.Timestamp)
	require.NotEmpty(t, e.Payload.CustomDetails["notification_type"])
	require.NotEmpty(t, e.Payload.CustomDetails["description"])
	if len(e.Links) > 0 {
		require.Equal(t, e.ClientURL, e.Links[0].Href)
	}
	for _, l := range e.Links {
		require.Equal(t, l.Href, destination.WebLink(l.Href, 2048))
		require.NotEmpty(t, l.Text)
	}
}

func TestPagerDuty(t *testing.T) { destinationtest.Run(t, suite("")) }

func FuzzPagerDuty(f *testing.F) { destinationtest.Fuzz(f, suite("")) }

func of(kind event.Kind, data string) notification.Notification {
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "evt", Tenant: "42", ClientName: "Acme", Kind: kind, Time: destinationtest.Now, Data: json.RawMessage(data),
	}}
}

func TestTheRiskOfAFindingSetsTheSeverity(t *testing.T) {
	for risk, want := range map[string]string{"Critical": "critical", "High": "error", "Medium": "warning",
		"Low": "info", "Info": "info"} {
		n := of(event.SecurityIssue, `{"security_issue":{"risk":"`+risk+`"}}`)
		require.Equal(t, want, decode(t, destinationtest.Encode(t, suite(""), n)[0]).Payload.Severity, risk)
		n.Test = true
		require.Equal(t, "info", decode(t, destinationtest.Encode(t, suite(""), n)[0]).Payload.Severity,
			"a test wakes nobody")
	}
}

func TestARepeatHasTheSameDedupKeyAndATestAnother(t *testing.T) {
	n := of(event.Vuln, `{"vuln":{"threat":"High","title":"an event that names no object"}}`)
	first := decode(t, destinationtest.Encode(t, suite(""), n)[0]).DedupKey
	require.Equal(t, "42:evt", first)
	require.Equal(t, first, decode(t, destinationtest.Encode(t, suite(""), n)[0]).DedupKey)
	n.Test = true
	require.NotEqual(t, first, decode(t, destinationtest.Encode(t, suite(""), n)[0]).DedupKey)
	n.Event.Tenant, n.Event.ID = strings.Repeat("t", 64), strings.Repeat("i", 128)
	require.NoError(t, n.Event.Validate())
	check(t, destinationtest.Encode(t, suite(""), n)[0])
}

func TestWhatBecomesOfAFindingKeepsItsDedupKey(t *testing.T) {
	encode := func(n notification.Notification) trigger {
		r := destinationtest.Encode(t, suite(""), n)[0]
		check(t, r)
		return decode(t, r)
	}
	vuln := func(id, status string) trigger {
		n := of(event.Vuln, `{"vuln":{"id":"`+id+`","threat":"High","status":"`+status+`"}}`)
		n.Event.ID = "evt-" + status
		return encode(n)
	}
	opened, closed, reopened := vuln("V-1", "open"), vuln("V-1", "closed"), vuln("V-1", "reopened")
	require.Equal(t, "42:vuln:V-1", opened.DedupKey)
	require.Equal(t, opened.DedupKey, closed.DedupKey)
	require.Equal(t, opened.DedupKey, reopened.DedupKey)
	require.Equal(t, []string{"trigger", "resolve", "trigger"},
		[]string{opened.EventAction, closed.EventAction, reopened.EventAction})
	require.Contains(t, reopened.Payload.Summary, "re-opened")
	require.NotEqual(t, opened.DedupKey, vuln("V-2", "open").DedupKey)
	long := vuln(strings.Repeat("é", 500), "open")
	require.NotEqual(t, long.DedupKey, vuln(strings.Repeat("é", 501), "open").DedupKey)

	health := func(k event.Kind, more string) trigger {
		return encode(of(k, `{"integration":{"id":"I-1","name":"Ops"}`+more+`}`))
	}
	require.Equal(t, "42:integration_health:I-1", health(event.IntegrationFailing, "").DedupKey)
	require.Equal(t, "trigger", health(event.IntegrationBroken, "").EventAction)
	require.Equal(t, health(event.IntegrationFailing, "").DedupKey, health(event.IntegrationBroken, "").DedupKey)
	require.Equal(t, "resolve", health(event.IntegrationWorking, "").EventAction)

	test := of(event.Vuln, `{"vuln":{"id":"V-1","threat":"High","status":"closed"}}`)
	test.Test = true
	require.Equal(t, "trigger", encode(test).EventAction, "a test touches no incident but its own")
	require.NotEqual(t, opened.DedupKey, encode(test).DedupKey)
}

func TestTheRegionChoosesTheHost(t *testing.T) {
	n := of(event.Vuln, `{"vuln":{"threat":"High"}}`)
	require.Equal(t, "https://events.pagerduty.com/v2/enqueue", destinationtest.Encode(t, suite(""), n)[0].URL)
	require.Equal(t, "https://events.eu.pagerduty.com/v2/enqueue",
		destinationtest.Encode(t, suite(`,"region":"EU"`), n)[0].URL)
}

func TestALargeScopeChangeIsCutVisibly(t *testing.T) {
	object := `{"action":"create","entity":{"id":2,"ip":"203.0.113.8"},"object_type":"subnetorip","object_userid":777,"note":"` + strings.Repeat("n", 200) + `"}`
	n := of(event.NewScopeIPs, `{"data":[`+strings.Repeat(object+",", 4000)+object+`]}`)
	r := destinationtest.Encode(t, suite(""), n)[0]
	check(t, r)
	require.Greater(t, len(r.Body), 100<<10, "as much as fits is kept")
	data := decode(t, r).Payload.CustomDetails["data"].([]any)
	require.Regexp(t, `^… \d+ more$`, data[len(data)-1])
}

func TestTheDataCanNotReplaceTheDescription(t *testing.T) {
	n := of(event.Vuln, `{"vuln":{"threat":"High"},"description":"forged"}`)
	e := decode(t, destinationtest.Encode(t, suite(""), n)[0])
	require.Equal(t, n.Description(), e.Payload.CustomDetails["description"])
}

func TestBadParameters(t *testing.T) {
	for parameters, says := range map[string]string{
		`{"integration_key":"short"}`: "parameters.integration_key: must have at least 32 " +
			"characters",
		`{"integration_key":"` + key +
			`x"}`: "parameters.integration_key: must have at most 32 characters",
		`{"integration_key":"0123456789abcdef0123456789abcde!"}`: "parameters.integration_key: has the wrong form",
		`{"integration_key":"` + key + `","region":"MOON"}`:      "parameters.region: must be one of [US EU]",
	} {
		_, err := pagerduty.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says)
	}
}

func TestAnswers(t *testing.T) {
	d := pagerduty.New()
	require.True(t,
		d.Judge(destination.Response{Status: 202,
			Body: []byte(`{"status":"success","message":"Event processed","dedup_key":"42:evt"}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{400, `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}`,
			"answered 400 Bad Request: PagerDuty does not accept the event: check the Integration Key and the " +
				"service region (it says: Event object is invalid; Length of 'routing_key' is incorrect (should be " +
				"32 characters))"},
		{429, `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly. Please retry later."}`, "throttles this Integration Key"},
		{500, `<html>`, "answered 500 Internal Server Error: the receiver has a fault of its own"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
	require.NotContains(t, d.Judge(destination.Response{Status: 500, Body: []byte("<html>")}).Reason, "html")
}
