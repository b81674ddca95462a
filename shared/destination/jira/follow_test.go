package jira_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/jira"
	"tocsin/shared/notification"
)

// comment reads a comment as Jira does.
func comment(t *testing.T, r destination.Request) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var c struct{ Body json.RawMessage }
	require.NoError(t, dec.Decode(&c))
	require.LessOrEqual(t, units(string(c.Body)), 32_767*2)
	var text string
	if json.Unmarshal(c.Body, &text) == nil {
		require.LessOrEqual(t, units(text), 32_767)
		return
	}
	require.LessOrEqual(t, document(t, c.Body, "doc"), 32_767)
	require.LessOrEqual(t, units(string(c.Body)), 32_767, "if Jira counts the document")
}

func TestWhatBecomesOfAnIssueIsAComment(t *testing.T) {
	var all bytes.Buffer
	for _, c := range []destinationtest.Case{cloud, onPremise} {
		target := destination.Target{Parameters: destinationtest.Open(t, c), Now: destinationtest.Now}
		follow := func(n notification.Notification) destination.Request {
			rs, err := jira.New().Follow(target, n, "SEC-7")
			require.NoError(t, err)
			require.Len(t, rs, 1)
			comment(t, rs[0])
			return rs[0]
		}
		for _, n := range destinationtest.Findings(jira.New().System()) {
			r := follow(n)
			fmt.Fprintf(&all, "== %s %s ==\n%s %s\n%s\n", n.Event.ID, n.Language, r.Method, r.URL, r.Body)
		}
		for _, s := range destinationtest.Hostile() {
			for _, n := range destinationtest.HostileNotifications(s) {
				follow(n)
			}
		}
	}
	destinationtest.Golden(t, "testdata/comments.golden", all.Bytes())
}

func TestTheAnswerToACommentSaysWhetherTheIssueIsThere(t *testing.T) {
	r, err := jira.New().Follow(destination.Target{Parameters: destinationtest.Open(t, cloud)},
		destinationtest.Findings(jira.New().System())[0], "SEC-7")
	require.NoError(t, err)
	for _, c := range []struct {
		status             int
		body               string
		delivered, missing bool
	}{
		{201, `{"id":"10000"}`, true, false},
		{200, `<html><title>Log in</title>`, false, false},
		{404, `{"errorMessages":["Issue does not exist or you do not have permission to see it."]}`, false, true},
		{403, `{"errorMessages":["You do not have the permission to comment on this issue."]}`, false, true},
		{400, `{"errors":{"comment":"too long"}}`, false, false},
		{401, ``, false, false}, {429, ``, false, false}, {500, ``, false, false},
	} {
		v := r[0].Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.Equal(t, c.delivered, v.Delivered, c.status)
		require.Equal(t, c.missing, v.Missing, c.status)
		require.Equal(t, c.delivered, v.Reason == "", c.status)
	}
}

func TestAListOfIssuesHasThatOfTheObjectOrNone(t *testing.T) {
	n := destinationtest.Findings(jira.New().System())[0]
	for name, c := range map[string]struct {
		of   destinationtest.Case
		body string
		want string
	}{
		"by its property": {cloud, `{"issues":[{"key":"SEC-2","properties":{}},{"key":"SEC-1","properties":` +
			`{"platform.event":{"event":"x","object":"42:security_issue:PLT-42-I0002"}}}]}`, "SEC-1"},
		"of another object": {cloud, `{"issues":[{"key":"SEC-1","properties":` +
			`{"platform.event":{"object":"42:security_issue:PLT-42-I00020"}}}]}`, ""},
		"none": {cloud, `{"issues":[]}`, ""},
		"by a line of its own": {onPremise, `{"issues":[{"key":"SEC-1","fields":{"summary":"s",` +
			`"description":"x\r\nID&#58;: n\r\nID: PLT-42-I0002\r\n"}}]}`, "SEC-1"},
		"by a longer line": {onPremise, `{"issues":[{"key":"SEC-1","fields":{"summary":"s",` +
			`"description":"x\nID: PLT-42-I00020\nmy ID: PLT-42-I0002\n"}}]}`, ""},
	} {
		r := jira.New().Find(destination.Target{Parameters: destinationtest.Open(t, c.of), Now: destinationtest.Now}, n,
			destinationtest.Now.Add(-time.Hour))
		require.Contains(t, r.URL, "created+%3E%3D+-70m", name)
		v := r.Judge(destination.Response{Status: 200, Body: []byte(c.body)})
		require.True(t, v.Delivered, name+v.Reason)
		require.Equal(t, c.want, v.Reference, name)
		require.False(t, r.Judge(destination.Response{Status: 200, Body: []byte(`<html>`)}).Delivered, name)
		require.False(t, r.Judge(destination.Response{Status: 401}).Delivered, name)
	}
}

func TestTheStatusesOfAProjectAreListed(t *testing.T) {
	d := jira.New()
	for _, c := range []destinationtest.Case{cloud, onPremise} {
		for _, field := range []string{"on_closed", "on_reopened"} {
			q, err := d.Options(destinationtest.Open(t, c), field, "")
			require.NoError(t, err)
			require.Contains(t, q.URL, "/project/SEC/statuses")
			list, next, v := d.Choices(field, destination.Response{Status: 200, Body: []byte(
				`[{"id":"1","name":"Bug","subtask":false,"statuses":[{"id":"1","name":"To Do"},{"id":"3","name":"Done"}]},` +
					`{"id":"2","name":"Task","statuses":[{"id":"3","name":"Done"}]}]`)})
			require.True(t, v.Delivered, v.Reason)
			require.Empty(t, next)
			require.Equal(t, []destination.Option{{Value: "To Do", Title: "To Do"}, {Value: "Done", Title: "Done"}},
				list)
			_, _, v = d.Choices(field, destination.Response{Status: 200, Body: []byte(`<html>`)})
			require.False(t, v.Delivered)
		}
	}
	_, err := d.Options(&jira.Parameters{URL: "https://jira.example.com"}, "on_closed", "")
	require.ErrorContains(t, err, "choose the project first")
}

func TestTheAnswersToAMove(t *testing.T) {
	c := cloud
	c.Parameters = strings.TrimSuffix(c.Parameters, "}") + `,"on_closed":"Done"}`
	n := destinationtest.Findings(jira.New().System())[2]
	rs, err := jira.New().Follow(destination.Target{Parameters: destinationtest.Open(t, c)}, n, "SEC-7")
	require.NoError(t, err)
	require.Len(t, rs, 2)
	require.Contains(t, rs[1].URL, "/rest/api/3/issue/SEC-7?fields=status&expand=transitions")
	look := func(status int, body string) destination.Verdict {
		return rs[1].Judge(destination.Response{Status: status, Body: []byte(body)})
	}
	v := look(200, `{"fields":{"status":{"name":"To Do"}},"transitions":[{"id":"31","name":"x","to":{"name":"done"}}]}`)
	require.True(t, v.Delivered)
	require.NotNil(t, v.Next)
	require.JSONEq(t, `{"transition":{"id":"31"}}`, string(v.Next.Body))
	require.Contains(t, v.Next.URL, "/rest/api/3/issue/SEC-7/transitions")
	require.Nil(t, look(200, `{"fields":{"status":{"name":"Done"}},"transitions":[]}`).Next, "it is there already")
	none := look(200, `{"fields":{"status":{"name":"To Do"}},"transitions":[]}`)
	require.True(t, none.Apart)
	require.Contains(t, none.Reason, "no transition or status Done, but none")
	require.False(t, look(200, `<html>`).Delivered)
	require.False(t, look(200, `{"fields":{}}`).Delivered)
	require.Contains(t, look(401, ``).Reason, "the token was not accepted")
	for status, says := range map[int]string{200: "Jira answers 204", 403: "Transition issues",
		404: "the issue is gone", 409: "somebody else", 429: "slow down"} {
		got := v.Next.Judge(destination.Response{Status: status})
		require.False(t, got.Delivered, status)
		require.False(t, got.Apart, status)
		require.Contains(t, got.Reason, says)
	}
	require.True(t, v.Next.Judge(destination.Response{Status: 204}).Delivered)
	refused := v.Next.Judge(destination.Response{Status: 400, Body: []byte(`{"errors":{"resolution":"is required"}}`)})
	require.True(t, refused.Apart)
	require.Contains(t, refused.Reason, "resolution: is required")
}
