package main_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/sqlite"
)

// nobody is an address of this machine at which nobody answers.
const nobody = "http://127.0.0.1:1"

// TestEveryCommandSaysThatNobodyAnswersAndWhatToDo runs each command that calls another program, where there is none.
func TestEveryCommandSaysThatNobodyAnswersAndWhatToDo(t *testing.T) {
	t.Parallel()
	binary, err := build()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "tocsin.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\n"), 0o600))
	entry := `{"Source":"a.b","DetailType":"create_user","Detail":"{}"}`
	const id = "01JD0000000000000000000000"
	for _, args := range [][]string{{"integrations", "list"}, {"integrations", "test", "Ops"},
		{"integrations", "enable", "Ops"}, {"deliveries", "list"}, {"deliveries", "show", id},
		{"deliveries", "replay", id}, {"events", "tail"}, {"events", "publish", "-"},
		{"tenant", "export", "42", "-to", file + ".zip", "-url", nobody},
		{"tenant", "erase", "42", "-confirm", "42", "-url", nobody}, {"tenant", "erasure", "42", "-url", nobody},
		{"export"}, {"diff", file}, {"apply", file}} {
		t.Run(strings.Join(args[:min(2, len(args))], " "), func(t *testing.T) {
			t.Parallel()
			c := commanded{t, binary, []string{"TOCSIN_URL=" + nobody, "TOCSIN_EVENTS_URL=" + nobody, "TOCSIN_TOKEN=x"}}
			code, out := c.run(entry, args...)
			require.Equal(t, 1, code, out)
			require.Contains(t, out, "no answer")
			require.Contains(t, out, "127.0.0.1:1")
			require.Contains(t, out, "connection refused")
			names := "-url or TOCSIN_URL names another address"
			if args[0] == "events" && args[1] == "publish" {
				names = "-events-url or TOCSIN_EVENTS_URL names another address"
			}
			require.Contains(t, out, "is Tocsin running there? "+names)
			for line := range strings.Lines(out) {
				if strings.Contains(line, "going on in") { // whoever waits says why
					require.Regexp(t, `^try [1-4] of 5 at 127\.0\.0\.1:1: no answer: dial tcp .*connection refused: `+
						`is Tocsin running there\? .*; going on in 1s$`, strings.TrimSpace(line))
				}
			}
			if args[0] == "apply" {
				require.Equal(t, 4, strings.Count(out, "going on in 1s"), out)
			}
		})
	}
}

func TestWhoWaitsForTheAPISaysWhatItAnswered(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	var calls atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		switch calls.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"status":503,"detail":"the state file can not be written"}`))
		case 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"status":429,"detail":"too many requests of this token"}`))
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"status":403,"detail":"not for this role"}`))
		}
	}))
	defer api.Close()
	at := strings.TrimPrefix(api.URL, "http://")
	c := commanded{t, binary, []string{"TOCSIN_URL=" + api.URL, "TOCSIN_TOKEN=x"}}
	code, out := c.run("", "export")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "try 1 of 5 at "+at+": answered 503: the state file can not be written; going on in 1s\n")
	require.Contains(t, out, "try 2 of 5 at "+at+": answered 429: too many requests of this token; going on in 1s\n")
	require.Contains(t, out, "answered 403: not for this role: the token needs the role of an administrator")
	calls.Store(1)
	code, out = c.run("", "integrations", "list")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "the API asks to wait, try 1 of 5: answered 429: too many requests of this token; "+
		"going on in 1s\n")
}

// TestACommandThatWaitsForTheStateFileSaysSo: another process has the file, and answers nobody.
func TestACommandThatWaitsForTheStateFileSaysSo(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	state := filepath.Join(t.TempDir(), "tocsin.db")
	made, err := sqlite.Open(context.Background(), state, sqlite.Options{})
	require.NoError(t, err)
	defer made.Close()
	code, out := commanded{t, binary, nil}.run("", "token", "list", "-state", state)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "the state file "+state+" is in use by a program that does not answer (it starts, or it "+
		"stops): asking for up to 10s\n")
	require.Contains(t, out, "stop that one first, or name another file (no running program answers)")
}
