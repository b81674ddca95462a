package sumologic_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/sumologic"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const source = "https://endpoint4.collection.us2.sumologic.com/receiver/v1/http/ZaVnC4dhaV0000000000000000000000000000=="

func suite(more string) destinationtest.Case {
	return destinationtest.Case{
		Destination: sumologic.New(), Parameters: `{"source_url":"` + source + `"` + more + `}`, Check: check,
		Secrets: []string{source},
	}
}

// check reads a body as the source does: gzip, then one message a line, none so long that it is sliced.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, "gzip", r.Header.Get("Content-Encoding"))
	body := destinationtest.Plain(r)
	require.LessOrEqual(t, len(body), 1_000_000)
	n := 0
	for line := range bytes.Lines(body) {
		n++
		require.True(t, bytes.HasSuffix(line, []byte("\n")))
		require.LessOrEqual(t, len(line), 64<<10)
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		var e struct {
			Summary, Description string
			Details              map[string]any
		}
		require.NoError(t, dec.Decode(&e))
		require.NotEmpty(t, e.Summary)
		require.NotEmpty(t, e.Details["notification_type"])
	}
	require.Positive(t, n)
	require.LessOrEqual(t, n, 100)
}

func TestSumoLogic(t *testing.T) { destinationtest.Run(t, suite("")) }

func FuzzSumoLogic(f *testing.F) { destinationtest.Fuzz(f, suite("")) }

func TestRequestsAreSplitAtTheirSize(t *testing.T) {
	var ns []notification.Notification
	for i := range 60 {
		ns = append(ns, notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
			ID: fmt.Sprint(i), Tenant: "42", Kind: event.NewHits, Time: destinationtest.Now,
			Data: json.RawMessage(fmt.Sprintf(`{"hit":{"type":"sqli","n":%d,"payloads":["%s"]}}`, i,
				strings.Repeat("x", 40<<10))),
		}})
	}
	rs := destinationtest.Encode(t, suite(""), ns...)
	require.Len(t, rs, 3, "22 of 41 KB fit one request")
	var seen []string
	for _, r := range rs {
		check(t, r)
		for line := range bytes.Lines(destinationtest.Plain(r)) {
			var e struct {
				Details struct{ Hit struct{ N json.Number } }
			}
			require.NoError(t, json.Unmarshal(line, &e))
			seen = append(seen, e.Details.Hit.N.String())
		}
	}
	require.Len(t, seen, 60)
	require.Equal(t, "59", seen[59], "none is lost and the order stays")
}

func TestTheCategoryIsTheSourcesUnlessSet(t *testing.T) {
	n := destinationtest.Notifications(sumologic.New().System())[0]
	require.NotContains(t, destinationtest.Encode(t, suite(""), n)[0].Header, "X-Sumo-Category")
	require.Equal(t, "security/platform", destinationtest.Encode(t, suite(`,"source_category":"security/platform"`),
		n)[0].Header.Get("X-Sumo-Category"))
	_, err := sumologic.New().System().Parameters.Complete(
		json.RawMessage(`{"source_url":"` + source + `","source_category":"a\nb"}`))
	require.ErrorContains(t, err, "parameters.source_category: has the wrong form")
}

func TestAnswers(t *testing.T) {
	d := sumologic.New()
	require.True(t, d.Judge(destination.Response{Status: 200}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{401, `{"status":401,"id":"X","code":"unauthorized","message":"Invalid token"}`,
			"copy the HTTP source's URL again (it says: unauthorized; Invalid token)"},
		{429, `{"id":"X","errors":[{"code":"rate.limit.exceeded","message":"Rate limit exceeded"}]}`,
			"at the limit of the plan (it says: rate.limit.exceeded; Rate limit exceeded)"},
		{503, ``, "Sumo Logic is busy or down"},
		{504, `<html>`, "Sumo Logic took too long"},
		{408, `{"code":408}`, "waited too long"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
}
