package insightconnect_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/insightconnect"
)

const (
	api = "https://eu.api.insight.rapid7.com/connect/v1/workflows/6ac4c5b1-7d0c-4a63-a2a4-0e0000000001/events/execute"
	key = "11111111-2222-3333-4444-555555555555"
)

var suite = destinationtest.Case{
	Destination: insightconnect.New(), Parameters: `{"api":"` + api + `","token":"` + key + `"}`, Check: check,
	Secrets: []string{api, key},
}

// check reads a body as the trigger does: one object with the three inputs of the set-up page and no other.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, api, r.URL)
	require.Equal(t, key, r.Header.Get("X-Api-Key"))
	require.LessOrEqual(t, len(r.Body), 512<<10)
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var e struct {
		Summary, Description string
		Details              map[string]any
	}
	require.NoError(t, dec.Decode(&e))
	require.False(t, dec.More())
	require.NotEmpty(t, e.Summary)
	require.NotEmpty(t, e.Details["notification_type"])
}

func TestInsightConnect(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzInsightConnect(f *testing.F) { destinationtest.Fuzz(f, suite) }

func TestBadParameters(t *testing.T) {
	for parameters, says := range map[string]string{
		`{"api":"` + api + `","token":"short"}`:      "parameters.token: must have at least 8 characters",
		`{"api":"` + api + `","token":"with space"}`: "parameters.token: has the wrong form",
		`{"api":"nowhere","token":"` + key + `"}`:    "parameters.api: must be a full address",
	} {
		_, err := insightconnect.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says)
	}
}

func TestAnswers(t *testing.T) {
	d := insightconnect.New()
	require.True(t, d.Judge(destination.Response{Status: 200, Body: []byte(`{"id":"job"}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{401, `{"message":"Unauthorized"}`, "enter a user key of this organization (it says: Unauthorized)"},
		{404, `{"error":"trigger not found"}`, "activate the workflow (it says: trigger not found)"},
		{400, `{"error":{"message":"input invalid"}}`,
			"must be summary, description and details (it says: input invalid)"},
		{429, `nothing`, "throttles this organization"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
}
