package awslocal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"

	"tocsin/scripts/awslocal/meter"
)

func goarch() string { return runtime.GOARCH }

// Fault is an answer instead of the service's.
type Fault struct {
	Status int
	Type   string // such as ThrottlingException
	After  bool   // the call is carried out, and its answer is lost
}

// Use is an action that a caller took, in the words of IAM. Functions here have their own name as their access key.
type Use struct {
	Caller, Action string
	// a table's name, with /index/… for an index, a key's or a secret's ARN; "" for other services
	Resource string
	Context  string // the names and values of a call of KMS, "name=value" in their order with commas between
}

// Requests are what SQS bills: a call for each 64 KB that it carries (SQS, "Pricing"). Receives that bring nothing are
// left out: how many there are depends on how long one looks, not on what is delivered.
type Requests struct{ Standard, FIFO int }

// Gate stands before a service: it counts the calls, adds up the capacity that DynamoDB consumed, and can answer with
// a fault instead.
type Gate struct {
	URL string

	server *httptest.Server
	target string
	mu     sync.Mutex
	calls  map[string]int
	again  int // see Repeated
	sqs    Requests
	meter  meter.Meter
	used   map[Use]bool
	fault  func(call string) *Fault
}

// NewGate makes a gate before the service at an address.
func NewGate(target string) *Gate {
	g := &Gate{target: target, calls: map[string]int{}, used: map[Use]bool{}}
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

// Repeated are the calls since the last time that a client of AWS made because it had no answer in time: on a machine
// that is busy enough, what it does costs more.
func (g *Gate) Repeated() (calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls, g.again = g.again, 0
	return calls
}

// Calls are the calls since the last time by their names, and the capacity units of DynamoDB: reads and writes.
func (g *Gate) Calls() (calls map[string]int, units map[string]float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls, g.calls = g.calls, map[string]int{}
	units, _ = g.meter.Units()
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
	if sent := r.Header.Get("Amz-Sdk-Request"); sent != "" && !strings.HasPrefix(sent, "attempt=1;") {
		g.again++
	}
	fault := g.fault
	g.mu.Unlock()
	if fault != nil {
		if f := fault(call); f != nil {
			if f.After {
				g.forward(httptest.NewRecorder(), r, body, call, false)
			}
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

// Requests are those of SQS since the last time.
func (g *Gate) Requests() (out Requests) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out, g.sqs = g.sqs, Requests{}
	return out
}

// queued counts what SQS bills for a call.
func (g *Gate) queued(call string, body, answer []byte) {
	var a struct{ Messages []json.RawMessage }
	if call == "ReceiveMessage" && (json.Unmarshal(answer, &a) != nil || len(a.Messages) == 0) {
		return
	}
	const chunk = 64 << 10
	n := 1 + (max(1, len(body), len(answer))-1)/chunk
	var q struct {
		QueueURL string `json:"QueueUrl"`
	}
	_ = json.Unmarshal(body, &q) // a call without a queue is of a standard one
	g.mu.Lock()
	defer g.mu.Unlock()
	if strings.HasSuffix(q.QueueURL, ".fifo") {
		g.sqs.FIFO += n
	} else {
		g.sqs.Standard += n
	}
}

// Uses are the actions that were taken so far.
func (g *Gate) Uses() []Use {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.used))
}

// prefixes are the services' names in IAM, by those in X-Amz-Target.
var prefixes = map[string]string{"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "AWSStepFunctions": "states",
	"TrentService": "kms", "AWSEvents": "events", "secretsmanager": "secretsmanager"}

// usesOf translates a call (Service authorization reference): a transaction needs the actions of its items, sending a
// batch needs sqs:SendMessage.
func usesOf(authorization, service, call string, body []byte) []Use {
	_, caller, _ := strings.Cut(authorization, "Credential=")
	caller, _, _ = strings.Cut(caller, "/")
	action := prefixes[service] + ":" + strings.TrimSuffix(call, "Batch")
	if call == "POST /v2/email/outbound-emails" {
		action = "ses:SendEmail"
	}
	var q struct {
		TableName, IndexName string
		RequestItems         map[string]json.RawMessage
		TransactItems        []map[string]struct{ TableName string }
		Statements           []struct{ Statement string }
		Statement            string
		KeyID                string `json:"KeyId"`
		SecretID             string `json:"SecretId"`
		EncryptionContext    map[string]string
	}
	if json.Unmarshal(body, &q) != nil && service == "DynamoDB_20120810" {
		return nil
	}
	if service != "DynamoDB_20120810" {
		var context []string
		for _, name := range slices.Sorted(maps.Keys(q.EncryptionContext)) {
			context = append(context, name+"="+q.EncryptionContext[name])
		}
		return []Use{{Caller: caller, Action: action, Resource: q.KeyID + q.SecretID,
			Context: strings.Join(context, ",")}}
	}
	var out []Use
	if q.TableName != "" {
		if q.IndexName != "" {
			q.TableName += "/index/" + q.IndexName
		}
		out = append(out, Use{Caller: caller, Action: action, Resource: q.TableName})
	}
	for table := range q.RequestItems {
		out = append(out, Use{Caller: caller, Action: action, Resource: table})
	}
	for _, s := range append(q.Statements, struct{ Statement string }{q.Statement}) {
		if verb, table, ok := statement(s.Statement); ok {
			out = append(out, Use{Caller: caller, Action: "dynamodb:PartiQL" + verb, Resource: table})
		}
	}
	for _, item := range q.TransactItems {
		for kind, on := range item {
			out = append(out, Use{Caller: caller, Action: "dynamodb:" + kind + "Item", Resource: on.TableName})
		}
	}
	return out
}

// statement reads the action and the table of a PartiQL statement (Service authorization reference: PartiQLInsert and
// others).
func statement(text string) (verb, table string, ok bool) {
	words := strings.Fields(text)
	if len(words) > 0 && strings.EqualFold(words[0], "select") { // what it selects is quoted too
		_, text, _ = strings.Cut(text, " FROM ")
	}
	quoted := strings.Split(text, `"`)
	if len(words) == 0 || len(quoted) < 3 {
		return "", "", false
	}
	verb, table = strings.ToLower(words[0]), quoted[1]
	if len(quoted) > 4 && quoted[2] == "." {
		table += "/index/" + quoted[3]
	}
	return strings.ToUpper(verb[:1]) + verb[1:], table, true
}

func (g *Gate) forward(w http.ResponseWriter, r *http.Request, body []byte, call string, dynamo bool) {
	q, err := http.NewRequestWithContext(r.Context(), r.Method, g.target+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var before []map[string]any
	if dynamo {
		before = g.meter.Before(g.look, call, body)
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
	if dynamo {
		g.meter.After(g.look, call, body, answer.StatusCode, got, before)
	}
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.") {
		g.queued(call, body, got)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(got)
}

// look makes a call for the meter, which is counted nowhere.
func (g *Gate) look(action string, body []byte) ([]byte, error) {
	q, err := http.NewRequest(http.MethodPost, g.target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header = http.Header{
		"X-Amz-Target": {"DynamoDB_20120810." + action}, "Content-Type": {"application/x-amz-json-1.0"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=local/20260101/" + region +
			"/dynamodb/aws4_request, Signature=0"},
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// withCapacity asks for the consumed capacity. DynamoDB Local does not check signatures.
func withCapacity(body []byte) []byte {
	var m map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil || m["AttributeDefinitions"] != nil || m["TableName"] == nil &&
		m["RequestItems"] == nil && m["TransactItems"] == nil && m["Statements"] == nil && m["Statement"] == nil {
		return body
	}
	m["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	out, err := json.Marshal(m)
	if err != nil {
		return body
	}
	return out
}
