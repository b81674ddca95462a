package v2_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/access/accesstest"
	"tocsin/shared/console"
	"tocsin/shared/console/v2/v2test"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/memory"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/telegrambot"
	"tocsin/shared/telegrambot/telegramtest"
	"tocsin/shared/tenant"
	"tocsin/shared/trigger"
)

// rig is a Console API over the stores of an engine.
type rig struct {
	handler http.Handler
	keys    *accesstest.Tokens
	config  console.Config
}

func open(t *testing.T, integrations integration.Store, triggers trigger.Store) *rig {
	t.Helper()
	ring, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	keys := accesstest.New()
	log := slog.New(slog.DiscardHandler)
	newID := func() string { return ulid.Make().String() }
	systems := catalogue.Default()
	r := &rig{keys: keys, config: console.Config{
		Platform: "Tocsin", Systems: systems, Authenticator: keys, Now: time.Now, NewID: newID, Log: log, NoPages: true,
		Integrations: &integration.Service{Store: integrations, Keys: ring, Systems: systems,
			Addresses: egress.Policy{}, Now: time.Now, NewID: newID, Log: log},
		Tenants: &tenant.Service{Store: memory.New(nil).Tenants(), Now: time.Now, NewID: newID, Log: log},
		Triggers: &trigger.Service{Store: triggers, Integrations: integrations, Systems: systems, Now: time.Now,
			NewID: newID, Log: log},
	}}
	r.handler = console.New(r.config)
	return r
}

// inMemory is a rig whose engine forgets.
func inMemory(t *testing.T) *rig {
	db := memory.New(nil)
	return open(t, db.Integrations(), db.Triggers())
}

// as makes a request for somebody of a tenant.
func (r *rig) as(t *testing.T, tenant string, role access.Role, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	token := r.keys.Issue(t, access.Principal{Tenant: tenant, ClientName: "Acme", Role: role,
		Email: "ada@example.com", Name: "Ada"})
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	return w
}

func (r *rig) call(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	w := r.as(t, "42", access.Administrator, method, path, body)
	return w.Code, w.Body.String()
}

func TestContract(t *testing.T) {
	t.Run("in memory", func(t *testing.T) { v2test.Contract(t, inMemory(t).call) })
	t.Run("in the state file", func(t *testing.T) {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), sqlite.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		v2test.Contract(t, open(t, db.Integrations(), db.Triggers()).call)
	})
}

func TestAChangeThroughThePlatformsAPIKeepsFilters(t *testing.T) {
	r := inMemory(t)
	status, raw := r.call(t, "POST", "/v1/integrations", `{"system":"slack","name":"Ops",`+
		`"events":[{"event":"vuln_high"}],`+
		`"filters":[{"id":"kind","operator":"ne","values":["create_user"]}],`+
		`"parameters":{"webhook_url":"https://hooks.slack.com/services/T0/B0/x"}}`)
	require.Equal(t, 201, status, raw)
	_, raw = r.call(t, "GET", "/v2/integration?clientid=42", "")
	id := regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(raw)
	require.NotEmpty(t, id, raw)
	status, raw = r.call(t, "PUT", "/v2/integration/"+id[1], `{"name":"Night","type":"slack","active":true,`+
		`"events":[{"event":"system","active":true}],"target":"https://hooks.slack.com/services/T0/B0/y"}`)
	require.Equal(t, 200, status, raw)
	_, raw = r.call(t, "GET", "/v1/integrations", "")
	require.Contains(t, raw, `"name":"Night"`)
	require.Contains(t, raw, `"filters":[{"id":"kind","operator":"ne","values":["create_user"]}]`)
}

// The API knows Slack's webhooks only.
func TestATargetMakesASlackIntegrationWithATokenOneWithAWebhook(t *testing.T) {
	r := inMemory(t)
	status, raw := r.call(t, "POST", "/v1/integrations", `{"system":"slack","name":"Ops",`+
		`"events":[{"event":"vuln_high"}],"parameters":{"authorization":"token","channel":"C0123456789",`+
		`"token":"xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy"}}`)
	require.Equal(t, 201, status, raw)
	require.NotContains(t, raw, "pdFZKVeTuE8sk7oOcBrzbqgy")
	_, raw = r.call(t, "GET", "/v2/integration?clientid=42", "")
	require.Contains(t, raw, `"target":null`)
	id := regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(raw)
	require.NotEmpty(t, id, raw)
	status, raw = r.call(t, "PUT", "/v2/integration/"+id[1], `{"name":"Night"}`)
	require.Equal(t, 200, status, raw)
	_, raw = r.call(t, "GET", "/v1/integrations", "")
	require.Contains(t, raw, `"authorization":"token"`)
	status, raw = r.call(t, "PUT", "/v2/integration/"+id[1], `{"target":"https://hooks.slack.com/services/T0/B0/y"}`)
	require.Equal(t, 200, status, raw)
	_, raw = r.call(t, "GET", "/v1/integrations", "")
	require.Contains(t, raw, `"authorization":"webhook"`)
	require.NotContains(t, raw, "C0123456789")
}

func TestATelegramIntegrationIsBoundToTheChatOfItsChatData(t *testing.T) {
	server := telegramtest.Start(t)
	r := inMemory(t)
	var err error
	r.config.Telegram, err = telegrambot.New(telegrambot.Config{Integrations: r.config.Integrations, Now: time.Now,
		Log: r.config.Log, Telegram: telegram.Bot{Token: telegramtest.Token, API: server.URL}})
	require.NoError(t, err)
	r.handler = console.New(r.config)
	site := httptest.NewServer(r.handler)
	t.Cleanup(site.Close)
	require.NoError(t, r.config.Telegram.SetWebhook(t.Context(), site.URL))
	group := telegramtest.Group(-100, "Night shift")
	server.Add(group)
	server.Say(group, "/chat_data")
	data := strings.Split(server.Sent(group.ID)[0].Text, "\n")[1]
	create := func(data string) (int, string) {
		return r.call(t, "POST", "/v2/integration/telegram", `{"name":"n","clientid":42,"chat_data":"`+data+`"}`)
	}
	status, raw := create(data)
	require.Equal(t, 200, status, raw)
	_, list := r.call(t, "GET", "/v1/integrations", "")
	require.Contains(t, list, `"chat_title":"Night shift"`)
	status, raw = create("Z72S5kwWBPYpTnLrIfvYIQ==")
	require.Equal(t, 200, status, raw)
	require.NotContains(t, raw, "chat_id", "that of another bot names no chat here")
	server.Remove(group)
	status, raw = create(data)
	require.Equal(t, 422, status)
	require.Contains(t, raw, "chat_data: is of a chat that the bot is not in")
}
