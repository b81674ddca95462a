package datadog_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/datadog"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const key = "0123456789abcdef0123456789abcdef"

func suite(more string) destinationtest.Case {
	return destinationtest.Case{Destination: datadog.New(), Parameters: `{"token":"` + key + `"` + more + `}`,
		Check: check, Secrets: []string{key}}
}

// log has the attributes that Datadog documents and the members of the envelope; scripts/independent/datadog decodes
// it with Datadog's own library.
type log struct {
	DDSource, DDTags, Hostname, Service, Status, Message string
	Timestamp                                            int64
	EventTime                                            time.Time `json:"event_time"`
	Summary, Description                                 string
	Details                                              map[string]any
}

func decode(t *testing.T, r destination.Request) []log {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(destinationtest.Plain(r)))
	dec.DisallowUnknownFields()
	var logs []log
	require.NoError(t, dec.Decode(&logs))
	require.False(t, dec.More())
	return logs
}

// check reads a body as the intake does, and holds it against its limits.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, key, r.Header.Get("DD-API-KEY"))
	require.Equal(t, "gzip", r.Header.Get("Content-Encoding"))
	body := destinationtest.Plain(r)
	require.LessOrEqual(t, len(body), 5_000_000)
	var raw []json.RawMessage
	require.NoError(t, json.Unmarshal(body, &raw))
	require.LessOrEqual(t, len(raw), 1000)
	for i, l := range decode(t, r) {
		require.LessOrEqual(t, len(raw[i]), 1_000_000)
		require.NotEmpty(t, l.Message)
		require.Equal(t, "platform_cloud", l.DDSource)
		require.NotEmpty(t, l.DDTags)
		require.Contains(t, []string{"critical", "error", "warn", "notice", "info"}, l.Status)
		require.Less(t, destinationtest.Now.Sub(time.UnixMilli(l.Timestamp)), 18*time.Hour)
		require.NotEmpty(t, l.Summary)
		require.NotEmpty(t, l.Details["notification_type"])
	}
}

func TestDatadog(t *testing.T) { destinationtest.Run(t, suite("")) }

func FuzzDatadog(f *testing.F) { destinationtest.Fuzz(f, suite("")) }

func of(kind event.Kind, at time.Time, data string) notification.Notification {
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "evt", Tenant: "42", ClientName: "Acme", Kind: kind, Time: at, Data: json.RawMessage(data),
	}}
}

func TestALogThatIsTooOldIsFiledUnderNowAndKeepsItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		age   time.Duration
		filed time.Duration
	}{
		"a fresh one is filed under its own time":         {time.Minute, time.Minute},
		"so is one of 16 hours":                           {16 * time.Hour, 16 * time.Hour},
		"one of 17 and a half could be dropped":           {17*time.Hour + 30*time.Minute, 0},
		"a dead delivery is sent again after three weeks": {500 * time.Hour, 0},
		"a clock that is ahead by a day":                  {-24 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			at := destinationtest.Now.Add(-c.age)
			r := destinationtest.Encode(t, suite(""), of(event.NewHits, at, `{"hit":{"type":"sqli"}}`))[0]
			check(t, r)
			l := decode(t, r)[0]
			require.Equal(t, destinationtest.Now.Add(-c.filed).UnixMilli(), l.Timestamp)
			require.Equal(t, at, l.EventTime)
		})
	}
}

func TestARetrySplitsAsTheAttemptBefore(t *testing.T) {
	var ns []notification.Notification
	for range 100 {
		ns = append(ns, of(event.NewHits, destinationtest.Now, `{"hit":{"type":"sqli","payloads":["`+
			strings.Repeat("x", 130_000)+`"]}}`))
	}
	c := suite("")
	at := func(now time.Time) (counts []int) {
		rs, err := c.Destination.Encode(destination.Target{Parameters: destinationtest.Open(t, c), Now: now}, ns)
		require.NoError(t, err)
		for _, r := range rs {
			counts = append(counts, len(decode(t, r)))
		}
		return counts
	}
	require.Equal(t, []int{38, 38, 24}, at(destinationtest.Now))
	require.Equal(t, []int{38, 38, 24}, at(destinationtest.Now.Add(48*time.Hour)))
}

func TestALogOverTheLimitIsCutVisibly(t *testing.T) {
	r := destinationtest.Encode(t, suite(""),
		of(event.NewHits, destinationtest.Now, `{"hit":{"type":"sqli","path":"/orders","payloads":["`+
			strings.Repeat("x", 3_000_000)+`"]}}`))[0]
	check(t, r)
	hit := decode(t, r)[0].Details["hit"].(map[string]any)
	require.Equal(t, "/orders", hit["path"])
	payload := hit["payloads"].([]any)[0].(string)
	require.True(t, strings.HasSuffix(payload, "…"))
	require.Greater(t, len(payload), 400_000)
}

func TestTheRiskOfAFindingSetsTheStatus(t *testing.T) {
	for risk, want := range map[string]string{"Critical": "critical", "High": "error", "Medium": "warn",
		"Low": "notice", "Info": "info"} {
		r := destinationtest.Encode(t, suite(""),
			of(event.SecurityIssue, destinationtest.Now, `{"security_issue":{"risk":"`+risk+`"}}`))[0]
		require.Equal(t, want, decode(t, r)[0].Status)
	}
}

func TestTheRegionChoosesTheIntake(t *testing.T) {
	n := of(event.NewHits, destinationtest.Now, `{"hit":{"type":"sqli"}}`)
	require.Equal(t, "https://http-intake.logs.datadoghq.com/api/v2/logs",
		destinationtest.Encode(t, suite(""), n)[0].URL)
	for region, host := range map[string]string{
		"US1": "datadoghq.com", "US3": "us3.datadoghq.com", "US5": "us5.datadoghq.com", "EU": "datadoghq.eu",
		"AP1": "ap1.datadoghq.com", "AP2": "ap2.datadoghq.com", "US1-FED": "ddog-gov.com",
	} {
		r := destinationtest.Encode(t, suite(`,"region":"`+region+`"`), n)[0]
		require.Equal(t, "https://http-intake.logs."+host+"/api/v2/logs", r.URL)
	}
	for parameters, says := range map[string]string{
		`{"token":"` + key +
			`","region":"us1"}`: "parameters.region: must be one of [US1 US3 US5 EU AP1 AP2 US1-FED]",
		`{"token":"short"}`:                                  "parameters.token: must have at least 32 characters",
		`{"token":"` + key + `012345678"}`:                   "parameters.token: must have at most 40 characters",
		`{"token":"0123456789abcdef0123456789abcde\\u0000"}`: "parameters.token: has the wrong form",
	} {
		_, err := datadog.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says)
	}
}

func TestAnswers(t *testing.T) {
	d := datadog.New()
	require.True(t, d.Judge(destination.Response{Status: 202, Body: []byte(`{}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{403, `{"errors":[{"status":"403","title":"Forbidden","detail":"API key is invalid"}]}`,
			"no application key (it says: Forbidden; API key is invalid)"},
		{400, `{"errors":["Payload is not a json array"]}`,
			"could not read the logs (it says: Payload is not a json array)"},
		{413, `{"errors":[]}`, "too large"},
		{429, ``, "throttles"},
		{408, ``, "waited too long"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
}
