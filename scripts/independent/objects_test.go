package independent_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/minio"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

func hits(count int) (out []notification.Notification) {
	for range count {
		out = append(out, notification.Notification{
			Platform: notification.Platform{Name: "Platform", Cloud: "EU"},
			Event: event.Event{ID: "h", Tenant: "42", ClientName: "Acme", Kind: event.NewHits,
				Time: time.Unix(1677628800, 0).UTC(), Data: []byte(
					`{"hit":{"type":"sqli","domain":"shop.example.com","path":"/注文","method":"POST","remote_addr4":"203.0.113.7","request_time":1677628800,"payloads":["' or 1=1--"],"point":["post","comment"]}}`)},
		})
	}
	return out
}

// TestAnObjectOfHits writes objects of every format to an S3 server that is not ours, and reads them back from it.
func TestAnObjectOfHits(t *testing.T) {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("hits"))
	server := httptest.NewServer(gofakes3.New(backend).Server())
	defer server.Close()
	d := minio.New()
	for format, suffix := range map[string]string{"json": ".json", "jsonl": ".jsonl", "ocsf": ".jsonl"} {
		t.Run(format, func(t *testing.T) {
			full, err := d.System().Parameters.Complete(json.RawMessage(`{"endpoint":"` +
				strings.Replace(server.URL, "http://", "https://", 1) +
				`","bucket":"hits","access_key":"ours","secret_key":"0123456789","format":"` + format + `"}`))
			require.NoError(t, err)
			parameters, err := d.System().Parameters.Open(full)
			require.NoError(t, err)
			requests, err := d.Encode(destination.Target{Parameters: parameters, Delivery: "01GTD8R4000000000000000001",
				Now: time.Now()}, hits(25))
			require.NoError(t, err)
			require.Len(t, requests, 1)
			put := requests[0]
			q, err := http.NewRequestWithContext(t.Context(), put.Method,
				strings.Replace(put.URL, "https://", "http://", 1), bytes.NewReader(put.Body))
			require.NoError(t, err)
			q.Header = put.Header.Clone()
			answer, err := http.DefaultClient.Do(q)
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.True(t,
				d.Judge(destination.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}).Delivered,
				"%d %s", answer.StatusCode, body)

			list, err := backend.ListBucket("hits", nil, gofakes3.ListBucketPage{})
			require.NoError(t, err)
			found := ""
			for _, c := range list.Contents {
				if strings.HasSuffix(put.URL, c.Key) {
					found = c.Key
				}
			}
			require.True(t, strings.HasPrefix(found[strings.LastIndex(found, "/")+1:], "hitlogs-"), found)
			require.True(t, strings.HasSuffix(found, suffix), found)
			object, err := backend.GetObject("hits", found, nil)
			require.NoError(t, err)
			stored, err := io.ReadAll(object.Contents)
			require.NoError(t, err)
			require.Equal(t, 25, records(t, stored))
		})
	}
}

// records counts what an object holds: an array, or one record a line.
func records(t *testing.T, stored []byte) (n int) {
	t.Helper()
	var list []map[string]any
	if json.Unmarshal(stored, &list) == nil {
		return len(list)
	}
	lines := bufio.NewScanner(bytes.NewReader(stored))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var record map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &record))
		require.NotEmpty(t, record)
		n++
	}
	return n
}
