//go:build upgrade

package upgrade

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

// until looks again and again, until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	require.Eventually(t, so, patience.Long, 20*time.Millisecond, what)
}

// receiver notes the deliveries of each event: those that it refused, and those that it took.
type receiver struct {
	refuses atomic.Bool

	mu             sync.Mutex
	refused, taken map[string][]string // ids of deliveries, by event
}

var eventID = regexp.MustCompile(`"seq":"([a-z]+-\d+)"`)

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	into := r.taken
	if r.refuses.Load() {
		into = r.refused
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for _, m := range eventID.FindAllSubmatch(body, -1) {
		into[string(m[1])] = append(into[string(m[1])], q.Header.Get("Webhook-Id"))
	}
}

// has says whether each of some events is there, and which deliveries brought it.
func (r *receiver) has(from map[string][]string, ids ...string) (all bool, by []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if len(from[id]) == 0 {
			return false, nil
		}
		by = append(by, from[id][0])
	}
	return true, by
}

func current(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "tocsin")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../functions/local")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

func TestTheCurrentProgramTakesOverWhatAnOlderOneLeft(t *testing.T) {
	now := current(t)
	for name, old := range map[string]struct {
		commit   string
		separate bool // it has a listener of its own for events, and sign-in links
	}{
		"the first whose state is read": {"0324179", false},
		"layout 16":                     {"884d5be0", true},
	} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(os.Getenv("TOCSIN_OLDER"), old.commit, "tocsin")
			takesOver(t, binary, old.separate, now)
		})
	}
}

func takesOver(t *testing.T, binary string, separate bool, now string) {
	got := &receiver{refused: map[string][]string{}, taken: map[string][]string{}}
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	server := &http.Server{Handler: got}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	folder := t.TempDir()
	o, err := start(binary, folder, separate, "-allow", host)
	require.NoError(t, err)
	t.Cleanup(o.kill)
	require.NoError(t, o.hook("http://"+host+"/"))
	require.NoError(t, o.publish("done-1"))
	until(t, "the older program delivers", func() bool { all, _ := got.has(got.taken, "done-1"); return all })
	got.refuses.Store(true)
	waiting := []string{"old-1", "old-2", "old-3"}
	for _, id := range waiting {
		require.NoError(t, o.publish(id))
	}
	until(t, "the older program tries", func() bool { all, _ := got.has(got.refused, waiting...); return all })
	o.kill()
	got.refuses.Store(false)
	_, ids := got.has(got.refused, waiting...)

	p, err := embedded.Start(now, folder, "-allow", host, "-faster", "100")
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	until(t, "what waited is sent", func() bool { all, _ := got.has(got.taken, waiting...); return all })
	_, by := got.has(got.taken, waiting...)
	require.Equal(t, ids, by, "each has the id that it had")
	require.NoError(t, p.Publish(embedded.Entry{Source: "platform.test", DetailType: "new_hits",
		Detail: `{"version":1,"id":"new-1","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",` +
			`"data":{"hit":{"type":"sqli","seq":"new-1"}}}`}))
	until(t, "what comes now is sent", func() bool { all, _ := got.has(got.taken, "new-1"); return all })
	until(t, "the log shows all of them as delivered", func() bool { return delivered(t, p) == 5 })
	got.mu.Lock()
	require.Len(t, got.taken["done-1"], 1, "what was delivered is not sent again")
	got.mu.Unlock()
	_, err = p.Stop()
	require.NoError(t, err)
	refuses(t, binary, folder)
	p, err = embedded.Start(now, folder, "-allow", host)
	require.NoError(t, err)
	require.Equal(t, 5, delivered(t, p))
	p.Kill()
}

// delivered counts what the log shows as delivered.
func delivered(t *testing.T, p *embedded.Process) (n int) {
	t.Helper()
	var log struct{ Items []struct{ State string } }
	require.NoError(t, p.Call(http.MethodGet, "/v1/deliveries?limit=100", nil, &log))
	for _, d := range log.Items {
		if d.State == "delivered" {
			n++
		}
	}
	return n
}

// refuses wants the older program to say that the file is of a newer one, and to leave it as it is.
func refuses(t *testing.T, binary, folder string) {
	t.Helper()
	before := digest(t, folder)
	out, err := exec.CommandContext(t.Context(), binary, append([]string{"-listen", "127.0.0.1:0"},
		files(folder)...)...).CombinedOutput()
	require.Error(t, err, "it started: %s", out)
	require.Contains(t, string(out), "newer release")
	t.Logf("it says: %s", out)
	require.Equal(t, before, digest(t, folder))
}

func digest(t *testing.T, folder string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "tocsin.db"))
	require.NoError(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(raw))
}
