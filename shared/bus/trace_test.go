package bus_test

import (
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/shared/bus"
	"tocsin/shared/trace"
	"tocsin/shared/trace/tracetest"
)

const (
	theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" // W3C, "Trace Context", examples
	xray   = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
)

func TestAPublishersTraceGoesOn(t *testing.T) {
	got, s := tracetest.New(t), &store{}
	server := httptest.NewServer(bus.Handler(bus.Config{Store: s, Now: time.Now, NewID: func() string { return "id" },
		Log: slog.New(slog.DiscardHandler), Tracer: got.Tracer}))
	t.Cleanup(server.Close)
	put := func(parent, body string) {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
		require.NoError(t, err)
		q.Header.Set("X-Amz-Target", bus.Target)
		q.Header.Set("Content-Type", "application/x-amz-json-1.1")
		q.Header.Set("Traceparent", parent)
		r, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, http.StatusOK, r.StatusCode)
	}
	const entry = `{"Source":"a","DetailType":"b","Detail":"{}"`
	put(theirs, `{"Entries":[`+entry+`},`+entry+`,"TraceHeader":"`+xray+`"},{"Source":"a"}]}`)
	put(theirs[:54]+"0", `{"Entries":[`+entry+`}]}`)

	spans := got.Spans()
	require.Len(t, spans, 1)
	span := spans[0]
	require.Equal(t, "PutEvents", span.GetName())
	require.Equal(t, theirs[3:35], hex.EncodeToString(span.GetTraceId()))
	require.Equal(t, theirs[36:52], hex.EncodeToString(span.GetParentSpanId()))
	require.Len(t, s.entries, 3)
	require.Equal(t, trace.Parent(theirs[:36]+hex.EncodeToString(span.GetSpanId())+"-01"), s.entries[0].Trace)
	require.Equal(t, trace.Parent("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"), s.entries[1].Trace)
	require.Equal(t, trace.Unfollowed, s.entries[2].Trace)
}

func TestWithoutATracerNothingIsKept(t *testing.T) {
	s := &store{}
	server := serve(t, s)
	e := good()
	header := xray
	e.TraceHeader = &header
	_, err := sdk(server.URL).PutEvents(t.Context(), &eventbridge.PutEventsInput{
		Entries: []types.PutEventsRequestEntry{e}})
	require.NoError(t, err)
	require.Empty(t, s.entries[0].Trace)
}
