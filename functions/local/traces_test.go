package main_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
	"tocsin/shared/trace/tracetest"
)

// tracedHook is a webhook that is down at first. It notes the header traceparent of each request.
type tracedHook struct {
	mu     sync.Mutex
	up     bool
	parent []string
}

func (h *tracedHook) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parent = append(h.parent, strings.Join(q.Header.Values("Traceparent"), ","))
	if !h.up {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (h *tracedHook) begin(up bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up = up
}

func (h *tracedHook) parents() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.parent...)
}

// under publishes within a span of the publisher's.
type under string

func (u under) RoundTrip(q *http.Request) (*http.Response, error) {
	q = q.Clone(q.Context())
	q.Header.Set("Traceparent", string(u))
	return http.DefaultTransport.RoundTrip(q)
}

func publishUnder(t *testing.T, p *embedded.Process, parent, id string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"Entries": []map[string]any{{"Source": "test",
		"DetailType": "create_user", "Detail": `{"version":1,"id":"` + id + `","tenant":"42","client_name":"Acme",` +
			`"time":"2023-03-01T12:00:00Z","data":{"user":{"name":"Ada"}}}`}}})
	require.NoError(t, err)
	require.NoError(t, p.PublishRaw(&http.Client{Transport: under(parent)}, body))
}

const (
	theirTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	theirSpan  = "00f067aa0ba902b7"
)

// TestOneTraceFromThePublisherToTheWebhook: the program is stopped between the attempts, so that what links them is
// what is kept.
func TestOneTraceFromThePublisherToTheWebhook(t *testing.T) {
	got, asked, silent := tracetest.New(t), &tracedHook{}, &tracedHook{}
	mux := http.NewServeMux()
	mux.Handle("/asked/s3cret", asked)
	mux.Handle("/silent", silent)
	hooks := httptest.NewServer(mux)
	t.Cleanup(hooks.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", got.URL)
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0") // who publishes decides
	folder, host := t.TempDir(), strings.TrimPrefix(hooks.URL, "http://")
	p := running(t, folder, "-allow", host, "-faster", "20")
	add := func(path string, parameters map[string]any) (id string) {
		var made struct{ ID string }
		parameters["url"] = hooks.URL + path
		require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{"system": "web_hooks",
			"name": path, "events": []map[string]any{{"event": "siem"}, {"event": "system"}}, "parameters": parameters},
			&made))
		return made.ID
	}
	id := add("/asked/s3cret", map[string]any{"trace_context": true})
	add("/silent", map[string]any{})
	publishUnder(t, p, "00-"+theirTrace+"-"+theirSpan+"-01", "followed")
	publishUnder(t, p, "00-"+strings.Repeat("ab", 16)+"-"+theirSpan+"-00", "unfollowed")
	followed := func(h *tracedHook) (n int) {
		for _, parent := range h.parents() {
			if strings.Contains(parent, theirTrace) {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return followed(asked) > 0 }, time.Minute, 10*time.Millisecond)
	_, err := p.Stop()
	require.NoError(t, err)

	asked.begin(true)
	silent.begin(true)
	p = running(t, folder, "-allow", host, "-faster", "20")
	require.Eventually(t, func() bool {
		for _, state := range []string{"pending", "retrying"} {
			var list struct{ Items []struct{ State string } }
			if p.Call(http.MethodGet, "/v1/integrations/"+id+"/deliveries?state="+state, nil, &list) != nil ||
				len(list.Items) > 0 {
				return false
			}
		}
		return followed(asked) > 1
	}, 2*time.Minute, 50*time.Millisecond)
	_, err = p.Stop()
	require.NoError(t, err)
	checkTrace(t, got, asked)
	for _, parent := range silent.parents() {
		require.Empty(t, parent, "who does not ask gets no header")
	}
	for _, s := range got.Spans() {
		for _, word := range []string{"s3cret", "Ada", host} {
			require.NotContains(t, s.String(), word)
		}
	}
}

func checkTrace(t *testing.T, got *tracetest.Receiver, asked *tracedHook) {
	t.Helper()
	one := func(name string) *otlp.Span {
		all := got.Named(theirTrace, name)
		require.Len(t, all, 1, name)
		return all[0]
	}
	publish, accept, fanout := one("PutEvents"), one("accept"), one("fan-out")
	require.Equal(t, theirSpan, hex.EncodeToString(publish.GetParentSpanId()))
	require.Equal(t, publish.GetSpanId(), accept.GetParentSpanId())
	require.Equal(t, accept.GetSpanId(), fanout.GetParentSpanId())
	require.Equal(t, "followed", tracetest.Attributes(fanout)["messaging.message.id"])
	byID := map[string]*otlp.Span{}
	var last *otlp.Span
	for _, a := range got.Named(theirTrace, "attempt web_hooks") {
		require.Equal(t, fanout.GetSpanId(), a.GetParentSpanId())
		require.LessOrEqual(t, a.GetStartTimeUnixNano(), a.GetEndTimeUnixNano())
		byID[hex.EncodeToString(a.GetSpanId())] = a
	}
	sent := 0
	for _, parent := range asked.parents() {
		if parent == "" {
			continue
		}
		require.Regexp(t, "^00-"+theirTrace+"-[0-9a-f]{16}-01$", parent)
		a := byID[parent[36:52]]
		require.NotNil(t, a, "the webhook's parent is an attempt: %s", parent)
		is := tracetest.Attributes(a)
		require.Equal(t, int64(sent), is["http.request.resend_count"])
		if sent > 0 {
			require.Len(t, a.GetLinks(), 1)
			require.Equal(t, last.GetSpanId(), a.GetLinks()[0].GetSpanId(), "an attempt links to the one before")
		}
		last = a
		sent++
	}
	require.Greater(t, sent, 1)
	is := tracetest.Attributes(last)
	require.Equal(t, int64(200), is["http.response.status_code"])
	require.Equal(t, "delivered", is["tocsin.delivery.state"])
	require.Equal(t, "web_hooks", is["tocsin.system"])
	for _, a := range byID {
		if tracetest.Attributes(a)["http.response.status_code"] == int64(503) {
			require.Equal(t, otlp.Status_STATUS_CODE_ERROR, a.GetStatus().GetCode())
			require.Equal(t, "503", tracetest.Attributes(a)["error.type"])
		}
	}
	require.Empty(t, got.Named(strings.Repeat("ab", 16), "PutEvents"))
	require.Empty(t, got.Named(strings.Repeat("ab", 16), "accept"))
}

// TestATriggersNoticeLinksToTheHitsThatSetItOff: the notice has a trace of its own, which begins with links to those of
// the hits that were counted. They came in two calls, and the program was stopped in between.
func TestATriggersNoticeLinksToTheHitsThatSetItOff(t *testing.T) {
	got := tracetest.New(t)
	hooks := httptest.NewServer(&tracedHook{up: true})
	t.Cleanup(hooks.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", got.URL)
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0") // who publishes decides
	folder, host := t.TempDir(), strings.TrimPrefix(hooks.URL, "http://")
	p := running(t, folder, "-allow", host)
	var receiver struct{ ID string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{"system": "web_hooks",
		"name": "Receiver", "events": []any{}, "parameters": map[string]any{"url": hooks.URL}}, &receiver))
	require.NoError(t, p.Call(http.MethodPost, "/v1/triggers", map[string]any{"name": "Burst",
		"template_id": "hits_exceeded", "threshold": map[string]any{"period": 86400, "count": 3},
		"actions": []any{map[string]any{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{receiver.ID}}}}}, nil))
	hit := func(n int, flag string) (trace string) {
		trace = strings.Repeat(strconv.Itoa(n), 32)
		require.NoError(t, p.PublishRaw(&http.Client{Transport: under("00-" + trace + "-" + theirSpan + "-" + flag)},
			fmt.Appendf(nil, `{"Entries":[{"Source":"test","DetailType":"new_hits","Detail":%q}]}`, fmt.Sprintf(
				`{"version":1,"id":"hit-%d","tenant":"42","time":"2023-03-01T12:00:0%dZ","data":{"hit":{"type":"sqli"}}}`,
				n, n))))
		return trace
	}
	want := []string{hit(1, "01"), hit(2, "01")}
	hit(3, "00")
	_, err := p.Stop()
	require.NoError(t, err)
	p = running(t, folder, "-allow", host)
	want = append(want, hit(4, "01"))
	require.Eventually(t, func() bool {
		var list struct{ Items []any }
		err := p.Call(http.MethodGet, "/v1/integrations/"+receiver.ID+"/deliveries?state=delivered", nil, &list)
		return err == nil && len(list.Items) > 0
	}, patience.Long, 50*time.Millisecond)
	_, err = p.Stop()
	require.NoError(t, err)

	var fired []*otlp.Span
	for _, s := range got.Spans() {
		if s.GetName() == "trigger" {
			fired = append(fired, s)
		}
	}
	require.Len(t, fired, 1)
	require.Len(t, fired[0].GetLinks(), len(want))
	for n, trace := range want {
		require.Equal(t, got.Named(trace, "fan-out")[0].GetSpanId(), fired[0].GetLinks()[n].GetSpanId())
		require.Equal(t, trace, hex.EncodeToString(fired[0].GetLinks()[n].GetTraceId()))
	}
	trace := hex.EncodeToString(fired[0].GetTraceId())
	accept, fanout := got.Named(trace, "accept"), got.Named(trace, "fan-out")
	require.Len(t, accept, 1)
	require.Equal(t, fired[0].GetSpanId(), accept[0].GetParentSpanId())
	require.Equal(t, "attacks_exceeded", tracetest.Attributes(fanout[0])["tocsin.event.kind"])
	require.Len(t, got.Named(trace, "attempt web_hooks"), 1)
}

// TestAReportIsFollowedFromItsMakingToItsMail: with a report the program publishes an event itself.
func TestAReportIsFollowedFromItsMakingToItsMail(t *testing.T) {
	got := tracetest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", got.URL)
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "1")
	p := running(t, t.TempDir())
	day := time.Now().UTC().Format(time.DateOnly)
	require.NoError(t, p.Call(http.MethodPost, "/v1/reports", map[string]any{"format": "csv",
		"period": map[string]string{"frequency": "daily", "from": day}, "recipients": []string{"admin@example.com"}},
		nil))
	span := func(name, trace string) *otlp.Span {
		for _, s := range got.Spans() {
			if strings.HasPrefix(s.GetName(), name) && strings.HasPrefix(hex.EncodeToString(s.GetTraceId()), trace) {
				return s
			}
		}
		return nil
	}
	require.Eventually(t, func() bool { return span("report", "") != nil && span("attempt", "") != nil },
		patience.Long, 50*time.Millisecond)
	_, err := p.Stop()
	require.NoError(t, err)
	of := span("report", "")
	trace := hex.EncodeToString(of.GetTraceId())
	accept, fanout, attempt := span("accept", trace), span("fan-out", trace), span("attempt", trace)
	require.Equal(t, of.GetSpanId(), accept.GetParentSpanId())
	require.Equal(t, accept.GetSpanId(), fanout.GetParentSpanId())
	require.Equal(t, fanout.GetSpanId(), attempt.GetParentSpanId())
}

func TestAVariableOfTracesThatIsWrongStopsTheStart(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317")
	_, err = embedded.Start(binary, t.TempDir())
	require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https address")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=bl\xe4u")
	_, err = embedded.Start(binary, t.TempDir())
	require.ErrorContains(t, err, `OTEL_RESOURCE_ATTRIBUTES gives the attribute "team" a value that is not UTF-8`)
}
