package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/scripts/awslocal"
	"tocsin/scripts/awslocal/meter"
)

// services by their names in X-Amz-Target.
var services = map[string]string{
	"DynamoDB_20120810": "DynamoDB", "AmazonSQS": "SQS", "AWSStepFunctions": "Step Functions", "TrentService": "KMS",
	"AWSEvents": "EventBridge",
}

// Handler is a function's code in one sandbox: what aws-lambda-go makes of a handler.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// Cloud is an account with the stack of template.yaml.
type Cloud struct {
	Seed     uint64
	Template *awslocal.Template
	Prefix   string // of table names
	Queues   map[string]*Queue
	// Functions by their names, "Fanout"; see Deploy.
	Functions map[string]*Function
	Machine   *Machine
	// Faults draws the fault of a call; nil = none.
	Faults func(Call) Fault
	// Latency of a call; nil = a millisecond.
	Latency func(Call) time.Duration
	// Seen is told of every call with its fault, nil = nobody. It must be quick.
	Seen func(Call, Fault)
	// Change alters a call on its way; nil = nothing does. A test that breaks something uses it.
	Change func(Call, []byte) []byte
	// Meter counts what DynamoDB consumes; nil = nobody.
	Meter *meter.Meter
	// Untidy are the chances of what SQS and EventBridge may do besides failing.
	Untidy Untidy

	// DynamoCalls counts what DynamoDB Local was asked: it is what a run's time goes into.
	DynamoCalls atomic.Int64

	dynamo *wire
	kms    http.Handler
	keys   map[string][]string // attributes of a table's key, by its name
	work   sync.WaitGroup
	ctx    context.Context
	stop   context.CancelFunc

	mu        sync.Mutex
	problems  []string
	puts      int
	held      map[string]bool // items in a transaction under way
	published []Published
}

// Published is an event that came to the bus.
type Published struct{ ID, Tenant, DetailType string }

// Untidy are chances from 0 to 1.
type Untidy struct {
	Twice  float64       // a message that is received stays visible, too: at-least-once delivery
	Repeat float64       // EventBridge hands an event over twice
	Late   time.Duration // how late EventBridge is, at most
	Small  float64       // a receive brings only some of what is there
	Again  float64       // Step Functions calls a task again after it succeeded
}

// Options of a Cloud.
type Options struct {
	Root   string // of the repository
	Seed   uint64
	Dynamo string // address
	Prefix string // of table names, which exist
}

// New makes a cloud. Make it within the bubble and Close it there.
func New(ctx context.Context, template *awslocal.Template, o Options) (*Cloud, error) {
	c := &Cloud{
		Seed: o.Seed, Template: template, Prefix: o.Prefix, Queues: map[string]*Queue{},
		Functions: map[string]*Function{}, keys: map[string][]string{}, held: map[string]bool{},
	}
	c.ctx, c.stop = context.WithCancel(ctx)
	var err error
	if c.dynamo, err = newWire(o.Dynamo); err != nil {
		return nil, err
	}
	if c.kms, err = awslocal.NewKMS(); err != nil {
		return nil, err
	}
	for id, r := range template.Resources {
		switch r.Type {
		case "AWS::DynamoDB::Table":
			list, _ := awslocal.At(r.Properties, "KeySchema").([]any)
			for _, k := range list {
				c.keys[id] = append(c.keys[id], awslocal.Text(awslocal.At(k, "AttributeName")))
			}
		case "AWS::SQS::Queue":
			c.Queues[id] = newQueue(c, id, r)
		}
	}
	for id, r := range template.Resources {
		if r.Type != "AWS::SQS::Queue" {
			continue
		}
		if policy := awslocal.At(r.Properties, "RedrivePolicy"); policy != nil {
			c.Queues[id].dead = c.Queues[awslocal.Target(awslocal.At(policy, "deadLetterTargetArn"))]
			c.Queues[id].most = awslocal.Number(awslocal.At(policy, "maxReceiveCount"))
		}
	}
	definition, err := template.Definition(o.Root, map[string]string{
		"RetryFunctionArn": "Retry", "Partition": "aws", "DeadLetterQueueUrl": c.Queues["RetryDeadLetters"].URL,
	})
	if err != nil {
		return nil, err
	}
	c.Machine, err = newMachine(c, definition)
	return c, err
}

// Root is where the repository is, from a folder two below it.
func Root(up ...string) string { return filepath.Join(append([]string{".."}, up...)...) }

// Close ends everything and waits for it.
func (c *Cloud) Close() {
	c.stop()
	c.work.Wait()
	c.dynamo.close()
}

// Sandbox makes an execution environment.
func (c *Cloud) Sandbox(function string, skew time.Duration) *Sandbox {
	return &Sandbox{Function: function, Skew: skew, cloud: c}
}

// Problem notes what the models could not do, or what must not happen. The tests fail for it.
func (c *Cloud) Problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// Problems are those so far.
func (c *Cloud) Problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.problems...)
}

func (c *Cloud) draw(call Call) (f Fault) {
	if c.Faults != nil {
		f = c.Faults(call)
	}
	if c.Seen != nil {
		c.Seen(call, f)
	}
	return f
}

func (c *Cloud) latency(call Call) time.Duration {
	if c.Latency == nil {
		return time.Millisecond
	}
	return c.Latency(call)
}

func (c *Cloud) random(words ...any) *rand.Rand { return Random(c.Seed, words...) }

// serve is the effect of a call. fault is None, or one that changes the effect or comes after it.
func (c *Cloud) serve(call Call, target string, body []byte, fault Kind) (int, []byte, error) {
	switch call.Service {
	case "DynamoDB":
		return c.serveDynamo(call, target, body, fault)
	case "SQS":
		return c.serveQueues(call, body, fault)
	case "Step Functions":
		return c.serveStates(call, body)
	case "EventBridge":
		return c.serveBus(call, body)
	case "KMS":
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", target)
		c.kms.ServeHTTP(w, r)
		return w.Code, w.Body.Bytes(), nil
	}
	c.Problem("the model knows no %s", target)
	return http.StatusBadRequest, []byte(`{"__type":"UnknownOperationException"}`), nil
}

func answer(v any) (int, []byte, error) {
	raw, err := json.Marshal(v)
	return http.StatusOK, raw, err
}

func refuse(kind, why string) (int, []byte, error) {
	raw, err := json.Marshal(map[string]string{"__type": kind, "message": why})
	return http.StatusBadRequest, raw, err
}

// serveBus is PutEvents: every entry goes to the events queue, perhaps late, perhaps twice.
func (c *Cloud) serveBus(call Call, body []byte) (int, []byte, error) {
	var in struct {
		Entries []struct {
			Source, DetailType, Detail string
			Time                       float64
		}
	}
	if call.Action != "PutEvents" {
		c.Problem("the model knows no %s of EventBridge", call.Action)
		return refuse("UnknownOperationException", call.Action)
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return 0, nil, err
	}
	type taken struct{ EventId string }
	var out struct {
		FailedEntryCount int
		Entries          []taken
	}
	for _, e := range in.Entries {
		out.Entries = append(out.Entries, taken{c.Publish(e.DetailType, []byte(e.Detail))})
	}
	return answer(out)
}

// Publish is how an event comes to the bus.
func (c *Cloud) Publish(detailType string, detail []byte) (id string) {
	c.mu.Lock()
	c.puts++
	n := c.puts
	c.mu.Unlock()
	r := c.random("bus", n)
	id = fmt.Sprintf("bus-%d", n)
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": id, "detail-type": detailType, "source": "upstream", "account": "000000000000",
		"time": time.Now().UTC().Format(time.RFC3339), "region": "eu-west-1", "resources": []string{},
		"detail": json.RawMessage(detail),
	})
	if err != nil {
		c.Problem("publish %s: %v", detailType, err)
		return id
	}
	times := 1
	if r.Float64() < c.Untidy.Repeat {
		times = 2
	}
	var d struct{ ID, Tenant string }
	_ = json.Unmarshal(detail, &d) // one that has none has no group
	c.mu.Lock()
	c.published = append(c.published, Published{d.ID, d.Tenant, detailType})
	c.mu.Unlock()
	for range times {
		after := time.Duration(r.Int64N(int64(c.Untidy.Late) + 1))
		c.Queues["EventsQueue"].put(&Message{Body: string(body), Group: d.Tenant}, after)
	}
	return id
}

// Published are the events that came to the bus so far.
func (c *Cloud) Published() []Published {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Published(nil), c.published...)
}

// tablesOf are the tables of a call as the template names them.
func (c *Cloud) tablesOf(action string, body []byte) string {
	var q struct {
		TableName     string
		RequestItems  map[string]json.RawMessage
		TransactItems []map[string]struct{ TableName string }
		Statements    []struct{ Statement string }
		Statement     string
	}
	if json.Unmarshal(body, &q) != nil {
		return ""
	}
	names := map[string]bool{}
	add := func(name string) { names[strings.TrimSuffix(strings.TrimPrefix(name, c.Prefix), "Table")] = true }
	if q.TableName != "" {
		add(q.TableName)
	}
	for name := range q.RequestItems {
		add(name)
	}
	for _, i := range q.TransactItems {
		for _, on := range i {
			add(on.TableName)
		}
	}
	for _, s := range q.Statements {
		if parts := strings.Split(s.Statement, `"`); len(parts) > 1 {
			add(parts[1])
		}
	}
	if _, from, ok := strings.Cut(q.Statement, ` FROM "`); ok {
		name, _, _ := strings.Cut(from, `"`)
		add(name)
	}
	return strings.Join(sorted(names), "+")
}
