package table_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/table"
)

// paged answers statements in one of the ways in which "pages of up to 10 items" can be meant: up to so many keys of
// the list on a page, and up to so many rows.
type paged struct {
	rows       map[string]int // by key
	keys, most int
	calls      atomic.Int64
}

func (p *paged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.calls.Add(1)
	var q struct {
		Parameters []struct{ S string }
		NextToken  string
	}
	var place, row int // the next key, and the next of its rows
	if json.NewDecoder(r.Body).Decode(&q) != nil || q.NextToken != "" && !read(q.NextToken, &place, &row) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	items := []map[string]map[string]string{}
	for end := place + p.keys; place < min(end, len(q.Parameters)) && len(items) < p.most; {
		key := q.Parameters[place].S
		if row >= p.rows[key] {
			place, row = place+1, 0
			continue
		}
		items = append(items, map[string]map[string]string{"lane": {"S": key}, "id": {"S": fmt.Sprint(row)}})
		row++
	}
	answer := map[string]any{"Items": items}
	if place < len(q.Parameters) {
		answer["NextToken"] = fmt.Sprintf("%d %d", place, row)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(answer)
}

func read(token string, place, row *int) bool {
	_, err := fmt.Sscanf(token, "%d %d", place, row)
	return err == nil
}

func TestManyPartitionsAreReadInWholeOrLeftToQueries(t *testing.T) {
	const all = 1 << 30
	for name, of := range map[string]struct {
		partitions  int
		every, rows int // each so manieth partition has so many rows
		keys, most  int // of a page
		left, calls int
	}{
		"few":                   {127, 1, 1, all, all, 127, 0},
		"a page holds all":      {500, 1, 20, all, all, 0, 10},
		"a page holds ten keys": {500, 1, 20, 10, all, 0, 50},
		"a page holds ten rows, and few have any":  {500, 10, 4, all, 10, 0, 30},
		"a page holds ten rows, and all have some": {500, 1, 20, all, 10, 500, 10},
		"more rows than are wanted":                {500, 1, 100, all, 3000, 500, 1},
		"one less than a statement":                {149, 1, 1, all, all, 0, 3},
		"one more than two statements":             {151, 1, 1, all, all, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &paged{rows: map[string]int{}, keys: of.keys, most: of.most}
			var keys []string
			want := map[string]int{}
			for n := range of.partitions {
				keys = append(keys, fmt.Sprint("p", n))
				if n%of.every == 0 {
					fake.rows[keys[n]] = of.rows
					want[keys[n]] = of.rows
				}
			}
			p := &table.Partitions{Table: "T", Key: "lane", Most: 2500, AtOnce: 4}
			got := map[string]int{}
			rest, err := p.Read(t.Context(), client(fake), keys, func(key string, rows []table.Item) error {
				require.NotContains(t, got, key, "a partition is visited once")
				got[key] = len(rows)
				for n, row := range rows {
					require.Equal(t, fmt.Sprint(n), table.TextOf(row, "id"))
				}
				return nil
			})
			require.NoError(t, err)
			require.Len(t, rest, of.left)
			for _, key := range rest {
				delete(want, key)
			}
			require.Equal(t, want, got)
			require.EqualValues(t, of.calls, fake.calls.Load())
		})
	}
}

// A statement that is not worth it leaves its own partitions to queries, and no others.
func TestAStatementThatIsGivenUpLeavesItsOwnPartitions(t *testing.T) {
	fake := &paged{rows: map[string]int{}, keys: 1 << 30, most: 10}
	var keys []string
	for n := range 200 {
		keys = append(keys, fmt.Sprint("p", n))
		fake.rows[keys[n]] = 1
	}
	fake.rows["p120"] = 1000
	p := &table.Partitions{Table: "T", Key: "lane", Most: 2500, AtOnce: 4}
	got := map[string]bool{}
	rest, err := p.Read(t.Context(), client(fake), keys, func(key string, _ []table.Item) error {
		got[key] = true
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, keys[100:150], rest)
	require.Equal(t, slices.Sorted(slices.Values(append(slices.Clone(keys[:100]), keys[150:]...))),
		slices.Sorted(maps.Keys(got)))
}

// client is one without a network.
func client(h http.Handler) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "eu-central-1", DisableValidateResponseChecksum: true,
		HTTPClient:  direct{h},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
}

type direct struct{ to http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.to.ServeHTTP(w, r)
	return w.Result(), nil
}
