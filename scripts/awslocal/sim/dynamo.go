package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }

const conflicts = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"

// serveDynamo hands a call on to DynamoDB Local, in part where the fault says so.
func (c *Cloud) serveDynamo(call Call, target string, body []byte, fault Kind) (int, []byte, error) {
	kept := leftover{}
	switch {
	case fault == Conflict && call.Action == "TransactWriteItems":
		return c.cancelled(body)
	case fault == Conflict || fault == Throttled:
		return refuse("com.amazonaws.dynamodb.v20120810#TransactionConflictException", "injected")
	case fault == Partly:
		body, kept = part(call.Action, body)
	}
	c.DynamoCalls.Add(1)
	before := c.Meter.Before(c.measure, call.Action, body)
	status, got, err := c.dynamo.post(header(target), body)
	if err != nil {
		return 0, nil, err
	}
	c.Meter.After(c.measure, call.Action, body, status, got, before)
	if status == http.StatusOK {
		got, err = kept.into(got)
	}
	return status, got, err
}

// hold marks the items of a transaction as being written; false when another transaction is at one of them, which
// DynamoDB answers with a conflict (developer guide, "Transaction conflict handling").
func (c *Cloud) hold(body []byte) (items []string, free bool) {
	type item struct {
		TableName string
		Item, Key map[string]json.RawMessage
	}
	var in struct{ TransactItems []map[string]item }
	if json.Unmarshal(body, &in) != nil {
		return nil, true
	}
	for _, t := range in.TransactItems {
		for _, i := range t {
			name := i.TableName
			for _, k := range c.keys[strings.TrimPrefix(name, c.Prefix)] {
				if v, ok := i.Key[k]; ok {
					name += " " + string(v)
				} else {
					name += " " + string(i.Item[k])
				}
			}
			items = append(items, name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range items {
		if c.held[i] {
			return nil, false
		}
	}
	for _, i := range items {
		c.held[i] = true
	}
	return items, true
}

func (c *Cloud) release(items []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range items {
		delete(c.held, i)
	}
}

// measure is a call of the model itself, to look at items.
func (c *Cloud) measure(action string, body []byte) ([]byte, error) {
	_, got, err := c.dynamo.post(header("DynamoDB_20120810."+action), body)
	return got, err
}

func header(target string) http.Header {
	return http.Header{
		"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-1.0"},
		// DynamoDB Local looks at the key and the region alone.
		"Authorization": {"AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, Signature=0"},
	}
}

// cancelled says that somebody else's transaction was at the first item.
func (c *Cloud) cancelled(body []byte) (int, []byte, error) {
	var in struct{ TransactItems []json.RawMessage }
	if err := json.Unmarshal(body, &in); err != nil {
		return 0, nil, err
	}
	reasons := make([]map[string]string, len(in.TransactItems))
	for n := range reasons {
		reasons[n] = map[string]string{"Code": "None"}
	}
	reasons[0] = map[string]string{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
	raw, err := json.Marshal(map[string]any{"__type": conflicts, "message": "Transaction cancelled",
		"CancellationReasons": reasons})
	return http.StatusBadRequest, raw, err
}

// leftover is what a batch call did not do.
type leftover struct {
	member string // of the answer
	items  map[string]json.RawMessage
	// refused are the places of statements that were not run, of so many.
	refused []int
	of      int
}

// part leaves every second item of a batch out.
func part(action string, body []byte) ([]byte, leftover) {
	var whole map[string]json.RawMessage
	if json.Unmarshal(body, &whole) != nil {
		return body, leftover{}
	}
	var out leftover
	switch action {
	case "BatchWriteItem":
		out = leftover{member: "UnprocessedItems", items: map[string]json.RawMessage{}}
		done := map[string]json.RawMessage{}
		var tables map[string][]json.RawMessage
		_ = json.Unmarshal(whole["RequestItems"], &tables) // what is not so is DynamoDB's to refuse
		for table, writes := range tables {
			first, second := halves(writes)
			if len(first) > 0 {
				done[table] = encode(first)
			}
			if len(second) > 0 {
				out.items[table] = encode(second)
			}
		}
		whole["RequestItems"] = encode(done)
	case "BatchGetItem":
		out = leftover{member: "UnprocessedKeys", items: map[string]json.RawMessage{}}
		done := map[string]json.RawMessage{}
		var tables map[string]map[string]json.RawMessage
		_ = json.Unmarshal(whole["RequestItems"], &tables)
		for table, want := range tables {
			var keys []json.RawMessage
			_ = json.Unmarshal(want["Keys"], &keys)
			first, second := halves(keys)
			rest := maps.Clone(want)
			if want["Keys"] = encode(first); len(first) > 0 {
				done[table] = encode(want)
			}
			if rest["Keys"] = encode(second); len(second) > 0 {
				out.items[table] = encode(rest)
			}
		}
		whole["RequestItems"] = encode(done)
	case "BatchExecuteStatement":
		var list []json.RawMessage
		_ = json.Unmarshal(whole["Statements"], &list)
		first, _ := halves(list)
		out.of = len(list)
		for n := len(first); n < len(list); n++ {
			out.refused = append(out.refused, n)
		}
		whole["Statements"] = encode(first)
	default:
		return body, leftover{}
	}
	return encode(whole), out
}

// halves keeps at least one in the first.
func halves[T any](list []T) (first, second []T) {
	n := (len(list) + 1) / 2
	return list[:n], list[n:]
}

func encode(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded a moment ago
	}
	return raw
}

// into adds what was left over to an answer.
func (l leftover) into(got []byte) ([]byte, error) {
	if l.member == "" && l.of == 0 {
		return got, nil
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(got, &whole); err != nil {
		return nil, fmt.Errorf("read DynamoDB Local's answer %q: %w", strings.TrimSpace(string(got)), err)
	}
	if l.member != "" {
		whole[l.member] = encode(l.items)
	}
	if l.of > 0 {
		var list []json.RawMessage
		if err := json.Unmarshal(whole["Responses"], &list); err != nil {
			return nil, err
		}
		for range l.refused {
			list = append(list,
				json.RawMessage(`{"Error":{"Code":"ProvisionedThroughputExceeded","Message":"injected"}}`))
		}
		whole["Responses"] = encode(list)
	}
	return encode(whole), nil
}
