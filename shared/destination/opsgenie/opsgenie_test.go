package opsgenie_test

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
	"tocsin/shared/destination/opsgenie"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const key = "eb243592-faa2-4ba2-a551q-1afdf565c889"

func suite(more string) destinationtest.Case {
	return destinationtest.Case{Destination: opsgenie.New(), Parameters: `{"token":"` + key + `"` + more + `}`,
		Check: check, Secrets: []string{key}}
}

// alert is Opsgenie's as its documentation describes it, with the members that we send; scripts/independent decodes
// it with Opsgenie's own library.
type alert struct {
	Message, Alias, Description, Entity, Source, Priority string
	Tags                                                  []string
	Details                                               map[string]string
}

func decode(t *testing.T, r destination.Request) alert {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var a alert
	require.NoError(t, dec.Decode(&a))
	require.False(t, dec.More())
	return a
}

func length(s string) int { return len(utf16.Encode([]rune(s))) }

// check holds an alert against Opsgenie's limits.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, "GenieKey "+key, r.Header.Get("Authorization"))
	if alias, closes := closedAlias(t, r); closes {
		require.NotEmpty(t, alias)
		require.LessOrEqual(t, length(alias), 250)
		var c struct{ Note, Source string }
		dec := json.NewDecoder(bytes.NewReader(r.Body))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&c))
		require.NotEmpty(t, c.Note)
		require.LessOrEqual(t, length(c.Note), 25_000)
		require.LessOrEqual(t, length(c.Source), 100)
		return
	}
	a := decode(t, r)
	require.NotEmpty(t, strings.TrimSpace(a.Message))
	require.LessOrEqual(t, length(a.Message), 130)
	require.NotEmpty(t, a.Alias)
	require.LessOrEqual(t, length(a.Alias), 250)
	require.LessOrEqual(t, length(a.Description), 15000)
	require.LessOrEqual(t, length(a.Source), 100)
	require.LessOrEqual(t, length(a.Entity), 512)
	require.LessOrEqual(t, len(a.Tags), 20)
	for _, tag := range a.Tags {
		require.LessOrEqual(t, length(tag), 50)
	}
	require.Contains(t, []string{"P1", "P2", "P3", "P4", "P5"}, a.Priority)
	size := 0
	for name, value := range a.Details {
		require.NotEmpty(t, value, name)
		size += length(name) + length(value)
	}
	require.LessOrEqual(t, size, 8000)
	require.NotEmpty(t, a.Details["notification_type"])
}

// closedAlias is the alias of the alert that a request closes.
func closedAlias(t *testing.T, r destination.Request) (alias string, closes bool) {
	t.Helper()
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	rest, ok := strings.CutPrefix(u.Path, "/v2/alerts/")
	if !ok {
		require.Equal(t, "/v2/alerts", u.Path)
		return "", false
	}
	alias, ok = strings.CutSuffix(rest, "/close")
	require.True(t, ok, u.Path)
	require.Equal(t, url.Values{"identifierType": {"alias"}}, u.Query())
	return alias, true
}

func TestWhatBecomesOfAFindingKeepsItsAlias(t *testing.T) {
	vuln := func(id, status string) destination.Request {
		n := of(event.Vuln, `{"vuln":{"id":"`+id+`","threat":"High","status":"`+status+`"}}`)
		n.Event.ID = "evt-" + status
		r := destinationtest.Encode(t, suite(""), n)[0]
		check(t, r)
		return r
	}
	for _, id := range []string{"V-1", "a/b?c#d%41&é", strings.Repeat("x", 500)} {
		opened := decode(t, vuln(id, "open")).Alias
		require.Equal(t, opened, decode(t, vuln(id, "reopened")).Alias)
		closed, ok := closedAlias(t, vuln(id, "closed"))
		require.True(t, ok)
		require.Equal(t, opened, closed)
	}
	require.Contains(t, decode(t, vuln("V-1", "reopened")).Message, "re-opened")
}

func TestAnAlertThatAPersonClosedBeforeIsNoFailure(t *testing.T) {
	v := opsgenie.New().Judge(destination.Response{Status: 404,
		Body: []byte(`{"message":"Alert with alias [42:vuln:V-1] does not exist","took":0.01,"requestId":"r"}`)})
	require.True(t, v.Delivered)
	require.NotEmpty(t, v.Reason)
	require.False(t, opsgenie.New().Judge(destination.Response{Status: 404, Body: []byte(`{"message":"Not found"}`)}).
		Delivered, "an address that is not Opsgenie's")
}

func TestOpsgenie(t *testing.T) { destinationtest.Run(t, suite("")) }

func FuzzOpsgenie(f *testing.F) { destinationtest.Fuzz(f, suite("")) }

func of(kind event.Kind, data string) notification.Notification {
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "evt", Tenant: "42", ClientName: "Acme", Kind: kind, Time: destinationtest.Now, Data: json.RawMessage(data),
	}}
}

func TestDetailsAreFlatTextsWithoutWhatIsUnknown(t *testing.T) {
	n := of(event.Vuln,
		`{"object_id":555,"vuln":{"domain":"shop.example.com","id":null,"method":"","title":"XSS","threat":"Medium","score":7.50,"open":true,"at":{"line":3}},"seen":["a","b"]}`)
	require.Equal(t, map[string]string{
		"client_name": "Acme", "cloud": "EU", "notification_type": "vuln",
		"vuln_link":   "https://console.example.com/object/555",
		"vuln_domain": "shop.example.com", "vuln_title": "XSS", "vuln_threat": "Medium", "vuln_score": "7.50",
		"vuln_open": "true",
		"vuln_at":   `{"line":3}`, "seen": `["a","b"]`,
	}, decode(t, destinationtest.Encode(t, suite(""), n)[0]).Details)
}

func TestAHugeValueLeavesRoomForTheOthers(t *testing.T) {
	n := of(event.Vuln, `{"vuln":{"threat":"High","title":"`+strings.Repeat("🚨", 9000)+
		`","path":"/checkout","domain":"shop.example.com"}}`)
	d := decode(t, destinationtest.Encode(t, suite(""), n)[0]).Details
	require.Equal(t, "/checkout", d["vuln_path"])
	require.True(t, strings.HasSuffix(d["vuln_title"], "…"))
	require.Greater(t, length(d["vuln_title"]), 3000, "no more is cut than must be")
}

func TestPropertiesThatHaveNoRoomAreCounted(t *testing.T) {
	var members []string
	for i := range 2000 {
		members = append(members, `"member_number_`+strings.Repeat("x", i%7)+string(rune('a'+i%26))+`_`+
			strings.Repeat("y", i/26)+`":"value"`)
	}
	r := destinationtest.Encode(t, suite(""),
		of(event.Vuln, `{"vuln":{"threat":"High"},"more_data":{`+strings.Join(members, ",")+`}}`))[0]
	check(t, r)
	require.Regexp(t, `^… \d+ more$`, decode(t, r).Details["more"])
}

func TestTheRiskOfAFindingSetsThePriority(t *testing.T) {
	for risk, want := range map[string]string{"Critical": "P1", "High": "P2", "Medium": "P3", "Low": "P4",
		"Info": "P5"} {
		n := of(event.SecurityIssue, `{"security_issue":{"risk":"`+risk+`"}}`)
		require.Equal(t, want, decode(t, destinationtest.Encode(t, suite(""), n)[0]).Priority, risk)
		n.Test = true
		a := decode(t, destinationtest.Encode(t, suite(""), n)[0])
		require.Equal(t, "P5", a.Priority, "a test wakes nobody")
		require.Contains(t, a.Tags, "test")
	}
}

func TestARepeatHasTheSameAliasAndATestAnother(t *testing.T) {
	n := of(event.Vuln, `{"vuln":{"threat":"High","title":"one"}}`)
	require.Equal(t, "42:evt", decode(t, destinationtest.Encode(t, suite(""), n)[0]).Alias)
	n.Test = true
	require.Equal(t, "test:42:evt", decode(t, destinationtest.Encode(t, suite(""), n)[0]).Alias)
	n.Event.Tenant, n.Event.ID = strings.Repeat("t", 64), strings.Repeat("i", 128)
	require.NoError(t, n.Event.Validate())
	check(t, destinationtest.Encode(t, suite(""), n)[0])
}

func TestTheEndpointIsOneOfTheList(t *testing.T) {
	n := of(event.Vuln, `{"vuln":{"threat":"High"}}`)
	require.Equal(t, "https://api.opsgenie.com/v2/alerts", destinationtest.Encode(t, suite(""), n)[0].URL)
	require.Equal(t, "https://api.eu.opsgenie.com/v2/alerts",
		destinationtest.Encode(t, suite(`,"api":"https://api.eu.opsgenie.com/v2/alerts"`), n)[0].URL)
	for parameters, says := range map[string]string{
		`{"token":"` + key + `","api":"https://evil.example/v2/alerts"}`: "parameters.api: must be one of",
		`{"token":"` + key + "\\nX: y" + `"}`:                            "parameters.token: has the wrong form",
		`{"token":"short"}`: "parameters.token: must have at least 8 " +
			"characters",
	} {
		_, err := opsgenie.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says)
	}
}

func TestAnswers(t *testing.T) {
	d := opsgenie.New()
	require.True(t,
		d.Judge(destination.Response{Status: 202,
			Body: []byte(`{"result":"Request will be processed","took":0.3,"requestId":"43a29c5c"}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{422, `{"message":"Request body is not processable. Please check the errors.","errors":{"message":"Message can not be empty."},"took":0.1,"requestId":"r"}`,
			"(it says: Request body is not processable. Please check the errors.; message: Message can not be empty.)"},
		{401, `{"message":"API Key does not exist","took":0.0}`, "Opsgenie does not know the API key"},
		{402, `{}`, "the plan of this Opsgenie account"},
		{403, `{"message":"You are not authorized!"}`, "may not create or update alerts"},
		{429, `{"message":"You are making too many requests!"}`, "throttles this account"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
}
