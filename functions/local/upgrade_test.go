package main_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/engine/sqlite"
)

// testdata/state-4.db.gz and state-4.key are what the program of commit 0324179 left when it was killed:
//
//	git worktree add /tmp/old 0324179 && cd /tmp/old && go build -o tocsin ./functions/local
//	./tocsin -listen 127.0.0.1:9180 -allow 127.0.0.1:9123
//
// with two webhooks, http://127.0.0.1:9123/good, which answered 200, and /bad, which answered 503; one new_hits with the
// seq old-1 was published, and 5 s later it was killed (SIGKILL). The log was carried over into the file, and the file
// packed: sqlite3 tocsin.db 'PRAGMA wal_checkpoint(truncate); PRAGMA journal_mode=delete' && gzip -9n tocsin.db.
func TestAStateOfTheFirstReleaseIsBroughtUpToDateAndGoesOn(t *testing.T) {
	folder := ofTheFirstRelease(t)
	require.Contains(t, command(t, append([]string{"doctor", "-offline", "-listen", "127.0.0.1:0", "-listen-bus",
		"127.0.0.1:0"}, files(folder)...)...), "(layout 4, 0 MB); the next start brings it to layout")

	l, host, err := embedded.Listen()
	require.NoError(t, err)
	got := &arrived{bodies: make(chan string, 100)}
	server := &http.Server{Handler: got}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	p := running(t, folder, "-allow", host+",127.0.0.1:9123", "-faster", "100", "-log-level", "error")
	names, all := unreadable(t, p)
	require.Empty(t, names)
	require.Equal(t, 2, all)
	var list struct{ Items []struct{ ID, Name string } }
	require.NoError(t, p.Call(http.MethodGet, "/v1/integrations", nil, &list))
	for _, i := range list.Items {
		require.NoError(t, p.Call(http.MethodPatch, "/v1/integrations/"+i.ID,
			map[string]any{"parameters": map[string]any{"url": "http://" + host + "/"}}, nil))
	}
	got.wait(t, `"seq":"old-1"`) // what the old program had to send again
	require.NoError(t, p.Publish(embedded.Entry{Source: "platform.test", DetailType: "new_hits",
		Detail: `{"version":1,"id":"new-1","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli","seq":"new-1"}}}`}))
	got.wait(t, `"seq":"new-1"`)
}

// arrived is a receiver that hands on what it gets.
type arrived struct{ bodies chan string }

func (a *arrived) ServeHTTP(_ http.ResponseWriter, q *http.Request) {
	if body, err := io.ReadAll(q.Body); err == nil {
		select {
		case a.bodies <- string(body):
		default:
		}
	}
}

func (a *arrived) wait(t *testing.T, words string) {
	t.Helper()
	for limit := time.After(2 * time.Minute); ; {
		select {
		case body := <-a.bodies:
			if strings.Contains(body, words) {
				return
			}
		case <-limit:
			require.Fail(t, "it never arrived", words)
		}
	}
}

// ofTheFirstRelease is a folder with that state and its key.
func ofTheFirstRelease(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	f, err := os.Open("testdata/state-4.db.gz")
	require.NoError(t, err)
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	raw, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(folder+"/tocsin.db", raw, 0o600))
	key, err := os.ReadFile("testdata/state-4.key")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(folder+"/tocsin.key", key, 0o600))
	return folder
}

// layoutOf is the layout of a state file.
func layoutOf(t *testing.T, folder string) int {
	t.Helper()
	s, err := sqlite.Look(folder + "/tocsin.db")
	require.NoError(t, err)
	defer s.Close()
	return s.Layout()
}

// The older release is started again after a start of this one that failed.
func TestAStartThatIsRefusedLeavesTheLayoutAsItWas(t *testing.T) {
	folder := ofTheFirstRelease(t)
	open, other := folder+"/open.key", folder+"/other.key"
	key, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(open, key, 0o644))
	require.NoError(t, os.WriteFile(other, []byte(strings.Repeat("A", 43)+"=\n"), 0o600))
	start := append([]string{"-listen", "127.0.0.1:0", "-listen-bus", "127.0.0.1:0"}, files(folder)...)
	refused := func(words string, args ...string) {
		t.Helper()
		require.Contains(t, fails(t, append(start, args...)...), words)
		require.Equal(t, 4, layoutOf(t, folder), words)
	}
	refused("is missing", "-key", folder+"/not-there.key")
	refused("is not the one", "-key", other)
	refused("chmod 600", "-key", open)
	refused("mail server's address", "-smtp", "mail.example.com")
	refused("sending address", "-smtp", "smtp://mail.example.com", "-mail-from", "nobody")
	refused("no such file", "-tls-cert", folder+"/not-there.pem", "-tls-key", folder+"/not-there.pem")
	refused("is no role", "-role", "boss")
	refused("is not an e-mail address", "-email", "ada")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")
	refused("OTEL_")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	for action, path := range map[string]string{"rotate": other, "forget": open} {
		fails(t, "keys", action, "-state", folder+"/tocsin.db", "-key", path)
		require.Equal(t, 4, layoutOf(t, folder), action)
	}
	p := running(t, folder, "-log-level", "error")
	_, err = p.Stop()
	require.NoError(t, err)
	require.Greater(t, layoutOf(t, folder), 4)
}

// What only reads leaves a state of an older release to that release, and says why; what changes it says what it does.
func TestACommandThatOnlyReadsLeavesTheLayoutAsItWas(t *testing.T) {
	folder := ofTheFirstRelease(t)
	state := []string{"-state", folder + "/tocsin.db"}
	for _, args := range [][]string{{"user", "list"}, {"token", "list"}, {"tenant", "list", "42"},
		{"sign-in", "admin@example.com"}, {"tenant", "export", "42", "-to", folder + "/42.zip"},
		{"tenant", "erase", "42", "-person", "ada@example.com", "-dry-run"}} {
		require.Contains(t, fails(t, append(args, state...)...), "written by an older release (layout 4, ", "%s", args)
		require.Equal(t, 4, layoutOf(t, folder), "%s", args)
	}
	require.NoFileExists(t, folder+"/42.zip")
	t.Setenv("TOCSIN_PASSPHRASE", "correct horse battery")
	command(t, append([]string{"backup", folder + "/backup"}, files(folder)...)...)
	require.Equal(t, 4, layoutOf(t, folder))
	said := command(t, append([]string{"user", "add", "ada@example.com", "-role", "analyst"}, state...)...)
	require.Contains(t, said, "is brought to this release's layout")
	require.NotContains(t, command(t, append([]string{"user", "list"}, state...)...), "layout")
	command(t, append([]string{"tenant", "export", "42", "-to", folder + "/42.zip"}, state...)...)
	require.Equal(t, 1, exportsNoted(t, folder+"/42.zip"))
}
