package v2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/client"
	"tocsin/shared/console"
	"tocsin/shared/engine/memory"
	"tocsin/shared/integration"
)

// down is a store of integrations that nobody reaches, or that panics.
type down struct {
	integration.Store
	panics bool
}

var errDown = errors.New("the store is down")

func (d down) List(context.Context, string, string, int) ([]integration.Integration, error) {
	if d.panics {
		panic("a fault of ours")
	}
	return nil, errDown
}

func (d down) Get(ctx context.Context, tenant, _ string) (integration.Integration, error) {
	_, err := d.List(ctx, tenant, "", 1)
	return integration.Integration{}, err
}

func (d down) ByNumber(context.Context, int64) (integration.Key, error) {
	return integration.Key{}, errDown
}

// TestAFailureOfAnAPINamesTheCallAsTheLogDoes: clients print the words of an error and none of its headers, so who
// reports a failure had nothing to name it by, and the log had no name of it in either API.
func TestAFailureOfAnAPINamesTheCallAsTheLogDoes(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		panics                   bool
	}{
		{name: "a list", method: "GET", path: "/v2/integration"},
		{name: "a change", method: "PUT", path: "/v2/integration/7", body: `{"name":"n"}`},
		{name: "what a trigger notifies", method: "POST", path: "/v2/clients/42/triggers",
			body: `{"trigger":{"template_id":"user_created","actions":[{"id":"send_notification",` +
				`"params":{"integration_ids":[7]}}]}}`},
		{name: "a fault of ours", method: "GET", path: "/v2/integration", panics: true},
		{name: "our own API", method: "GET", path: "/v1/integrations/x"},
		{name: "a fault of ours in our own API", method: "GET", path: "/v1/integrations/x", panics: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := memory.New(nil)
			r := open(t, down{Store: db.Integrations(), panics: c.panics}, db.Triggers())
			var lines bytes.Buffer
			r.config.Log = slog.New(slog.NewJSONHandler(&lines, nil))
			r.handler = console.New(r.config)
			w := r.as(t, "42", access.Administrator, c.method, c.path, c.body)
			require.Equal(t, http.StatusInternalServerError, w.Code, w.Body.String())
			id := w.Header().Get("X-Request-Id")
			require.Len(t, id, 26)
			if c.path[:3] == "/v2" {
				require.Contains(t, refused(t, http.StatusInternalServerError, w), " (request "+id+")")
			} else {
				var p client.Problem
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
				require.ErrorContains(t, &p, " (request "+id+")", "the commands print it")
			}
			var line struct{ Level, Request string }
			require.NoError(t, json.Unmarshal(lines.Bytes(), &line), lines.String())
			require.Equal(t, id, line.Request, lines.String())
			require.Equal(t, "ERROR", line.Level)
		})
	}
}

// TestARefusalOfThePlatformsAPIIsToldWithoutTheCall: what the caller did wrong stands in the words alone.
func TestARefusalOfThePlatformsAPIIsToldWithoutTheCall(t *testing.T) {
	w := inMemory(t).as(t, "42", access.Administrator, "PUT", "/v2/integration/7", `{"name":"n"}`)
	require.NotContains(t, refused(t, http.StatusNotFound, w), "request")
	require.NotContains(t, inMemory(t).as(t, "42", access.Administrator, "GET", "/v1/integrations/x", "").Body.String(),
		"request_id")
	require.Len(t, w.Header().Get("X-Request-Id"), 26)
}
