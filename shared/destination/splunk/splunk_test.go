package splunk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/splunk"
)

const token = "9ef39be7-5bd1-4e2a-a0a6-ccb7b9a5b9a5"

func suite(api string) destinationtest.Case {
	return destinationtest.Case{Destination: splunk.New(), Parameters: `{"api":"` + api + `","token":"` + token + `"}`,
		Check: check, Secrets: []string{token}}
}

// check reads the body as the collector does: one object after another, each with an `event`.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, "Splunk "+token, r.Header.Get("Authorization"))
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	n := 0
	for ; ; n++ {
		var e struct {
			Time                     float64 `json:"time"`
			Host, Source, Sourcetype string
			Event                    struct {
				Summary, Description string
				Details              map[string]any
			} `json:"event"`
		}
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.InDelta(t, 1677628800, e.Time, 1)
		require.NotEmpty(t, e.Event.Summary)
		require.NotEmpty(t, e.Event.Details["notification_type"])
	}
	require.Positive(t, n)
	require.LessOrEqual(t, n, 100)
	if n > 1 {
		require.LessOrEqual(t, len(r.Body), 900<<10)
	}
}

func TestSplunk(t *testing.T) { destinationtest.Run(t, suite("https://hec.splunk.com:8088")) }

func FuzzSplunk(f *testing.F) { destinationtest.Fuzz(f, suite("https://hec.splunk.com:8088")) }

func TestThePathIsAddedWhenThereIsNone(t *testing.T) {
	n := destinationtest.Notifications(splunk.New().System())[0]
	for api, want := range map[string]string{
		"https://hec.splunk.com:8088":                        "https://hec.splunk.com:8088/services/collector/event",
		"https://hec.splunk.com:8088/":                       "https://hec.splunk.com:8088/services/collector/event",
		"https://proxy.example.com/hec/services/collector":   "https://proxy.example.com/hec/services/collector",
		"https://http-inputs-acme.splunkcloud.com?channel=1": "https://http-inputs-acme.splunkcloud.com/services/collector/event?channel=1",
	} {
		require.Equal(t, want, destinationtest.Encode(t, suite(api), n)[0].URL)
	}
}

func TestAnswers(t *testing.T) {
	d := splunk.New()
	require.True(t, d.Judge(destination.Response{Status: 200, Body: []byte(`{"text":"Success","code":0}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{401, `{"text":"Token is required","code":2}`, "enter it again"},
		{403, `{"text":"Token disabled","code":1}`, "enable it in Splunk"},
		{403, `{"text":"Invalid token","code":4}`, "not known to Splunk"},
		{400, `{"text":"Incorrect index","code":7,"invalid-event-number":1}`, "allow the index"},
		{503, `{"text":"Server is busy","code":9}`, "Splunk is busy"},
		{200, `{"text":"Invalid data format","code":6}`, "could not read the request"},
		{418, `{"text":"New","code":99}`, "Splunk's documentation"},
		{404, `<html>`, "no HTTP Event Collector at this address"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered, c.body)
		require.Contains(t, v.Reason, c.says)
	}
}
