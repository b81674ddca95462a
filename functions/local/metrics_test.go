package main_test

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/metrics"
)

// metricsOf is where a running program answers /metrics.
func metricsOf(t *testing.T, p *embedded.Process) (url string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, after, ok := strings.Cut(p.Output(), "metrics:    ")
		url, _, _ = strings.Cut(after, "\n")
		return ok
	}, time.Minute, 10*time.Millisecond, p.Output())
	return url
}

func scrape(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(raw)
}

func TestTheProgramAnswersMetricsToWhoHasTheToken(t *testing.T) {
	const token = "a token for metrics"
	t.Setenv("TOCSIN_METRICS_TOKEN", token)
	p := running(t, t.TempDir(), "-listen-metrics", "127.0.0.1:0")
	url := metricsOf(t, p)
	status, body := scrape(t, url, "")
	require.Equal(t, http.StatusUnauthorized, status)
	require.NotContains(t, body, "tocsin_")
	status, _ = scrape(t, strings.Replace(url, "/metrics", "/", 1), token)
	require.Equal(t, http.StatusNotFound, status)

	require.NoError(t, p.Publish(embedded.Entry{Source: "test", DetailType: "create_user", Detail: `{"version":1,` +
		`"id":"e1","tenant":"42","client_name":"Acme","time":"2023-03-01T12:00:00Z","data":{"user":{"name":"Ada"}}}`},
		embedded.Entry{Source: "test", DetailType: "create_user", Detail: `{"tenant":"42"}`}))
	require.Eventually(t, func() bool {
		_, body = scrape(t, url, token)
		return strings.Contains(body, "\ntocsin_events_accepted_total 1\n") &&
			strings.Contains(body, "\ntocsin_events_rejected_total 1\n")
	}, time.Minute, 50*time.Millisecond)
	require.Contains(t, body, "\ntocsin_ready 1\n")
	require.NotContains(t, body, token)
	for _, m := range metrics.All() {
		if len(m.Labels) > 0 && m.Labels[0].Name == "system" { // there is no integration
			continue
		}
		if runtime.GOOS == "linux" || !strings.Contains(m.Help, "On Linux") {
			require.Contains(t, body, "\n# TYPE "+m.Name+" "+string(m.Kind)+"\n")
		}
	}
}

func TestMetricsWithoutATokenAreForThisMachine(t *testing.T) {
	p := running(t, t.TempDir(), "-listen-metrics", "localhost:0")
	url := metricsOf(t, p)
	status, _ := scrape(t, url, "")
	require.Equal(t, http.StatusOK, status)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	q.Host = "rebound.example.com"
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusMisdirectedRequest, r.StatusCode)
}
