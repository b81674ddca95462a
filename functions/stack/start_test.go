package stack

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/trace"
)

// manager answers GetSecretValue as Secrets Manager does (API reference).
type manager struct {
	mu     sync.Mutex
	values map[string]string // by id and stage
	away   bool
	calls  int
}

func (m *manager) set(id, stage, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[id+" "+stage] = value
}

func (m *manager) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// count is how many calls have come. One that its caller gave up may come later still.
func (m *manager) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	var q struct {
		SecretID     string `json:"SecretId"`
		VersionStage string
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	value, ok := m.values[q.SecretID+" "+q.VersionStage]
	switch {
	case m.away:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"AccessDeniedException"}`))
	case !ok:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException"}`))
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": value})
	}
}

// echo is a function that answers with what it was given of its secrets.
func echo(s *Stack) Handler[string, string] {
	keys := s.links().Keys
	return func(_ context.Context, in string) (string, error) {
		out := in + " telegram=" + s.bot.Token
		for _, k := range keys {
			out += " unsubscribe=" + string(k)
		}
		if s.proxy != nil {
			out += " proxy"
		}
		return out, nil
	}
}

func opened(t *testing.T, m *manager, variables map[string]string) (*function[string, string], *time.Time) {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL,
	} {
		t.Setenv(name, value)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := &function[string, string]{build: echo, now: func() time.Time { return now },
		getenv: func(name string) string { return variables[name] }}
	require.NoError(t, f.open(t.Context()))
	return f, &now
}

func (f *function[In, Out]) must(t *testing.T, in In) Out {
	t.Helper()
	out, err := f.handle(t.Context(), in)
	require.NoError(t, err)
	return out
}

func TestARotatedSecretIsTakenUpWithinFiveMinutes(t *testing.T) {
	m := &manager{values: map[string]string{"t AWSCURRENT": "1:one", "u AWSCURRENT": "first",
		"p AWSCURRENT": "http://u:p@proxy:3128"}}
	f, now := opened(t, m, map[string]string{"TOCSIN_SECRET_TELEGRAM": "t", "TOCSIN_SECRET_UNSUBSCRIBE": "u",
		"TOCSIN_SECRET_PROXY": "p"})
	require.Equal(t, "a telegram=1:one unsubscribe=first proxy", f.must(t, "a"))
	m.set("t", "AWSCURRENT", "1:two")
	m.set("u", "AWSCURRENT", "second")
	m.set("u", "AWSPREVIOUS", "first")
	calls := m.count()
	*now = now.Add(secretsGood - time.Second)
	require.Equal(t, "b telegram=1:one unsubscribe=first proxy", f.must(t, "b"))
	require.Equal(t, calls, m.count(), "nothing is asked for in between")
	*now = now.Add(time.Second)
	require.Equal(t, "c telegram=1:two unsubscribe=second unsubscribe=first proxy", f.must(t, "c"),
		"the links of mails that were sent stay good")
}

func TestSecretsThatCanNotBeReadLeaveThoseInUse(t *testing.T) {
	m := &manager{values: map[string]string{"t AWSCURRENT": "1:one", "u AWSCURRENT": "first",
		"p AWSCURRENT": "http://u:p@proxy:3128"}}
	f, now := opened(t, m, map[string]string{"TOCSIN_SECRET_TELEGRAM": "t", "TOCSIN_SECRET_UNSUBSCRIBE": "u",
		"TOCSIN_SECRET_PROXY": "p"})
	m.setAway(true)
	*now = now.Add(secretsGood)
	require.Equal(t, "a telegram=1:one unsubscribe=first proxy", f.must(t, "a"))
	m.setAway(false)
	m.set("t", "AWSCURRENT", "1:zero")
	*now = now.Add(secretsAgain - time.Second)
	require.Equal(t, "b telegram=1:one unsubscribe=first proxy", f.must(t, "b"),
		"it is tried again after a minute, not at once")
	m.set("p", "AWSCURRENT", "ftp://proxy") // a value that can not be used
	*now = now.Add(time.Second)
	require.Equal(t, "c telegram=1:one unsubscribe=first proxy", f.must(t, "c"))
	m.set("p", "AWSCURRENT", "http://proxy:3128")
	m.set("t", "AWSCURRENT", "1:two")
	*now = now.Add(secretsAgain)
	require.Equal(t, "d telegram=1:two unsubscribe=first proxy", f.must(t, "d"))
}

func TestAFunctionThatIsGivenNoSecretsAsksForNone(t *testing.T) {
	m := &manager{values: map[string]string{}}
	f := &function[string, string]{
		build: func(*Stack) Handler[string, string] {
			return func(context.Context, string) (string, error) { return "done", nil }
		},
		now: time.Now, getenv: func(string) string { return "" },
	}
	require.NoError(t, f.open(t.Context()))
	require.Equal(t, "done", f.must(t, ""))
	require.Zero(t, m.calls)
}

func TestAFunctionWhoseSecretCanNotBeReadDoesNotStart(t *testing.T) {
	m := &manager{values: map[string]string{}}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.URL)
	f := &function[string, string]{build: echo, now: time.Now, getenv: func(name string) string {
		return map[string]string{"TOCSIN_SECRET_UNSUBSCRIBE": "arn:of:it"}[name]
	}}
	err := f.open(t.Context())
	require.ErrorContains(t, err, "read the secret arn:of:it")
	require.False(t, strings.Contains(err.Error(), "SecretString"))
}

// spanning is a function that records a span in each call.
func spanning(s *Stack) Handler[string, string] {
	return func(_ context.Context, in string) (string, error) {
		c, _ := s.Tracer().Call("")
		s.Tracer().Record(trace.Span{Context: c, Name: in})
		return in, nil
	}
}

// TestSpansGoWithTheHeadersOfTheSecret: they are taken up when they are rotated, and no event waits for them.
func TestSpansGoWithTheHeadersOfTheSecret(t *testing.T) {
	got := make(chan string, 10) // a call sends before it ends
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		got <- q.Header.Get("Api-Key")
	}))
	t.Cleanup(receiver.Close)
	m := &manager{values: map[string]string{"h AWSCURRENT": "api-key=s3cr%20et,x-team=blue"}}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	var lines strings.Builder
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := &function[string, string]{now: func() time.Time { return now }, build: func(s *Stack) Handler[string, string] {
		s.Log = slog.New(slog.NewTextHandler(&lines, nil))
		return spanning(s)
	}, getenv: func(name string) string {
		return map[string]string{"TOCSIN_SECRET_TRACES": "h", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL,
			"OTEL_TRACES_SAMPLER_ARG": "1"}[name]
	}}
	for name, value := range map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a",
		"AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL} {
		t.Setenv(name, value)
	}
	m.setAway(true)
	require.NoError(t, f.open(t.Context()), "no event waits for a trace")
	f.must(t, "a")
	m.setAway(false)
	now = now.Add(secretsGood)
	f.must(t, "b")
	m.set("h", "AWSCURRENT", "api-key=second")
	now = now.Add(secretsGood)
	f.must(t, "c")
	m.setAway(true)
	now = now.Add(secretsGood)
	f.must(t, "d")
	m.setAway(false)
	m.set("h", "AWSCURRENT", "hunter2")
	now = now.Add(secretsGood)
	f.must(t, "e")
	for _, key := range []string{"", "s3cr et", "second", "second", ""} {
		require.Equal(t, key, <-got)
	}
	require.Contains(t, lines.String(), "those in use stay")
	for _, secret := range []string{"s3cr", "second", "hunter2"} {
		require.NotContains(t, lines.String(), secret)
	}
}
