package fluentd_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/fluentd"
)

const secret = "Basic dXNlcjpwYXNz"

var suite = destinationtest.Case{
	Destination: fluentd.New(),
	Parameters:  `{"url":"https://collector.example.com:9880/platform","headers":{"Authorization":"` + secret + `"}}`,
	Check:       check, Secrets: []string{secret},
}

// check reads a body as the http input does: an array, each entry a record.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	var records []map[string]any
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	require.NoError(t, dec.Decode(&records))
	require.False(t, dec.More())
	require.NotEmpty(t, records)
	for _, record := range records {
		require.NotContains(t, record, "time", "a text there fails the whole array at Fluentd")
		require.NotContains(t, record, "@timestamp", "a text that is no time there spoils the record at Logstash")
		require.NotEmpty(t, record["summary"])
		require.NotEmpty(t, record["details"])
	}
}

func TestFluentd(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzFluentd(f *testing.F) { destinationtest.Fuzz(f, suite) }

func TestTheFormNamesTheSystem(t *testing.T) {
	s := fluentd.New().System()
	var schema struct {
		Properties map[string]struct{ Title string }
	}
	require.NoError(t, json.Unmarshal(s.Parameters.Schema(), &schema))
	require.Equal(t, "Fluentd URL", schema.Properties["url"].Title)
	require.Equal(t, destination.Collectors, s.Group)
	require.NotEmpty(t, s.SetUp)
}

func TestAnswers(t *testing.T) {
	for _, ok := range []int{200, 201, 204} {
		require.True(t, fluentd.New().Judge(destination.Response{Status: ok}).Delivered,
			"200 and 204 are Fluentd's, 201 is Fluent Bit's")
	}
	for status, says := range map[int]string{400: "must parse JSON", 413: "body_size_limit",
		500: "its buffer may be full", 503: "busy or down"} {
		v := fluentd.New().Judge(destination.Response{Status: status,
			Body: []byte("400 Bad Request\nTime must be a number")})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, says)
	}
}
