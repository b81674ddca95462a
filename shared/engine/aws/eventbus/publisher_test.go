package eventbus_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/eventbus"
	"tocsin/shared/event"
	"tocsin/shared/trace"
)

// TestAnEventOfOurOwnTakesItsSpanAlong: moto's EventBridge hands no header on, so the request is looked at.
func TestAnEventOfOurOwnTakesItsSpanAlong(t *testing.T) {
	var got struct{ Entries []map[string]any }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := json.NewDecoder(q.Body).Decode(&got); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"},{"EventId":"3"}]}`))
	}))
	t.Cleanup(server.Close)
	p := &eventbus.Publisher{Bus: "bus", Events: eventbridge.New(eventbridge.Options{Region: "eu-central-1",
		BaseEndpoint: awssdk.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})}
	note := func(id string, of trace.Parent) event.Event {
		return event.Event{ID: id, Tenant: "42", Kind: event.CreateIntegration, Time: time.Unix(1700000000, 0).UTC(),
			Data: []byte(`{"integration":{"id":"i","name":"n"}}`), Trace: of}
	}
	const of = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
	require.NoError(t, p.Publish(t.Context(), note("1", of), note("2", ""), note("3", trace.Unfollowed)))
	require.Len(t, got.Entries, 3)
	require.Equal(t, "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
		got.Entries[0]["TraceHeader"], "X-Ray, Developer Guide, \"Tracing header\"")
	require.NotContains(t, got.Entries[1], "TraceHeader")
	require.NotContains(t, got.Entries[2], "TraceHeader")
}
