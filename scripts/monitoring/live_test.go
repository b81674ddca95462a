//go:build monitoring

package monitoring

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/scripts/ports"
)

const patience = 2 * time.Minute

// until looks again and again, until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(100 * time.Millisecond) {
		require.True(t, time.Now().Before(end), what)
	}
}

// house is a Tocsin with two integrations, one of which fails when it is told to.
type house struct {
	*embedded.Process
	folder  string // of its state
	metrics string
	broken  atomic.Bool
	n       int
}

func begin(t *testing.T) *house {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tocsin")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../functions/local").CombinedOutput()
	require.NoError(t, err, string(out))
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	h := &house{folder: t.TempDir()}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if h.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	h.Process, err = embedded.Start(binary, h.folder, "-allow", host, "-log-level", "error", "-faster", "100000",
		"-listen-metrics", "127.0.0.1:0", "-tenant-events-of", "loud=1/1")
	require.NoError(t, err)
	t.Cleanup(h.Kill)
	until(t, "it says where its metrics are", func() bool {
		_, after, ok := strings.Cut(h.Output(), "metrics:    http://")
		h.metrics, _, _ = strings.Cut(after, "/")
		return ok
	})
	require.NoError(t, h.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "hook", "events": []map[string]any{{"event": "siem"}},
		"parameters": map[string]any{"url": "http://" + host + "/"},
	}, nil))
	return h
}

// publish puts good and bad events on the bus.
func (h *house) publish(t *testing.T, good, bad int) {
	t.Helper()
	var entries []embedded.Entry
	for range good {
		h.n++
		entries = append(entries, embedded.Entry{Source: "test", DetailType: "new_hits", Detail: fmt.Sprintf(`{"version":1,`+
			`"id":"h%d","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli"}}}`,
			h.n)})
	}
	for range bad {
		entries = append(entries, embedded.Entry{Source: "test", DetailType: "new_hits", Detail: `{"tenant":"42"}`})
	}
	for len(entries) > 0 {
		n := min(10, len(entries))
		require.NoError(t, h.Publish(entries[:n]...))
		entries = entries[n:]
	}
}

// server is a running Prometheus.
type server struct {
	t       *testing.T
	at      string
	traffic func() // nil: there is none
}

// scraping starts a Prometheus that reads h every second.
func scraping(t *testing.T, h *house, flags ...string) *server {
	t.Helper()
	at := t.TempDir()
	here, err := filepath.Abs(folder)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(at+"/prometheus.yml", fmt.Appendf(nil, "global: {scrape_interval: 1s, "+
		"evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n- job_name: tocsin\n  static_configs:\n"+
		"  - targets: [%q]\n", here+"/tocsin.rules.yaml", h.metrics), 0o600))
	port, err := ports.Free()
	require.NoError(t, err)
	s := &server{t: t, at: net.JoinHostPort("127.0.0.1", port)}
	c := exec.Command("prometheus", append(flags, "--config.file="+at+"/prometheus.yml",
		"--storage.tsdb.path="+at+"/data", "--web.listen-address="+s.at)...)
	said := new(strings.Builder)
	c.Stderr = said
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	until(t, "Prometheus is ready", func() bool {
		r, err := http.Get("http://" + s.at + "/-/ready")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return s
}

// query answers how many series an expression has now; an expression that is wrong fails the test.
func (s *server) query(expr string) int {
	s.t.Helper()
	r, err := http.PostForm("http://"+s.at+"/api/v1/query", url.Values{"query": {expr}})
	require.NoError(s.t, err)
	defer r.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	require.NoError(s.t, json.NewDecoder(r.Body).Decode(&answer))
	require.Equal(s.t, "success", answer.Status, "%s: %s", expr, answer.Error)
	return len(answer.Data.Result)
}

// has waits until an expression has a series; there is traffic meanwhile, where some is given.
func (s *server) has(expr, why string) {
	s.t.Helper()
	until(s.t, why+": "+expr, func() bool {
		if s.traffic != nil {
			s.traffic()
		}
		return s.query(expr) > 0
	})
}

// plainly is an expression of the dashboard with what Grafana puts in for its variables.
func plainly(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$system", ".*").Replace(expr)
}

func TestARunningProgramIsReadAndEachExpressionIsAnswered(t *testing.T) {
	h := begin(t)
	for name, flags := range map[string][]string{"native histograms": {"--enable-feature=native-histograms"},
		"OpenMetrics": nil} {
		t.Run(name, func(t *testing.T) {
			s := scraping(t, h, flags...)
			s.has(`up{job="tocsin"} == 1`, "it is read")
			s.traffic = func() { h.publish(t, 3, 1) } // rates need figures that grow
			s.has(`tocsin_deliveries_delivered_total{system="web_hooks"} > 0`, "deliveries arrive")
			if flags != nil {
				s.has(`histogram_count(tocsin_delivery_latency_seconds{system="web_hooks"}) > 0`, "it is a native histogram")
			} else {
				s.has(`tocsin_delivery_latency_seconds_bucket{system="web_hooks",le="+Inf"} > 0`, "it has classic buckets")
			}
			for panel, all := range expressions(t) {
				for _, expr := range all {
					s.has(plainly(expr), panel)
				}
			}
			for _, r := range rules(t) {
				s.query(r.Expr)
				for _, name := range families(r.Expr) {
					s.has(fmt.Sprintf(`{__name__=~"%s(_bucket)?"}`, name), "the alert "+r.Alert)
				}
			}
		})
	}
}

func TestPromtoolFindsNoFaultInWhatARunningProgramAnswers(t *testing.T) {
	h := begin(t)
	h.publish(t, 5, 1)
	r, err := http.Get("http://" + h.metrics + "/metrics")
	require.NoError(t, err)
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Empty(t, promtool(t, string(raw), "check", "metrics"))
}

// TestTheFaultsOfTheRunbook makes faults happen, and looks whether the expression of the alert says so. That it fires
// after the time of its rule is promtool's business.
func TestTheFaultsOfTheRunbook(t *testing.T) {
	h := begin(t)
	s := scraping(t, h, "--enable-feature=native-histograms")
	expr := map[string]string{}
	for _, r := range rules(t) {
		expr[r.Alert] = r.Expr
	}
	h.publish(t, 10, 0)
	s.has(`tocsin_deliveries_delivered_total{system="web_hooks"} > 0`, "all is well")
	s.has(`tocsin_attempts_failed_total{system="web_hooks"} == 0`, "counters begin at nothing")
	for alert, e := range expr {
		found := s.query(e)
		if alert == "TocsinDiskLow" { // of this machine's disk, to which others write
			continue
		}
		require.Zero(t, found, "%s: nothing is wrong", alert)
	}
	h.broken.Store(true)
	for range 15 {
		h.publish(t, 10, 1)
		time.Sleep(200 * time.Millisecond)
	}
	s.has(expr["TocsinAttemptsFail"], "the receiver is down")
	s.has(expr["TocsinDeliveriesDie"], "deliveries use up their waits")
	s.has(expr["TocsinEventsRejected"], "a publisher sends what is no event")
	loud := embedded.Entry{Source: "test", DetailType: "new_hits", Detail: `{"version":1,"id":"l","tenant":"loud",` +
		`"client_name":"Loud","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli"}}}`}
	require.ErrorContains(t, h.Publish(loud, loud), "ThrottlingException")
	s.has(expr["TocsinEventsThrottled"], "an account publishes more than it may")
	require.NoError(t, os.Rename(h.folder+"/tocsin.key", h.folder+"/away"))
	s.has(expr["TocsinNotReady"], "the key file is gone")
	require.NoError(t, os.Rename(h.folder+"/away", h.folder+"/tocsin.key"))
	until(t, "put back, it is ready", func() bool { return s.query(expr["TocsinNotReady"]) == 0 })
	h.Kill()
	s.has(expr["TocsinDown"], "the program is gone")
}
