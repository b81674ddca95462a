package webhook_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/destinationtest/signature"
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
		require.NoError(t, w.VerifyIgnoringTimestamp(r.Body, r.Header),
			"both secrets sign while one replaces the other")
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
	require.NotEqual(t, rs[0].Header.Get("Webhook-Id"), rs[1].Header.Get("Webhook-Id"),
		"two messages are not each other's repeat")
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

// signed is a request that is signed by a secret, and by a key pair and the one before.
func signed(t *testing.T, until string) (r destination.Request, keys [2]ed25519.PublicKey) {
	t.Helper()
	var private [2]string
	for n := range keys {
		k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(n + 1)}, ed25519.SeedSize))
		keys[n] = k.Public().(ed25519.PublicKey)
		private[n] = "whsk_" + base64.StdEncoding.EncodeToString(k)
	}
	return destinationtest.Encode(t, suite(`,"signing_key":"`+private[0]+`","previous_signing_key":"`+private[1]+
		`","previous_key_until":"`+until+`"`), two()...)[0], keys
}

// verifies are which of the keys made one of the signatures.
func verifies(r destination.Request, keys [2]ed25519.PublicKey) (by []int) {
	for n, k := range keys {
		if signature.By(r, "whpk_"+base64.StdEncoding.EncodeToString(k)) {
			by = append(by, n)
		}
	}
	return by
}

func TestAKeyPairSignsBesideTheSecret(t *testing.T) {
	r, keys := signed(t, "2023-03-01T00:00:01Z") // a second after the attempt
	require.Equal(t, []int{0, 1}, verifies(r, keys), "the key before signs too until its end")
	require.Len(t, strings.Fields(r.Header.Get("Webhook-Signature")), 4)
	check(t, r) // a library that knows v1 alone takes it
	r, keys = signed(t, "2023-03-01T00:00:00Z")
	require.Equal(t, []int{0}, verifies(r, keys), "the time of the key before is over")
}

func TestBadParameters(t *testing.T) {
	for parameters, says := range map[string]string{
		`{"url":"https://a.example","headers":{"Bad Name":"x"}}`: "parameters.headers: holds a name that is " +
			"no header name",
		`{"url":"https://a.example","headers":{"X-A":"a\nb"}}`: "parameters.headers.X-A: has a value that " +
			"no header can carry",
		`{"url":"https://a.example","headers":{"content-length":"1"}}`:    "is written by us",
		`{"url":"https://a.example","headers":{"webhook-signature":"1"}}`: "is written by us",
		`{"url":"https://a.example","ca_file":"hello"}`:                   "parameters.ca_file: is not a certificate",
		`{"url":"https://a.example","signing_secret":"whsec_short"}`:      "parameters.signing_secret: must be whsec_",
		`{"url":"https://a.example","previous_signing_secret":"x"}`: "parameters.previous_signing_secret: must " +
			"be whsec_",
		`{"url":"https://a.example","signing_key":"whsk_AAAA"}`: "parameters.signing_key: must be generate, rotate, " +
			"or whsk_",
		// the seed of one key and the public half of another
		`{"url":"https://a.example","signing_key":"whsk_` + strings.Repeat("A", 86) +
			`=="}`: "parameters.signing_key: must be",
		`{"url":"https://a.example","timeout":0}`:       "parameters.timeout: must be at least 1",
		`{"url":"https://a.example","open_timeout":61}`: "parameters.open_timeout: must be at most 60",
		`{"url":"https://a.example","http_method":"GET"}`: "parameters.http_method: must be one of " +
			"[POST PUT]",
		`{"url":"https://a.example","max_events":101}`: "parameters.max_events: must be at most 100",
		`[]`: "parameters: must be an object",
	} {
		_, err := webhook.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says, parameters)
	}
}

func BenchmarkEncode(b *testing.B) {
	c := destinationtest.Case{Destination: webhook.New(),
		Parameters: `{"url":"https://hooks.example.com/x","max_events":1}`}
	target := destination.Target{Parameters: destinationtest.Open(b, c), Delivery: "01GTD8R400000000000000TEST",
		Now: destinationtest.Now}
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

// H20: what two readers could take for two things is refused when it is saved, with its field.
// tooLong is longer than the value of a header may be.
var tooLong = strings.Repeat("x", 9<<10)

// refusedHeaders are headers that no request can carry, and why.
var refusedHeaders = map[string]string{
	`{"authorization":"a","Authorization":"b"}`: "parameters.headers.authorization: is there already as " +
		"Authorization",
	`{"X-A":"a","x-a":"a","X-a":"a"}`:       "parameters.headers.x-a: is there already as X-A",
	`{"X-A":"a","X-A":"b"}`:                 "parameters.headers.X-A: is there twice",
	`{"X-A":"a","X-A":"a"}`:                 "parameters.headers.X-A: is there twice",
	`{"":"x"}`:                              "parameters.headers: holds a name that is no header name",
	`{"Authorization: Bearer hunter2":"x"}`: "parameters.headers: holds a name that is no header name",
	`{"X A":"x"}`:                           "parameters.headers: holds a name that is no header name",
	`{" X-A":"x"}`:                          "parameters.headers: holds a name that is no header name",
	`{"X-Ä":"x"}`:                           "parameters.headers: holds a name that is no header name",
	`{"X\r\nA":"x"}`:                        "parameters.headers: holds a name that is no header name",
	`{"` + tooLong + `":"x"}`:               "parameters.headers: holds a name that is no header name",
	`{"X-A":"a\r\nX-B: b"}`:                 "parameters.headers.X-A: has a value that no header can carry",
	`{"X-A":"a\u0000b"}`:                    "parameters.headers.X-A: has a value that no header can carry",
	`{"X-A":"caf\u00e9"}`:                   "parameters.headers.X-A: has a value that no header can carry",
	`{"X-A":"a\u007fb"}`:                    "parameters.headers.X-A: has a value that no header can carry",
	`{"X-A":" a"}`: "parameters.headers.X-A: has a value with a space before or " +
		"after it",
	`{"X-A":"a "}`: "parameters.headers.X-A: has a value with a space before or " +
		"after it",
	`{"X-A":"a\n"}`: "parameters.headers.X-A: has a value with a space before or " +
		"after it",
	`{"X-A":"` + tooLong + `"}`: "parameters.headers.X-A: has a value that no header can carry",
	`{"X-A":"` + tooLong[:8000] + `","X-B":"` + tooLong[:8000] + `","X-C":"` + tooLong[:8000] +
		`"}`: "parameters.headers: are too long in all",
	`{"X-A":1}`:    "parameters.headers.X-A: must be of type string",
	`{"X-A":null}`: "parameters.headers.X-A: must be of type string",
	`{"host":"x"}`: "parameters.headers.host: is written by us", `{"CONTENT-LENGTH":"1"}`: "is written by us",
	`{"Transfer-Encoding":"chunked"}`: "is written by us", `{"connection":"close"}`: "is written by us",
	`{"Keep-Alive":"x"}`: "is written by us", `{"proxy-connection":"x"}`: "is written by us",
	`{"TE":"trailers"}`: "is written by us", `{"Upgrade":"x"}`: "is written by us",
	`{"Trailer":"x"}`: "is written by us", `{"Expect":"100-continue"}`: "is written by us",
	`{"Content-Encoding":"gzip"}`: "is written by us", `{"Accept-Encoding":"gzip"}`: "is written by us",
	`{"webhook-id":"x"}`: "is written by us", `{"WEBHOOK-TIMESTAMP":"1"}`: "is written by us",
	`{"Webhook-Signature":"v1,x"}`: "is written by us",
}

// complete fills in the parameters of a webhook with the headers.
func complete(headers string) (json.RawMessage, error) {
	return webhook.New().System().Parameters.Complete(
		json.RawMessage(`{"url":"https://a.example","headers":` + headers + `}`))
}

func TestH20HeadersThatAreNoPlainSetOfHeaders(t *testing.T) {
	for headers, says := range refusedHeaders {
		for range 3 { // the order of a map is chance
			_, err := complete(headers)
			require.ErrorContains(t, err, says, headers)
			require.NotContains(t, err.Error(), "hunter2")
		}
	}
}

func TestH20FiftyHeadersAtMost(t *testing.T) {
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf(`"X-%d":"x"`, i))
	}
	_, err := complete("{" + strings.Join(many, ",") + "}")
	require.ErrorContains(t, err, "parameters.headers: are too many")
	_, err = complete("{" + strings.Join(many[:50], ",") + `,"Content-Type":"application/cloudevents-batch+json"}`)
	require.ErrorContains(t, err, "parameters.headers: are too many")
}

func TestH20AChangeOfHeadersIsAPlainSetToo(t *testing.T) {
	good, err := complete(`{"Authorization":"Bearer a\tb","content-type":"application/json","X-Empty":""}`)
	require.NoError(t, err)
	p := webhook.New().System().Parameters
	for patch, says := range map[string]string{
		`{"headers":{"Authorization":"********","authorization":"b"}}`: "parameters.headers.authorization: is there " +
			"already as Authorization",
		`{"headers":{"authorization":"********"}}`:              "parameters.headers: is a mask",
		`{"headers":{"X":"a","X":"b"}}`:                         "parameters.headers.X: is there twice",
		`{"url":"https://a.example","url":"https://b.example"}`: "parameters.url: is there twice",
	} {
		merged, err := p.Merge(good, json.RawMessage(patch))
		if err == nil {
			_, err = p.Complete(merged)
		}
		require.ErrorContains(t, err, says, patch)
	}
	_, err = p.Complete(json.RawMessage(`{"url":"https://a.example","url":"https://b.example"}`))
	require.ErrorContains(t, err, "parameters.url: is there twice")
}
