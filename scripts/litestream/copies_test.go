//go:build litestream

package litestream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/scripts/ports"
	"tocsin/shared/patience"
)

// until looks again and again, until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	require.Eventually(t, so, patience.Long, 50*time.Millisecond, what)
}

// receiver notes what arrives, and can turn everything away for a while.
type receiver struct {
	refuses atomic.Bool

	mu         sync.Mutex
	deliveries map[string]map[string]bool // by event, the ids of the deliveries that brought it
	count      int                        // of events that arrived
}

var eventID = regexp.MustCompile(`"seq":"(k-\d+-\d+)"`)

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if r.refuses.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range eventID.FindAllSubmatch(body, -1) {
		id := string(m[1])
		if r.deliveries[id] == nil {
			r.deliveries[id] = map[string]bool{}
		}
		r.deliveries[id][q.Header.Get("Webhook-Id")] = true
		r.count++
	}
}

func (r *receiver) arrived() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// missing are those of some events that did not arrive.
func (r *receiver) missing(ids []string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if r.deliveries[id] == nil {
			out = append(out, id)
		}
	}
	return out
}

// take returns what arrived so far, and forgets it.
func (r *receiver) take() map[string]map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.deliveries
	r.deliveries = map[string]map[string]bool{}
	return out
}

// load publishes until the program is gone, and keeps what was acknowledged.
type load struct {
	mu           sync.Mutex
	acknowledged []string
	ended        sync.WaitGroup
}

// eventBytes makes the log of the state grow beyond what Tocsin and Litestream let it have, many times.
const eventBytes = 20_000

func publish(p *embedded.Process, round int) *load {
	l := &load{}
	for w := range 2 {
		l.ended.Go(func() {
			for n := 0; ; n += 5 {
				var ids []string
				var entries []embedded.Entry
				for k := range 5 {
					id := fmt.Sprintf("k-%d-%d", round, w*1_000_000+n+k)
					ids = append(ids, id)
					entries = append(entries, embedded.Entry{Source: "platform.test", DetailType: "new_hits",
						Detail: fmt.Sprintf(`{"version":1,"id":%q,"tenant":"42","client_name":"Acme",`+
							`"time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli","seq":%q,"path":%q}}}`, id, id,
							strings.Repeat("/x", eventBytes/2))})
				}
				if p.Publish(entries...) != nil {
					return // the program is gone
				}
				l.mu.Lock()
				l.acknowledged = append(l.acknowledged, ids...)
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) soFar() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acknowledged)
}

func (l *load) reaches(t *testing.T, more int) {
	t.Helper()
	want := len(l.soFar()) + more
	until(t, "the program takes events", func() bool { return len(l.soFar()) >= want })
}

// bucketServer is moto with an empty bucket, named as the page names it.
func bucketServer(t *testing.T) (endpoint string) {
	t.Helper()
	port, err := ports.Free()
	require.NoError(t, err)
	begin(t, os.Getenv("TOCSIN_MOTO"), "-H", "127.0.0.1", "-p", port)
	endpoint = "http://127.0.0.1:" + port
	until(t, "moto answers", func() bool {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/tocsin-copies", nil)
		require.NoError(t, err)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return endpoint
}

// begin starts a program that ends with the test, or earlier by kill. What it says is shown when the test fails.
func begin(t *testing.T, name string, args ...string) (kill func()) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr, c.Env = log, log, environment()
	require.NoError(t, c.Start())
	kill = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
		if said, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", name, said[max(0, len(said)-4000):])
		}
		_ = log.Close()
	})
	t.Cleanup(kill)
	return kill
}

// environment has nothing of AWS but what moto takes: a machine's own bundle of authorities stops Litestream.
func environment() []string {
	own := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "AWS_") })
	return append(own, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
}

// litestream runs a command of Litestream's and returns what it said.
func litestream(t *testing.T, args ...string) string {
	t.Helper()
	with := []string{"-c", `umask 077 && exec "$@"`, "sh", os.Getenv("TOCSIN_LITESTREAM")} // as the page has it
	c := exec.CommandContext(t.Context(), "sh", append(with, args...)...)
	c.Env = environment()
	out, err := c.CombinedOutput()
	require.NoError(t, err, "litestream %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// configured writes the configuration of the page, with other places in it.
func configured(t *testing.T, endpoint, state, socket string) (path string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/continuous-copies.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "```yaml\n")
	require.True(t, ok)
	text, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)
	for old, now := range map[string]string{
		"/var/lib/tocsin/tocsin.db": state, "/run/tocsin-copies/litestream.sock": socket, "#endpoint:": "endpoint:",
		"https://s3.example.com": endpoint,
	} {
		require.Contains(t, text, old, "the page's configuration")
		text = strings.ReplaceAll(text, old, now)
	}
	path = filepath.Join(t.TempDir(), "litestream.yml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// drill is what all steps of the test know.
type drill struct {
	binary, key, config, socket, state string
	flags                              []string
	got                                *receiver
}

func prepare(t *testing.T) *drill {
	d := &drill{binary: filepath.Join(t.TempDir(), "tocsin"), state: filepath.Join(t.TempDir(), "tocsin.db"),
		got: &receiver{deliveries: map[string]map[string]bool{}}}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", d.binary, "../../functions/local")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	sockets, err := os.MkdirTemp("", "ls") // a socket's name is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	d.socket = filepath.Join(sockets, "s")
	d.config = configured(t, bucketServer(t), d.state, d.socket)
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	server := &http.Server{Handler: d.got}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	d.flags = []string{"-allow", host, "-faster", "100", "-log-level", "error", "-tenant-events", "0"}
	p := d.start(t)
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "one", "events": []map[string]any{{"event": "siem"}},
		"parameters": map[string]any{"url": "http://" + host + "/", "max_events": 1},
	}, nil))
	p.Kill()
	key, err := os.ReadFile(filepath.Join(filepath.Dir(d.state), "tocsin.key"))
	require.NoError(t, err)
	d.key = string(key)
	return d
}

func (d *drill) start(t *testing.T) *embedded.Process {
	t.Helper()
	p, err := embedded.Start(d.binary, filepath.Dir(d.state), d.flags...)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func (d *drill) replicate(t *testing.T) (kill func()) {
	t.Helper()
	kill = begin(t, os.Getenv("TOCSIN_LITESTREAM"), "replicate", "-config", d.config)
	until(t, "Litestream takes commands", func() bool {
		c, err := net.Dial("unix", d.socket)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return kill
}

// sync waits until the bucket has what is in the state now.
func (d *drill) sync(t *testing.T) {
	t.Helper()
	litestream(t, "sync", "-wait", "-timeout", fmt.Sprint(int(patience.Long.Seconds())), "-socket", d.socket, d.state)
}

// restore makes the state anew of what the bucket has, in an empty folder, and puts the key beside it.
func (d *drill) restore(t *testing.T) {
	t.Helper()
	folder := filepath.Dir(d.state)
	require.NoError(t, os.RemoveAll(folder))
	require.NoError(t, os.Mkdir(folder, 0o700))
	litestream(t, "restore", "-config", d.config, "-integrity-check", "full", d.state)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tocsin.key"), []byte(d.key), 0o600))
	info, err := os.Stat(d.state)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "nobody else may read it")
}

// Litestream copies beside a program that is under load, that is killed and started again, and whose own checkpoints
// come between. Then both are killed and the folder is gone: what was acknowledged before the copied point is there,
// what waited is sent, and what comes again has the id that it had. The restored state is copied on.
func TestWhatLitestreamCopiedIsRestoredAndGoesOn(t *testing.T) {
	d := prepare(t)
	p := d.start(t)
	killCopier := d.replicate(t)
	var before []string
	var earlier []map[string]map[string]bool
	for round := range 3 { // the program is killed while Litestream has the state open
		l := publish(p, round)
		l.reaches(t, 1000)
		p.Kill()
		l.ended.Wait()
		before = append(before, l.soFar()...)
		p = d.start(t)
	}
	l := publish(p, 3)
	l.reaches(t, 500)
	d.got.refuses.Store(true)
	l.reaches(t, 500)
	before = append(before, l.soFar()...)
	d.sync(t)
	earlier = append(earlier, d.got.take())
	d.got.refuses.Store(false)
	sent := d.got.arrived()
	until(t, "some go out after the copied point", func() bool { return d.got.arrived() >= sent+20 })
	p.Kill()
	killCopier()
	l.ended.Wait()
	earlier = append(earlier, d.got.take())

	d.restore(t)
	p = d.start(t)
	var waited []string
	for _, id := range before {
		if earlier[0][id] == nil {
			waited = append(waited, id)
		}
	}
	require.NotEmpty(t, waited)
	until(t, "what was acknowledged before the copied point and had not arrived is sent", func() bool {
		return len(d.got.missing(waited)) == 0
	})
	repeats := compare(t, d.got.take(), earlier)
	require.NotZero(t, repeats)
	t.Logf("%d events acknowledged before the copied point, of which %d waited; %d came again with their ids",
		len(before), len(waited), repeats)

	// The restored state is copied on into the same place, and restored once more.
	killCopier = d.replicate(t)
	l = publish(p, 4)
	l.reaches(t, 200)
	after := l.soFar()
	d.sync(t)
	p.Kill()
	killCopier()
	l.ended.Wait()
	d.restore(t)
	d.start(t)
	until(t, "what came after the first restore arrives", func() bool { return len(d.got.missing(after)) == 0 })
	whole(t, d)
}

// compare wants what came again under the ids that it had, and counts it.
func compare(t *testing.T, now map[string]map[string]bool, earlier []map[string]map[string]bool) (repeats int) {
	t.Helper()
	for id, by := range now {
		require.Len(t, by, 1, "event %s came under two ids", id)
		for _, had := range earlier {
			for delivery := range had[id] {
				require.Contains(t, by, delivery, "event %s came again under another id", id)
				repeats++
			}
		}
	}
	return repeats
}

// whole has the program look at every page, and open every secret with the key.
func whole(t *testing.T, d *drill) {
	t.Helper()
	c := exec.CommandContext(t.Context(), d.binary, "doctor", "-offline", "-state", d.state, "-key",
		filepath.Join(filepath.Dir(d.state), "tocsin.key"))
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	require.NoError(t, c.Run(), said.String())
}
