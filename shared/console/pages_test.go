package console_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/console"
	"tocsin/shared/console/mails"
	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

func TestEveryRoleReadsItsSession(t *testing.T) {
	r := start(t)
	a := r.call("GET", "/v1/session", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, map[string]any{
		"platform": "Tocsin", "tenant": "42", "client_name": "Acme", "role": "administrator",
		"email": "ada@example.com", "name": "Ada Lovelace",
		"sections": []any{"integrations", "log", "triggers", "reports", "profile", "dead_letters", "tokens", "activity",
			"addresses"},
		"changes": []any{"integrations", "triggers", "reports", "profile", "dead_letters", "tokens"},
	}, a.body, "no mail log where mails are sent")
	for role, sections := range map[access.Role][]any{
		access.Analyst:      {"reports", "profile", "tokens", "addresses"},
		access.ReadOnly:     {"reports", "profile", "activity", "addresses"},
		access.APIDeveloper: {"profile", "addresses"},
		access.Operator: {"integrations", "log", "triggers", "reports", "profile", "dead_letters", "tokens", "activity",
			"leaving", "addresses"},
	} {
		r.token = r.issue("42", role)
		a = r.call("GET", "/v1/session", "")
		require.Equal(t, 200, a.status, a.raw)
		require.Equal(t, string(role), a.body["role"])
		require.Equal(t, sections, a.body["sections"], role)
	}
	r.token = r.issue("42", access.Custom("integrations.view", "triggers.view", "triggers.manage"))
	a = r.call("GET", "/v1/session", "")
	require.Equal(t, []any{"integrations", "log", "triggers", "dead_letters", "addresses"}, a.body["sections"])
	require.Equal(t, []any{"triggers"}, a.body["changes"], "no button that does nothing")
	r.token = "garbage"
	require.Equal(t, 401, r.call("GET", "/v1/session", "").status)
	r.config.MailLog = func(context.Context, string, string, int) ([]mails.Mail, error) { return nil, nil }
	r.handler, r.token = console.New(r.config), r.issue("42", access.Administrator)
	require.Contains(t, r.call("GET", "/v1/session", "").body["sections"], "mail_log")
}

func TestHealthIsToldStepByStep(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	now := time.Now()
	count := func(before time.Duration, attempts, failures int) health.Count {
		return health.Count{Tenant: "42", Integration: id, Window: 1, At: now.Add(-before), Attempts: attempts,
			Failures: failures}
	}
	require.NoError(t, r.db.Counters.Add(t.Context(),
		[]health.Count{count(time.Hour, 10, 2), count(0, 5, 3), count(13*time.Hour, 100, 100)}))
	a := r.call("GET", "/v1/integrations/"+id+"/health", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, []any{15.0, 5.0, 33.0, false},
		[]any{a.body["attempts"], a.body["failures"], a.body["percent"], a.body["broken"]})
	require.Equal(t, 10.0, a.body["failures_left"], "15 of 25 are 60 %")
	require.Equal(t, []any{
		map[string]any{"at": now.Add(-time.Hour).Truncate(health.Bucket).UTC().Format(time.RFC3339), "attempts": 10.0,
			"failures": 2.0},
		map[string]any{"at": now.Truncate(health.Bucket).UTC().Format(time.RFC3339), "attempts": 5.0, "failures": 3.0},
	}, a.body["series"])

	listed := r.call("GET", "/v1/integrations", "").body["items"].([]any)[0].(map[string]any)
	require.NotContains(t, listed, "health", "a list has it only when it is asked for")
	listed = r.call("GET", "/v1/integrations?health=true", "").body["items"].([]any)[0].(map[string]any)
	require.Equal(t, a.body, listed["health"])
}

// TestAFailingIntegrationSaysSinceWhenAndWhy: the cause is told in the list and the card, before it is disabled and
// after.
func TestAFailingIntegrationSaysSinceWhenAndWhy(t *testing.T) {
	r := start(t)
	id, other := r.slack("Ops"), r.slack("Other")
	began := time.Now().Add(-20 * time.Minute).Truncate(time.Millisecond).UTC()
	gone := health.Answer{Status: 404, Words: "answered 404 Not Found: the webhook is gone: make a new one at Slack"}
	for n := range 8 {
		c := health.Count{Tenant: "42", Integration: id, Window: 1, At: began.Add(time.Duration(n) * 150 * time.Second)}
		c.Attempt(c.At, true, gone)
		require.NoError(t, r.db.Counters.Add(t.Context(), []health.Count{c}))
		_, err := r.config.Health.Judge(t.Context(), []health.Count{c})
		require.NoError(t, err)
	}
	answer := map[string]any{"status": 404.0, "words": gone.Words}
	for _, path := range []string{"/v1/integrations?state=failing",
		"/v1/integrations?status=enabled&state=failing&health=true"} {
		list := r.call("GET", path, "")
		require.Equal(t, 1.0, list.body["counts"].(map[string]any)["failing"])
		require.Len(t, list.body["items"], 1, list.raw)
		item := list.body["items"].([]any)[0].(map[string]any)
		require.Equal(t, []any{id, "failing", true}, []any{item["id"], item["state"], item["enabled"]})
		require.Equal(t, map[string]any{
			"since": began.Format(time.RFC3339Nano), "last_answer": answer, "attempts": 8.0, "failures": 8.0,
			"percent": 100.0, "waiting": 0.0,
		}, item["failing"])
	}
	h := r.call("GET", "/v1/integrations/"+id+"/health", "").body
	require.Equal(t, began.Add(30*time.Minute).Format(time.RFC3339Nano), h["disabled_from"],
		"it is not disabled before")
	require.Equal(t, "ok", r.call("GET", "/v1/integrations/"+other, "").body["state"])

	done, err := r.config.Integrations.DisableBroken(t.Context(), "42", id, 1, "8 of 8 requests failed", gone)
	require.NoError(t, err)
	require.True(t, done)
	i := r.call("GET", "/v1/integrations/"+id, "").body
	require.Equal(t, "disabled", i["state"])
	require.NotContains(t, i, "failing")
	require.Equal(t, answer, i["disabled"].(map[string]any)["last_answer"])
}

// delivered puts deliveries of an integration into the log, each with one event.
func (r *rig) delivered(id string, made ...time.Time) (ids []string) {
	r.t.Helper()
	i, err := r.db.Integrations.Get(r.t.Context(), "42", id)
	require.NoError(r.t, err)
	for n, at := range made {
		detail := fmt.Sprintf(
			`{"version":1,"id":"e-%s-%d","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"user":{"name":"Grace Hopper","email":"grace@example.com","role":"Analyst"}}}`, id, n)
		fanout := fanout.Fanout{Integrations: only{i}, Systems: r.config.Systems, Store: r.db.Deliveries,
			Logger: r.config.Log}
		_, err := fanout.Process(r.t.Context(),
			[]delivery.Entry{{Receipt: fmt.Sprint(n), DetailType: "create_user", Detail: []byte(detail), At: at}})
		require.NoError(r.t, err)
	}
	found, err := r.db.Deliveries.List(r.t.Context(), delivery.Query{Tenant: "42", Integration: id, Limit: 100})
	require.NoError(r.t, err)
	for _, d := range found {
		ids = append(ids, d.ID)
	}
	return ids
}

type only struct{ integration.Integration }

func (o only) Get(context.Context, string, string) (integration.Integration, error) {
	return o.Integration, nil
}

func (o only) Enabled(context.Context, string) ([]integration.Integration, error) {
	return []integration.Integration{o.Integration}, nil
}

func TestWhatIsSentIsShownWithoutItsSecrets(t *testing.T) {
	r := start(t)
	signing := "whsec_" + base64.StdEncoding.EncodeToString([]byte("s3cr3t-s3cr3t-s3cr3t-s3cr3t"))
	for name, c := range map[string]struct{ body, url string }{
		"an address that is a secret shows its host": {
			`{"system":"slack","events":[{"event":"system"}],"parameters":{"webhook_url":"` + slackURL + `"}}`,
			"https://hooks.slack.com/********"},
		"headers are masked however short, an address that is none is shown": {
			`{"system":"web_hooks","events":[{"event":"system"}],"parameters":{"url":"https://collector.example.com/in?team=7","headers":{"Authorization":"Basic s3cr3t","X-Pin":"s3"},"signing_secret":"` + signing + `"}}`, "https://collector.example.com/in?team=7"},
		"a token is masked in its header": {
			`{"system":"splunk","events":[{"event":"system"}],"parameters":{"api":"https://hec.example.com:8088","token":"5ec3e700-aaaa-bbbb-cccc-123456789012"}}`, "https://hec.example.com:8088/services/collector/event"},
		"a key in a body is masked": {
			`{"system":"pager_duty","events":[{"event":"system"}],"parameters":{"integration_key":"s3cr3t0000000000000000000000abcd"}}`, "https://events.pagerduty.com/v2/enqueue"},
		"a compressed body is readable": {
			`{"system":"data_dog","events":[{"event":"system"}],"parameters":{"token":"s3cr3t0000000000000000000000abcd"}}`, "https://http-intake.logs.datadoghq.com/api/v2/logs"},
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			id := r.create(c.body).body["id"].(string)
			sent := r.delivered(id, time.Now())[0]
			a := r.call("GET", "/v1/integrations/"+id+"/deliveries/"+sent+"/requests", "")
			require.Equal(t, 200, a.status, a.raw)
			require.NotContains(t, a.raw, "5ec3e700")
			require.NotContains(t, a.raw, signing)
			require.NotContains(t, a.raw, `"s3"`)
			request := a.body["items"].([]any)[0].(map[string]any)
			require.Equal(t, c.url, request["url"])
			require.Equal(t, "POST", request["method"])
			require.Contains(t, request["body"], "grace@example.com")
			require.Equal(t, false, a.body["changed"], "nothing was sent before the last change")
			if strings.Contains(c.body, "X-Pin") {
				h := request["headers"].(map[string]any)
				require.Equal(t, []any{"********"}, h["X-Pin"])
				require.Equal(t, []any{sent}, h["Webhook-Id"])
			}
		})
	}
	r.t = t
	id := r.slack("Other")
	require.Equal(t, 404, r.call("GET", "/v1/integrations/"+id+"/deliveries/nothing/requests", "").status)
}

func TestAMailIsShownAsItIsSent(t *testing.T) {
	r := start(t)
	id := r.create(
		`{"system":"email","events":[{"event":"system"}],"parameters":{"addresses":["soc@example.com","ciso@example.com"]}}`).body["id"].(string)
	a := r.call("GET", "/v1/integrations/"+id+"/deliveries/"+r.delivered(id, time.Now())[0]+"/requests", "")
	require.Equal(t, 200, a.status, a.raw)
	items := a.body["items"].([]any)
	require.Len(t, items, 2)
	mail := items[1].(map[string]any)["mail"].(map[string]any)
	require.Equal(t, "ciso@example.com", mail["to"])
	require.Contains(t, mail["text"], "grace@example.com")
}

func TestARangeThatIsReplayedTellsHowFarItIs(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	var made []time.Time
	for n := range 501 {
		made = append(made, begin.Add(time.Duration(n)*time.Second))
	}
	r.delivered(id, made...)
	var all []delivery.Delivery
	for {
		leased, err := r.db.Deliveries.Lease(t.Context(), delivery.Lane{Tenant: "42", Integration: id}, 600,
			time.Now(), time.Now(), time.Now().Add(time.Minute))
		require.NoError(t, err)
		if len(leased) == 0 {
			break
		}
		for _, d := range leased {
			all = append(all, d.Kill("a test"))
		}
	}
	require.Len(t, all, 501)
	require.NoError(t, r.db.Deliveries.Settle(t.Context(), all))
	a := r.call("POST", "/v1/integrations/"+id+"/replay", `{}`)
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, 500.0, a.body["count"])
	reached, err := time.Parse(time.RFC3339, a.body["reached"].(string))
	require.NoError(t, err)
	require.True(t, reached.Equal(made[499]), "%s, not %s", reached, made[499])
	a = r.call("POST", "/v1/integrations/"+id+"/replay", fmt.Sprintf(`{"cursor":%q}`, a.body["next_cursor"]))
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, map[string]any{"count": 1.0}, a.body)
}

func TestThePagesAreAtTheRootUnlessLeftOut(t *testing.T) {
	r := start(t)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	for _, path := range []string{"/", "/add/slack", "/integrations/1/deliveries/2"} {
		require.Equal(t, http.StatusOK, get(path).Code, path)
		require.Contains(t, get(path).Body.String(), "app.js", path)
	}
	require.Equal(t, http.StatusNotFound, get("/integrations").Code)
	r.config.NoPages = true
	r.handler = console.New(r.config)
	require.Contains(t, get("/").Body.String(), "Console API")
	require.Equal(t, http.StatusNotFound, get("/add/slack").Code)
}
