//go:build awslocal

package awslocal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// samples are the files of events/functions: which function takes each, and what its answer holds.
var samples = map[string]struct{ function, answer string }{
	"api-list-systems.json":       {"Api", `"statusCode":200`},
	"api-create-integration.json": {"Api", `"statusCode":201`},
	"fanout.json":                 {"Fanout", `{"batchItemFailures":null}`},
	// of deliveries that are no more
	"deliver.json": {"Deliver", `{"batchItemFailures":null}`},
	// of an intake that is no more
	"count.json":       {"Count", `"itemIdentifier":"059f36b4-87a3-44ab-83d2-661975830b01"`},
	"retry.json":       {"Retry", `retry batch 01KJN3X4PZ0000000000000002: delivery not found`},
	"retry-relay.json": {"Retry", `"more":false`},
	"report.json":      {"Report", `"due":0`},
	"report-job.json":  {"Report", `{}`}, // nothing failed
	"feedback.json":    {"Feedback", `{"batchItemFailures":null}`},
	"erase.json":       {"Erase", `{"erasures":0}`},
}

// invoker is our small server or another.
type invoker interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// TestSampleEvents invokes each function with the files of events/functions, as `sam local invoke` would: behind our
// small server of the runtime API, and behind AWS's own emulator of it, which judges the built bootstrap.
func TestSampleEvents(t *testing.T) {
	files, err := filepath.Glob("../../events/functions/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(samples), "every file is tried")
	tried := map[string]bool{}
	for _, s := range samples {
		tried[s.function] = true
	}
	for _, name := range awslocal.Names {
		require.True(t, tried[name], "%s has a sample", name)
	}
	for way, behind := range map[string]func(*testing.T, *rig, string) invoker{
		"our server": func(_ *testing.T, r *rig, function string) invoker { return r.Functions[function] },
		"aws-lambda-rie": func(t *testing.T, r *rig, function string) invoker {
			e, err := r.Functions[function].Emulate(t.Context(), servers.Modules)
			require.NoError(t, err)
			t.Cleanup(e.Close)
			return e
		},
	} {
		t.Run(way, func(t *testing.T) {
			r := deploy(t, nil, nil)
			functions := map[string]invoker{}
			for _, name := range awslocal.Names {
				functions[name] = behind(t, r, name)
			}
			token := r.Issuer.Token(map[string]any{"tenant": "42", "role": "administrator", "client_name": "Acme",
				"email": "ada@example.com"})
			for _, file := range files {
				t.Run(filepath.Base(file), func(t *testing.T) { trySample(t, functions, file, token) })
			}
		})
	}
}

func trySample(t *testing.T, functions map[string]invoker, file, token string) {
	want, ok := samples[filepath.Base(file)]
	require.True(t, ok)
	payload, err := os.ReadFile(file)
	require.NoError(t, err)
	payload = bytes.ReplaceAll(payload, []byte("Bearer TOKEN"), []byte("Bearer "+token))
	answer, err := functions[want.function].Invoke(t.Context(), payload)
	if err != nil {
		var failed *awslocal.FunctionError
		require.ErrorAs(t, err, &failed)
		answer = []byte(failed.Payload)
	}
	require.True(t, json.Valid(answer), string(answer))
	require.Contains(t, string(answer), want.answer)
}

// TestTheHeadersOfARequestGoToWhoAskedForThem follows with_headers from the API to the request.
func TestTheHeadersOfARequestGoToWhoAskedForThem(t *testing.T) {
	with, without := receive(t, always(200)), receive(t, always(200))
	r := deploy(t, []*receiver{with, without}, nil)
	for _, to := range []*receiver{with, without} {
		require.Equal(t, 201, r.api("POST", "/v1/integrations", map[string]any{
			"system": "web_hooks", "name": "Receiver",
			"events":     []map[string]any{{"event": "siem", "with_headers": to == with}},
			"parameters": map[string]any{"url": to.URL + "/hook"}}, nil))
	}
	r.put([]types.PutEventsRequestEntry{r.entry("new_hits", `{"version":1,"id":"h","tenant":"42",`+
		`"time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli","headers":{"Cookie":["of-a-user"]}}}}`)})
	r.eventually("both get the hit", func() bool { return with.events() == 1 && without.events() == 1 })
	require.Contains(t, string(with.requests()[0].body), `"headers":{"Cookie":["of-a-user"]}`)
	require.NotContains(t, string(without.requests()[0].body), "headers")
}
