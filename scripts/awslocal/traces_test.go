//go:build awslocal

package awslocal_test

import (
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"tocsin/scripts/awslocal"
	"tocsin/shared/trace/tracetest"
)

// TestOneTraceOverTheFunctions: fan-out, deliver and retry are three processes, and the retry is the state machine's.
func TestOneTraceOverTheFunctions(t *testing.T) {
	got := tracetest.New(t)
	to := receive(t, func(n int) int {
		if n < 3 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	parents := make(chan string, 100)
	told := to.Config.Handler
	to.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		parents <- q.Header.Get("Traceparent")
		told.ServeHTTP(w, q)
	})
	r := deploy(t, []*receiver{to}, func(o *awslocal.Options) {
		o.Env = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": got.URL,
			"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
	})
	var made struct{ ID string }
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "Receiver", "events": []map[string]any{{"event": "siem"}},
		"parameters": map[string]any{"url": to.URL + "/hook/s3cret", "trace_context": true},
	}, &made)
	time.Sleep(time.Second) // as in webhook
	id := r.publish(1)[0]
	r.eventually("it arrives", func() bool { return len(r.deliveries(made.ID, "delivered")) == 1 })

	of := func(trace, name string) []*otlp.Span { return got.Named(trace, name) }
	trace := (<-parents)[3:35]
	r.eventually("all attempts are told", func() bool { return len(of(trace, "attempt web_hooks")) == 3 })
	accept, fanout, attempts := of(trace, "accept"), of(trace, "fan-out"), of(trace, "attempt web_hooks")
	require.Len(t, accept, 1)
	require.Len(t, fanout, 1)
	require.Equal(t, id, tracetest.Attributes(fanout[0])["messaging.message.id"])
	require.Empty(t, accept[0].GetParentSpanId(), "EventBridge is not ours")
	require.Equal(t, accept[0].GetSpanId(), fanout[0].GetParentSpanId())
	for n, a := range attempts {
		require.Equal(t, fanout[0].GetSpanId(), a.GetParentSpanId())
		require.Equal(t, int64(n), tracetest.Attributes(a)["http.request.resend_count"])
		if n > 0 {
			require.Equal(t, attempts[n-1].GetSpanId(), a.GetLinks()[0].GetSpanId())
			require.Equal(t, "00-"+trace+"-"+hex.EncodeToString(a.GetSpanId())+"-01", <-parents)
		}
		require.NotContains(t, a.String(), "s3cret")
	}
	require.Equal(t, "delivered", tracetest.Attributes(attempts[2])["tocsin.delivery.state"])
}
