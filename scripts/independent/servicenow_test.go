package independent_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/oauth"
	"tocsin/shared/destination/servicenow"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const incidentID = "0123456789abcdef0123456789abcdef"

// instance answers ServiceNow's library, and keeps its calls.
type instance struct {
	mu     sync.Mutex
	calls  []call
	client [2]string // by which the library signs in
}

func (s *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	one := strings.Count(r.URL.Path, "/") > 4 || r.Method == http.MethodPost
	if r.Method != http.MethodGet || !one { // the library reads a record before it changes it
		s.calls = append(s.calls, call{r.Method, r.URL.Path, r.URL.Query(), body})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Total-Count", "1")
	row := `{"sys_id":{"value":"` + incidentID + `","display_value":"` + incidentID + `"}`
	for _, field := range []string{"work_notes", "state", "close_code", "close_notes"} {
		row += `,"` + field + `":{"value":"","display_value":""}` // it writes what it has read
	}
	row += "}"
	switch {
	case r.URL.Path == "/oauth_token.do":
		s.client[0], s.client[1], _ = r.BasicAuth()
		_, _ = io.WriteString(w, `{"access_token":"t0ken","refresh_token":"r","token_type":"Bearer","expires_in":1800}`)
	case one:
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = io.WriteString(w, `{"result":`+row+`}`)
	default:
		_, _ = io.WriteString(w, `{"result":[`+row+`]}`)
	}
}

// theirs are the calls that ServiceNow's library makes.
func theirs(t *testing.T, calls []map[string]any) *instance {
	t.Helper()
	python, err := filepath.Abs("../../bin/python/bin/python")
	require.NoError(t, err)
	if _, err := os.Stat(python); err != nil {
		t.Skip("bin/python is not there: make test-independent installs it")
	}
	s := &instance{}
	server := httptest.NewTLSServer(s)
	defer server.Close()
	certificate := filepath.Join(t.TempDir(), "certificate.pem")
	require.NoError(t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: server.Certificate().Raw}), 0o600))
	ask, err := json.Marshal(map[string]any{"instance": server.URL, "certificate": certificate, "calls": calls,
		"username": "tocsin", "password": "pass word&1", "client_id": "c0ffee", "client_secret": "s3cr3t-of-client"})
	require.NoError(t, err)
	run := exec.CommandContext(t.Context(), python, "servicenow/calls.py")
	run.Stdin = bytes.NewReader(ask)
	run.Env = append(run.Environ(), "REQUESTS_CA_BUNDLE="+certificate, "CURL_CA_BUNDLE="+certificate)
	said, err := run.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return s
}

// TestTheCallsOfServiceNowsOwnLibraryAreOurs has the library that ServiceNow publishes write the incident that we
// write, look for it, add the note, and set the state by its number and by its name.
func TestTheCallsOfServiceNowsOwnLibraryAreOurs(t *testing.T) {
	d := servicenow.New()
	at := func(settings string) destination.Target {
		return destination.Target{Now: destinationtest.Now, Delivery: "01GTD8R4000000000000000001",
			Parameters: destinationtest.Open(t, destinationtest.Case{Destination: d, Parameters: `{"instance":"acme",` +
				`"username":"tocsin","password":"pass word&1","client_id":"c0ffee","client_secret":"s3cr3t-of-client"` +
				settings + `}`})}
	}
	byNumber := at(`,"on_closed":"6","close_code":"Solution provided","on_reopened":"2"`)
	byName := at(`,"on_closed":"Resolved","on_reopened":"In Progress"`)
	of := map[event.Step]notification.Notification{}
	for _, n := range destinationtest.Findings(d.System()) {
		of[n.Step()] = n
	}
	follow := func(to destination.Target, step event.Step, want int) []destination.Request {
		t.Helper()
		rs, err := d.Follow(to, of[step], incidentID)
		require.NoError(t, err)
		require.Len(t, rs, want)
		return rs
	}
	requests, err := d.Encode(byNumber, []notification.Notification{of[event.Opened]})
	require.NoError(t, err)
	requests = append(requests, d.Find(byNumber, of[event.Opened], time.Time{}))
	requests = append(requests, follow(byNumber, event.Closed, 2)...)
	requests = append(requests, follow(byNumber, event.Reopened, 2)...)
	look := follow(byName, event.Closed, 2)[1]
	found := look.Judge(destination.Response{Status: http.StatusOK, Body: []byte(
		`{"result":[{"label":"New","value":"1"},{"label":"Resolved","value":"6"}]}`)})
	require.NotNil(t, found.Next, found.Reason)
	requests = append(requests, look, *found.Next)

	var asked []map[string]any
	for _, q := range requests {
		asked = append(asked, asks(t, ours(t, q)))
	}
	s := theirs(t, asked)
	require.Len(t, s.calls, len(requests)+1)
	signIn, sent := s.calls[0], s.calls[1:]
	form, err := url.ParseQuery(string(signIn.body))
	require.NoError(t, err)
	require.Equal(t, url.Values{"grant_type": {"password"}, "username": {"tocsin"}, "password": {"pass word&1"}}, form)
	for n, q := range requests {
		same(t, s, form, signIn.path, sent[n], q)
	}
}

// same holds one of our requests, and how it signs in, against the library's.
func same(t *testing.T, s *instance, form url.Values, signIn string, sent call, q destination.Request) {
	t.Helper()
	mySignIn := q.Authorizer.(oauth.ClientCredentials)
	require.Equal(t, "https://acme.service-now.com"+signIn, mySignIn.URL)
	myForm, err := url.ParseQuery(string(mySignIn.Form))
	require.NoError(t, err)
	for name := range form {
		require.Equal(t, form[name], myForm[name], name)
	}
	// the library names the client in a header, which OAuth allows beside the form (RFC 6749, 2.3.1)
	require.Equal(t, s.client, [2]string{myForm.Get("client_id"), myForm.Get("client_secret")})
	mine := ours(t, q)
	require.Equal(t, [2]string{sent.method, sent.path}, [2]string{mine.method, mine.path})
	if mine.method != http.MethodGet {
		require.JSONEq(t, string(sent.body), string(mine.body))
		return
	}
	for name := range mine.query {
		if name == "sysparm_fields" { // the library adds sys_id
			require.Subset(t, strings.Split(sent.query.Get(name), ","), strings.Split(mine.query.Get(name), ","))
			continue
		}
		require.Equal(t, sent.query[name], mine.query[name], name)
	}
}

// asks is what the library is asked for where we make a request: which record, which fields, and no word of the wire.
func asks(t *testing.T, mine call) map[string]any {
	t.Helper()
	parts := strings.Split(strings.TrimPrefix(mine.path, "/api/now/table/"), "/")
	out := map[string]any{"table": parts[0], "id": incidentID}
	if mine.method != http.MethodGet {
		set := map[string]string{}
		require.NoError(t, json.Unmarshal(mine.body, &set))
		out["do"], out["set"] = "insert", set
		if len(parts) == 2 {
			out["do"] = "update"
		}
		return out
	}
	limit, err := strconv.Atoi(mine.query.Get("sysparm_limit"))
	require.NoError(t, err)
	out["do"], out["limit"], out["active"] = "query", limit, false
	out["fields"] = strings.Split(mine.query.Get("sysparm_fields"), ",")
	where := [][2]string{}
	for part := range strings.SplitSeq(mine.query.Get("sysparm_query"), "^") {
		order, ordered := strings.CutPrefix(part, "ORDERBY")
		name, value, equal := strings.Cut(part, "=")
		switch {
		case part == "active=true":
			out["active"] = true
		case ordered:
			out["order"], out["descending"] = strings.TrimPrefix(order, "DESC"), strings.HasPrefix(order, "DESC")
		default:
			require.True(t, equal, part)
			where = append(where, [2]string{name, value})
		}
	}
	require.Equal(t, parts[0] == "incident", out["active"], "of incidents those that are not closed")
	out["where"] = where
	return out
}
