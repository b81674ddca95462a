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
