package meter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal/meter"
)

// items answers the meter's own calls: a table with one index, and one item whose size changes.
type items struct{ before string }

func (s *items) call(action string, _ []byte) ([]byte, error) {
	if action == "DescribeTable" {
		return []byte(`{"Table":{"KeySchema":[{"AttributeName":"id"}],"GlobalSecondaryIndexes":[
			{"KeySchema":[{"AttributeName":"trouble"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}]}}`), nil
	}
	if s.before == "" {
		return []byte(`{}`), nil
	}
	return []byte(`{"Item":` + s.before + `}`), nil
}

func row(bytes int, more string) string {
	return fmt.Sprintf(`{"id":{"S":"a"},"body":{"S":%q}%s}`, strings.Repeat("x", bytes), more)
}

// metered is a call and what it costs.
type metered struct {
	name, action, body string
	before, after      string // the item
	status             int
	answer             string
	read, write        float64
}

func (c metered) test(t *testing.T) {
	var m meter.Meter
	s := &items{before: c.before}
	if c.status == 0 {
		c.status = http.StatusOK
	}
	before := m.Before(s.call, c.action, []byte(c.body))
	s.before = c.after
	m.After(s.call, c.action, []byte(c.body), c.status, []byte(c.answer), before)
	units, _ := m.Units()
	require.Equal(t, c.read, units["read"], "read")
	require.Equal(t, c.write, units["write"], "write")
}

func TestTheMeterCountsWriteUnitsAsDynamoDBDoes(t *testing.T) {
	const trouble = `,"trouble":{"S":"t"}`
	put := func(item string) string { return `{"TableName":"T","Item":` + item + `}` }
	transaction := func(what string) string { return `{"TransactItems":[` + what + `]}` }
	for _, c := range []metered{
		{name: "a new item of 4 KB", action: "PutItem", body: put(row(4000, "")), after: row(4000, ""), write: 4},
		{name: "a small one over one of 4 KB costs the larger", action: "PutItem", body: put(row(10, "")),
			before: row(4000, ""), after: row(10, ""), write: 4},
		{name: "an update of an item of 4 KB in a transaction costs twice its size", action: "TransactWriteItems",
			body: transaction(`{"Update":{"TableName":"T","Key":{"id":{"S":"a"}}}}`), before: row(4000, ""),
			after: row(4000, ""), write: 8},
		{name: "a cancelled transaction costs the same", action: "TransactWriteItems", status: 400,
			answer: `{"__type":"TransactionCanceledException"}`,
			body:   transaction(`{"Put":{"TableName":"T","Item":` + row(1500, "") + `}}`), write: 4},
		{name: "a condition that does not hold costs the write", action: "PutItem", status: 400,
			answer: `{"__type":"ConditionalCheckFailedException"}`,
			body:   put(row(10, "")), before: row(2000, ""), after: row(2000, ""), write: 2},
		{name: "what is throttled costs nothing", action: "PutItem", status: 400,
			answer: `{"__type":"ThrottlingException"}`, body: put(row(10, ""))},
		{name: "coming into an index", action: "PutItem", body: put(row(10, trouble)), before: row(10, ""),
			after: row(10, trouble), write: 2},
		{name: "an index that keeps the keys alone is left in peace by a new body", action: "PutItem",
			body: put(row(20, trouble)), before: row(10, trouble), after: row(20, trouble), write: 1},
		{name: "another key in the index is two writes", action: "PutItem", body: put(row(10, `,"trouble":{"S":"u"}`)),
			before: row(10, trouble), after: row(10, `,"trouble":{"S":"u"}`), write: 3},
		{name: "PartiQL inserts", action: "BatchExecuteStatement", after: row(1500, ""),
			body: `{"Statements":[{"Statement":"INSERT INTO \"T\" VALUE {'id': ?, 'body': ?}","Parameters":[{"S":"a"},{"S":"` +
				strings.Repeat("x", 1500) + `"}]}]}`, write: 2},
		{name: "PartiQL updates", action: "BatchExecuteStatement", before: row(1500, ""), after: row(1500, ""),
			body: `{"Statements":[{"Statement":"UPDATE \"T\" SET \"n\"=? WHERE \"id\"=? AND \"n\"=?",
				"Parameters":[{"N":"2"},{"S":"a"},{"N":"1"}]}]}`, write: 2},
	} {
		t.Run(c.name, c.test)
	}
}

func TestTheMeterCountsReadUnitsAsDynamoDBDoes(t *testing.T) {
	for _, c := range []metered{
		{name: "a read of 9 KB", action: "GetItem", body: `{"TableName":"T","ConsistentRead":true}`,
			answer: `{"Item":` + row(9000, "") + `}`, read: 3},
		{name: "half when it need not be consistent", action: "GetItem", body: `{"TableName":"T"}`,
			answer: `{"Item":` + row(9000, "") + `}`, read: 1.5},
		{name: "what is not there costs a read", action: "GetItem", body: `{"TableName":"T","ConsistentRead":true}`,
			answer: `{}`, read: 1},
		{name: "each item of a batch is rounded, and what is missing counts", action: "BatchGetItem",
			body:   `{"RequestItems":{"T":{"ConsistentRead":true,"Keys":[{"id":{"S":"a"}},{"id":{"S":"b"}},{"id":{"S":"c"}}]}}}`,
			answer: `{"Responses":{"T":[` + row(5000, "") + `,` + row(10, "") + `]},"UnprocessedKeys":{}}`, read: 4},
		{name: "each partition that PartiQL finds empty costs a read", action: "ExecuteStatement",
			body: `{"Statement":"SELECT \"id\" FROM \"T\".\"i\" WHERE \"id\" IN [?, ?, ?] AND \"n\" >= ?",
				"Parameters":[{"S":"a"},{"S":"b"},{"S":"c"},{"N":"1"}]}`,
			answer: `{"Items":[],"ConsumedCapacity":{"CapacityUnits":0.5}}`, read: 1.5},
		{name: "an empty query costs a read", action: "Query", body: `{"TableName":"T","ConsistentRead":true}`,
			answer: `{"Items":[]}`, read: 1},
	} {
		t.Run(c.name, c.test)
	}
}

func TestTheSizeOfAnItem(t *testing.T) {
	var item map[string]any
	require.NoError(t, json.Unmarshal([]byte(`{"id":{"S":"abc"},"n":{"N":"1234"},"b":{"B":"AQID"},
		"l":{"L":[{"S":"x"},{"S":"yz"}]},"m":{"M":{"k":{"S":"v"}}},"t":{"BOOL":true}}`), &item))
	require.Equal(t, 2+3+1+3+1+3+1+3+(1+1)+(1+2)+1+3+(1+1+1)+1+1, meter.SizeOf(item))
}
