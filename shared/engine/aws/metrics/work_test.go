package metrics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/metrics"
	names "tocsin/shared/metrics"
)

// format is what CloudWatch's User Guide, "Specification: Embedded metric format", says of a line: which members it
// has, of what kind, and how many there may be. scripts/awslocal holds what functions write to the schema of AWS's own
// library besides.
const format = `{
	"type": "object", "required": ["_aws"],
	"additionalProperties": {"oneOf": [
		{"type": "string", "minLength": 1, "maxLength": 1024},
		{"type": "number"},
		{"type": "array", "maxItems": 100, "minItems": 1, "items": {"type": "number"}},
		{"type": "object"}
	]},
	"properties": {"_aws": {
		"type": "object", "required": ["Timestamp", "CloudWatchMetrics"], "additionalProperties": false,
		"properties": {
			"Timestamp": {"type": "integer"},
			"CloudWatchMetrics": {"type": "array", "minItems": 1, "items": {
				"type": "object", "required": ["Namespace", "Dimensions", "Metrics"], "additionalProperties": false,
				"properties": {
					"Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
					"Dimensions": {"type": "array", "minItems": 1, "items": {
						"type": "array", "maxItems": 30, "items": {"type": "string", "minLength": 1, "maxLength": 250}
					}},
					"Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": {
						"type": "object", "required": ["Name"], "additionalProperties": false,
						"properties": {
							"Name": {"type": "string", "minLength": 1, "maxLength": 1024},
							"Unit": {"enum": ["Count", "Seconds"]},
							"StorageResolution": {"enum": [1, 60]}
						}
					}}
				}
			}}
		}
	}}
}`

// lines are what was written, judged.
func lines(t *testing.T, out *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(format))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("emf.json", schema))
	judge, err := compiler.Compile("emf.json")
	require.NoError(t, err)
	for _, raw := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
		require.Less(t, len(raw), 256<<10, "CloudWatch Logs takes no longer event")
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err)
		require.NoError(t, judge.Validate(value), string(raw))
		var line map[string]any
		require.NoError(t, json.Unmarshal(raw, &line))
		of := line["_aws"].(map[string]any)["CloudWatchMetrics"].([]any)[0].(map[string]any)
		for _, m := range of["Metrics"].([]any) {
			require.Contains(t, line, m.(map[string]any)["Name"])
		}
		dimensions := of["Dimensions"].([]any)[0].([]any)
		require.NotEmpty(t, dimensions)
		for _, d := range dimensions {
			require.IsType(t, "", line[d.(string)])
		}
		all = append(all, line)
	}
	return all
}

// sent is what a call of the deliver function comes to.
func sent(ctx context.Context) {
	var b names.Batch
	b.Count(names.Attempts, 3, "slack")
	b.Count(names.Failed, 1, "slack", names.CauseServerError)
	b.Count(names.Attempts, 250, "jira")
	b.Count(names.Failed, 2, "jira", names.CauseServerError)
	b.Count(names.Dead, 1, "", names.EndedOff)
	for n := range 250 {
		b.Time(names.Latency, time.Duration(n)*time.Second, "jira")
	}
	b.Time(names.Latency, time.Second, "slack")
	metrics.Sink.Add(ctx, &b)
	b = names.Batch{}
	b.Count(names.Accepted, 7)
	metrics.Sink.Add(ctx, &b)
}

func called(t *testing.T, systems bool) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	m := meter(&out)
	m.Systems = systems
	_, err := metrics.Of(m, func(ctx context.Context, in string) (string, error) {
		sent(ctx)
		return in, nil
	})(t.Context(), "")
	require.NoError(t, err)
	return lines(t, &out)
}

func TestWhatWorkCameToStandsInTheLineOfTheCall(t *testing.T) {
	all := called(t, false)
	require.Len(t, all, 4, "251 latencies, a hundred in a line, and what died")
	died := all[3]
	require.Equal(t, "off", died["reason"])
	require.Equal(t, "deliver", died["Function"])
	require.Equal(t, 1.0, died["tocsin_deliveries_dead_total"])
	first := all[0]
	require.Equal(t, "deliver", first["Function"])
	require.Equal(t, 1.0, first["Processed"])
	require.Equal(t, 253.0, first["tocsin_attempts_total"])
	require.Equal(t, 3.0, first["tocsin_attempts_failed_total"])
	require.NotContains(t, first, "tocsin_deliveries_dead_total", "it is counted by reason")
	require.Equal(t, 7.0, first["tocsin_events_accepted_total"])
	require.Equal(t, map[string]any{"server_error": 3.0}, first["causes"])
	var latencies []float64
	for _, line := range all {
		require.Equal(t, "deliver", line["Function"])
		some, _ := line["tocsin_delivery_latency_seconds"].([]any)
		for _, v := range some {
			latencies = append(latencies, v.(float64))
		}
	}
	require.Len(t, latencies, 251)
	sum := 0.0
	for _, v := range latencies {
		sum += v
	}
	require.InEpsilon(t, 249.0*250/2+1, sum, 0.05)
}

func TestByChoiceEachSystemHasALine(t *testing.T) {
	by := map[string]float64{}
	for _, line := range called(t, true) {
		if system, ok := line["system"].(string); ok {
			require.NotContains(t, line, "Function")
			n, _ := line["tocsin_attempts_total"].(float64)
			by[system] += n
		}
	}
	require.Equal(t, map[string]float64{"slack": 3, "jira": 250, "other": 0}, by)
}

func TestOutsideOfACallNothingIsCounted(t *testing.T) {
	require.NotPanics(t, func() { sent(t.Context()) })
}
