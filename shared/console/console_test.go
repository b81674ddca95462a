package console_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/access/accesstest"
	"tocsin/shared/activity"
	"tocsin/shared/console"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/erasure"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/notification"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/pdf"
	"tocsin/shared/sending"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
	"tocsin/shared/trigger/notified"
)

var update = flag.Bool("update", false, "write the golden files anew")

const slackURL = "https://hooks.slack.com/services/T000/B000/s3cr3t-in-the-url"

// rig is the API over an engine.
type rig struct {
	t       *testing.T
	db      engine
	tokens  *accesstest.Tokens
	config  console.Config
	handler http.Handler
	token   string
	email   string
	reports *report.Service
	links   profile.Links
	changed []string
	woken   []delivery.Lane
	logged  map[string]bool // see forgetLog
}

func start(t *testing.T, allow ...string) *rig {
	t.Helper()
	return startOver(t, inMemory(t), allow...)
}

func startOver(t *testing.T, db engine, allow ...string) *rig {
	t.Helper()
	r := &rig{t: t, email: "ada@example.com", db: db}
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	r.tokens = accesstest.New()
	policy := egress.Policy{Allow: allow}
	log := slog.New(slog.DiscardHandler)
	newID := func() string { return ulid.Make().String() }
	service := &integration.Service{Store: r.db.Integrations, Keys: keys, Systems: catalogue.Default(),
		Addresses: policy, Now: time.Now, NewID: newID, Random: rand.Reader, Log: log,
		Triggers: notified.By{Store: r.db.Triggers}}
	people := &profile.Service{Store: r.db.People, Now: time.Now, NewID: newID, Log: log}
	r.links = profile.Links{Base: "https://tocsin.example.com", Keys: [][]byte{[]byte("k")}}
	r.reports = &report.Service{
		Store: r.db.Reports, Totals: r.db.DailyTotals, Renderer: pdf.Renderer{}, Bus: r.db.Bus,
		Platform: "Tocsin",
		Now:      aMonth2023, NewID: newID, Log: log, Events: fanout.Events{Log: r.db.Deliveries},
		EventsKept: 30 * 24 * time.Hour,
	}
	r.config = console.Config{
		Platform: "Tocsin", Integrations: service, Systems: catalogue.Default(), Deliveries: r.db.Deliveries,
		Health:      &health.Monitor{Counters: r.db.Counters, Switch: service, Now: time.Now},
		DeadLetters: r.db.Deliveries, Commands: r.db.Commands,
		Tester: &sending.Sender{
			Destinations: catalogue.Default(), Transport: egress.New(policy, egress.Options{}), Now: time.Now, Log: log,
			Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"},
			Locales:  &report.Locales{Store: r.db.Reports, Now: time.Now, Log: log},
		},
		Sessions: &session.Service{Store: r.db.Sessions, Now: time.Now, Random: rand.Reader, Log: log},
		Authenticator: access.Chain{
			&token.Authenticator{Store: r.db.Tokens, Now: time.Now, Log: log}, r.tokens,
		},
		Tokens: &token.Service{Store: r.db.Tokens, Links: r.db.Tenants, Random: rand.Reader, Now: time.Now,
			NewID: newID, Log: log},
		Tenants: &tenant.Service{Store: r.db.Tenants, Now: time.Now, NewID: newID, Log: log},
		Erasures: &erasure.Service{Store: r.db.Erasure, Source: r.db.Erasure, Jobs: r.db.Erasures,
			Log: r.db.ActivityLog, Now: time.Now, NewID: newID, Logger: log,
			Integrations: &integration.Service{Store: r.db.Integrations, Now: time.Now, NewID: newID, Log: log,
				Systems: catalogue.Default()}},
		Recorder: &activity.Log{Store: r.db.ActivityLog, Now: time.Now, NewID: newID}, Activity: r.db.ActivityLog,
		Now: time.Now, NewID: newID, Log: log,
		Changed: func(_, id string) { r.changed = append(r.changed, id) },
		Wake:    func(l ...delivery.Lane) { r.woken = append(r.woken, l...) },
		Triggers: &trigger.Service{Store: r.db.Triggers, Integrations: r.db.Integrations,
			Systems: catalogue.Default(), Now: time.Now, NewID: newID, Log: log},
		Recovery: &fanout.Recovery{Fanout: &fanout.Fanout{Systems: catalogue.Default(), Logger: log},
			Journal: r.db.Deliveries,
			Now:     time.Now},
		Reports: r.reports, Profiles: people, SuppressionList: r.db.SuppressionList,
		Unsubscriptions: profile.Unsubscriptions{Links: r.links, Profiles: people,
			SuppressionList: r.db.SuppressionList,
			Now:             time.Now},
	}
	r.handler = console.New(r.config)
	r.token = r.issue("42", access.Administrator)
	return r
}

func (r *rig) issue(tenant string, role access.Role) string {
	return r.tokens.Issue(r.t, access.Principal{Tenant: tenant, ClientName: "Acme", Role: role, Email: r.email,
		Name: "Ada Lovelace"})
}

type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (r *rig) call(method, path, body string, headers ...string) answer {
	r.t.Helper()
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+r.token)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	a := answer{status: w.Code, header: w.Header(), raw: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body) // some answers are not JSON
	require.NotContains(r.t, a.raw, "s3cr3t", "no answer shows a secret")
	if a.status >= 400 {
		require.Equal(r.t, "application/problem+json", a.header.Get("Content-Type"), a.raw)
		require.EqualValues(r.t, a.status, a.body["status"])
		requireWorded(r.t, a.body)
	}
	return a
}

func (r *rig) create(body string) answer {
	r.t.Helper()
	a := r.call("POST", "/v1/integrations", body)
	require.Equal(r.t, http.StatusCreated, a.status, a.raw)
	return a
}

func (r *rig) slack(name string) string {
	r.t.Helper()
	a := r.create(
		fmt.Sprintf(
			`{"system":"slack","name":%q,"events":[{"event":"system"},{"event":"scope","active":false}],"parameters":{"webhook_url":%q}}`, name, slackURL))
	return a.body["id"].(string)
}

func TestOnlyAnAdministratorIsLetIn(t *testing.T) {
	r := start(t)
	good := r.token
	for role, want := range map[access.Role]int{
		access.Administrator: 200, access.GlobalAdministrator: 200, access.Analyst: 403, access.ReadOnly: 403,
		access.APIDeveloper: 403, access.Deploy: 403, "": 403,
	} {
		r.token = r.issue("42", role)
		for _, path := range []string{"/v1/systems", "/v1/integrations"} {
			require.Equal(t, want, r.call("GET", path, "").status, "%s as %s", path, role)
		}
	}
	for _, bad := range []string{"", "garbage", good + "x"} {
		r.token = bad
		a := r.call("GET", "/v1/integrations", "")
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
	}
}

func TestTheCatalogueIsGroupedAsInTheFacts(t *testing.T) {
	r := start(t)
	r.slack("one")
	a := r.call("GET", "/v1/systems", "")
	require.Equal(t, 200, a.status)
	var got struct {
		Groups []struct {
			Title             string
			Enabled, Disabled int
			Systems           []struct {
				Name       string
				Available  bool
				Personal   bool
				Enabled    int
				Parameters map[string]any
				Events     []map[string]string
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(a.raw), &got))
	var names []string
	for _, g := range got.Groups {
		names = append(names, g.Title)
		for _, s := range g.Systems {
			names = append(names, s.Name)
			require.NotEmpty(t, s.Events)
			require.Equal(t, s.Available && !s.Personal, s.Parameters != nil, s.Name)
		}
	}
	require.Equal(t, []string{
		"Email and messengers", "personal_email", "email", "slack", "telegram", "ms_teams",
		"Incident and task management systems", "insight_connect", "opsgenie", "pager_duty", "jira", "servicenow",
		"SIEM and SOAR systems", "sumo_logic", "sentinel", "Log management systems", "splunk", "data_dog",
		"Data collectors", "fluentd", "logstash", "s3", "minio", "Universal systems", "web_hooks",
	}, names)
	require.Equal(t, 1, got.Groups[0].Enabled)
	require.Equal(t, 1, got.Groups[0].Systems[2].Enabled)
}

// Set-up texts are long: those of further languages are answered to who asks for them.
func TestSetUpTextsAreAnsweredInTheLanguagesThatWereAskedFor(t *testing.T) {
	r := start(t)
	for query, want := range map[string][]string{"": nil, "?languages=en": nil, "?languages=en,ja": {"ja"}} {
		var got struct {
			Groups []struct {
				Systems []struct {
					Name    string
					SetUp   string            `json:"set_up"`
					SetUpIn map[string]string `json:"set_up_in"`
				}
			}
		}
		a := r.call("GET", "/v1/systems"+query, "")
		require.Equal(t, 200, a.status, a.raw)
		require.NoError(t, json.Unmarshal([]byte(a.raw), &got))
		for _, g := range got.Groups {
			for _, s := range g.Systems {
				if s.SetUp == "" {
					require.Empty(t, s.SetUpIn, s.Name)
					continue
				}
				require.Contains(t, s.SetUp, "Test integration")
				require.Equal(t, want, slices.Sorted(maps.Keys(s.SetUpIn)), "%s%s", s.Name, query)
				for _, text := range s.SetUpIn {
					require.Contains(t, text, "連携をテスト")
				}
			}
		}
	}
}

func TestTheLifeOfAnIntegration(t *testing.T) {
	r := start(t)
	made := r.create(`{"system":"slack","events":[{"event":"system"}],"parameters":{"webhook_url":"` + slackURL + `"}}`)
	id := made.body["id"].(string)
	require.Equal(t, "/v1/integrations/"+id, made.header.Get("Location"))
	require.Equal(t, `"1"`, made.header.Get("ETag"))
	require.Contains(t, made.body["name"], "Slack integration by Ada Lovelace, ", "facts, 1.1")
	require.Equal(t, true, made.body["enabled"])
	require.Equal(t, "********", made.body["parameters"].(map[string]any)["webhook_url"])

	path := "/v1/integrations/" + id
	require.JSONEq(t, made.raw, r.call("GET", path, "").raw)

	a := r.call("PATCH", path, `{"name":"Ops","parameters":{"webhook_url":"********"}}`, "If-Match", `"1"`,
		"Content-Type", "application/merge-patch+json")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, "Ops", a.body["name"])
	require.Equal(t, `"2"`, a.header.Get("ETag"))
	stored, err := r.db.Integrations.Get(t.Context(), "42", id)
	require.NoError(t, err)
	require.NotContains(t, string(stored.Parameters)+string(stored.Sealed), "s3cr3t", "secrets are sealed at rest")

	require.Equal(t, http.StatusPreconditionFailed, r.call("PATCH", path, `{"name":"Late"}`, "If-Match", `"1"`).status)
	require.Equal(t, http.StatusPreconditionFailed, r.call("DELETE", path, "", "If-Match", `"1"`).status)
	require.Equal(t, http.StatusPreconditionFailed,
		r.call("PATCH", path, `{"name":"X"}`, "If-Match", `"nonsense"`).status)
	require.Equal(t, 200, r.call("PATCH", path, `{"events":[]}`).status, "without If-Match the last change wins")

	off := r.call("POST", path+"/disable", "")
	require.Equal(t, 200, off.status)
	require.Equal(t, false, off.body["enabled"])
	require.Equal(t, "person", off.body["disabled"].(map[string]any)["by"])
	require.Equal(t, 200, r.call("POST", path+"/disable", "").status, "it is no error when it is off already")
	on := r.call("POST", path+"/enable", "")
	require.Equal(t, true, on.body["enabled"])
	require.Equal(t, 200, r.call("GET", path+"/health", "").status)

	require.Equal(t, http.StatusNoContent, r.call("DELETE", path, "").status)
	require.Equal(t, http.StatusNotFound, r.call("GET", path, "").status)
	require.Contains(t, r.changed, id)

	var kinds []string
	entries, err := r.db.Bus.Receive(t.Context(), 100)
	require.NoError(t, err)
	for _, e := range entries {
		kinds = append(kinds, e.DetailType)
		require.NotContains(t, string(e.Detail), "s3cr3t")
	}
	require.Equal(t, []string{"create_integration", "update_integration", "update_integration", "disable_integration",
		"enable_integration", "delete_integration"}, kinds)
}

func TestTheSecretItselfIsKept(t *testing.T) {
	hits := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/s3cr3t" {
			hits++
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer receiver.Close()
	r := start(t, receiver.Listener.Addr().String())
	id := r.create(fmt.Sprintf(`{"system":"slack","parameters":{"webhook_url":%q}}`, receiver.URL+"/s3cr3t")).
		body["id"].(string)
	masked, err := json.Marshal(r.call("GET", "/v1/integrations/"+id, "").body["parameters"])
	require.NoError(t, err)
	require.Equal(t, 200, r.call("PATCH", "/v1/integrations/"+id, `{"parameters":`+string(masked)+`}`).status)
	a := r.call("POST", "/v1/integrations/"+id+"/test", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, true, a.body["delivered"])
	require.Len(t, a.body["messages"], 4, "facts, 1.12: a messenger gets four")
	require.Equal(t, 4, hits)
	require.Contains(t, a.raw, "[Test message] [Acme] New user was added")
	unsaved := r.call("POST", "/v1/integrations/test", `{"integration":"`+id+
		`","parameters":{"webhook_url":"********"}}`)
	require.Equal(t, 200, unsaved.status, unsaved.raw)
	require.Equal(t, 8, hits, "a mask in a form stands for the saved secret")
}

func TestATestTellsWhatWentWrong(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.Error(w, "no_service "+q.Header.Get("Authorization"), http.StatusNotFound)
	}))
	defer receiver.Close()
	r := start(t, receiver.Listener.Addr().String(), "127.0.0.1:1")
	a := r.call("POST", "/v1/integrations/test",
		fmt.Sprintf(`{"system":"web_hooks","parameters":{"url":%q,"headers":{"Authorization":"Bearer s3cr3t-token"}}}`,
			receiver.URL))
	require.Equal(t, 200, a.status, a.raw)
	m := a.body["messages"].([]any)[0].(map[string]any)
	require.Equal(t, false, a.body["delivered"])
	require.EqualValues(t, 404, m["status"])
	require.Contains(t, m["answer"], "no_service ********", "a secret that comes back is masked")
	require.Len(t, a.body["messages"], 1, "it ends with the first that fails")

	a = r.call("POST", "/v1/integrations/test", `{"system":"web_hooks","parameters":{"url":"http://127.0.0.1:1/"}}`)
	require.Contains(t, a.body["messages"].([]any)[0].(map[string]any)["reason"], "connection refused")
}

func TestChoicesAreReadFromTheSystem(t *testing.T) {
	jira := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		user, token, _ := q.BasicAuth()
		switch {
		case user != "sec@example.com" || token != "s3cr3t-token":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message":"you sent `+q.Header.Get("Authorization")+`"}`)
		case q.URL.Path == "/rest/api/3/project/search" && q.FormValue("startAt") == "":
			_, _ = io.WriteString(w, `{"startAt":0,"isLast":false,"values":[{"key":"SEC","name":"security"}]}`)
		case q.URL.Path == "/rest/api/3/project/search":
			_, _ = io.WriteString(w, `{"startAt":1,"isLast":true,"values":[{"key":"OPS","name":"Operations"}]}`)
		case q.URL.Path == "/rest/api/3/project/SEC":
			_, _ = io.WriteString(w, `{"key":"SEC","issueTypes":[{"id":"10001","name":"Bug"}]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer jira.Close()
	r := start(t, jira.Listener.Addr().String())
	ask := func(parameter, more string) answer {
		t.Helper()
		return r.call("POST", "/v1/integrations/choices", fmt.Sprintf(
			`{"system":"jira","parameter":%q,"parameters":{"url":%q,"email":"sec@example.com","token":"s3cr3t-token"%s}}`, parameter, jira.URL, more))
	}
	a := ask("project", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, []any{map[string]any{"value": "OPS", "title": "Operations (OPS)"},
		map[string]any{"value": "SEC", "title": "security (SEC)"}}, a.body["choices"])
	require.Equal(t, []any{map[string]any{"value": "10001", "title": "Bug"}},
		ask("issue_type", `,"project":"SEC"`).body["choices"])
	require.Equal(t, "choose the project first: the issue types are those of a project",
		ask("issue_type", "").body["reason"])
	require.Contains(t, ask("issue_type", `,"project":"NONE"`).body["reason"], "no such project")
	a = r.call("POST", "/v1/integrations/choices",
		fmt.Sprintf(
			`{"system":"jira","parameter":"project","parameters":{"url":%q,"email":"sec@example.com","token":"s3cr3t-wrong"}}`, jira.URL))
	require.Equal(t, 200, a.status, a.raw)
	require.Contains(t, a.body["reason"], "tokens of Jira Cloud expire (it says: you sent Basic ********)",
		"a secret in another dress is masked")
	require.Empty(t, a.body["choices"])

	require.Equal(t, 422, ask("url", "").status)
	require.Equal(t, 422, ask("project", `,"email":null`).status, "what is not chosen must be right")
	a = r.call("POST", "/v1/integrations/choices",
		`{"system":"jira","parameter":"project","parameters":{"url":"https://10.0.0.1/","email":"sec@example.com","token":"s3cr3t-token"}}`)
	require.Contains(t, a.raw, "not a public address")
	require.Equal(t, 422, r.call("POST", "/v1/integrations/choices",
		`{"system":"slack","parameter":"webhook_url","parameters":{"webhook_url":"https://hooks.slack.com/x"}}`).status)
	saved := r.create(
		fmt.Sprintf(
			`{"system":"jira","name":"Issues","parameters":{"url":%q,"email":"sec@example.com","token":"s3cr3t-token","project":"SEC","issue_type":"Bug"}}`, jira.URL))
	a = r.call("POST", "/v1/integrations/choices",
		fmt.Sprintf(`{"integration":%q,"parameter":"project","parameters":{"token":"********"}}`, saved.body["id"]))
	require.Len(t, a.body["choices"], 2, "masks stand for the saved secrets")
}

// badInput is a call that is refused.
type badInput struct {
	method, path, body string
	status             int
	says               string
}

// badInputs are calls about the integration of that id, by what is wrong with them.
func badInputs(id string) map[string]badInput {
	return map[string]badInput{
		"malformed JSON": {"POST", "/v1/integrations", `{"system":`, 400, ""},
		"an unknown field": {"POST", "/v1/integrations", `{"system":"slack","colour":"s3cr3t","parameters":{}}`,
			422, "colour"},
		"an unknown system": {"POST", "/v1/integrations", `{"system":"fax","name":"x","parameters":{}}`, 422,
			"system"},
		"no system": {"POST", "/v1/integrations", `{"parameters":{}}`, 422, "system"},
		"a missing parameter": {"POST", "/v1/integrations", `{"system":"slack","parameters":{}}`, 422,
			"parameters.webhook_url"},
		"a parameter too long": {"POST", "/v1/integrations",
			`{"system":"slack","parameters":{"webhook_url":"https://x.example/s3cr3t` + strings.Repeat("x", 3000) +
				`"}}`, 422, "parameters.webhook_url"},
		"an unparsable URL": {"POST", "/v1/integrations",
			`{"system":"slack","parameters":{"webhook_url":"https://s3cr3t exa mple/"}}`, 422,
			"parameters.webhook_url"},
		"a URL without https": {"POST", "/v1/integrations",
			`{"system":"slack","parameters":{"webhook_url":"http://hooks.slack.com/s3cr3t"}}`, 422,
			"must begin with https://"},
		"a private address": {"POST", "/v1/integrations",
			`{"system":"slack","parameters":{"webhook_url":"https://169.254.169.254/s3cr3t"}}`, 422,
			"not a public address"},
		"an unknown parameter": {"POST", "/v1/integrations",
			`{"system":"slack","parameters":{"webhook_url":"https://hooks.slack.com/x","secret":"s3cr3t"}}`, 422,
			"parameters.secret"},
		"a mask for nothing": {"POST", "/v1/integrations/test",
			`{"system":"slack","parameters":{"webhook_url":"********"}}`, 422, "parameters.webhook_url"},
		"an unknown event": {"POST", "/v1/integrations",
			`{"system":"slack","events":[{"event":"rain"}],"parameters":{"webhook_url":"https://hooks.slack.com/x"}}`,
			422, "events.0.event"},
		"an event not offered": {"PATCH", "/v1/integrations/" + id, `{"events":[{"event":"siem"}]}`, 422,
			"events.0.event"},
		"an event twice": {"PATCH", "/v1/integrations/" + id,
			`{"events":[{"event":"scope"},{"event":"scope"}]}`, 422, "events.1.event"},
		"a name too long": {"PATCH", "/v1/integrations/" + id, `{"name":"` + strings.Repeat("n", 201) + `"}`,
			422, "name"},
		"an empty name": {"PATCH", "/v1/integrations/" + id, `{"name":"  "}`, 422, "name"},
		"a body too large": {"POST", "/v1/integrations", `{"system":"slack","name":"` +
			strings.Repeat("n", 300<<10) + `"}`, 413, ""},
		"an unknown status":   {"GET", "/v1/integrations?status=odd", "", 422, "status"},
		"a limit too large":   {"GET", "/v1/integrations?limit=1001", "", 422, "limit"},
		"a broken cursor":     {"GET", "/v1/integrations?cursor=abc", "", 400, "cursor"},
		"a time that is none": {"GET", "/v1/integrations/" + id + "/deliveries?from=yesterday", "", 422, "from"},
		"an empty range": {"POST", "/v1/integrations/" + id + "/replay",
			`{"from":"2023-03-02T00:00:00Z","to":"2023-03-01T00:00:00Z"}`, 422, "to"},
		"a state to replay": {"POST", "/v1/integrations/" + id + "/replay", `{"states":["pending"]}`, 422,
			"states"},
		"an unknown integration": {"GET", "/v1/integrations/01GTD8R4000000000000000001", "", 404,
			`there is no integration \"01GTD8R4000000000000000001\""`},
		"an unknown delivery": {"GET", "/v1/integrations/" + id + "/deliveries/01GTD8R4000000000000000001", "", 404,
			`this integration has no delivery \"01GTD8R4000000000000000001\""`},
		"no mail log": {"GET", "/v1/mail-log", "", 404, "keeps none"},
	}
}

func TestBadInputNamesItsField(t *testing.T) {
	r := start(t)
	id := r.slack("mine")
	for name, c := range badInputs(id) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			a := r.call(c.method, c.path, c.body)
			require.Equal(t, c.status, a.status, a.raw)
			require.Contains(t, a.raw, c.says)
		})
	}
	require.Equal(t, http.StatusUnsupportedMediaType,
		r.call("POST", "/v1/integrations", `x=1`, "Content-Type", "application/x-www-form-urlencoded").status)
}

func TestAnotherTenantsIntegrationIsNotThere(t *testing.T) {
	r := start(t)
	id := r.slack("mine")
	r.token = r.issue("43", access.Administrator)
	for _, c := range [][2]string{
		{"GET", ""}, {"PATCH", ""}, {"DELETE", ""}, {"POST", "/enable"}, {"POST", "/disable"}, {"POST", "/test"},
		{"GET", "/health"},
		{"GET", "/deliveries"}, {"GET", "/deliveries/01GTD8R4000000000000000001"},
		{"POST", "/deliveries/01GTD8R4000000000000000001/replay"}, {"POST", "/replay"},
	} {
		body := ""
		if c[0] == "PATCH" || c[1] == "/replay" {
			body = `{}`
		}
		a := r.call(c[0], "/v1/integrations/"+id+c[1], body)
		require.Equal(t, 404, a.status, "%s %s: %s", c[0], c[1], a.raw)
		unknown := r.call(c[0], "/v1/integrations/01GTD8R4000000000000000001"+c[1], body)
		require.Equal(t, strings.ReplaceAll(unknown.raw, "01GTD8R4000000000000000001", id),
			strings.ReplaceAll(a.raw, "01GTD8R4000000000000000001", id), "exactly as an id that nobody has")
	}
	require.Equal(t, 404, r.call("POST", "/v1/integrations/test", `{"integration":"`+id+
		`","parameters":{"webhook_url":"********"}}`).status)
	require.Empty(t, r.call("GET", "/v1/integrations", "").body["items"])
}

func TestTheListIsFilteredCountedAndPaged(t *testing.T) {
	r := start(t)
	var ids []string
	for n := range 5 {
		ids = append(ids, r.slack(fmt.Sprintf("Channel %d", n)))
	}
	hook := r.create(
		`{"system":"web_hooks","name":"Collector","enabled":false,"parameters":{"url":"https://collector.example.com/"}}`).body["id"].(string)
	names := func(query string) (out []string) {
		for cursor := ""; ; {
			a := r.call("GET", "/v1/integrations?limit=2&cursor="+cursor+"&"+query, "")
			require.Equal(t, 200, a.status, a.raw)
			require.Equal(t, map[string]any{"all": 6.0, "enabled": 5.0, "disabled": 1.0, "failing": 0.0},
				a.body["counts"])
			for _, i := range a.body["items"].([]any) {
				out = append(out, i.(map[string]any)["id"].(string))
			}
			next, more := a.body["next_cursor"].(string)
			if !more {
				return out
			}
			cursor = next
		}
	}
	require.Equal(t, append(append([]string{}, ids...), hook), names(""))
	require.Equal(t, ids, names("status=enabled"))
	require.Equal(t, []string{hook}, names("status=disabled"))
	require.Equal(t, []string{hook}, names("state=disabled"))
	require.Equal(t, ids, names("state=ok"))
	require.Empty(t, names("state=failing"))
	require.Equal(t, []string{hook}, names("system=web_hooks"))
	require.Equal(t, ids, names("group=Email+and+messengers"))
	require.Equal(t, []string{ids[3]}, names("q=channel+3"))
	require.Equal(t, []string{hook}, names("q=WEBHOOK"), "the text is looked for in the system's title as well")
	require.Empty(t, names("q=nothing"))
}

func TestAGroupThatThereIsNotIsRefusedAndEachThatThereIsIsTaken(t *testing.T) {
	r := start(t)
	for _, of := range []string{"Nowhere", "email+and+messengers", "slack"} {
		a := r.call("GET", "/v1/integrations?group="+of, "")
		require.Equal(t, 422, a.status, a.raw)
		require.Equal(t, "query.group", a.body["errors"].([]any)[0].(map[string]any)["field"])
		require.Contains(t, a.raw, "Email and messengers")
	}
	for _, g := range r.call("GET", "/v1/systems?brief=true", "").body["groups"].([]any) {
		title := url.QueryEscape(g.(map[string]any)["title"].(string))
		require.Equal(t, 200, r.call("GET", "/v1/integrations?group="+title, "").status, title)
	}
}

func TestTheDocumentIsCurrentAndHasNoOtherHost(t *testing.T) {
	r := start(t)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	require.Equal(t, 200, w.Code)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Contains(t, doc["openapi"], "3.1")
	golden(t, "openapi.json", w.Body.Bytes())
	if *update { // the Go client is made of it
		written := exec.Command("go", "run", "./scripts/client")
		written.Dir = "../.."
		out, err := written.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	golden(t, "asyncapi.json", []byte(r.call("GET", "/asyncapi.json", "").raw))

	for _, page := range []string{"/", "/docs"} {
		w := httptest.NewRecorder()
		r.config.NoPages = true
		console.New(r.config).ServeHTTP(w, httptest.NewRequest(http.MethodGet, page, nil))
		require.Equal(t, 200, w.Code)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, w.Body.String(), "//unpkg")
		require.NotContains(t, w.Body.String(), "<script>")
		for path := range doc["paths"].(map[string]any) {
			require.Contains(t, w.Body.String(), path, "the page lists every path")
		}
	}
}

// golden compares a document with the one that is kept.
func golden(t *testing.T, name string, raw []byte) {
	t.Helper()
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, raw, "", "  "))
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, pretty.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "make it with -update")
	require.Equal(t, string(want), pretty.String(), "run with -update if this change is meant, then read the file")
}

func FuzzCursor(f *testing.F) {
	f.Add("YzE6YQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		r := start(t)
		q := httptest.NewRequest(http.MethodGet, "/v1/dead-letters", nil)
		values := q.URL.Query()
		values.Set("cursor", cursor)
		q.URL.RawQuery = values.Encode()
		q.Header.Set("Authorization", "Bearer "+r.token)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, q)
		require.Less(t, w.Code, 500)
	})
}

func BenchmarkNew(b *testing.B) {
	service := &integration.Service{}
	for b.Loop() {
		console.New(console.Config{Platform: "Tocsin", Integrations: service, Systems: catalogue.Default()})
	}
}

func TestALinkForTelegramNeedsABotAndAnIntegrationOfTelegrams(t *testing.T) {
	r := start(t)
	require.Equal(t, http.StatusConflict, r.call("POST", "/v1/integrations/"+r.slack("mine")+"/telegram-link",
		"").status)
	made := r.create(`{"system":"telegram","events":[{"event":"report_daily"}],"parameters":{}}`)
	path := "/v1/integrations/" + made.body["id"].(string)
	a := r.call("POST", path+"/telegram-link", "")
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body["detail"], "has no Telegram bot")
	test := r.call("POST", path+"/test", "")
	require.Equal(t, 200, test.status, "that it is not ready is an outcome of the test")
	require.Contains(t, test.raw, "has no Telegram bot")
	unsaved := r.call("POST", "/v1/integrations/test", `{"system":"telegram","parameters":{"chat_id":-1}}`)
	require.Equal(t, http.StatusUnprocessableEntity, unsaved.status)
	require.Contains(t, unsaved.raw, "parameters.chat_id")
	require.Equal(t, http.StatusNotFound, r.call("POST", "/v1/integrations/nobody/telegram-link", "").status)
}

func TestH23OneUnreadableIntegrationFailsNoList(t *testing.T) {
	r := start(t)
	kept := r.create(slackDraft("kept"))
	require.Equal(t, http.StatusCreated, kept.status, kept.raw)
	service := *r.config.Integrations
	other, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	service.Keys = other
	r.config.Integrations = &service
	r.handler = console.New(r.config)
	require.Equal(t, http.StatusCreated, r.create(slackDraft("new")).status)

	list := r.call(http.MethodGet, "/v1/integrations?health=true", "")
	require.Equal(t, http.StatusOK, list.status, list.raw)
	require.Equal(t, 2, strings.Count(list.raw, `"system":"slack"`))
	require.Equal(t, 1, strings.Count(list.raw,
		`"unreadable":{"cause":"lost","reason":"its secrets can not be read: enter them again"}`), list.raw)
	one := r.call(http.MethodGet, "/v1/integrations/"+kept.body["id"].(string), "")
	require.Equal(t, http.StatusOK, one.status)
	require.Contains(t, one.raw, "enter them again")
	saved := r.call(http.MethodPatch, "/v1/integrations/"+kept.body["id"].(string),
		`{"parameters":{"webhook_url":"https://hooks.slack.com/services/T0/B0/s3cr3t"}}`, "Content-Type",
		"application/merge-patch+json")
	require.Equal(t, http.StatusOK, saved.status, saved.raw)
	require.NotContains(t, saved.raw, "unreadable")
}

func slackDraft(name string) string {
	return `{"system":"slack","name":"` + name +
		`","events":[{"event":"system"}],"parameters":{"webhook_url":"https://hooks.slack.com/services/T0/B0/s3cr3t"}}`
}

func TestWhatIsNotThereIsNamedInEachLanguage(t *testing.T) {
	r := start(t)
	id := r.slack("mine")
	const gone = "01GTD8R4000000000000000009"
	for _, c := range [][3]string{
		{"GET", "/v1/integrations/" + gone}, {"POST", "/v1/integrations/" + gone + "/enable"},
		{"GET", "/v1/integrations/" + id + "/deliveries/" + gone}, {"GET", "/v1/triggers/" + gone},
		{"GET", "/v1/reports/" + gone}, {"GET", "/v1/events/" + gone}, {"DELETE", "/v1/tokens/" + gone},
		{"POST", "/v1/dead-letters/" + gone + "/replay"}, {"GET", "/v1/people/" + gone + "/mails"},
		{"POST", "/v1/commands/" + gone + "/ack", `{"outcome":"acknowledged"}`},
		{"POST", "/v1/integrations/samples", `{"system":"` + gone + `"}`},
	} {
		for language, says := range map[string]string{"en": "there is no ", "ja": gone} {
			a := r.call(c[0], c[1], c[2], "Accept-Language", language)
			require.Equal(t, 404, a.status, "%v %s", c, a.raw)
			detail := strings.ReplaceAll(a.body["detail"].(string), "this integration has no ", "there is no ")
			require.Contains(t, detail, says, c)
			require.Contains(t, detail, gone, c)
			require.Equal(t, language == "ja", !strings.Contains(detail, " is no "), detail)
		}
	}
	a := r.call("GET", "/v1/events/"+gone, "")
	require.Contains(t, a.body["detail"], "not the EventId that PutEvents answers")
	require.Contains(t, a.body["detail"], "GET /v1/dead-letters")
	long := r.call("GET", "/v1/integrations/"+strings.Repeat("x", 500), "")
	require.Less(t, len(long.body["detail"].(string)), 100, "an id is told in short")
}

// aMonth2023 is a time at which the daily totals of the days that tests order reports on are kept.
func aMonth2023() time.Time { return time.Date(2023, 3, 31, 12, 0, 0, 0, time.UTC) }
