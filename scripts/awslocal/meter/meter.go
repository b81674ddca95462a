// Package meter counts what calls of DynamoDB cost, and stands between the functions and DynamoDB Local.
package meter

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// Meter counts the capacity units of DynamoDB as its documents count them (developer guide, "DynamoDB read and write
// operations" and "Item sizes and formats"). DynamoDB Local's own numbers are not taken: it counts one item of a
// transaction, and nothing for what is not there.
//
// A write costs a unit for each KB of the larger of the item before and the item after it, also when its condition
// does not hold; in a transaction twice that, also when that is cancelled. Each entry that changes in an index costs
// on top. A read costs a unit for each 4 KB of each item when it is consistent, else half; what is not there costs as
// much as the smallest item. A Query adds its items up before it rounds.
type Meter struct {
	mu     sync.Mutex
	units  map[string]float64 // read, write
	tables map[string]float64 // "write Events"
	keys   map[string]float64 // written, by "table/partition key"
	known  map[string]*table
}

// Caller makes a call of DynamoDB for the meter, which looks at items before and after a write.
type Caller func(action string, body []byte) ([]byte, error)

type table struct {
	key     []string
	indexes []index
}

type index struct {
	key []string
	all bool
}

// Units are those since the last time: "read" and "write", and the same by table.
func (m *Meter) Units() (units, tables map[string]float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	units, tables = m.units, m.tables
	m.units, m.tables = nil, nil
	if units == nil {
		units, tables = map[string]float64{}, map[string]float64{}
	}
	return units, tables
}

// Hottest is the partition key of a table to which most was written since the last time, with the units. One takes
// 1,000 a second (developer guide, "Designing partition keys"): a tenant cannot be faster than that.
func (m *Meter) Hottest() (name string, units float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, u := range m.keys {
		if u > units {
			name, units = k, u
		}
	}
	m.keys = nil
	return name, units
}

func (m *Meter) heat(table string, key any, units float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[string]float64{}
	}
	k, _ := key.(typed)
	m.keys[fmt.Sprintf("%s/%v", table, k["S"])] += units
}

func (m *Meter) add(kind, table string, units float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.units == nil {
		m.units, m.tables = map[string]float64{}, map[string]float64{}
	}
	m.units[kind] += units
	m.tables[kind+" "+table] += units
}

type typed = map[string]any // an item, or a key, with its types: {"id": {"S": "x"}}

// write is one item that a call writes.
type write struct {
	table  string
	key    typed
	put    typed // the whole new item, nil when it is not known before
	weight float64
	gone   bool // it is deleted
}

// Before looks at the items that a call is about to write.
func (m *Meter) Before(call Caller, action string, body []byte) []typed {
	if m == nil {
		return nil
	}
	return m.look(call, m.writes(call, action, body))
}

// After counts a call. before is what Before answered.
func (m *Meter) After(call Caller, action string, body []byte, status int, answer []byte, before []typed) {
	if m == nil {
		return
	}
	if reads[action] || action == "ExecuteStatement" && selects(body) {
		m.read(action, body, status, answer)
		return
	}
	list := m.writes(call, action, body)
	refused := status >= http.StatusInternalServerError || status == http.StatusBadRequest &&
		!strings.Contains(string(answer), "ConditionalCheckFailed") &&
		!strings.Contains(string(answer), "TransactionCanceled")
	if len(list) == 0 || refused {
		return // it was not let in: nothing is consumed
	}
	after := m.look(call, list)
	for n, w := range list {
		size := max(SizeOf(before[n]), SizeOf(after[n]), 1)
		if w.put != nil {
			size = max(size, SizeOf(w.put))
		}
		units := math.Ceil(float64(size) / 1024)
		for _, i := range m.table(call, w.table).indexes {
			units += i.units(before[n], after[n])
		}
		m.add("write", w.table, w.weight*units)
		if key := m.table(call, w.table).key; len(key) > 0 {
			m.heat(w.table, w.key[key[0]], w.weight*units)
		}
	}
}

// reads are the actions that read.
var reads = map[string]bool{"GetItem": true, "BatchGetItem": true, "Query": true, "Scan": true,
	"TransactGetItems": true}

// selects reports whether a statement of PartiQL reads.
func selects(body []byte) bool {
	var q struct{ Statement string }
	return json.Unmarshal(body, &q) == nil && strings.HasPrefix(strings.ToUpper(q.Statement), "SELECT")
}

// units are what a change of an item costs in the index.
func (i index) units(before, after typed) float64 {
	was, is := i.entry(before), i.entry(after)
	switch {
	case was == nil && is == nil || same(was, is):
		return 0
	case was == nil:
		return kilobytes(is)
	case is == nil:
		return kilobytes(was)
	case same(pick(was, i.key), pick(is, i.key)):
		return max(kilobytes(was), kilobytes(is))
	}
	return kilobytes(was) + kilobytes(is) // the old entry goes, a new one comes
}

func kilobytes(i typed) float64 { return math.Ceil(float64(SizeOf(i)) / 1024) }

// entry is what the index holds of an item, nil for nothing.
func (i index) entry(of typed) typed {
	for _, name := range i.key {
		if of[name] == nil {
			return nil
		}
	}
	if i.all {
		return of
	}
	return pick(of, i.key)
}

func pick(of typed, names []string) typed {
	out := typed{}
	for _, n := range names {
		if of[n] != nil {
			out[n] = of[n]
		}
	}
	return out
}

func same(a, b typed) bool {
	x, _ := json.Marshal(a) // they were decoded from JSON
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func (m *Meter) read(action string, body []byte, status int, answer []byte) {
	if status != http.StatusOK {
		return
	}
	type want struct {
		TableName      string
		ConsistentRead bool
		Keys           []typed
	}
	var q struct {
		want
		RequestItems  map[string]want
		TransactItems []struct{ Get want }
		Limit         int
		Statement     string
	}
	var a struct {
		Item             typed
		Responses        json.RawMessage
		ConsumedCapacity struct{ CapacityUnits float64 }
		UnprocessedKeys  map[string]want
	}
	if json.Unmarshal(body, &q) != nil || json.Unmarshal(answer, &a) != nil && action != "BatchGetItem" {
		return
	}
	weight := func(consistent bool) float64 {
		if consistent {
			return 1
		}
		return 0.5
	}
	four := func(i typed) float64 { return math.Ceil(float64(max(1, SizeOf(i))) / 4096) }
	switch action {
	case "GetItem":
		m.add("read", q.TableName, weight(q.ConsistentRead)*four(a.Item))
	case "BatchGetItem":
		var b struct {
			Responses       map[string][]typed
			UnprocessedKeys map[string]want
		}
		_ = json.Unmarshal(answer, &b) // it is DynamoDB's
		for table, w := range q.RequestItems {
			units := 0.0
			for _, i := range b.Responses[table] {
				units += four(i)
			}
			// what is not there
			units += float64(len(w.Keys) - len(b.UnprocessedKeys[table].Keys) - len(b.Responses[table]))
			m.add("read", table, weight(w.ConsistentRead)*units)
		}
	case "TransactGetItems":
		for _, g := range q.TransactItems {
			m.add("read", g.Get.TableName, 2)
		}
	case "ExecuteStatement": // each partition that it names is a query
		_, list, _ := strings.Cut(q.Statement, " IN [")
		list, _, _ = strings.Cut(list, "]")
		partitions := max(1, strings.Count(list, "?"))
		_, from, _ := strings.Cut(q.Statement, ` FROM "`)
		name, _, _ := strings.Cut(from, `"`)
		m.add("read", name, max(a.ConsumedCapacity.CapacityUnits, weight(q.ConsistentRead)*float64(partitions)))
	default: // Query and Scan tell the size of what they looked at, filters or not
		m.add("read", q.TableName, max(a.ConsumedCapacity.CapacityUnits, weight(q.ConsistentRead)))
	}
}

// writes lists what a call writes.
func (m *Meter) writes(call Caller, action string, body []byte) (out []write) {
	type item struct {
		TableName string
		Item, Key typed
	}
	var q struct {
		item
		RequestItems map[string][]struct {
			PutRequest    *struct{ Item typed }
			DeleteRequest *struct{ Key typed }
		}
		TransactItems []map[string]item
		Statements    []struct {
			Statement  string
			Parameters []any
		}
		Statement  string
		Parameters []any
	}
	if json.Unmarshal(body, &q) != nil {
		return nil
	}
	one := func(kind string, i item, weight float64) {
		w := write{table: i.TableName, key: i.Key, put: i.Item, weight: weight, gone: kind == "Delete"}
		if i.Item != nil {
			w.key = pick(i.Item, m.table(call, i.TableName).key)
		}
		out = append(out, w)
	}
	switch action {
	case "PutItem", "UpdateItem", "DeleteItem":
		one(strings.TrimSuffix(action, "Item"), q.item, 1)
	case "BatchWriteItem":
		for table, list := range q.RequestItems {
			for _, r := range list {
				if r.PutRequest != nil {
					one("Put", item{TableName: table, Item: r.PutRequest.Item}, 1)
				} else if r.DeleteRequest != nil {
					one("Delete", item{TableName: table, Key: r.DeleteRequest.Key}, 1)
				}
			}
		}
	case "TransactWriteItems":
		for _, t := range q.TransactItems {
			for kind, i := range t {
				one(kind, i, 2)
			}
		}
	case "BatchExecuteStatement":
		for _, s := range q.Statements {
			if w, ok := m.statement(call, s.Statement, s.Parameters); ok {
				out = append(out, w)
			}
		}
	case "ExecuteStatement":
		if w, ok := m.statement(call, q.Statement, q.Parameters); ok {
			out = append(out, w)
		}
	}
	return out
}

var (
	inTable   = regexp.MustCompile(`(?i)(?:INTO|UPDATE|FROM)\s+"([^"]+)"`)
	inValue   = regexp.MustCompile(`'([^']+)'\s*:\s*\?`)
	condition = regexp.MustCompile(`"?([A-Za-z_]+)"?\s*=\s*\?`)
)

// statement is a write in PartiQL with its values as parameters; false where it is none.
func (m *Meter) statement(call Caller, text string, parameters []any) (write, bool) {
	name := inTable.FindStringSubmatch(text)
	if name == nil || strings.HasPrefix(strings.ToUpper(text), "SELECT") {
		return write{}, false
	}
	w := write{table: name[1], weight: 1, gone: strings.HasPrefix(strings.ToUpper(text), "DELETE")}
	key := m.table(call, w.table).key
	if strings.HasPrefix(strings.ToUpper(text), "INSERT") {
		w.put = typed{}
		for n, f := range inValue.FindAllStringSubmatch(text, -1) {
			if n < len(parameters) {
				w.put[f[1]] = parameters[n]
			}
		}
		w.key = pick(w.put, key)
		return w, len(w.key) == len(key)
	}
	at := strings.Index(strings.ToUpper(text), "WHERE")
	if at < 0 {
		return w, false
	}
	w.key = typed{}
	for _, f := range condition.FindAllStringSubmatchIndex(text[at:], -1) {
		place := strings.Count(text[:at+f[1]-1], "?")
		if name := text[at+f[2] : at+f[3]]; place < len(parameters) {
			w.key[name] = parameters[place]
		}
	}
	w.key = pick(w.key, key)
	return w, len(w.key) == len(key)
}

// look reads items as they are, in their order; nil for what is not there.
func (m *Meter) look(call Caller, list []write) []typed {
	out := make([]typed, len(list))
	for n, w := range list {
		body, err := json.Marshal(map[string]any{"TableName": w.table, "Key": w.key, "ConsistentRead": true})
		if err != nil {
			continue
		}
		got, err := call("GetItem", body)
		var a struct{ Item typed }
		if err == nil && json.Unmarshal(got, &a) == nil {
			out[n] = a.Item
		}
	}
	return out
}

// table asks for a table's keys once.
func (m *Meter) table(call Caller, name string) *table {
	m.mu.Lock()
	t := m.known[name]
	m.mu.Unlock()
	if t != nil {
		return t
	}
	type schema []struct{ AttributeName string }
	var d struct {
		Table struct {
			KeySchema              schema
			GlobalSecondaryIndexes []struct {
				KeySchema  schema
				Projection struct{ ProjectionType string }
			}
		}
	}
	t = &table{}
	body, _ := json.Marshal(map[string]string{"TableName": name})
	got, err := call("DescribeTable", body)
	if err != nil || json.Unmarshal(got, &d) != nil {
		return t
	}
	for _, k := range d.Table.KeySchema {
		t.key = append(t.key, k.AttributeName)
	}
	for _, g := range d.Table.GlobalSecondaryIndexes {
		i := index{all: g.Projection.ProjectionType == "ALL"}
		i.key = append(i.key, t.key...)
		for _, k := range g.KeySchema {
			i.key = append(i.key, k.AttributeName)
		}
		t.indexes = append(t.indexes, i)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = maps.Clone(m.known)
	if m.known == nil {
		m.known = map[string]*table{}
	}
	m.known[name] = t
	return t
}

// SizeOf is the size of an item in bytes (DynamoDB developer guide, "Item sizes and formats").
func SizeOf(item map[string]any) (n int) {
	for name, v := range item {
		n += len(name) + valueSize(v)
	}
	return n
}

func valueSize(v any) int {
	typed, _ := v.(map[string]any)
	for kind, value := range typed {
		switch value := value.(type) {
		case string:
			switch kind {
			case "B":
				return len(value)/4*3 - strings.Count(value[max(0, len(value)-2):], "=")
			case "N":
				return 1 + (len(strings.Trim(strings.TrimLeft(value, "-"), "0"))+1)/2 + strings.Count(value, "-")
			}
			return len(value)
		case []any:
			n := 3
			for _, element := range value {
				switch element := element.(type) {
				case string: // a set
					n += len(element)
				default:
					n += 1 + valueSize(element)
				}
			}
			return n
		case map[string]any:
			return 3 + len(value) + SizeOf(value)
		}
		return 1 // a boolean, or null
	}
	return 0
}
