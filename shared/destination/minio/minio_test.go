package minio_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/minio"
	"tocsin/shared/event"
)

const secret = "minio-secret-key"

func suite(format string) destinationtest.Case {
	return destinationtest.Case{
		Destination: minio.New(), Check: check, Secrets: []string{secret},
		Parameters: `{"endpoint":"https://minio.example.com:9000/","bucket":"hits","access_key":"tocsin","secret_key":"` + secret + `","format":"` + format + `"}`,
	}
}

func TestMinIO(t *testing.T) { destinationtest.Run(t, suite("ocsf")) }

func FuzzMinIO(f *testing.F) { destinationtest.Fuzz(f, suite("ocsf")) }

// check reads OCSF events, one a line, and holds them against what the facts and the schema demand.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.True(t, strings.HasPrefix(r.URL, "https://minio.example.com:9000/hits/hitlogs-"), r.URL)
	require.True(t, strings.HasSuffix(r.URL, ".jsonl"))
	require.NotEmpty(t, r.Header.Get("Authorization"))
	n := 0
	for line := range bytes.Lines(r.Body) {
		n++
		var e struct {
			Class    int            `json:"class_uid"`
			Type     int            `json:"type_uid"`
			Activity int            `json:"activity_id"`
			Category *int           `json:"category_uid"`
			Severity int            `json:"severity_id"`
			Time     *int64         `json:"time"`
			Source   map[string]any `json:"src_endpoint"`
			Request  map[string]any `json:"http_request"`
			Metadata struct {
				Version string
				Product map[string]string
			}
			Extensions map[string]any
		}
		require.NoError(t, json.Unmarshal(line, &e))
		require.Equal(t, 3001, e.Class)
		require.Equal(t, e.Class*100+e.Activity, e.Type)
		require.NotNil(t, e.Category)
		require.NotNil(t, e.Time)
		require.Equal(t, 3, e.Severity)
		require.NotNil(t, e.Source)
		require.NotEmpty(t, e.Metadata.Version)
		require.NotEmpty(t, e.Metadata.Product["vendor_name"])
		require.Subset(t, keys(e.Extensions), []string{"attack_type", "payload", "point", "tags", "block_status",
			"application_id", "datacenter", "tor", "protocol"})
	}
	require.Positive(t, n)
}

func keys(m map[string]any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestTheOtherFormatsAreThoseOfS3(t *testing.T) {
	for _, n := range destinationtest.Notifications(minio.New().System()) {
		array := destinationtest.Encode(t, suite("json"), n)[0]
		var list []map[string]any
		require.NoError(t, json.Unmarshal(array.Body, &list))
		require.Len(t, list, 1)
		require.Contains(t, list[0], "attack_type")
		require.True(t, strings.HasSuffix(array.URL, ".json"))
		lines := destinationtest.Encode(t, suite("jsonl"), n)[0]
		require.Equal(t, string(array.Body[1:len(array.Body)-1])+"\n", string(lines.Body))
	}
}

func TestItsOnlyEventIsTheHitsOfTenMinutes(t *testing.T) {
	s := minio.New().System()
	require.Equal(t, []event.Type{event.Hits}, s.Events)
	require.Equal(t, "Hits in the last 10 minutes", s.Label(event.Hits))
	require.Equal(t, destination.File, s.Batch)
}

func TestParameters(t *testing.T) {
	p := minio.New().System().Parameters
	for parameter, says := range map[string]string{
		`"endpoint":"https://minio.example.com/?x=1"`: "parameters.endpoint: must be an address without a query",
		`"bucket":"Hits"`:      "parameters.bucket",
		`"bucket":"a.-b"`:      "parameters.bucket: must not have a period",
		`"secret_key":"short"`: "parameters.secret_key: must have at least 8 characters",
	} {
		merged, err := p.Merge(json.RawMessage(suite("json").Parameters), json.RawMessage("{"+parameter+"}"))
		require.NoError(t, err)
		_, err = p.Complete(merged)
		require.ErrorContains(t, err, says, parameter)
	}
}
