package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

// TestTheHeadersOfARequestGoToWhoAskedForThem follows with_headers from the API to the request.
func TestTheHeadersOfARequestGoToWhoAskedForThem(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	bodies := make(chan [2]string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		if body, err := io.ReadAll(q.Body); err == nil {
			bodies <- [2]string{q.URL.Path, string(body)}
		}
	}))
	defer server.Close()
	p, err := embedded.Start(binary, t.TempDir(), "-allow", strings.TrimPrefix(server.URL, "http://"), "-log-level",
		"error")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	for path, with := range map[string]bool{"/with": true, "/without": false} {
		require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
			"system": "web_hooks", "name": path,
			"events":     []map[string]any{{"event": "siem", "with_headers": with}},
			"parameters": map[string]any{"url": server.URL + path}}, nil))
	}
	require.NoError(t, p.Publish(embedded.Entry{Source: "platform.test", DetailType: "new_hits",
		Detail: `{"version":1,"id":"h","tenant":"42","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli",` +
			`"headers":{"Cookie":["of-a-user"]}}}}`}))
	got := map[string]string{}
	for range 2 {
		select {
		case b := <-bodies:
			got[b[0]] = b[1]
		case <-time.After(patience.Long):
			t.Fatal("not both got the hit:", got)
		}
	}
	require.Contains(t, got["/with"], `"headers":{"Cookie":["of-a-user"]}`)
	require.Contains(t, got["/without"], `"type":"sqli"`)
	require.NotContains(t, got["/without"], "headers")
}
