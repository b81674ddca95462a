// Package tracetest receives spans in tests, as OpenTelemetry's own definitions read them.
package tracetest

import (
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"tocsin/shared/trace"
)

// Receiver takes what a Tracer sends.
type Receiver struct {
	*trace.Tracer
	URL string // for other programs
	t   *testing.T

	mu    sync.Mutex
	spans []*otlp.Span
}

// New makes a Tracer that records everything that nobody decided against, and its receiver.
func New(t *testing.T) *Receiver {
	t.Helper()
	r := &Receiver{t: t}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	c, err := trace.FromEnvironment(func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL,
			"OTEL_TRACES_SAMPLER": "parentbased_always_on"}[name]
	}, "tocsin")
	require.NoError(t, err)
	r.Tracer = trace.New(c, trace.NewClient(nil), slog.New(slog.NewTextHandler(t.Output(), nil)))
	return r
}

// ServeHTTP takes a batch of spans.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	var data otlp.TracesData
	if err == nil {
		err = proto.Unmarshal(body, &data)
	}
	if err != nil || q.URL.Path != "/v1/traces" {
		http.Error(w, "no traces", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range data.GetResourceSpans() {
		for _, s := range of.GetScopeSpans() {
			r.spans = append(r.spans, s.GetSpans()...)
		}
	}
}

// Named are the spans of a name in a trace (its id in hexadecimal digits).
func (r *Receiver) Named(id, name string) (out []*otlp.Span) {
	r.t.Helper()
	for _, s := range r.Spans() {
		if hex.EncodeToString(s.GetTraceId()) == id && s.GetName() == name {
			out = append(out, s)
		}
	}
	return out
}

// Attributes are the texts and numbers of a span.
func Attributes(s *otlp.Span) map[string]any {
	out := map[string]any{}
	for _, a := range s.GetAttributes() {
		if text, ok := a.GetValue().GetValue().(*common.AnyValue_StringValue); ok {
			out[a.GetKey()] = text.StringValue
		} else {
			out[a.GetKey()] = a.GetValue().GetIntValue()
		}
	}
	return out
}

// Spans are those that were recorded so far.
func (r *Receiver) Spans() []*otlp.Span {
	r.t.Helper()
	r.Flush(r.t.Context())
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*otlp.Span(nil), r.spans...)
}
