//go:build awslocal

package awslocal_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
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

// TestATriggersNoticeLinksToTheHitsOverTheFunctions: fan-out accepts the hits, count is another process, and
// EventBridge takes the notice to fan-out again.
func TestATriggersNoticeLinksToTheHitsOverTheFunctions(t *testing.T) {
	got, to := tracetest.New(t), receive(t, always(http.StatusOK))
	r := deploy(t, []*receiver{to}, func(o *awslocal.Options) {
		o.Env = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": got.URL, "OTEL_TRACES_SAMPLER_ARG": "0"}
	})
	var receiver struct{ ID string }
	r.api("POST", "/v1/integrations", map[string]any{"system": "web_hooks", "name": "Receiver", "events": []any{},
		"parameters": map[string]any{"url": to.URL + "/hook"}}, &receiver)
	r.api("POST", "/v1/triggers", map[string]any{
		"name": "Burst", "template_id": "hits_exceeded", "threshold": map[string]any{"period": 86400, "count": 3},
		"actions": []any{map[string]any{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{receiver.ID}}}},
	}, &struct{}{})
	time.Sleep(time.Second) // as in webhook
	want := map[string]bool{}
	for n := range 4 {
		e := r.entry("new_hits", fmt.Sprintf(
			`{"version":1,"id":"h%d","tenant":"42","time":"2026-03-01T12:00:0%dZ","data":{"hit":{"type":"sqli"}}}`, n, n))
		if n != 2 { // of one the publisher said nothing, and the ratio is 0
			id := strings.Repeat(strconv.Itoa(n+1), 32)
			e.TraceHeader = awssdk.String("Root=1-" + id[:8] + "-" + id[8:] + ";Parent=00f067aa0ba902b7;Sampled=1")
			want[id] = true
		}
		r.put([]types.PutEventsRequestEntry{e})
	}
	r.eventually("it fires", func() bool { return to.events() > 0 })
	var fired []*otlp.Span
	r.eventually("all is told", func() bool {
		fired = nil
		for _, s := range got.Spans() {
			if s.GetName() == "trigger" {
				fired = append(fired, s)
			}
		}
		return len(fired) > 0 && len(got.Named(hex.EncodeToString(fired[0].GetTraceId()), "attempt web_hooks")) > 0
	})
	require.Len(t, fired, 1)
	links := map[string]bool{}
	for _, l := range fired[0].GetLinks() {
		id := hex.EncodeToString(l.GetTraceId())
		links[id] = true
		require.Equal(t, got.Named(id, "fan-out")[0].GetSpanId(), l.GetSpanId())
	}
	require.Equal(t, want, links)
	accept := got.Named(hex.EncodeToString(fired[0].GetTraceId()), "accept")
	require.Len(t, accept, 1)
	require.Equal(t, fired[0].GetSpanId(), accept[0].GetParentSpanId())
}

// TestAKeyOfAReceiverOfTracesIsASecret: the functions that send spans read it, and nothing else shows it.
func TestAKeyOfAReceiverOfTracesIsASecret(t *testing.T) {
	got, to := tracetest.New(t), receive(t, always(http.StatusOK))
	keys := make(chan string, 1000)
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		keys <- q.Header.Get("Api-Key")
		got.ServeHTTP(w, q)
	}))
	t.Cleanup(vendor.Close)
	r := deploy(t, []*receiver{to}, func(o *awslocal.Options) {
		o.Parameters = map[string]string{"TracesEndpoint": vendor.URL, "TracesRatio": "1",
			"TracesHeaders": "api-key=s3cret%3Dkey,x-team=blue"}
	})
	r.webhook(to, 1)
	id := r.publish(1)[0]
	spans := func() (n int) {
		for _, s := range got.Spans() {
			if s.GetName() == "attempt web_hooks" || tracetest.Attributes(s)["messaging.message.id"] == id {
				n++
			}
		}
		return n
	}
	r.eventually("fan-out and deliver tell of it", func() bool { return spans() == 3 })
	for range len(keys) {
		require.Equal(t, "s3cret=key", <-keys)
	}
}
