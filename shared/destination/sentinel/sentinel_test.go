package sentinel_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/sentinel"
	"tocsin/shared/notification"
)

const secret = "abc8Q~secret.of.the.application"

func parameters(endpoint string) string {
	return `{"tenant_id":"11111111-2222-4333-8444-555555555555","client_id":"66666666-7777-4888-9999-000000000000","client_secret":"` + secret +
		`","endpoint":"` + endpoint +
		`","dcr_immutable_id":"dcr-0123456789abcdef0123456789abcdef","stream_name":"Custom-Tocsin_CL"}`
}

const endpoint = "https://rule-a1b2.westeurope-1.ingest.monitor.azure.com"

var suite = destinationtest.Case{Destination: sentinel.New(), Parameters: parameters(endpoint), Check: check,
	Secrets: []string{secret}}

func TestSentinel(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzSentinel(f *testing.F) { destinationtest.Fuzz(f, suite) }

// columns of the table, as the set-up page declares them.
var columns = []string{"TimeGenerated", "Vendor", "EventType", "Severity", "ClientName", "Summary", "Description",
	"RequestId", "RemoteAddr", "Url", "RawData"}

// check reads the rows as the API does: an array of objects with the declared columns, strings all of them.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	body := destinationtest.Plain(r)
	require.LessOrEqual(t, len(body), 1_000_000)
	require.True(t, utf8.Valid(body))
	var rows []map[string]string
	require.NoError(t, json.Unmarshal(body, &rows))
	require.NotEmpty(t, rows)
	for _, row := range rows {
		require.Len(t, row, len(columns))
		for _, c := range columns {
			require.Contains(t, row, c)
			require.LessOrEqual(t, len(row[c]), 64_000, c)
		}
		_, err := time.Parse(time.RFC3339Nano, row["TimeGenerated"])
		require.NoError(t, err)
		require.Contains(t, []string{"high", "medium", "low", "info"}, row["Severity"])
		require.True(t, json.Valid([]byte(row["RawData"])), "RawData is the event as JSON, however long it was")
	}
}

func TestTheTokenIsThatOfTheEndpointsCloud(t *testing.T) {
	n := destinationtest.Notifications(sentinel.New().System())[0]
	for at, want := range map[string][2]string{
		endpoint:                            {"login.microsoftonline.com", "https://monitor.azure.com//.default"},
		"https://x.ingest.monitor.azure.us": {"login.microsoftonline.us", "https://monitor.azure.us//.default"},
		"https://x.ingest.monitor.azure.cn/": {"login.partner.microsoftonline.cn",
			"https://monitor.azure.cn//.default"},
		"https://logs.privatelink.example.com": {"login.microsoftonline.com", "https://monitor.azure.com//.default"},
	} {
		c := suite
		c.Parameters = parameters(at)
		r := destinationtest.Encode(t, c, n)[0]
		q, err := r.Authorizer.Ask(t.Context(), destinationtest.Now)
		require.NoError(t, err)
		u, err := url.Parse(q.URL)
		require.NoError(t, err)
		require.Equal(t, want[0], u.Host)
		require.Equal(t, "/11111111-2222-4333-8444-555555555555/oauth2/v2.0/token", u.Path)
		form, err := url.ParseQuery(string(q.Body))
		require.NoError(t, err)
		require.Equal(t, want[1], form.Get("scope"))
		require.NotContains(t, r.URL, "//dataCollectionRules")
	}
}

func TestCriticalIsHigh(t *testing.T) {
	for _, n := range destinationtest.Notifications(sentinel.New().System()) {
		if n.Severity() == notification.Critical {
			var rows []map[string]string
			require.NoError(t, json.Unmarshal(destinationtest.Plain(destinationtest.Encode(t, suite, n)[0]), &rows))
			require.Equal(t, "high", rows[0]["Severity"])
			return
		}
	}
	t.Fatal("the suite has no critical event")
}

func TestAnswers(t *testing.T) {
	d := sentinel.New()
	require.True(t, d.Judge(destination.Response{Status: 204}).Delivered)
	for status, says := range map[int]string{
		403: "Monitoring Metrics Publisher", 404: "DCR immutable ID", 400: "columns", 413: "too large",
	} {
		v := d.Judge(destination.Response{Status: status,
			Body: []byte(
				`{"error":{"code":"OperationFailed","message":"The authentication token provided does not have access"}}`)})
		require.Contains(t, v.Reason, says)
		require.Contains(t, v.Reason, "it says: OperationFailed; The authentication token")
		require.False(t, v.Stale)
	}
	require.True(t, d.Judge(destination.Response{Status: 401}).Stale)
	require.Equal(t, time.Minute,
		d.Judge(destination.Response{Status: 429, Header: http.Header{"Retry-After": {"60"}}}).RetryAfter)
}

func TestParameters(t *testing.T) {
	for parameter, says := range map[string]string{
		`"endpoint":"https://x.ingest.monitor.azure.com/dataCollectionRules"`: "parameters.endpoint: must be the " +
			"address alone",
		`"dcr_immutable_id":"dcr-123"`:          "parameters.dcr_immutable_id",
		`"stream_name":"Tocsin_CL"`:             "parameters.stream_name",
		`"stream_name":"Custom-Tocsin"`:         "parameters.stream_name",
		`"tenant_id":"contoso.onmicrosoft.com"`: "parameters.tenant_id: must be a UUID",
	} {
		p := sentinel.New().System().Parameters
		merged, err := p.Merge(json.RawMessage(suite.Parameters), json.RawMessage("{"+parameter+"}"))
		require.NoError(t, err)
		_, err = p.Complete(merged)
		require.ErrorContains(t, err, says, parameter)
	}
}
