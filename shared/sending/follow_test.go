package sending_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// tracker is a Jira (Cloud, or on premise) or a ServiceNow as its documentation says that it answers: it keeps what was
// made, adds to it, and lists it.
type tracker struct {
	*httptest.Server
	mu     sync.Mutex
	things []*thing
	wrong  []string
	lose   int  // so many answers to requests that make something are lost, after it was made
	blind  bool // the user may not read
	final  bool // what is closed can not be opened again
}

// thing is an issue, or an incident.
type thing struct {
	key, summary, description, correlation string
	status, code                           string // of an issue, "" for To Do; the state of an incident
	property                               json.RawMessage
	notes                                  []string
	gone, closed                           bool
}

func track(t *testing.T) *tracker {
	s := &tracker{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Cleanup(func() { require.Empty(t, s.wrong) })
	return s
}

// broken fails the test at its end, from the server's goroutine.
func (s *tracker) broken(w http.ResponseWriter, format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
	w.WriteHeader(http.StatusTeapot)
}

var (
	issuePath   = regexp.MustCompile(`^/rest/api/([23])/issue/(SEC-\d+)(/transitions)?$`)
	commentPath = regexp.MustCompile(`^/rest/api/([23])/issue/(SEC-\d+)/comment$`)
	jql         = regexp.MustCompile(
		`^project = "SEC" AND reporter = currentUser\(\) AND created >= -(\d+)m ORDER BY created DESC$`)
	incidentPath = regexp.MustCompile(`^/api/now/table/incident/(INC\d+)$`)
	byKey        = regexp.MustCompile(`^correlation_id=([^^]+)\^active=true\^ORDERBYDESCsys_created_on$`)
)

func (s *tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	issue := issuePath.FindStringSubmatch(r.URL.Path)
	comment, incident := commentPath.FindStringSubmatch(r.URL.Path), incidentPath.FindStringSubmatch(r.URL.Path)
	switch {
	case r.URL.Path == "/oauth_token.do":
		_, _ = io.WriteString(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":1800}`)
	case r.Method == http.MethodPost && (r.URL.Path == "/rest/api/3/issue" || r.URL.Path == "/rest/api/2/issue"):
		s.issue(w, body)
	case r.URL.Path == "/rest/api/3/search/jql" || r.URL.Path == "/rest/api/2/search":
		s.search(w, r)
	case issue != nil && s.find(issue[2]) != nil:
		s.move(w, r, s.find(issue[2]), body)
	case r.URL.Path == "/api/now/table/sys_choice":
		s.states(w, r)
	case r.Method == http.MethodPost && comment != nil:
		s.comment(w, comment[2], body)
	case r.Method == http.MethodPost && r.URL.Path == "/api/now/table/incident":
		s.incident(w, body)
	case r.Method == http.MethodGet && r.URL.Path == "/api/now/table/incident":
		s.incidents(w, r)
	case r.Method == http.MethodPatch && incident != nil:
		s.note(w, incident[1], body)
	default:
		s.broken(w, "%s %s", r.Method, r.URL)
	}
}

func (s *tracker) keep(w http.ResponseWriter, made *thing, answer string) {
	s.things = append(s.things, made)
	if s.lose > 0 {
		s.lose--
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func (s *tracker) find(key string) *thing {
	for _, made := range s.things {
		if made.key == key && !made.gone {
			return made
		}
	}
	return nil
}

func (s *tracker) issue(w http.ResponseWriter, body []byte) {
	var i struct {
		Fields struct {
			Summary     string
			Description json.RawMessage
		}
		Properties []struct {
			Key   string
			Value json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &i); err != nil || len(i.Properties) != 1 ||
		i.Properties[0].Key != "platform.event" {
		s.broken(w, "an issue: %s", body)
		return
	}
	made := &thing{key: fmt.Sprintf("SEC-%d", len(s.things)+1), summary: i.Fields.Summary,
		description: string(i.Fields.Description), property: i.Properties[0].Value}
	s.keep(w, made, `{"id":"1","key":"`+made.key+`","self":"https://jira.example.com/1"}`)
}

func (s *tracker) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !jql.MatchString(q.Get("jql")) || q.Get("maxResults") != "100" {
		s.broken(w, "a search: %s", r.URL.RawQuery)
		return
	}
	issues := []map[string]any{}
	for _, made := range s.things {
		if made.gone || s.blind {
			continue
		}
		one := map[string]any{"key": made.key, "fields": map[string]any{"summary": made.summary}}
		if r.URL.Path == "/rest/api/3/search/jql" && q.Get("properties") == "platform.event" {
			one["properties"] = map[string]any{"platform.event": made.property}
		} else if q.Get("fields") == "summary,description" { // on premise a list has no properties
			one["fields"].(map[string]any)["description"] = json.RawMessage(made.description)
		}
		issues = append([]map[string]any{one}, issues...)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"issues": issues, "isLast": true})
}

func (s *tracker) comment(w http.ResponseWriter, key string, body []byte) {
	made := s.find(key)
	if made == nil {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errorMessages":["Issue does not exist or you do not have permission to see it."]}`)
		return
	}
	made.notes = append(made.notes, string(body))
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id":"10000","self":"https://jira.example.com/c"}`)
}

func (s *tracker) incident(w http.ResponseWriter, body []byte) {
	var i map[string]string
	if err := json.Unmarshal(body, &i); err != nil || i["correlation_id"] == "" {
		s.broken(w, "an incident: %s", body)
		return
	}
	made := &thing{key: fmt.Sprintf("INC%d", len(s.things)+1), summary: i["short_description"],
		correlation: i["correlation_id"]}
	s.keep(w, made, `{"result":{"number":"x","sys_id":"`+made.key+`"}}`)
}

func (s *tracker) incidents(w http.ResponseWriter, r *http.Request) {
	if s.blind {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":{"message":"User Not Authorized","detail":"ACL"},"status":"failure"}`)
		return
	}
	by := byKey.FindStringSubmatch(r.URL.Query().Get("sysparm_query"))
	if by == nil || r.URL.Query().Get("sysparm_limit") != "1" {
		s.broken(w, "a query: %s", r.URL.RawQuery)
		return
	}
	list := []map[string]string{}
	for _, made := range s.things {
		if made.correlation == by[1] && !made.gone && !made.closed {
			list = []map[string]string{{"sys_id": made.key, "number": "x"}}
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"result": list})
}

func (s *tracker) note(w http.ResponseWriter, key string, body []byte) {
	made := s.find(key)
	if made == nil || s.blind {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"message":"No Record found","detail":"Record doesn't exist"}}`)
		return
	}
	var change map[string]string
	if json.Unmarshal(body, &change) == nil && change["state"] != "" {
		if change["state"] == "7" && change["close_code"] == "" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"message":"Operation Failed","detail":"Data Policy Exception: Resolution code is mandatory"}}`)
			return
		}
		if made.closed && s.final {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"message":"Operation Failed","detail":"ACL Exception"}}`)
			return
		}
		made.status, made.code, made.closed = change["state"], change["close_code"], change["state"] == "7"
	} else if !made.closed {
		made.notes = append(made.notes, string(body))
	}
	_, _ = fmt.Fprintf(w, `{"result":{"sys_id":%q,"number":"x","active":"%t"}}`, key, !made.closed)
}

// customer sends events of one security issue to a tracker.
type customer struct {
	t      *testing.T
	sender *sending.Sender
	target *sending.Target
	opener sending.Opener
	now    atomic.Int64
	n      atomic.Int64
}

// ways are the transitions of the project's workflow, by status.
var ways = map[string][]map[string]any{
	"To Do": {way("11", "Start", "In Progress", "indeterminate"), way("31", "Resolve issue", "Done", "done")},
	"Done":  {way("41", "Open again", "To Do", "new")},
}

func way(id, name, to, category string) map[string]any {
	return map[string]any{"id": id, "name": name, "to": map[string]any{"name": to,
		"statusCategory": map[string]string{"key": category}}}
}

// move shows an issue with its transitions, and makes one of them.
func (s *tracker) move(w http.ResponseWriter, r *http.Request, made *thing, body []byte) {
	now := cmp.Or(made.status, "To Do")
	if r.Method == http.MethodGet && r.URL.RawQuery == "fields=status&expand=transitions" {
		category := map[string]string{"Done": "done"}[now]
		status := map[string]any{"name": now, "statusCategory": map[string]string{"key": cmp.Or(category, "new")}}
		_ = json.NewEncoder(w).Encode(map[string]any{"key": made.key, "transitions": ways[now],
			"fields": map[string]any{"status": status}})
		return
	}
	var asked struct{ Transition struct{ ID string } }
	if r.Method != http.MethodPost || json.Unmarshal(body, &asked) != nil {
		s.broken(w, "%s %s", r.Method, r.URL)
		return
	}
	for _, t := range ways[now] {
		if t["id"] == asked.Transition.ID {
			made.status = t["to"].(map[string]any)["name"].(string)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	w.WriteHeader(http.StatusBadRequest)
}

func (s *tracker) states(w http.ResponseWriter, r *http.Request) {
	if s.blind {
		_, _ = io.WriteString(w, `{"result":[]}`)
		return
	}
	if q := r.URL.Query().Get("sysparm_query"); !strings.HasPrefix(q, "name=incident^element=state^inactive=false") {
		s.broken(w, "a query: %s", q)
		return
	}
	_, _ = io.WriteString(w, `{"result":[{"label":"New","value":"1"},{"label":"In Progress","value":"2"},`+
		`{"label":"Resolved","value":"6"},{"label":"Closed","value":"7"}]}`)
}

var trackers = map[string]struct{ system, parameters string }{
	"Jira Cloud": {"jira", `{"url":"{{url}}","email":"sec@example.com","token":"ATATT3xFfGF0secret","project":"SEC",` +
		`"issue_type":"Bug"}`},
	"Jira on premise": {"jira", `{"url":"{{url}}","token_type":"bearer","token":"ATATT3xFfGF0secret","project":"SEC",` +
		`"issue_type":"10001"}`},
	"ServiceNow": {"servicenow", `{"instance":"{{url}}","username":"tocsin","password":"pass word&1",` +
		`"client_id":"c0ffee","client_secret":"s3cr3t-of-client"}`},
}

func of(t *testing.T, s *tracker, name string) *customer { return set(t, s, name, nil) }

// set is of with further settings of the integration.
func set(t *testing.T, s *tracker, name string, settings map[string]string) *customer {
	t.Helper()
	c := &customer{t: t}
	c.now.Store(time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, c.now.Load()).UTC() }
	known, _, ok := catalogue.Default().Lookup(trackers[name].system)
	require.True(t, ok)
	parameters := strings.ReplaceAll(trackers[name].parameters, "{{url}}", s.URL)
	for field, value := range settings {
		parameters = strings.TrimSuffix(parameters, "}") + fmt.Sprintf(`,%q:%q}`, field, value)
	}
	full, err := known.Parameters.Complete(json.RawMessage(parameters))
	require.NoError(t, err)
	opened, err := known.Parameters.Open(full)
	require.NoError(t, err)
	c.sender = &sending.Sender{Destinations: catalogue.Default(), Now: now, Log: slog.New(slog.DiscardHandler),
		References: memory.New(now).References(),
		Transport:  egress.New(egress.Policy{Allow: []string{strings.TrimPrefix(s.URL, "http://")}}, egress.Options{})}
	c.opener = fixed{known, opened}
	c.target, err = c.sender.Open(t.Context(), c.opener,
		integration.Integration{ID: "i", Tenant: "42", System: known.Name, Revision: 1})
	require.NoError(t, err)
	return c
}

// about is a delivery of an event of a security issue.
func (c *customer) about(id, status string) delivery.Delivery {
	n := c.n.Add(1)
	return delivery.Delivery{ID: fmt.Sprintf("01GTD8R40000000000000000%02d", n), Tenant: "42", Integration: "i",
		State: delivery.Pending, Count: 1, Events: []event.Event{{
			ID: fmt.Sprintf("e-%d", n), Tenant: "42", Kind: event.SecurityIssue, Time: time.Unix(1677628800+n, 0).UTC(),
			Data: json.RawMessage(`{"security_issue":{"id":"` + id + `","title":"Open admin page","risk":"High",` +
				`"host":"shop.example.com","status":"` + status + `"}}`)}}}
}

func (c *customer) send(d delivery.Delivery) sending.Outcome {
	out, err := c.sender.Send(c.t.Context(), c.target, d)
	if err != nil {
		c.t.Error(err)
	}
	return out
}

// finish sends until it has arrived.
func (c *customer) finish(d delivery.Delivery) sending.Outcome {
	for range 20 {
		out := c.send(d)
		if d = out.Delivery; d.State == delivery.Delivered {
			return out
		}
		c.now.Add(int64(5 * time.Second))
	}
	c.t.Errorf("delivery %s did not arrive: %s", d.ID, d.Reason)
	return sending.Outcome{Delivery: d}
}

func everyTracker(t *testing.T, test func(t *testing.T, s *tracker, c *customer)) {
	for name := range trackers {
		t.Run(name, func(t *testing.T) {
			s := track(t)
			test(t, s, of(t, s, name))
		})
	}
}

func TestLaterEventsOfAnObjectAreAddedToWhatWasMade(t *testing.T) {
	everyTracker(t, func(t *testing.T, s *tracker, c *customer) {
		for _, status := range []string{"open", "closed", "reopened"} {
			out := c.send(c.about("S-1", status))
			require.Equal(t, delivery.Delivered, out.State, out.Reason)
			require.Equal(t, sending.Well, out.Mark)
		}
		c.finish(c.about("S-2", "open"))
		require.Len(t, s.things, 2)
		require.Contains(t, s.things[0].summary, "New security issue detected")
		require.Len(t, s.things[0].notes, 2)
		require.Contains(t, s.things[0].notes[0], "Security issue was closed")
		require.Contains(t, s.things[0].notes[1], "Security issue was re-opened")
		require.Empty(t, s.things[1].notes)
	})
}

func TestALostAnswerMakesNoSecond(t *testing.T) {
	everyTracker(t, func(t *testing.T, s *tracker, c *customer) {
		s.things = append(s.things, &thing{key: "SEC-900", summary: "another", description: `"another"`,
			property: json.RawMessage(`{"object":"42:security_issue:S-9"}`), correlation: "other"})
		s.lose = 1
		first := c.send(c.about("S-1", "open"))
		require.Equal(t, delivery.Retrying, first.State)
		require.GreaterOrEqual(t, first.Due.Sub(time.Unix(0, c.now.Load())), 10*time.Second,
			"some systems list a little later")
		other := c.send(c.about("S-1", "closed"))
		require.Equal(t, delivery.Retrying, other.State, "another event of the object waits")
		require.False(t, other.Unanswered(), "which says nothing of the system")
		require.False(t, other.Fault, "nor is it a fault of the deployment's")
		require.Equal(t, sending.Silent, other.Mark)
		c.now.Add(int64(10 * time.Second))
		c.finish(first.Delivery)
		require.Len(t, s.things, 2)
		require.Empty(t, s.things[1].notes, "the same event is not told twice")
		c.finish(other.Delivery)
		require.Len(t, s.things, 2)
		require.Len(t, s.things[1].notes, 1)
	})
}

func TestADeliveryThatDiedLeavesTheObjectToTheNext(t *testing.T) {
	everyTracker(t, func(t *testing.T, s *tracker, c *customer) {
		s.lose = 1
		c.send(c.about("S-1", "open")) // and never again
		c.now.Add(int64(6 * time.Minute))
		out := c.send(c.about("S-1", "reopened"))
		require.Equal(t, delivery.Delivered, out.State, out.Reason)
		require.Len(t, s.things, 1)
		require.Len(t, s.things[0].notes, 1)
	})
}

func TestWhatIsGoneAtTheSystemIsMadeAnew(t *testing.T) {
	everyTracker(t, func(t *testing.T, s *tracker, c *customer) {
		c.finish(c.about("S-1", "open"))
		s.things[0].gone = true
		c.finish(c.about("S-1", "reopened"))
		require.Len(t, s.things, 2)
		require.Contains(t, s.things[1].summary, "re-opened")
		c.finish(c.about("S-1", "closed"))
		require.Len(t, s.things, 2)
		require.Len(t, s.things[1].notes, 1)
		s.things[1].gone = true
		out := c.finish(c.about("S-1", "closed"))
		require.Len(t, s.things, 2, "nothing is made to say that it is closed")
		require.Contains(t, out.Reason, "nothing of it to close")
	})
}

func TestOfManyEventsAtOnceOneMakesTheThing(t *testing.T) {
	everyTracker(t, func(t *testing.T, s *tracker, c *customer) {
		var all sync.WaitGroup
		for range 8 {
			d := c.about("S-1", "open")
			all.Go(func() {
				// the clock stands still: no claim is old
				for d.State != delivery.Delivered && t.Context().Err() == nil {
					d = c.send(d).Delivery
				}
			})
		}
		all.Wait()
		require.Len(t, s.things, 1)
		require.Len(t, s.things[0].notes, 7)
	})
}

func TestAnIntegrationThatMovedToAnotherPlaceAddsNothingThere(t *testing.T) {
	for name := range trackers {
		t.Run(name, func(t *testing.T) {
			before, after := track(t), track(t)
			c := of(t, before, name)
			c.finish(c.about("S-1", "open"))
			moved := of(t, after, name)
			moved.sender.References = c.sender.References
			after.things = append(after.things, &thing{key: before.things[0].key, summary: "of somebody else",
				description: `"of somebody else"`})
			moved.finish(c.about("S-1", "reopened"))
			require.Empty(t, after.things[0].notes)
			require.Len(t, after.things, 2)
		})
	}
}

func TestAClosedIncidentTakesNoNotes(t *testing.T) {
	s := track(t)
	c := of(t, s, "ServiceNow")
	c.finish(c.about("S-1", "open"))
	s.things[0].closed = true
	c.finish(c.about("S-1", "reopened"))
	require.Len(t, s.things, 2)
}

func TestAUserWhoMayNotReadStillMakesIncidents(t *testing.T) {
	s := track(t)
	s.blind = true
	c := of(t, s, "ServiceNow")
	c.finish(c.about("S-1", "open"))
	c.finish(c.about("S-1", "reopened"))
	require.Len(t, s.things, 2)
}

func TestAnIncidentIsFoundWithoutAReference(t *testing.T) {
	s := track(t)
	c := of(t, s, "ServiceNow")
	c.finish(c.about("S-1", "open"))
	c.sender.References = memory.New(func() time.Time { return time.Unix(0, c.now.Load()) }).References()
	c.finish(c.about("S-1", "closed"))
	require.Len(t, s.things, 1)
	require.Len(t, s.things[0].notes, 1)
}

func TestWhatWasRefusedIsGivenBack(t *testing.T) {
	s := track(t)
	c := of(t, s, "Jira Cloud")
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":{"summary":"no"}}`)
	}))
	defer refuse.Close()
	bad := of(t, &tracker{Server: refuse}, "Jira Cloud")
	bad.sender.References = c.sender.References
	require.Equal(t, delivery.Retrying, bad.send(c.about("S-1", "open")).State)
	out := c.send(c.about("S-1", "open"))
	require.Equal(t, delivery.Delivered, out.State, "nobody waits for one that was refused: "+out.Reason)
}
