package servicenow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/servicenow"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

func TestWhatBecomesOfAnIncidentIsAWorkNote(t *testing.T) {
	var all bytes.Buffer
	target := destination.Target{Parameters: destinationtest.Open(t, suite), Now: destinationtest.Now}
	follow := func(n notification.Notification) destination.Request {
		rs, err := servicenow.New().Follow(target, n, "c537bae64f411200adf9f8e18110c76e")
		require.NoError(t, err)
		require.Len(t, rs, 1)
		r := rs[0]
		var note struct {
			Text string `json:"work_notes"`
		}
		dec := json.NewDecoder(bytes.NewReader(r.Body))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&note))
		require.NotEmpty(t, note.Text)
		require.LessOrEqual(t, len(utf16.Encode([]rune(note.Text))), 4000)
		require.NotContains(t, strings.ToLower(note.Text), "[code]")
		require.NotNil(t, r.Authorizer)
		return r
	}
	for _, n := range destinationtest.Findings(servicenow.New().System()) {
		r := follow(n)
		fmt.Fprintf(&all, "== %s %s ==\n%s %s\n%s\n", n.Event.ID, n.Language, r.Method, r.URL, r.Body)
	}
	for _, s := range destinationtest.Hostile() {
		for _, n := range destinationtest.HostileNotifications(s) {
			follow(n)
		}
	}
	destinationtest.Golden(t, "testdata/notes.golden", all.Bytes())
}

func TestAQueryHoldsNothingButTheKey(t *testing.T) {
	target := destination.Target{Parameters: destinationtest.Open(t, suite)}
	for id, digest := range map[string]bool{"PLT-1": false, "a&b=c#d%5E": false, "x^active=false^ORname=y": true,
		strings.Repeat("x", 90): true} {
		data, err := json.Marshal(map[string]any{"security_issue": map[string]any{"id": id, "risk": "High"}})
		require.NoError(t, err)
		n := notification.Notification{Platform: destinationtest.Platform, Event: event.Event{ID: "e", Tenant: "42",
			Kind: event.SecurityIssue, Time: destinationtest.Now, Data: data}}
		u, err := url.Parse(servicenow.New().Find(target, n, destinationtest.Now).URL)
		require.NoError(t, err)
		key, rest, _ := strings.Cut(u.Query().Get("sysparm_query"), "^")
		require.Equal(t, "active=true^ORDERBYDESCsys_created_on", rest)
		var made map[string]string
		require.NoError(t, json.Unmarshal(destinationtest.Encode(t, suite, n)[0].Body, &made))
		require.Equal(t, "correlation_id="+made["correlation_id"], key, "it is looked for as it was written")
		require.Equal(t, digest, len(made["correlation_id"]) == 64)
		require.Len(t, u.Query(), 3)
	}
}

func TestTheAnswerToANoteSaysWhetherTheIncidentIsThere(t *testing.T) {
	r, err := servicenow.New().Follow(destination.Target{Parameters: destinationtest.Open(t, suite)},
		destinationtest.Findings(servicenow.New().System())[0], "x")
	require.NoError(t, err)
	for _, c := range []struct {
		status             int
		body               string
		delivered, missing bool
	}{
		{200, `{"result":{"sys_id":"x","active":"true"}}`, true, false},
		{200, `{"result":{"sys_id":"x"}}`, true, false},
		{200, `{"result":{"sys_id":"x","active":"false"}}`, false, true},
		{200, `<html>Your instance is hibernating</html>`, false, false},
		{404, `{"error":{"message":"No Record found"}}`, false, true},
		{403, `{"error":{"message":"ACL"}}`, false, true},
		{401, ``, false, false}, {429, ``, false, false}, {500, ``, false, false},
	} {
		v := r[0].Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.Equal(t, c.delivered, v.Delivered, c.body)
		require.Equal(t, c.missing, v.Missing, c.body)
		require.Equal(t, c.status == 401, v.Stale)
	}
}

func TestTheStatesOfIncidentsAreListed(t *testing.T) {
	d := servicenow.New()
	q, err := d.Options(destinationtest.Open(t, suite), "on_closed", "")
	require.NoError(t, err)
	require.Contains(t, q.URL, "https://acme.service-now.com/api/now/table/sys_choice?")
	require.NotNil(t, q.Authorizer)
	list, _, v := d.Choices("on_closed", destination.Response{Status: 200, Body: []byte(
		`{"result":[{"label":"Resolved","value":"6"},{"label":"解決済み","value":"6"},{"label":"Resolved","value":"6"}]}`)})
	require.True(t, v.Delivered)
	require.Equal(t, []destination.Option{{Value: "Resolved", Title: "Resolved (6)"},
		{Value: "解決済み", Title: "解決済み (6)"}}, list)
	for status, body := range map[int]string{200: `{"result":[]}`, 403: `{"error":{"message":"ACL"}}`, 404: `{}`} {
		_, _, v := d.Choices("on_closed", destination.Response{Status: status, Body: []byte(body)})
		require.Contains(t, v.Reason, "enter the state's number, such as 6", status)
	}
	_, _, v = d.Choices("on_closed", destination.Response{Status: 200, Body: []byte(`<html>`)})
	require.False(t, v.Delivered)
	_, err = d.Options(destinationtest.Open(t, suite), "username", "")
	require.ErrorContains(t, err, "is not a parameter that ServiceNow lists")
}

func TestTheRequestThatSetsAState(t *testing.T) {
	c := suite
	c.Parameters = strings.TrimSuffix(c.Parameters, "}") +
		`,"on_closed":"6","close_code":"Solution provided","on_reopened":"In Progress"}`
	findings := destinationtest.Findings(servicenow.New().System())
	follow := func(n notification.Notification) []destination.Request {
		rs, err := servicenow.New().Follow(destination.Target{Parameters: destinationtest.Open(t, c)}, n, "x")
		require.NoError(t, err)
		return rs
	}
	require.Len(t, follow(findings[0]), 1, "that it is new sets nothing")
	closing := follow(findings[2])
	require.Len(t, closing, 2)
	require.JSONEq(t, `{"state":"6","close_code":"Solution provided","close_notes":"[Platform] Security issue was closed"}`,
		string(closing[1].Body))
	require.True(t, closing[1].Judge(destination.Response{Status: 200,
		Body: []byte(`{"result":{"sys_id":"x","active":"false"}}`)}).Delivered, "it is closed, as it should be")
	refused := closing[1].Judge(destination.Response{Status: 403, Body: []byte(`{"error":{"message":"Data Policy Exception"}}`)})
	require.True(t, refused.Apart)
	require.Contains(t, refused.Reason, "Data Policy Exception")
	require.True(t, closing[1].Judge(destination.Response{Status: 404}).Missing)
	require.True(t, closing[1].Judge(destination.Response{Status: 401}).Stale)
	reopening := follow(findings[1])
	require.Len(t, reopening, 2)
	v := reopening[0].Judge(destination.Response{Status: 200,
		Body: []byte(`{"result":[{"label":"in progress","value":"2"}]}`)})
	require.True(t, v.Delivered, v.Reason)
	require.JSONEq(t, `{"state":"2"}`, string(v.Next.Body))
	require.Contains(t, string(reopening[1].Body), "work_notes")
	limited := reopening[0].Judge(destination.Response{Status: 429})
	require.True(t, limited.Pace)
}
