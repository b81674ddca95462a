package awslocal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
)

func goarch() string { return runtime.GOARCH }

// Fault is an answer instead of the service's.
type Fault struct {
	Status int
	Type   string // such as ThrottlingException
}

// Use is an action that a caller took, in the words of IAM. Functions here have their own name as their access key.
type Use struct {
	Caller, Action string
	Resource       string // a table's name, with /index/… for an index; "" for other services
}

// Gate stands before a service: it counts the calls, adds up the capacity that DynamoDB consumed, and can answer with
// a fault instead.
type Gate struct {
	URL string

	server *httptest.Server
	target string
	mu     sync.Mutex
	calls  map[string]int
	units  map[string]float64
	used   map[Use]bool
	fault  func(call string) *Fault
}

// NewGate makes a gate before the service at an address.
func NewGate(target string) *Gate {
	g := &Gate{target: target, calls: map[string]int{}, units: map[string]float64{}, used: map[Use]bool{}}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	g.URL = g.server.URL
	return g
}

// Close ends the gate.
func (g *Gate) Close() { g.server.Close() }

// Faults sets what answers with a fault; nil = nothing.
func (g *Gate) Faults(fault func(call string) *Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = fault
}

// Calls are the calls since the last time by their names, and the capacity units of DynamoDB: reads and writes.
func (g *Gate) Calls() (calls map[string]int, units map[string]float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls, units = g.calls, g.units
	g.calls, g.units = map[string]int{}, map[string]float64{}
	return calls, units
}

func (g *Gate) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	service, call, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		service, call = "", r.Method+" "+r.URL.Path
	}
	uses := usesOf(r.Header.Get("Authorization"), service, call, body)
	g.mu.Lock()
	for _, u := range uses {
		g.used[u] = true
	}
	g.calls[call]++
	fault := g.fault
	g.mu.Unlock()
	if fault != nil {
		if f := fault(call); f != nil {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.Header().Set("X-Amzn-Errortype", f.Type)
			w.WriteHeader(f.Status)
			fmt.Fprintf(w, `{"__type":%q,"message":"injected"}`, f.Type)
			return
		}
	}
	dynamo := strings.HasPrefix(service, "DynamoDB")
	if dynamo {
		body = withCapacity(body)
	}
	g.forward(w, r, body, call, dynamo)
}

// Uses are the actions that were taken so far.
func (g *Gate) Uses() []Use {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.used))
}

// prefixes are the services' names in IAM, by those in X-Amz-Target.
var prefixes = map[string]string{"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "AWSStepFunctions": "states", "TrentService": "kms", "AWSEvents": "events"}

// usesOf translates a call (Service authorization reference): a transaction needs the actions of its items, sending a
// batch needs sqs:SendMessage.
func usesOf(authorization, service, call string, body []byte) []Use {
	_, caller, _ := strings.Cut(authorization, "Credential=")
	caller, _, _ = strings.Cut(caller, "/")
	action := prefixes[service] + ":" + strings.TrimSuffix(call, "Batch")
	if call == "POST /v2/email/outbound-emails" {
		action = "ses:SendEmail"
	}
	if service != "DynamoDB_20120810" {
		return []Use{{Caller: caller, Action: action}}
	}
	var q struct {
		TableName, IndexName string
		RequestItems         map[string]json.RawMessage
		TransactItems        []map[string]struct{ TableName string }
	}
	if json.Unmarshal(body, &q) != nil {
		return nil
	}
	var out []Use
	if q.TableName != "" {
		if q.IndexName != "" {
			q.TableName += "/index/" + q.IndexName
		}
		out = append(out, Use{caller, action, q.TableName})
	}
	for table := range q.RequestItems {
		out = append(out, Use{caller, action, table})
	}
	for _, item := range q.TransactItems {
		for kind, on := range item {
			out = append(out, Use{caller, "dynamodb:" + kind + "Item", on.TableName})
		}
	}
	return out
}

func (g *Gate) forward(w http.ResponseWriter, r *http.Request, body []byte, call string, dynamo bool) {
	q, err := http.NewRequestWithContext(r.Context(), r.Method, g.target+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	q.Header = r.Header.Clone()
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents.") {
		q.Host = r.Host // it is signed, and the bus looks
	} else {
		q.Header.Del("Accept-Encoding")
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	switch {
	case dynamo && call == "TransactWriteItems":
		g.transacted(body)
	case dynamo && answer.StatusCode == http.StatusOK:
		g.consumed(call, got)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(got)
}

// withCapacity asks for the consumed capacity. DynamoDB Local does not check signatures.
func withCapacity(body []byte) []byte {
	var m map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil || m["TableName"] == nil && m["RequestItems"] == nil && m["TransactItems"] == nil || m["AttributeDefinitions"] != nil {
		return body
	}
	m["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	out, err := json.Marshal(m)
	if err != nil {
		return body
	}
	return out
}

// transacted adds up what a transaction costs: two write units for each item and kilobyte (DynamoDB, "Read/write capacity
// mode"). DynamoDB Local tells the capacity of a single item, and twice of that. An update, a delete and a check count as
// one kilobyte; a transaction that was cancelled costs the same.
func (g *Gate) transacted(body []byte) {
	var q struct {
		TransactItems []struct {
			Put *struct{ Item map[string]any }
		}
	}
	if json.Unmarshal(body, &q) != nil {
		return
	}
	units := 0.0
	for _, w := range q.TransactItems {
		size := 1
		if w.Put != nil {
			size = sizeOf(w.Put.Item)
		}
		units += 2 * math.Ceil(float64(size)/1024)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.units["write"] += units
}

// sizeOf is the size of an item in bytes, as DynamoDB counts it but for numbers, which it packs.
func sizeOf(item map[string]any) (n int) {
	for name, v := range item {
		n += len(name)
		typed, _ := v.(map[string]any)
		for kind, value := range typed {
			switch value := value.(type) {
			case string:
				if kind == "B" {
					n += len(value) * 3 / 4
				} else {
					n += len(value)
				}
			case []any:
				for _, element := range value {
					n += 1 + sizeOf(map[string]any{"": element})
				}
			case map[string]any:
				n += 3 + sizeOf(value)
			default:
				n++
			}
		}
	}
	return n
}

func (g *Gate) consumed(call string, body []byte) {
	var one struct{ ConsumedCapacity json.RawMessage }
	if json.Unmarshal(body, &one) != nil || one.ConsumedCapacity == nil {
		return
	}
	type capacity struct{ CapacityUnits float64 }
	var list []capacity
	if json.Unmarshal(one.ConsumedCapacity, &list) != nil {
		var single capacity
		if json.Unmarshal(one.ConsumedCapacity, &single) != nil {
			return
		}
		list = []capacity{single}
	}
	kind := "write"
	switch call {
	case "GetItem", "BatchGetItem", "Query", "Scan":
		kind = "read"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range list {
		g.units[kind] += c.CapacityUnits
	}
}
