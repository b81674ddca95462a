package trace_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"tocsin/shared/trace"
)

// environment is that of a program with these variables.
func environment(v map[string]string) func(string) string {
	return func(name string) string { return v[name] }
}

// receiver is one of OTLP; OpenTelemetry's own definitions read what comes. ExportTraceServiceRequest and TracesData
// have the same fields.
type receiver struct {
	*httptest.Server
	status []int // of the next answers; then 200

	mu      sync.Mutex
	headers []http.Header
	batches []*otlp.TracesData
}

func receive(t *testing.T, status ...int) *receiver {
	t.Helper()
	r := &receiver{status: status}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var data otlp.TracesData
		if err == nil {
			err = proto.UnmarshalOptions{}.Unmarshal(body, &data)
		}
		if err != nil || q.URL.Path != "/base/v1/traces" {
			http.Error(w, "no traces", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.headers, r.batches = append(r.headers, q.Header), append(r.batches, &data)
		if len(r.status) > 0 {
			w.WriteHeader(r.status[0])
			r.status = r.status[1:]
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []*otlp.TracesData {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*otlp.TracesData(nil), r.batches...)
}

func (r *receiver) tracer(t *testing.T, log io.Writer, more map[string]string) *trace.Tracer {
	t.Helper()
	v := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL + "/base",
		"OTEL_TRACES_SAMPLER":        "parentbased_always_on",
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s%20ecret, x-team=blue", "OTEL_RESOURCE_ATTRIBUTES": "deployment=test"}
	for name, value := range more {
		v[name] = value
	}
	c, err := trace.FromEnvironment(environment(v), "tocsin", trace.Attribute{Name: "service.version", Value: "1"})
	require.NoError(t, err)
	return trace.New(c, trace.NewClient(nil), slog.New(slog.NewTextHandler(log, nil)))
}

const (
	theirs   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" // W3C, "Trace Context", examples
	notTaken = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	xray     = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1" // X-Ray, "Tracing header"
)

func TestOpenTelemetrysDefinitionsReadWhatIsSent(t *testing.T) {
	r := receive(t)
	tracer := r.tracer(t, io.Discard, nil)
	start := time.Unix(1700000000, 123).UTC()
	of := tracer.Event(trace.Parent(theirs), "42", "e")
	span := trace.Accepted(of, "42", "e")
	other := trace.FannedOut(of, "42", "f")
	tracer.Record(trace.Span{Context: span, Parent: of.Span, Name: "accept", Kind: trace.Consumer, Start: start,
		End: start.Add(time.Second), Links: trace.Links{Spans: []trace.Context{other}, More: 300},
		Error: "answer 503", Attributes: []trace.Attribute{
			{Name: "text", Value: "é"}, {Name: "number", Value: int64(-7)}, {Name: "yes", Value: true},
			{Name: "no", Value: false}}})
	tracer.Flush(t.Context())

	batches := r.got()
	require.Len(t, batches, 1)
	require.Empty(t, batches[0].ProtoReflect().GetUnknown())
	require.Equal(t, "s ecret", r.headers[0].Get("Api-Key"))
	require.Equal(t, "blue", r.headers[0].Get("X-Team"))
	require.Equal(t, "application/x-protobuf", r.headers[0].Get("Content-Type"))
	of1 := batches[0].GetResourceSpans()[0]
	resource := map[string]string{}
	for _, a := range of1.GetResource().GetAttributes() {
		resource[a.GetKey()] = a.GetValue().GetStringValue()
	}
	require.Equal(t, map[string]string{"service.name": "tocsin", "service.version": "1", "deployment": "test",
		"telemetry.sdk.name": "tocsin", "telemetry.sdk.language": "go"}, resource)
	require.Equal(t, "tocsin", of1.GetScopeSpans()[0].GetScope().GetName())
	s := of1.GetScopeSpans()[0].GetSpans()[0]
	require.Empty(t, s.ProtoReflect().GetUnknown())
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", hex.EncodeToString(s.GetTraceId()))
	require.Equal(t, "00f067aa0ba902b7", hex.EncodeToString(s.GetParentSpanId()))
	require.Equal(t, span.Span[:], s.GetSpanId())
	require.Equal(t, "accept", s.GetName())
	require.Equal(t, otlp.Span_SPAN_KIND_CONSUMER, s.GetKind())
	require.Equal(t, uint64(start.UnixNano()), s.GetStartTimeUnixNano())
	require.Equal(t, uint64(start.Add(time.Second).UnixNano()), s.GetEndTimeUnixNano())
	require.Equal(t, otlp.Status_STATUS_CODE_ERROR, s.GetStatus().GetCode())
	require.Equal(t, "answer 503", s.GetStatus().GetMessage())
	require.Equal(t, other.Span[:], s.GetLinks()[0].GetSpanId())
	require.Equal(t, other.Trace[:], s.GetLinks()[0].GetTraceId())
	require.Equal(t, uint32(300), s.GetDroppedLinksCount())
	require.Equal(t, uint32(1), s.GetFlags()&0xff)
	values := s.GetAttributes()
	require.Equal(t, "é", values[0].GetValue().GetStringValue())
	require.Equal(t, int64(-7), values[1].GetValue().GetIntValue())
	require.True(t, values[2].GetValue().GetBoolValue())
	require.NotNil(t, values[3].GetValue().GetValue(), "false is a value")
}

func TestTheKindsAreThoseOfOTLP(t *testing.T) {
	for kind, want := range map[trace.Kind]otlp.Span_SpanKind{trace.Internal: otlp.Span_SPAN_KIND_INTERNAL,
		trace.Server: otlp.Span_SPAN_KIND_SERVER, trace.Client: otlp.Span_SPAN_KIND_CLIENT,
		trace.Consumer: otlp.Span_SPAN_KIND_CONSUMER} {
		require.Equal(t, int32(want), int32(kind))
	}
}

func TestWhoBeganATraceDecides(t *testing.T) {
	r := receive(t)
	never := map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
	off, on := r.tracer(t, io.Discard, never), r.tracer(t, io.Discard, nil)

	span, parent := off.Call(theirs)
	require.Equal(t, theirs[:36], span.String()[:36], "their trace goes on")
	require.Equal(t, "00f067aa0ba902b7", hex.EncodeToString(parent[:]))
	require.NotEqual(t, theirs, span.String())
	for name, header := range map[string]string{"it is not to be followed": notTaken, "nobody decided": "",
		"no version": "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "version ff": "ff" + theirs[2:],
		"upper case":               "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"zeros":                    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"more than version 00 has": theirs + "-x",
		"a flag that is none":      theirs[:53] + "zz"} {
		span, _ = off.Call(header)
		require.False(t, span.Recorded(), name)
	}
	span, _ = off.Call("cc" + theirs[2:] + "-what-comes-later")
	require.True(t, span.Recorded(), "a later version is read as this one")
	span, parent = on.Call("")
	require.True(t, span.Recorded())
	require.Zero(t, parent)
	span, _ = on.Call(notTaken)
	require.False(t, span.Recorded())
	var nobody *trace.Tracer
	span, _ = nobody.Call(theirs)
	require.False(t, span.Recorded())
}

func TestWhatIsKeptWithAnEvent(t *testing.T) {
	r := receive(t)
	tracer := r.tracer(t, io.Discard, nil)
	never := r.tracer(t, io.Discard, map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_always_off"})
	span, _ := tracer.Call(theirs)
	require.Equal(t, span.String(), string(tracer.Published(span, "")))
	require.Equal(t, trace.Unfollowed, tracer.Published(trace.Context{}, ""))
	kept := tracer.Published(trace.Context{}, xray)
	require.Equal(t, trace.Parent("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"), kept)
	require.Equal(t, trace.Unfollowed, trace.FromXRay(xray[:len(xray)-1]+"0"))
	require.Empty(t, trace.FromXRay("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?"), "the receiver decides")
	require.Empty(t, trace.FromXRay("Self=1"))
	require.True(t, never.Event(kept, "42", "e").Recorded())
	require.False(t, tracer.Event(trace.Unfollowed, "42", "e").Recorded())
	require.False(t, never.Event("", "42", "e").Recorded())

	root := tracer.Event("", "42", "e")
	require.True(t, root.Recorded())
	require.Zero(t, root.Span, "its first span has no parent")
	require.Equal(t, root, r.tracer(t, io.Discard, nil).Event("", "42", "e"), "in every process the same")
	require.NotEqual(t, root, tracer.Event("", "42", "f"))
	require.NotEqual(t, trace.Accepted(root, "42", "e"), trace.FannedOut(root, "42", "e"))
	var nobody *trace.Tracer
	require.Empty(t, nobody.Published(span, xray))
	require.False(t, nobody.Event(kept, "42", "e").Recorded())
}

func TestARatioTakesThatPart(t *testing.T) {
	r := receive(t)
	tracer := r.tracer(t, io.Discard, map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
		"OTEL_TRACES_SAMPLER_ARG": "0.1"})
	n := 0
	for range 10_000 {
		if span, _ := tracer.Call(""); span.Recorded() {
			n++
		}
	}
	require.InDelta(t, 1000, n, 200) // more than six standard deviations
}

func TestNothingIsTracedUnlessAReceiverIsNamed(t *testing.T) {
	for _, v := range []map[string]string{nil, {"OTEL_TRACES_SAMPLER": "always_on"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"}} {
		c, err := trace.FromEnvironment(environment(v), "tocsin")
		require.NoError(t, err)
		require.Nil(t, trace.New(c, nil, nil))
	}
}

func TestAVariableThatIsWrongIsNamedAndNotQuoted(t *testing.T) {
	for name, value := range map[string]string{"OTEL_TRACES_SAMPLER": "jaeger_remote", "OTEL_TRACES_SAMPLER_ARG": "2",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon", "OTEL_TRACES_EXPORTER": "zipkin",
		"OTEL_EXPORTER_OTLP_HEADERS": "hunter2", "OTEL_BSP_SCHEDULE_DELAY": "0",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"} {
		v := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", name: value}
		_, err := trace.FromEnvironment(environment(v), "tocsin")
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
	c, err := trace.FromEnvironment(environment(map[string]string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces.example/own/path"}), "tocsin")
	require.NoError(t, err)
	require.Equal(t, "https://traces.example/own/path", c.Endpoint, "that of traces is taken as it is")
	require.InDelta(t, 0.01, c.Ratio, 0)
	require.True(t, c.ParentBased)
}

// TestAWrongVariableOfTracesIsTheOneThatIsNamed: where that of all signals is right.
func TestAWrongVariableOfTracesIsTheOneThatIsNamed(t *testing.T) {
	right := map[string]string{"ENDPOINT": "http://localhost:4318", "PROTOCOL": "http/protobuf", "HEADERS": "a=b",
		"TIMEOUT": "1000"}
	for name, wrong := range map[string]string{"ENDPOINT": "foo", "PROTOCOL": "grpc", "HEADERS": "hunter2",
		"TIMEOUT": "soon"} {
		v := map[string]string{"OTEL_EXPORTER_OTLP_TRACES_" + name: wrong}
		for name, value := range right {
			v["OTEL_EXPORTER_OTLP_"+name] = value
		}
		_, err := trace.FromEnvironment(environment(v), "tocsin")
		require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_TRACES_"+name+" ")
		require.NotContains(t, err.Error(), "OTEL_EXPORTER_OTLP_"+name)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// TestAValueOfOTELSDKDisabledThatIsNoneIsWarnedOf: OpenTelemetry's specification, "Boolean Values".
func TestAValueOfOTELSDKDisabledThatIsNoneIsWarnedOf(t *testing.T) {
	for value, warned := range map[string]bool{"maybe": true, "1": true, "false": false, "FALSE": false, "": false} {
		var log bytes.Buffer
		c, err := trace.FromEnvironment(environment(map[string]string{"OTEL_SDK_DISABLED": value,
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}), "tocsin")
		require.NoError(t, err)
		require.NotNil(t, trace.New(c, nil, slog.New(slog.NewTextHandler(&log, nil))), value)
		require.Equal(t, warned, strings.Contains(log.String(), "OTEL_SDK_DISABLED"), value)
	}
}

func TestWhatNoReceiverTakesIsRefusedAtTheStart(t *testing.T) {
	for _, one := range []struct{ name, value, says string }{
		{"OTEL_RESOURCE_ATTRIBUTES", "deployment=test,team=bl\xe4u",
			`OTEL_RESOURCE_ATTRIBUTES gives the attribute "team" a value that is not UTF-8`},
		{"OTEL_RESOURCE_ATTRIBUTES", "team=bl%E4u", `the attribute "team" a value that is not UTF-8`},
		{"OTEL_RESOURCE_ATTRIBUTES", "service.name=%ff", `the attribute "service.name" a value that is not UTF-8`},
		{"OTEL_RESOURCE_ATTRIBUTES", "te\xffam=blue", `names the attribute "te\xffam", which is not UTF-8`},
		{"OTEL_SERVICE_NAME", "toc\xffsin", `OTEL_SERVICE_NAME is "toc\xffsin", which is not UTF-8`},
		{"OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue,api-key=hunter2%0A",
			"OTEL_EXPORTER_OTLP_HEADERS gives the header api-key a value with a control character"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue,hunter2 key=a", "header 2 of 2"},
	} {
		_, err := trace.FromEnvironment(environment(map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", one.name: one.value}), "tocsin")
		require.ErrorContains(t, err, one.says)
		require.NotContains(t, err.Error(), "hunter2")
	}
	c, err := trace.FromEnvironment(environment(map[string]string{"OTEL_SERVICE_NAME": "警鐘",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_RESOURCE_ATTRIBUTES": "team=bl%C3%A4u"}), "tocsin")
	require.NoError(t, err)
	require.Contains(t, c.Resource, trace.Attribute{Name: "team", Value: "bläu"})
}

func TestATextThatIsNotUTF8DoesNotLoseTheSpansBesideIt(t *testing.T) {
	r := receive(t)
	tracer := r.tracer(t, io.Discard, nil)
	for _, id := range []string{"good", "b\xe4d"} {
		span, _ := tracer.Call("")
		tracer.Record(trace.Span{Context: span, Name: "a", Start: time.Now(), End: time.Now(),
			Attributes: []trace.Attribute{{Name: trace.MessageID, Value: id}}})
	}
	tracer.Flush(t.Context())
	require.Len(t, r.got(), 1, "OpenTelemetry's definitions read it")
	spans := r.got()[0].GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
	require.Equal(t, "b\uFFFDd", spans[1].GetAttributes()[0].GetValue().GetStringValue())
}

func TestAReceiverThatIsBusyIsAskedOnceMore(t *testing.T) {
	var log bytes.Buffer
	r := receive(t, http.StatusServiceUnavailable)
	tracer := r.tracer(t, &log, nil)
	span, _ := tracer.Call("")
	tracer.Record(trace.Span{Context: span, Name: "a", Start: time.Now(), End: time.Now()})
	tracer.Flush(t.Context())
	require.Len(t, r.got(), 2)
	require.Empty(t, log.String())
}

// TestSpansWaitWhileTheReceiverIsAway: what it did not take is sent when it does, bounded by the queue.
func TestSpansWaitWhileTheReceiverIsAway(t *testing.T) {
	var log bytes.Buffer
	r := receive(t, http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	tracer := r.tracer(t, &log, nil)
	record := func(n int) {
		for range n {
			span, _ := tracer.Call("")
			tracer.Record(trace.Span{Context: span, Name: "a", Start: time.Now(), End: time.Now()})
		}
	}
	record(2000)
	tracer.Flush(t.Context())
	require.Contains(t, log.String(), "spans wait")
	require.NotContains(t, log.String(), "lost")
	before := len(r.got()) // two tries of one batch
	record(100)
	tracer.Flush(t.Context())
	taken := 0
	for _, g := range r.got()[before:] {
		taken += len(g.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans())
	}
	require.Equal(t, 2048, taken)
	require.Contains(t, log.String(), "spans=52", "there is room for 2048")
	require.Contains(t, log.String(), "takes spans again")
}

func TestWhatCanNotBeSentIsToldWithoutTheAddress(t *testing.T) {
	var log bytes.Buffer
	r := receive(t, http.StatusBadRequest)
	tracer := r.tracer(t, &log, nil)
	record := func(n int) {
		for range n {
			span, _ := tracer.Call("")
			tracer.Record(trace.Span{Context: span, Name: "a", Start: time.Now(), End: time.Now()})
		}
	}
	record(1)
	tracer.Flush(t.Context())
	require.Contains(t, log.String(), "answer 400")
	r.Close()
	log.Reset()
	record(3000)
	tracer.Flush(t.Context())
	require.Contains(t, log.String(), "spans=952", "there is room for 2048")
	require.Contains(t, log.String(), "no answer")
	require.NotContains(t, log.String(), "/base")
	require.NotContains(t, log.String(), "ecret")
}
