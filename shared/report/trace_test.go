package report_test

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/trace"
	"tocsin/shared/trace/tracetest"
)

// away is a bus that takes nothing.
type away struct{}

func (away) Publish(context.Context, ...event.Event) error { return errors.New("the bus is away") }

func named(got *tracetest.Receiver, name string) (out []*otlp.Span) {
	for _, s := range got.Spans() {
		if s.GetName() == name {
			out = append(out, s)
		}
	}
	return out
}

// fanOut accepts what was published, with its traces.
func (r *rig) fanOut(of *trace.Tracer) {
	r.t.Helper()
	entries, err := r.db.Bus().Receive(r.t.Context(), 100)
	require.NoError(r.t, err)
	f := fanout.Fanout{Integrations: r.db.Integrations(), Systems: catalogue.Default(), Store: r.db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler), Recorder: r.recorder, Tracer: of, Now: func() time.Time { return r.now }}
	_, err = f.Process(r.t.Context(), entries)
	require.NoError(r.t, err)
}

func TestAReportByFiltersLinksToTheEventsThatItIsMadeOf(t *testing.T) {
	got := tracetest.New(t)
	r := start(t, "2023-03-01T12:00:00Z")
	r.service.Tracer = got.Tracer
	day := instant(t, "2023-03-01T10:00:00Z")
	under := func(digit, flag string, e event.Event) event.Event {
		span, _ := got.Call("00-" + strings.Repeat(digit, 32) + "-00f067aa0ba902b7-" + flag)
		e.Trace = got.Published(span, "")
		return e
	}
	hit := func(kind, path string) event.Event { return r.hit(day, kind, "shop", path, "203.0.113.7", "blocked") }
	require.NoError(t, r.db.Bus().Publish(t.Context(), under("1", "01", hit("sqli", "/a")),
		under("2", "00", hit("sqli", "/b")), under("3", "01", hit("xss", "/c"))))
	r.fanOut(got.Tracer)
	r.now = instant(t, "2023-03-02T12:00:00Z")
	made := r.order("2023-03-01", report.CSV, bySQLi...)
	r.fanOut(got.Tracer)
	got.Flush(t.Context())

	reports := named(got, "report")
	require.Len(t, reports, 1)
	require.Empty(t, reports[0].GetParentSpanId(), "it begins a trace")
	require.Len(t, reports[0].GetLinks(), 1, "of the event that is followed and that the filters select")
	require.Equal(t, strings.Repeat("1", 32), hex.EncodeToString(reports[0].GetLinks()[0].GetTraceId()))
	require.Equal(t, got.Named(strings.Repeat("1", 32), "fan-out")[0].GetSpanId(), reports[0].GetLinks()[0].GetSpanId())
	accept := got.Named(hex.EncodeToString(reports[0].GetTraceId()), "accept")
	require.Len(t, accept, 1)
	require.Equal(t, reports[0].GetSpanId(), accept[0].GetParentSpanId())
	is := tracetest.Attributes(reports[0])
	require.Equal(t, "report", is["tocsin.event.kind"])
	require.Contains(t, is["messaging.message.id"], made.ID)
}

func TestAScheduledReportBeginsATraceThatTheRatioDecides(t *testing.T) {
	got := tracetest.New(t)
	r := start(t, "2023-03-06T05:59:00Z")
	r.service.Tracer = got.Tracer
	r.subscribe("weekly", []string{"ada@example.com"}, calendar.Weekly.Type())
	job := report.Job{Tenant: "42", Client: "Acme", Receiver: "weekly", Address: "ada@example.com",
		Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")}
	published := r.service.Bus
	r.service.Bus = away{}
	require.Error(t, r.service.Perform(t.Context(), job))
	got.Flush(t.Context())
	require.Empty(t, named(got, "report"), "what was not published has no span")

	r.service.Bus = published
	require.NoError(t, r.service.Perform(t.Context(), job))
	r.fanOut(got.Tracer)
	got.Flush(t.Context())
	reports := named(got, "report")
	require.Len(t, reports, 1)
	require.Empty(t, reports[0].GetLinks())
	require.Equal(t, reports[0].GetSpanId(),
		got.Named(hex.EncodeToString(reports[0].GetTraceId()), "accept")[0].GetParentSpanId())

	r.service.Tracer = trace.New(&trace.Config{ParentBased: true}, nil, nil)
	job.Address = "bob@example.com"
	require.NoError(t, r.service.Perform(t.Context(), job))
	entries, err := r.db.Bus().Receive(t.Context(), 100)
	require.NoError(t, err)
	require.Empty(t, entries[0].Trace, "a ratio of none records none")
}
