//go:build awslocal

package aws_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

var update = flag.Bool("update", false, "write testdata/rows-today.json anew")

// rows are those of tables in DynamoDB's own JSON, by table.
type rows map[string][]map[string]map[string]json.RawMessage

// golden are the tables of events and deliveries.
var golden = []string{"BatchesTable", "DeadLettersTable", "DeliveriesTable", "EventLogTable", "EventsTable",
	"IntakesTable", "OutboxTable"}

// raw makes a call of DynamoDB as it goes over the wire.
func (w *world) raw(t *testing.T, action string, body any, out any) {
	t.Helper()
	sent, err := json.Marshal(body)
	require.NoError(t, err)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, servers.Dynamo, bytes.NewReader(sent))
	require.NoError(t, err)
	q.Header.Set("Content-Type", "application/x-amz-json-1.0")
	q.Header.Set("X-Amz-Target", "DynamoDB_20120810."+action)
	q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20230301/eu-west-1/dynamodb/aws4_request, "+
		"SignedHeaders=host, Signature=0")
	a, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer a.Body.Close()
	require.Equal(t, http.StatusOK, a.StatusCode, action)
	require.NoError(t, json.NewDecoder(a.Body).Decode(out))
}

func (w *world) stored(t *testing.T) rows {
	t.Helper()
	out := rows{}
	for _, table := range golden {
		var page struct {
			Items []map[string]map[string]json.RawMessage
		}
		w.raw(t, "Scan", map[string]any{"TableName": w.prefix + table, "ConsistentRead": true}, &page)
		out[table] = page.Items
	}
	return out
}

func (w *world) restore(t *testing.T, r rows) {
	t.Helper()
	for table, items := range r {
		for _, item := range items {
			w.raw(t, "PutItem", map[string]any{"TableName": w.prefix + table, "Item": item}, &struct{}{})
		}
	}
}

// shapes are the kinds of rows: the names and types of their attributes.
func (r rows) shapes() map[string][]string {
	out := map[string][]string{}
	for table, items := range r {
		for _, item := range items {
			var attributes []string
			for _, name := range slices.Sorted(maps.Keys(item)) {
				for kind := range item[name] {
					attributes = append(attributes, name+" "+kind)
				}
			}
			out[table] = append(out[table], strings.Join(attributes, ", "))
		}
		slices.Sort(out[table])
		out[table] = slices.Compact(out[table])
	}
	return out
}

// oneOfEach writes a row of each kind: events of an intake that go to an integration and into the open batch window of
// another, one that is rejected, and a delivery in a retry batch.
func oneOfEach(t *testing.T, d *stores) {
	t.Helper()
	a, b := accepted("a", "/a"), accepted("b", "/b")
	waits := pending(idOf(2), a, b)
	waits.Integration, waits.Due = "file", now().Add(10*time.Minute)
	fails := pending(idOf(3), b)
	require.NoError(t, d.Accept(t.Context(), fanout.Intake{
		Accepted: []fanout.Accepted{a, b}, Rejected: []fanout.Rejected{odd("it is odd")},
		Deliveries: []delivery.Delivery{pending(idOf(1), a, b), waits, fails},
	}))
	fails = failedOnce(fails, "batch-1")
	fails.Attempts = []delivery.Attempt{{At: now(), Status: 500, Reason: "it is down", Answer: "500"}}
	claimed, _, err := d.Claim(t.Context(), "batch-1", []delivery.Delivery{fails})
	require.NoError(t, err)
	require.Equal(t, 1, claimed)
}

// readOneOfEach reads what oneOfEach wrote.
func readOneOfEach(t *testing.T, d *stores) {
	t.Helper()
	a, b := accepted("a", "/a"), accepted("b", "/b")
	for integration, ids := range map[string][]string{"i": {idOf(1), idOf(3)}, "file": {idOf(2)}} {
		for _, id := range ids {
			got, err := d.Get(t.Context(), "42", integration, id)
			require.NoError(t, err)
			want := []event.Event{a.Event, b.Event}
			if id == idOf(3) {
				want = want[1:]
				require.Equal(t, delivery.Retrying, got.State)
				require.Len(t, got.Attempts, 1)
			}
			require.Equal(t, want, got.Events)
		}
	}
	batch, err := d.Batch(t.Context(), "batch-1")
	require.NoError(t, err)
	require.Equal(t, []string{idOf(3)}, batch.IDs)
	letters, err := d.DeadLetters(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "it is odd", letters[0].Reason)
	require.Equal(t, []fanout.Standing{fanout.Known, fanout.Known, fanout.Fresh},
		begin(t, d, a, b, accepted("new", "/")))
	arrived, _, err := d.Arrived(t.Context(), "42", now().Add(-time.Hour), now().Add(time.Hour), "", 100)
	require.NoError(t, err)
	require.Len(t, arrived, 2)
	carried, err := d.Carried(t.Context(), "42", "file", arrived)
	require.NoError(t, err)
	require.Equal(t, []bool{true, true}, carried)
	_, err = d.Sweep(t.Context())
	require.NoError(t, err)
}

// TestTheRowsOfTodayAreThoseInTestdata fails when the layout of a row changes: then testdata/rows-today.json is kept
// under another name that begins with rows-, which TestTheRowsOfAllReleasesAreRead goes on reading, and -update writes
// it anew. docs/versions.md has the rule.
func TestTheRowsOfTodayAreThoseInTestdata(t *testing.T) {
	w := open(t)
	d, _ := w.clocked()
	oneOfEach(t, d)
	today := w.stored(t)
	name := filepath.Join("testdata", "rows-today.json")
	if *update {
		raw, err := json.MarshalIndent(today, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, append(raw, '\n'), 0o644))
	}
	for _, table := range golden {
		require.NotEmpty(t, today[table], "%s has no row", table)
	}
	require.Equal(t, readRows(t, name).shapes(), today.shapes())
	readOneOfEach(t, d)
}

func readRows(t *testing.T, name string) (out rows) {
	t.Helper()
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

func TestTheRowsOfAllReleasesAreRead(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "rows-*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			w := open(t)
			d, _ := w.clocked()
			w.restore(t, readRows(t, name))
			readOneOfEach(t, d)
		})
	}
}
