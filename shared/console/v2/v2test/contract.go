// Package v2test is what the platform's Terraform provider and its Go client ask of an API, as tests for every engine.
// The bodies are what those send, written down from the wire.
package v2test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Call makes a request as an administrator of tenant 42, and returns the answer.
type Call func(t *testing.T, method, path, body string) (status int, answer string)

// Client is the tenant of Call, as this API names it.
const Client = 42

// Contract is the suite. The tenant may have things already.
func Contract(t *testing.T, call Call) {
	c := client{call}
	t.Run("who calls is told the client id", c.user)
	for _, k := range kinds {
		t.Run("an integration of the type "+k.name, func(t *testing.T) { c.integration(t, k) })
	}
	t.Run("a Telegram integration is made by two calls", c.telegram)
	for _, k := range conditions {
		t.Run("a trigger of the condition "+k.template, func(t *testing.T) { c.trigger(t, k) })
	}
	t.Run("a trigger's condition is changed, and its id stays", c.anotherCondition)
}

type client struct{ call Call }

// do is a call that succeeds.
func (c client) do(t *testing.T, method, path, body string, into any) {
	t.Helper()
	status, raw := c.call(t, method, path, body)
	require.Equal(t, http.StatusOK, status, raw)
	if into != nil {
		require.NoError(t, json.Unmarshal([]byte(raw), into), raw)
	}
}

func (c client) user(t *testing.T) {
	var got struct {
		Status int
		Body   struct {
			Client int `json:"client_id"`
		}
	}
	c.do(t, "POST", "/v1/user", "", &got)
	require.Equal(t, 200, got.Status)
	require.Equal(t, Client, got.Body.Client)
}

// integration is what the client reads of one.
type integration struct {
	ID        int             `json:"id"`
	Active    bool            `json:"active"`
	Name      string          `json:"name"`
	Type      string          `json:"type"`
	CreatedAt int             `json:"created_at"`
	CreatedBy string          `json:"created_by"`
	Target    json.RawMessage `json:"target"`
	Events    []struct {
		Event   string `json:"event"`
		Active  bool   `json:"active"`
		Headers *bool  `json:"with_headers"`
	} `json:"events"`
}

// active are the names of the active events.
func (i integration) active() (out []string) {
	for _, e := range i.Events {
		if e.Active {
			out = append(out, e.Event)
		}
	}
	return out
}

type changed struct {
	Body struct {
		Result string      `json:"result"`
		Object integration `json:"object"`
	} `json:"body"`
}

// list is how the client reads: it knows no call for one.
func (c client) list(t *testing.T) []integration {
	t.Helper()
	var got struct {
		Body struct {
			Object []integration `json:"object"`
		} `json:"body"`
	}
	c.do(t, "GET", fmt.Sprintf("/v2/integration?clientid=%d", Client), "", &got)
	return got.Body.Object
}

// find reads one by its id, as the provider does to refresh and to import.
func (c client) find(t *testing.T, id int) (integration, bool) {
	t.Helper()
	for _, i := range c.list(t) {
		if i.ID == id {
			return i, true
		}
	}
	return integration{}, false
}

// change sends a PUT, and reads what the provider would read for its next plan.
func (c client) change(t *testing.T, id int, body string) integration {
	t.Helper()
	var got changed
	c.do(t, "PUT", fmt.Sprint("/v2/integration/", id), body, &got)
	require.Equal(t, id, got.Body.Object.ID)
	return c.planned(t, got.Body.Object)
}

// planned reads twice: a second plan has nothing to do.
func (c client) planned(t *testing.T, want integration) integration {
	t.Helper()
	for range 2 {
		got, ok := c.find(t, want.ID)
		require.True(t, ok)
		require.Equal(t, want, got, "a plan would find a difference")
	}
	return want
}

func (c client) integration(t *testing.T, k kind) {
	body := fmt.Sprintf(`{"name":"Made by Terraform","active":false,"target":%s,"events":%s,"type":%q,"clientid":%d}`,
		k.target, k.events, k.kind, Client)
	var made changed
	c.do(t, "POST", "/v2/integration", body, &made)
	require.Equal(t, "success", made.Body.Result)
	i := c.planned(t, made.Body.Object)
	require.Positive(t, i.ID)
	require.Equal(t, []any{false, "Made by Terraform", k.kind}, []any{i.Active, i.Name, i.Type})
	require.Greater(t, i.CreatedAt, 1_500_000_000)
	require.JSONEq(t, k.shown, string(i.Target), "secrets are masked")
	require.Equal(t, k.active, i.active())

	renamed := c.change(t, i.ID, `{"name":"Renamed"}`)
	i.Name = "Renamed"
	require.Equal(t, i, renamed, "nothing else has changed")
	require.True(t, c.change(t, i.ID, `{"active":true}`).Active)
	i.Active = true
	require.Equal(t, i, c.change(t, i.ID, `{"target":`+string(i.Target)+`}`), "a mask keeps the secret")
	i = c.change(t, i.ID, `{"target":`+k.next+`}`)
	require.JSONEq(t, k.nextShown, string(i.Target))
	full := c.change(t, i.ID, fmt.Sprintf(`{"name":"Whole","active":false,"target":%s,"events":%s,"type":%q}`, k.target,
		k.nextEvents, k.kind))
	require.Equal(t, []any{"Whole", false}, []any{full.Name, full.Active})
	require.JSONEq(t, k.shown, string(full.Target))
	require.Equal(t, k.nextActive, full.active())
	require.Equal(t, []any{i.CreatedAt, i.CreatedBy}, []any{full.CreatedAt, full.CreatedBy})

	c.do(t, "DELETE", fmt.Sprint("/v2/integration/", i.ID), "", nil)
	_, there := c.find(t, i.ID)
	require.False(t, there)
	status, raw := c.call(t, "DELETE", fmt.Sprint("/v2/integration/", i.ID), "")
	require.Equal(t, 404, status, raw)
	status, _ = c.call(t, "PUT", fmt.Sprint("/v2/integration/", i.ID), `{"active":true}`)
	require.Equal(t, 404, status)
}

func (c client) telegram(t *testing.T) {
	var made changed
	c.do(t, "POST", "/v2/integration/telegram",
		fmt.Sprintf(`{"name":"AcmeBot","clientid":%d,"chat_data":"Z72S5kwWBPYpTnLrIfvYIQ=="}`, Client), &made)
	require.Equal(t, "telegram", made.Body.Object.Type)
	i := c.change(t, made.Body.Object.ID, `{"name":"Ops chat","active":true,"events":[`+
		`{"event":"system","active":true},{"event":"report_daily","active":false},`+
		`{"event":"report_weekly","active":true}]}`)
	require.Equal(t, []any{"Ops chat", true, made.Body.Object.ID}, []any{i.Name, i.Active, i.ID})
	require.ElementsMatch(t, []string{"system", "report_weekly"}, i.active())
	i = c.change(t, i.ID, `{"events":[{"event":"security_issue_high","active":true}]}`)
	require.Equal(t, []string{"security_issue_high"}, i.active(), "Telegram's events change alone")
	c.do(t, "DELETE", fmt.Sprint("/v2/integration/", i.ID), "", nil)
}
