package trace_test

import (
	"encoding/binary"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"tocsin/shared/trace"
)

func spanOf(n int) (c trace.Context) {
	binary.BigEndian.PutUint64(c.Trace[:], uint64(n+1))
	binary.BigEndian.PutUint64(c.Span[:], uint64(n+1))
	return c
}

func TestLinksAreBoundedAndTheRestIsCounted(t *testing.T) {
	r := receive(t)
	tracer := r.tracer(t, io.Discard, nil)
	var few, many trace.Links
	few.Add(trace.Context{}, spanOf(0))
	require.Equal(t, trace.Links{Spans: []trace.Context{spanOf(0)}}, few, "what is not recorded is no link")
	for n := range 300 {
		many.Add(spanOf(n))
	}
	few.Merge(many)
	require.Len(t, few.Spans, trace.MaxLinks)
	require.Equal(t, 301-trace.MaxLinks, few.More)
	span, parent := tracer.Caused("trigger", "42", "e", time.Unix(1700000000, 0), many)
	tracer.Record(span)
	tracer.Flush(t.Context())
	s := r.got()[0].GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	require.Equal(t, otlp.Span_SPAN_KIND_PRODUCER, s.GetKind())
	require.Empty(t, s.GetParentSpanId(), "it begins a trace")
	require.Equal(t, span.String(), string(parent))
	require.Len(t, s.GetLinks(), 128)
	for n, l := range s.GetLinks() {
		c := spanOf(n)
		require.Equal(t, c.Trace[:], l.GetTraceId())
		require.Equal(t, c.Span[:], l.GetSpanId())
	}
	require.Equal(t, uint32(300-128), s.GetDroppedLinksCount())
	last := s.GetAttributes()[len(s.GetAttributes())-1]
	require.Equal(t, "tocsin.links.left_out", last.GetKey())
	require.Equal(t, int64(300-128), last.GetValue().GetIntValue())

	require.Equal(t, tracer.Event("", "42", "e").Trace, span.Trace, "the trace that its id names")
	require.Equal(t, span.Context, tracer.Event(parent, "42", "e"), "what follows is its child")
	require.Equal(t, parent, trace.FromXRay(parent.XRay()), "the header carries it")
	require.Empty(t, trace.Unfollowed.XRay())
	require.Empty(t, trace.Parent("").XRay())
}

func TestWhatIsCausedIsRecordedWhereItsCausesAre(t *testing.T) {
	r := receive(t)
	never := r.tracer(t, io.Discard, map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_always_off"})
	span, parent := never.Caused("trigger", "42", "e", time.Now(), trace.Links{})
	require.False(t, span.Recorded())
	require.Empty(t, parent)
	span, parent = never.Caused("trigger", "42", "e", time.Now(), trace.Links{Spans: []trace.Context{spanOf(1)}})
	require.True(t, span.Recorded())
	require.Equal(t, span.Context, never.Event(parent, "42", "e"))
	alone := r.tracer(t, io.Discard, map[string]string{"OTEL_TRACES_SAMPLER": "always_off"})
	span, parent = alone.Caused("trigger", "42", "e", time.Now(), trace.Links{Spans: []trace.Context{spanOf(1)}})
	require.False(t, span.Recorded(), "the ratio alone decides")
	require.Empty(t, parent)
	var off *trace.Tracer
	span, parent = off.Caused("trigger", "42", "e", time.Now(), trace.Links{Spans: []trace.Context{spanOf(1)}})
	require.False(t, span.Recorded())
	require.Empty(t, parent)

	require.Empty(t, trace.By(trace.With(t.Context(), trace.Links{})))
	some := trace.Links{Spans: []trace.Context{spanOf(1)}, More: 2}
	require.Equal(t, some, trace.By(trace.With(t.Context(), some)))
}

func FuzzReadLinks(f *testing.F) {
	for _, n := range []int{0, 1, 128} {
		l := trace.Links{More: n * 3}
		for k := range n {
			l.Add(spanOf(k))
		}
		f.Add(append(l.Append(nil), strconv.Itoa(n)...))
	}
	f.Add([]byte{0, 200, 1})
	f.Add([]byte{0, 2, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, rest, ok := trace.ReadLinks(b)
		if !ok {
			return
		}
		require.LessOrEqual(t, len(l.Spans), trace.MaxLinks)
		again, left, ok := trace.ReadLinks(append(l.Append(nil), rest...))
		require.True(t, ok)
		require.Equal(t, l, again)
		require.Equal(t, string(rest), string(left))
	})
}
