package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
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

// TestAStartGoesOnWithoutItsControlFile: where it can not be written, as on a full disk, what waits is sent all the
// same, and commands reach the program as soon as the file can be written.
func TestAStartGoesOnWithoutItsControlFile(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	folder := t.TempDir()
	inTheWay := filepath.Join(folder, "tocsin.db.control")
	require.NoError(t, os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700))
	p, err := embedded.Start(binary, folder)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	require.Contains(t, p.Output(), "make room on the disk")
	require.Contains(t, p.Output(), inTheWay)
	require.NoError(t, os.RemoveAll(inTheWay))
	_, err = p.Run("sign-in", "admin@example.com")
	require.NoError(t, err, "it waits for a program that does not answer yet")
}
