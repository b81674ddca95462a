package browser

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// tracker is a Jira Cloud and a ServiceNow, with one workflow: To Do, In Progress, Done; or New to Closed.
type tracker struct {
	*httptest.Server
	host string

	mu     sync.Mutex
	states []string // of what was made, in its order
	notes  int
	wrong  []string
}

func track(t *testing.T) *tracker {
	t.Helper()
	s := &tracker{}
	calls := http.NewServeMux()
	for path, answer := range map[string]http.HandlerFunc{
		"POST /rest/api/3/issue":                   s.made(`{"id":"%[1]d","key":"SEC-%[1]d","self":"https://jira"}`),
		"POST /rest/api/3/issue/{key}/comment":     s.noted,
		"GET /rest/api/3/issue/{key}":              s.ways,
		"POST /rest/api/3/issue/{key}/transitions": s.moved,
		"GET /rest/api/3/project/SEC/statuses": says(`[{"statuses":[{"name":"To Do"},{"name":"In Progress"},` +
			`{"name":"Done"}]}]`),
		"POST /oauth_token.do":                says(`{"access_token":"t0ken","token_type":"Bearer","expires_in":1800}`),
		"GET /api/now/table/incident":         says(`{"result":[]}`),
		"POST /api/now/table/incident":        s.made(`{"result":{"number":"x","sys_id":"SEC-%d"}}`),
		"PATCH /api/now/table/incident/{key}": s.changed,
		"GET /api/now/table/sys_choice": says(`{"result":[{"label":"New","value":"1"},` +
			`{"label":"Resolved","value":"6"}]}`),
		"/": s.unknown,
	} {
		calls.HandleFunc(path, answer)
	}
	s.Server = httptest.NewServer(calls)
	t.Cleanup(func() {
		s.Close()
		require.Empty(t, s.wrong, "requests that neither documents")
	})
	s.host = strings.TrimPrefix(s.URL, "http://")
	return s
}

func says(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }
}

func (s *tracker) unknown(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, r.Method+" "+r.URL.String())
	w.WriteHeader(http.StatusTeapot)
}

func (s *tracker) made(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.states = append(s.states, "")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, answer, len(s.states))
	}
}

func (s *tracker) noted(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes++
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id":"10000"}`)
}

// state is that of what the request names.
func (s *tracker) state(r *http.Request) *string {
	var n int
	if _, err := fmt.Sscanf(r.PathValue("key"), "SEC-%d", &n); err != nil || n < 1 || n > len(s.states) {
		s.wrong = append(s.wrong, r.URL.String())
		return new(string)
	}
	return &s.states[n-1]
}

func (s *tracker) ways(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ways, category := `{"id":"11","name":"Start","to":{"name":"In Progress"}},`+
		`{"id":"31","name":"Resolve issue","to":{"name":"Done"}}`, "new"
	now := cmp.Or(*s.state(r), "To Do")
	if now == "Done" {
		ways, category = `{"id":"41","name":"Open again","to":{"name":"To Do"}}`, "done"
	}
	_, _ = fmt.Fprintf(w, `{"fields":{"status":{"name":%q,"statusCategory":{"key":%q}}},"transitions":[%s]}`,
		now, category, ways)
}

func (s *tracker) moved(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var asked struct{ Transition struct{ ID string } }
	err := json.NewDecoder(r.Body).Decode(&asked)
	to := map[string]string{"11": "In Progress", "31": "Done", "41": "To Do"}[asked.Transition.ID]
	if err != nil || to == "" {
		s.wrong = append(s.wrong, fmt.Sprint("a transition: ", asked, err))
	}
	*s.state(r) = to
	w.WriteHeader(http.StatusNoContent)
}

func (s *tracker) changed(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var change struct{ State string }
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		s.wrong = append(s.wrong, fmt.Sprint("a change: ", err))
	}
	if *s.state(r) = cmp.Or(change.State, *s.state(r)); change.State == "" {
		s.notes++
	}
	_, _ = fmt.Fprintf(w, `{"result":{"sys_id":%q,"number":"x","active":"true"}}`, r.PathValue("key"))
}

func (s *tracker) has() (states []string, notes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.states...), s.notes
}

// onlyIntegration is the id of the one that was added by its form.
func onlyIntegration(t *testing.T, p *embedded.Process) string {
	t.Helper()
	var list struct{ Items []struct{ ID, System string } }
	require.NoError(t, p.Call("GET", "/v1/integrations", nil, &list))
	list.Items = slices.DeleteFunc(list.Items, func(i struct{ ID, System string }) bool { return i.System == "email" })
	require.Len(t, list.Items, 1)
	return list.Items[0].ID
}

// issue publishes what became of a security issue, waits for the state of its delivery, and returns that.
func issue(t *testing.T, p *embedded.Process, id, status, want string) (delivery string) {
	t.Helper()
	event := "evt-" + id + "-" + status
	require.NoError(t, p.Publish(embedded.Entry{Source: "platform.issues", DetailType: "security_issue",
		Detail: fmt.Sprintf(`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",`+
			`"data":{"object_id":700,"security_issue":{"host":"shop.example.com","id":%q,"path":"/","title":`+
			`"Open admin page","discovered_by":"scanner","risk":"Critical","type":"exposure","status":%q}}}`,
			event, id, status)}))
	eventually(t, event+" is "+want, func() (bool, error) {
		items := found(t, p, "event="+event+"&state="+want).Items
		if len(items) == 1 {
			delivery = items[0].ID
		}
		return len(items) == 1, nil
	})
	return delivery
}

func TestAnIssueIsMovedWhereTheFormSaysAndAWrongNameIsToldWithThoseThatExist(t *testing.T) {
	t.Parallel()
	s := track(t)
	p := program(t, "-allow", s.host, "-faster", "100000")
	b := open(t, p, desk, "/add/jira")
	for _, f := range []field{{"Host URL", s.URL}, {"User e-mail", "ada@example.com"}, {"Token", "0123456789"},
		{"Project", "SEC"}, {"Issue type", "Bug"}} {
		b.fill(f.label, f.value)
	}
	b.press("Advanced settings")
	b.fill("Status when closed", "Resolve issue") // the name of a transition
	b.act("clickIn", "form", "List from Jira")    // the last one: of the status when re-opened
	b.sees("3 to choose from")
	b.fill("Status when re-opened", "To Do")
	b.judgeWhole("updates-form", desk)
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	on := onlyIntegration(t, p)

	opened := issue(t, p, "S-1", "open", "delivered")
	closed := issue(t, p, "S-1", "closed", "delivered")
	states, notes := s.has()
	require.Equal(t, []string{"Done"}, states)
	require.Equal(t, 1, notes)
	for _, l := range []look{desk, phone("ja")} {
		page := open(t, p, l, "/integrations/"+on+"/deliveries/"+closed)
		page.sees(word(l, "the issue was moved to Done", "課題を Done に移動しました"))
		page.sees("/rest/api/3/issue/SEC-1/comment")
		page.sees("/rest/api/3/issue/SEC-1/transitions")
		page.sees(`"id": "31"`)
		page.judgeWhole("updates-moved-"+l.language, l)
	}
	b.follow("/integrations/" + on + "/deliveries/" + opened)
	b.sees("/rest/api/3/issue Headers of request 1") // which made it
	issue(t, p, "S-1", "reopened", "delivered")
	states, _ = s.has()
	require.Equal(t, []string{"To Do"}, states)

	b.follow("/integrations/" + on)
	b.press("Advanced settings")
	b.fill("Status when closed", "Finish")
	b.act("clickIn", "form", "Save")
	b.sees("Saved.")
	issue(t, p, "S-2", "open", "delivered")
	dead := issue(t, p, "S-2", "closed", "dead")
	b.follow("/integrations/" + on + "/deliveries/" + dead)
	b.sees("the comment is there, but the issue could not be moved: from To Do Jira offers no transition or status " +
		"Finish, but In Progress (by Start), Done (by Resolve issue)")
	b.judgeWhole("updates-wrong-name", desk)

	b.follow("/integrations/" + on)
	b.press("Advanced settings")
	b.fill("Status when closed", "done")
	b.act("clickIn", "form", "Save")
	b.sees("Saved.")
	b.follow("/integrations/" + on + "/deliveries/" + dead)
	b.press("Replay")
	b.sees("the issue was moved to Done")
	states, _ = s.has()
	require.Equal(t, []string{"To Do", "Done"}, states)
}

func TestAnIncidentGetsTheStateThatTheFormNames(t *testing.T) {
	t.Parallel()
	s := track(t)
	p := program(t, "-allow", s.host, "-faster", "100000")
	b := open(t, p, desk, "/add/servicenow")
	for _, f := range []field{{"Instance name", s.URL}, {"User name", "tocsin"}, {"Password", "a secret"},
		{"OAuth client ID", "client"}, {"OAuth client secret", "s3cr3t-of-client"}} {
		b.fill(f.label, f.value)
	}
	b.press("Advanced settings")
	b.act("clickIn", "form", "List from ServiceNow") // the last one: of the state when re-opened
	b.sees("2 to choose from")
	b.fill("State when re-opened", "New")
	b.fill("State when closed", "Finished")
	b.fill("Resolution code", "Solution provided")
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	on := onlyIntegration(t, p)
	issue(t, p, "S-1", "open", "delivered")
	dead := issue(t, p, "S-1", "closed", "dead")
	b.follow("/integrations/" + on + "/deliveries/" + dead)
	b.sees("ServiceNow has no state Finished, but New (1), Resolved (6)")
	b.judgeWhole("updates-wrong-state", desk)

	b.follow("/integrations/" + on)
	b.press("Advanced settings")
	b.fill("State when closed", "Resolved")
	b.act("clickIn", "form", "Save")
	b.sees("Saved.")
	b.follow("/integrations/" + on + "/deliveries/" + dead)
	b.press("Replay")
	b.sees("the incident has the state Resolved")
	states, _ := s.has()
	require.Equal(t, []string{"6"}, states)
	issue(t, p, "S-1", "reopened", "delivered")
	states, _ = s.has()
	require.Equal(t, []string{"1"}, states)
}
