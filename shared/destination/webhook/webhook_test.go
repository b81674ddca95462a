package webhook_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/webhook"
	"tocsin/shared/notification"
)

const (
	current  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	previous = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func suite(more string) destinationtest.Case {
	return destinationtest.Case{
		Destination: webhook.New(),
		Parameters:  `{"url":"https://hooks.example.com/x","headers":{"Authorization":"Basic dXNlcjpwYXNz"},"signing_secret":"` + current + `","previous_signing_secret":"` + previous + `"` + more + `}`,
		Check:       check,
		Secrets:     []string{"Basic dXNlcjpwYXNz", current, previous},
	}
}

func check(t *testing.T, r destination.Request) {
	t.Helper()
	for line := range bytes.Lines(r.Body) {
		require.True(t, json.Valid(line))
	}
	require.LessOrEqual(t, len(r.Body), 8<<20)
	for _, secret := range []string{current, previous} {
		w, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, w.VerifyIgnoringTimestamp(r.Body, r.Header), "both secrets sign while one replaces the other")
	}
	require.Equal(t, "Basic dXNlcjpwYXNz", r.Header.Get("Authorization"))
}

func TestWebhook(t *testing.T) { destinationtest.Run(t, suite("")) }

func FuzzWebhook(f *testing.F) { destinationtest.Fuzz(f, suite("")) }

func two() []notification.Notification {
	return destinationtest.Notifications(webhook.New().System())[:2]
}

func TestTheBodyIsAnArrayAlsoForOneEvent(t *testing.T) {
	rs := destinationtest.Encode(t, suite(""), two()[0])
	require.Len(t, rs, 1)
	var list []map[string]any
	require.NoError(t, json.Unmarshal(rs[0].Body, &list))
	require.Len(t, list, 1)
	require.Equal(t, "POST", rs[0].Method)
	require.Equal(t, "application/json", rs[0].Header.Get("Content-Type"))
}

func TestLines(t *testing.T) {
	c := suite(`,"format":"jsonl","http_method":"PUT"`)
	rs := destinationtest.Encode(t, c, two()...)
	require.Len(t, rs, 1)
	require.Equal(t, "PUT", rs[0].Method)
	require.Equal(t, "application/x-ndjson", rs[0].Header.Get("Content-Type"))
	require.Equal(t, 2, strings.Count(string(rs[0].Body), "\n"))

	test, err := c.Destination.Encode(destination.Target{Parameters: destinationtest.Open(t, c), Test: true}, two())
	require.NoError(t, err)
	require.Equal(t, byte('['), test[0].Body[0], "facts, 1.12: a test is always an array")
}

func TestOneEventARequestWhenAsked(t *testing.T) {
	rs := destinationtest.Encode(t, suite(`,"max_events":1`), two()...)
	require.Len(t, rs, 2)
	require.NotEqual(t, rs[0].Header.Get("Webhook-Id"), rs[1].Header.Get("Webhook-Id"), "two messages are not each other's repeat")
}

func TestWithoutASecretThereIsNoSignature(t *testing.T) {
	c := destinationtest.Case{Destination: webhook.New(), Parameters: `{"url":"https://hooks.example.com/x"}`}
	r := destinationtest.Encode(t, c, two()...)[0]
	require.Empty(t, r.Header.Get("Webhook-Signature"))
	require.Equal(t, "01GTD8R400000000000000TEST", r.Header.Get("Webhook-Id"))
	require.Equal(t, "1677628800", r.Header.Get("Webhook-Timestamp"))
	require.False(t, r.Transport.SkipVerify)
	require.Equal(t, "15s", r.Transport.Timeout.String())
	require.Equal(t, "20s", r.Transport.OpenTimeout.String())
}

func TestBadParameters(t *testing.T) {
	for parameters, says := range map[string]string{
		`{"url":"https://a.example","headers":{"Bad Name":"x"}}`:          "parameters.headers: holds a name that is no header name",
		`{"url":"https://a.example","headers":{"X-A":"a\nb"}}`:            "parameters.headers.X-A: has a value that no header can carry",
		`{"url":"https://a.example","headers":{"content-length":"1"}}`:    "is written by us",
		`{"url":"https://a.example","headers":{"webhook-signature":"1"}}`: "is written by us",
		`{"url":"https://a.example","ca_file":"hello"}`:                   "parameters.ca_file: is not a certificate",
		`{"url":"https://a.example","signing_secret":"whsec_short"}`:      "parameters.signing_secret: must be whsec_",
		`{"url":"https://a.example","previous_signing_secret":"x"}`:       "parameters.previous_signing_secret: must be whsec_",
		`{"url":"https://a.example","timeout":0}`:                         "parameters.timeout: must be at least 1",
		`{"url":"https://a.example","open_timeout":61}`:                   "parameters.open_timeout: must be at most 60",
		`{"url":"https://a.example","http_method":"GET"}`:                 "parameters.http_method: must be one of [POST PUT]",
		`{"url":"https://a.example","max_events":101}`:                    "parameters.max_events: must be at most 100",
		`[]`: "parameters: must be an object",
	} {
		_, err := webhook.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says, parameters)
	}
}

func BenchmarkEncode(b *testing.B) {
	c := destinationtest.Case{Destination: webhook.New(), Parameters: `{"url":"https://hooks.example.com/x","max_events":1}`}
	target := destination.Target{Parameters: destinationtest.Open(b, c), Delivery: "01GTD8R400000000000000TEST", Now: destinationtest.Now}
	var hit []notification.Notification
	for _, n := range destinationtest.Notifications(webhook.New().System()) {
		if n.Event.Kind == "new_hits" && !n.Test {
			hit = append(hit, n)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Destination.Encode(target, hit); err != nil {
			b.Fatal(err)
		}
	}
}
