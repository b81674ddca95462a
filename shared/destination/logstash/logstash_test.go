package logstash_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/logstash"
)

const secret = "Basic dXNlcjpwYXNz"

var suite = destinationtest.Case{
	Destination: logstash.New(),
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

func TestLogstash(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzLogstash(f *testing.F) { destinationtest.Fuzz(f, suite) }

func TestTheFormNamesTheSystem(t *testing.T) {
	s := logstash.New().System()
	var schema struct {
		Properties map[string]struct{ Title string }
	}
	require.NoError(t, json.Unmarshal(s.Parameters.Schema(), &schema))
	require.Equal(t, "Logstash URL", schema.Properties["url"].Title)
	require.Equal(t, destination.Collectors, s.Group)
	require.NotEmpty(t, s.SetUp)
}

func TestAnswers(t *testing.T) {
	require.True(t, logstash.New().Judge(destination.Response{Status: 200, Body: []byte("ok")}).Delivered)
	for status, says := range map[int]string{401: "a user and a password", 429: "its queue is full",
		413: "max_content_length", 502: "gateway"} {
		v := logstash.New().Judge(destination.Response{Status: status})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, says)
	}
}
