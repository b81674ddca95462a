package main_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

func TestTheProgramSaysWhetherItsLikeIsReady(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), "-log-level", "error")
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	at := strings.TrimPrefix(p.URL, "http://")
	out, err := exec.CommandContext(t.Context(), binary, "ready", "-listen", at).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "ready\n", string(out))

	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"unready","reasons":["the disk is full"]}`))
	}))
	defer unready.Close()
	require.Contains(t, fails(t, "ready", "-listen", strings.TrimPrefix(unready.URL, "http://")),
		"not ready: the disk is full")
	other := httptest.NewServer(http.NotFoundHandler())
	require.Contains(t, fails(t, "ready", "-listen", strings.TrimPrefix(other.URL, "http://")), "is not Tocsin")
	other.Close()
	require.Contains(t, fails(t, "ready", "-listen", strings.TrimPrefix(other.URL, "http://")),
		"ask the program at "+strings.TrimPrefix(other.URL, "http://"))
	require.Contains(t, fails(t, "ready", "-listen", "8080"), "-listen 8080")
}
