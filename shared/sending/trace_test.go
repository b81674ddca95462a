package sending_test

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/sending"
	"tocsin/shared/trace"
	"tocsin/shared/trace/tracetest"
)

func TestAnAttemptIsASpanOfTheEventsThatItSends(t *testing.T) {
	now := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	got, transport := tracetest.New(t), &last{status: 503}
	sender := &sending.Sender{
		Destinations: catalogue.Default(), Transport: transport, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler), Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"},
		Tracer: got.Tracer,
	}
	opener := openAs{"web_hooks", `{"url":"https://siem.example.com/s3cret","trace_context":true}`}
	i := integration.Integration{ID: "i", Tenant: "42", System: "web_hooks"}
	target, err := sender.Open(t.Context(), opener, i)
	require.NoError(t, err)
	d := delivery.Delivery{ID: "01GTD8R4000000000000000000", Tenant: "42", Integration: "i", State: delivery.Pending,
		CreatedAt: now, Digest: delivery.DigestQuiet, Kinds: []event.Kind{event.CreateUser}}
	fannedOut := map[string]trace.Context{}
	for n := range 40 {
		e := event.Event{ID: string(rune('A' + n)), Tenant: "42", ClientName: "Acme", Kind: event.CreateUser, Time: now,
			Data: []byte(`{"user":{"name":"Grace"}}`)}
		if n%2 == 0 {
			e.Trace = trace.Unfollowed
		} else {
			fannedOut[e.ID] = trace.FannedOut(got.Event("", "42", e.ID), "42", e.ID)
		}
		d.Events = append(d.Events, e)
		d.Count++
	}
	first, err := sender.Send(t.Context(), target, d)
	require.NoError(t, err)
	require.Equal(t, delivery.Retrying, first.State)
	header := transport.request.Header.Get("Traceparent")

	preview, err := sender.Preview(t.Context(), opener, i, first.Delivery)
	require.NoError(t, err)
	require.Equal(t, header, preview[0].Header.Get("Traceparent"), "the preview shows what was sent")

	now, transport.status = now.Add(time.Minute), 200
	second, err := sender.Send(t.Context(), target, first.Delivery)
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, second.State)
	spans := got.Spans()
	require.Len(t, spans, 2)
	parent := fannedOut["B"]
	for n, s := range spans {
		require.Equal(t, parent.Trace[:], s.GetTraceId())
		require.Equal(t, parent.Span[:], s.GetParentSpanId())
		require.Len(t, s.GetLinks(), 19+n, "the attempt before, and the other events that are followed")
		require.NotContains(t, s.String(), "s3cret")
		require.NotContains(t, s.String(), "siem.example.com")
		require.NotContains(t, s.String(), "Grace")
	}
	require.Equal(t, spans[0].GetSpanId(), spans[1].GetLinks()[0].GetSpanId())
	context := trace.Context{Trace: parent.Trace, Span: [8]byte(spans[0].GetSpanId())}
	require.Equal(t, context.String(), header)

	checkManyLinks(t, sender, target, d, got)

	sender.Tracer = nil
	_, err = sender.Send(t.Context(), target, d)
	require.NoError(t, err)
	require.NotContains(t, transport.request.Header, "Traceparent")
}

// checkManyLinks sends a delivery with 300 events more.
func checkManyLinks(t *testing.T, sender *sending.Sender, target *sending.Target, d delivery.Delivery,
	got *tracetest.Receiver) {
	t.Helper()
	for range 300 {
		d.Events = append(d.Events, d.Events[1])
		d.Events[len(d.Events)-1].ID = "more " + strconv.Itoa(len(d.Events))
	}
	_, err := sender.Send(t.Context(), target, d)
	require.NoError(t, err)
	large := got.Spans()[2]
	require.Len(t, large.GetLinks(), trace.MaxLinks)
	require.Equal(t, uint32(19+300-trace.MaxLinks), large.GetDroppedLinksCount())
	require.Equal(t, int64(19+300-trace.MaxLinks), tracetest.Attributes(large)[trace.LeftOut])
}
