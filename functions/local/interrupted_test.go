package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/patience"
)

// Who presses Ctrl-C is told that it was interrupted and what was done, and not that nobody answers.
func TestACommandThatIsInterruptedEndsWith130AndSaysWhatWasDone(t *testing.T) {
	server, came, calls := hanging(t)
	t.Setenv("TOCSIN_TOKEN", "a-token")
	folder := t.TempDir()
	entries, err := json.Marshal(make([]struct{ Source string }, 11))
	require.NoError(t, err)
	file := filepath.Join(folder, "entries.json")
	require.NoError(t, os.WriteFile(file, entries, 0o600))
	document := filepath.Join(folder, "tocsin.yaml")
	require.NoError(t, os.WriteFile(document, []byte(documented(t)), 0o600))
	const waits = "trying again in 1s\n"
	for _, c := range []struct {
		args  []string
		words string
	}{
		{[]string{"integrations", "list", "-url", server.URL}, ""},
		{[]string{"integrations", "test", "ops", "-url", server.URL}, ""},
		{[]string{"events", "show", "evt", "-url", server.URL}, ""},
		{[]string{"deliveries", "replay", "01JD0000000000000000000000", "-url", server.URL},
			" (0 of 1 were done before it)"},
		{[]string{"export", "-url", server.URL}, ""},
		{[]string{"diff", document, "-url", server.URL}, ""},
		{[]string{"tenant", "erasure", "42", "-url", server.URL}, ""},
		{[]string{"tenant", "export", "42", "-to", folder + "/42.zip", "-url", server.URL}, ""},
		{[]string{"events", "publish", file, "-events-url", server.URL},
			" (0 of 11 entries were published before, and those of the call that was under way may be too)"},
		{[]string{"events", "publish", file, "-events-url", server.URL + "/one"},
			" (10 of 11 entries were published before, and those of the call that was under way may be too)"},
		{[]string{"events", "publish", file, "-events-url", server.URL + "/refuses"},
			" (0 of 11 entries were published before)"},
	} {
		calls.Store(0)
		code, said := interruptedWhen(t, func(said string) bool {
			select {
			case <-came:
				return true
			default:
				return strings.Contains(said, waits)
			}
		}, c.args)
		require.Equal(t, 130, code, "%s: %s", c.args, said)
		if _, after, waited := strings.Cut(said, waits); waited {
			said = after
		}
		require.Equal(t, "tocsin: interrupted"+c.words+"\n", said, "%s", c.args)
	}
	require.NoFileExists(t, folder+"/42.zip")
}

// hanging is a server that answers nothing, and tells that it was asked; below /one it answers the first of the calls,
// below /refuses it refuses each for now.
func hanging(t *testing.T) (server *httptest.Server, came chan struct{}, calls *atomic.Int64) {
	t.Helper()
	came, calls = make(chan struct{}, 100), new(atomic.Int64)
	gone := make(chan struct{})
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch call := calls.Add(1); {
		case strings.HasPrefix(q.URL.Path, "/refuses"):
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case strings.HasPrefix(q.URL.Path, "/one") && call == 1:
			_, _ = io.WriteString(w, `{"Entries":[`+strings.Repeat(`{"EventId":"a"},`, 9)+`{"EventId":"a"}]}`)
			return
		}
		_, _ = io.Copy(io.Discard, q.Body) // so that it is told when who asked has gone
		came <- struct{}{}
		select {
		case <-gone:
		case <-q.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(gone) })
	return server, came, calls
}

// interruptedWhen interrupts a command when it came that far.
func interruptedWhen(t *testing.T, far func(said string) bool, args []string) (code int, said string) {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	for end := time.Now().Add(patience.Long); !far(out.String()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			require.FailNow(t, "it came not so far", "%s: %s", args, out.String())
		}
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait() // the code says how it ended
	return cmd.ProcessState.ExitCode(), out.String()
}

// lines is a buffer that is read while it is written.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}
