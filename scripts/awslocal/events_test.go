//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// TestSampleEvents invokes each function with the files of events/functions, as `sam local invoke` would.
func TestSampleEvents(t *testing.T) {
	r := deploy(t, nil, nil)
	samples := map[string]struct{ function, answer string }{
		"api-list-systems.json":       {"Api", `"statusCode":200`},
		"api-create-integration.json": {"Api", `"statusCode":201`},
		"fanout.json":                 {"Fanout", `{"batchItemFailures":null}`},
		"deliver.json":                {"Deliver", `{"batchItemFailures":null}`}, // of deliveries that are no more
		"retry.json":                  {"Retry", `retry batch 01KJN3X4PZ0000000000000002: delivery not found`},
		"retry-relay.json":            {"Retry", `"more":false`},
		"report.json":                 {"Report", `"due":0`},
		"report-job.json":             {"Report", `{}`}, // nothing failed
		"feedback.json":               {"Feedback", `{"batchItemFailures":null}`},
	}
	files, err := filepath.Glob("../../events/functions/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(samples), "every file is tried")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, ok := samples[filepath.Base(file)]
			require.True(t, ok)
			payload, err := os.ReadFile(file)
			require.NoError(t, err)
			answer, err := r.Functions[want.function].Invoke(t.Context(), payload)
			if err != nil {
				var failed *awslocal.FunctionError
				require.ErrorAs(t, err, &failed)
				answer = []byte(failed.Payload)
			}
			require.True(t, json.Valid(answer))
			require.Contains(t, string(answer), want.answer)
		})
	}
}
