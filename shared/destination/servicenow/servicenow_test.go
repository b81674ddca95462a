package servicenow_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/servicenow"
	"tocsin/shared/notification"
)

var suite = destinationtest.Case{
	Destination: servicenow.New(), Check: check, Secrets: []string{"pass word&1", "s3cr3t-of-client"},
	Parameters: `{"instance":"acme","username":"tocsin","password":"pass word&1","client_id":"c0ffee","client_secret":"s3cr3t-of-client"}`,
}

func TestServiceNow(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzServiceNow(f *testing.F) { destinationtest.Fuzz(f, suite) }

// check holds an incident against the columns of the table.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var i struct {
		Short       string `json:"short_description"`
		Description string `json:"description"`
		Impact      string `json:"impact"`
		Urgency     string `json:"urgency"`
		Correlation string `json:"correlation_id"`
		Display     string `json:"correlation_display"`
	}
	require.NoError(t, dec.Decode(&i))
	within := func(s string, limit int) {
		t.Helper()
		require.NotEmpty(t, s)
		require.LessOrEqual(t, len(utf16.Encode([]rune(s))), limit)
		require.NotContains(t, s, "\x00")
	}
	within(i.Short, 160)
	within(i.Description, 4000)
	within(i.Correlation, 100)
	within(i.Display, 100)
	require.NotContains(t, i.Short, "\n")
	require.Contains(t, "123", i.Impact)
	require.Contains(t, "123", i.Urgency)
	require.NotNil(t, r.Authorizer)
}

func TestTheTokenIsAskedForWithThePassword(t *testing.T) {
	r := destinationtest.Encode(t, suite, destinationtest.Notifications(servicenow.New().System())[0])[0]
	require.Equal(t, "https://acme.service-now.com/api/now/table/incident?sysparm_fields=number%2Csys_id", r.URL)
	q, err := r.Authorizer.Ask(t.Context(), destinationtest.Now)
	require.NoError(t, err)
	require.Equal(t, "https://acme.service-now.com/oauth_token.do", q.URL)
	form, err := url.ParseQuery(string(q.Body))
	require.NoError(t, err)
	require.Equal(t, url.Values{"grant_type": {"password"}, "client_id": {"c0ffee"},
		"client_secret": {"s3cr3t-of-client"}, "username": {"tocsin"}, "password": {"pass word&1"}}, form)
}

func TestTheRiskMakesThePriority(t *testing.T) {
	for _, n := range destinationtest.Notifications(servicenow.New().System()) {
		var i map[string]string
		require.NoError(t, json.Unmarshal(destinationtest.Encode(t, suite, n)[0].Body, &i))
		switch {
		case n.Test:
			require.Equal(t, "3"+"3", i["impact"]+i["urgency"], "a test wakes nobody")
			require.Contains(t, i["short_description"], "[Test message]")
		case n.Severity() == notification.Critical:
			require.Equal(t, "1"+"1", i["impact"]+i["urgency"])
		}
	}
}

func TestALongKeyIsADigest(t *testing.T) {
	n := destinationtest.Notifications(servicenow.New().System())[0]
	n.Event.ID = strings.Repeat("x", 128)
	var i, again map[string]string
	require.NoError(t, json.Unmarshal(destinationtest.Encode(t, suite, n)[0].Body, &i))
	require.Len(t, i["correlation_id"], 64)
	n.Event.ID = strings.Repeat("x", 127) + "y"
	require.NoError(t, json.Unmarshal(destinationtest.Encode(t, suite, n)[0].Body, &again))
	require.NotEqual(t, i["correlation_id"], again["correlation_id"])
}

func TestInstances(t *testing.T) {
	p := servicenow.New().System().Parameters
	for instance, host := range map[string]string{
		"acme": "acme.service-now.com", "Acme-Dev2": "acme-dev2.service-now.com",
		"https://support.example.com/": "support.example.com",
		"acme.service-now.com":         "", "https://acme.service-now.com/nav_to.do": "", "ftp://x": "", "a b": "",
		"acme/../evil": "", "https://user@evil": "", "-acme": "",
	} {
		merged, err := p.Merge(json.RawMessage(suite.Parameters), json.RawMessage(`{"instance":"`+instance+`"}`))
		require.NoError(t, err)
		_, err = p.Complete(merged)
		if host == "" {
			require.ErrorContains(t, err, "parameters.instance: must be the instance's name", instance)
			continue
		}
		require.NoError(t, err, instance)
		c := suite
		c.Parameters = string(merged)
		u, err := url.Parse(destinationtest.Encode(t, c,
			destinationtest.Notifications(servicenow.New().System())[0])[0].URL)
		require.NoError(t, err)
		require.Equal(t, host, u.Host)
	}
}

func TestAnswers(t *testing.T) {
	d := servicenow.New()
	require.True(t,
		d.Judge(destination.Response{Status: 201,
			Body: []byte(`{"result":{"number":"INC0010001","sys_id":"c537bae64f411200adf9f8e18110c76e"}}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
		stale  bool
	}{
		{200, `<html>Your instance is hibernating</html>`, "hibernating", false},
		{200, `{"error":{"message":"Transaction cancelled: maximum execution time exceeded","detail":"x"},"status":"failure"}`, "made no incident (it says: Transaction cancelled", false},
		{401, `{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}`, "User Not Authenticated", true},
		{403, `{"error":{"message":"Operation Failed","detail":"ACL Exception Insert Failed due to security constraints"}}`, "the role itil", false},
		{400, `{"error":{"message":"Invalid table incident","detail":null}}`, "Invalid table", false},
		{429, ``, "limit of requests", false},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
		require.Equal(t, c.stale, v.Stale)
	}
}
