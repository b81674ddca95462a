package independent_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	onpremise "github.com/andygrunwald/go-jira"
	cloud "github.com/ctreminiom/go-atlassian/jira/v3"
	"github.com/ctreminiom/go-atlassian/pkg/infra/models"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/jira"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// call is a request without what the two libraries and we each have of our own: the host and the headers.
type call struct {
	method, path string
	query        url.Values
	body         []byte
}

// recording answers like a Jira whose issue can be moved, and keeps the last call.
func recording(t *testing.T, answer any) (server *httptest.Server, last *call) {
	t.Helper()
	last = &call{}
	raw, err := json.Marshal(answer)
	require.NoError(t, err)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*last = call{r.Method, r.URL.Path, r.URL.Query(), body}
		if r.Method == http.MethodPost && answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(raw)
	}))
	t.Cleanup(server.Close)
	return server, last
}

// ours is a request of the destination as a call.
func ours(t *testing.T, q destination.Request) call {
	t.Helper()
	u, err := url.Parse(q.URL)
	require.NoError(t, err)
	return call{q.Method, u.Path, u.Query(), q.Body}
}

// findings are the security issues of the samples by what became of them.
func findings(t *testing.T) map[event.Step]notification.Notification {
	out := map[event.Step]notification.Notification{}
	for _, n := range destinationtest.Findings(jira.New().System()) {
		out[n.Step()] = n
	}
	require.Len(t, out, 3)
	return out
}

// following are the requests that follow an event: the comment, and the look at the issue that moves it.
func following(t *testing.T, parameters string, n notification.Notification) []destination.Request {
	t.Helper()
	rs, err := jira.New().Follow(destination.Target{Now: destinationtest.Now,
		Parameters: destinationtest.Open(t, destinationtest.Case{Destination: jira.New(), Parameters: parameters})}, n,
		"SEC-7")
	require.NoError(t, err)
	require.Len(t, rs, 2)
	return rs
}

// moved is the request that moves the issue after the answer to the look at it.
func moved(t *testing.T, look destination.Request, issue any) destination.Request {
	t.Helper()
	raw, err := json.Marshal(issue)
	require.NoError(t, err)
	v := look.Judge(destination.Response{Status: http.StatusOK, Body: raw})
	require.True(t, v.Delivered, "%s, of %s", v.Reason, raw)
	require.NotNil(t, v.Next, "%s", raw)
	require.True(t, v.Next.Judge(destination.Response{Status: http.StatusNoContent}).Delivered)
	return *v.Next
}

// TestAnIssueIsMovedAsTheLibraryForJiraCloudMovesIt has a library read the comment, write the issue that we read, and
// move an issue: its calls are ours.
func TestAnIssueIsMovedAsTheLibraryForJiraCloudMovesIt(t *testing.T) {
	const parameters = `{"url":"https://acme.atlassian.net/","email":"sec@example.com","token":"ATATT3xFfGF0secret",` +
		`"project":"SEC","issue_type":"Bug","on_closed":"Done","on_reopened":"Back to work"}`
	status := func(name, category string) *models.StatusScheme {
		return &models.StatusScheme{ID: "10001", Name: name,
			StatusCategory: &models.StatusCategoryScheme{ID: 2, Key: category, Name: name}}
	}
	of := map[event.Step]*models.IssueScheme{
		event.Closed: {ID: "10002", Key: "SEC-7", Fields: &models.IssueFieldsScheme{Status: status("To Do", "new")}},
		event.Reopened: {ID: "10002", Key: "SEC-7",
			Fields: &models.IssueFieldsScheme{Status: status("Done", "done")}},
	}
	for _, issue := range of {
		issue.Transitions = []*models.IssueTransitionScheme{
			{ID: "11", Name: "Start", To: status("In Progress", "indeterminate")},
			{ID: "31", Name: "Resolve issue", To: status("Done", "done")},
			{ID: "41", Name: "Back to work", To: status("To Do", "new")},
		}
	}
	server, last := recording(t, nil)
	client, err := cloud.New(server.Client(), server.URL)
	require.NoError(t, err)
	for step, id := range map[event.Step]string{event.Closed: "31", event.Reopened: "41"} {
		rs := following(t, parameters, findings(t)[step])
		dec := json.NewDecoder(bytes.NewReader(rs[0].Body))
		dec.DisallowUnknownFields()
		var comment models.CommentPayloadScheme
		require.NoError(t, dec.Decode(&comment), "%s", rs[0].Body)
		require.Equal(t, "doc", comment.Body.Type)
		require.Equal(t, 1, comment.Body.Version)

		_, err = client.Issue.Move(t.Context(), "SEC-7", id, nil)
		require.NoError(t, err)
		move := ours(t, moved(t, rs[1], of[step]))
		require.Equal(t, [2]string{last.method, last.path}, [2]string{move.method, move.path})
		require.JSONEq(t, string(last.body), string(move.body))

		seen, look := recording(t, of[step])
		reader, err := cloud.New(seen.Client(), seen.URL)
		require.NoError(t, err)
		_, _, err = reader.Issue.Get(t.Context(), "SEC-7", []string{"status"}, []string{"transitions"})
		require.NoError(t, err)
		asked := ours(t, rs[1])
		require.Equal(t, [2]string{look.method, look.path}, [2]string{asked.method, asked.path})
		require.Equal(t, look.query, asked.query)

		_, _, err = reader.Issue.Comment.Add(t.Context(), "SEC-7", &comment, nil)
		require.NoError(t, err)
		said := ours(t, rs[0])
		require.Equal(t, [2]string{look.method, look.path}, [2]string{said.method, said.path})
		require.JSONEq(t, string(look.body), string(said.body))
	}
}

// TestAnIssueIsMovedAsTheLibraryForJiraOnPremiseMovesIt is the same with the library that speaks version 2.
func TestAnIssueIsMovedAsTheLibraryForJiraOnPremiseMovesIt(t *testing.T) {
	const parameters = `{"url":"https://jira.example.com","token_type":"bearer","token":"ATATT3xFfGF0secret",` +
		`"project":"SEC","issue_type":"10001","on_closed":"Done"}`
	status := func(name, category string) onpremise.Status {
		return onpremise.Status{ID: "3", Name: name, StatusCategory: onpremise.StatusCategory{ID: 2, Key: category}}
	}
	now := status("To Do", onpremise.StatusCategoryToDo)
	issue := onpremise.Issue{ID: "10002", Key: "SEC-7", Fields: &onpremise.IssueFields{Status: &now},
		Transitions: []onpremise.Transition{{ID: "31", Name: "Resolve",
			To: status("Done", onpremise.StatusCategoryComplete)}}}
	server, last := recording(t, nil)
	client, err := onpremise.NewClient(server.Client(), server.URL)
	require.NoError(t, err)
	rs := following(t, parameters, findings(t)[event.Closed])

	_, err = client.Issue.DoTransition("SEC-7", "31")
	require.NoError(t, err)
	move := ours(t, moved(t, rs[1], issue))
	require.Equal(t, [2]string{last.method, last.path}, [2]string{move.method, move.path})
	var theirs, sent onpremise.CreateTransitionPayload
	require.NoError(t, json.Unmarshal(last.body, &theirs))
	dec := json.NewDecoder(bytes.NewReader(move.body))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&sent))
	require.Equal(t, theirs, sent)

	said := ours(t, rs[0])
	var comment onpremise.Comment
	dec = json.NewDecoder(bytes.NewReader(said.body))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&comment))
	reader, add := recording(t, comment)
	writer, err := onpremise.NewClient(reader.Client(), reader.URL)
	require.NoError(t, err)
	_, _, err = writer.Issue.AddComment("SEC-7", &comment)
	require.NoError(t, err)
	require.Equal(t, [2]string{add.method, add.path}, [2]string{said.method, said.path})
	var added onpremise.Comment
	require.NoError(t, json.Unmarshal(add.body, &added))
	require.Equal(t, added.Body, comment.Body)
}
