package console_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/console"
	"tocsin/shared/ratelimit"
)

func TestAnAccountThatCallsTooOftenIsToldWhenToCallAgain(t *testing.T) {
	r := start(t)
	now := time.Date(2026, 3, 1, 12, 0, 18, 0, time.UTC)
	r.config.Requests = &ratelimit.Limiter{Counter: &ratelimit.Memory{}, Limit: 3, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)}
	r.handler = console.New(r.config)
	for range 3 {
		require.Equal(t, http.StatusOK, r.call("GET", "/v1/integrations", "").status)
	}
	for _, path := range []string{"/v1/integrations", "/v1/no-such-thing", "/v1/session"} {
		a := r.call("GET", path, "")
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "42", a.header.Get("Retry-After"))
		require.Equal(t, "your account has made the 3 calls of this minute: the next begins in 42 s", a.body["detail"])
	}
	require.Equal(t, http.StatusOK, r.call("GET", "/openapi.json", "").status, "what needs no token is not counted")
	mine := r.token
	r.token = "no token"
	require.Equal(t, http.StatusUnauthorized, r.call("GET", "/v1/integrations", "").status,
		"who is nobody uses up nobody's calls")
	r.token = r.issue("43", access.Administrator)
	require.Equal(t, http.StatusOK, r.call("GET", "/v1/integrations", "").status, "another account")
	r.token, now = mine, now.Add(42*time.Second)
	require.Equal(t, http.StatusOK, r.call("GET", "/v1/integrations", "").status)
}

func TestEveryOperationSaysThatItMayBeRefusedFor429(t *testing.T) {
	r := start(t)
	paths := r.paths(t)
	require.NotEmpty(t, paths)
	for path, methods := range paths {
		for method, operation := range methods {
			require.Contains(t, operation.Responses, "429", "%s %s", method, path)
		}
	}
}

func TestACallHasAnID(t *testing.T) {
	r := start(t)
	made := r.call("GET", "/v1/session", "").header.Get("X-Request-Id")
	require.Len(t, made, 26)
	require.NotEqual(t, made, r.call("GET", "/v1/session", "").header.Get("X-Request-Id"))
	for id, taken := range map[string]bool{
		"7f9c2ba4-e88f-4d5a-9c1e-1b1c2f3a4d5e": true, "a": true, strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false, "a b": false, "": false, "-x": false, "<script>": false, "a\tb": false,
		"é": false,
	} {
		got := r.call("GET", "/v1/session", "", "X-Request-Id", id).header.Get("X-Request-Id")
		require.Equal(t, taken, got == id, id)
	}
	r.token = "none"
	refused := r.call("GET", "/v1/session", "", "X-Request-Id", "mine")
	require.Equal(t, 401, refused.status)
	require.Equal(t, "mine", refused.header.Get("X-Request-Id"), "a refusal is found in the log too")
}
