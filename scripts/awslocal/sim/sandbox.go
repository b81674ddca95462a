package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"tocsin/scripts/awslocal"
)

// Call is a call of a service on its way: what faults and latencies are drawn by.
type Call struct {
	Function string // "Fanout", "" = none: a tool's
	// Invocation counts those of the function, Number the calls of the invocation, both from 1.
	Invocation, Number int
	Service, Action    string
	Table              string // of DynamoDB, as the template calls it; several in the order of the alphabet
	Body               string // its beginning
}

// Name is what the call is, without its numbers.
func (c Call) Name() string {
	name := c.Service + " " + c.Action
	if c.Table != "" {
		name += " " + c.Table
	}
	return name
}

// Kind of a fault.
type Kind string

// The faults. Each but Slow is either before the call's effect or after it.
const (
	None      Kind = ""
	Throttled Kind = "throttled"       // refused, no effect
	Broken    Kind = "broken"          // an internal error of the service, no effect
	Unsent    Kind = "unsent"          // the connection broke before the call was read
	Lost      Kind = "answer lost"     // it took effect, the connection broke
	Doubtful  Kind = "doubtful"        // it took effect, the service answered with an internal error
	Partly    Kind = "in part"         // of a batch some items had no effect (DynamoDB, SQS: unprocessed, failed)
	Conflict  Kind = "conflict"        // a transaction of somebody else was at one of the items
	KillFirst Kind = "killed before"   // the function ended before the call
	KillAfter Kind = "killed after"    // the function ended after the call's effect
	Frozen    Kind = "taken very long" // so long that the function's time ends, before the effect
)

// Fault is what happens to a call.
type Fault struct {
	Kind Kind
	// Slow is added to the time that the call takes.
	Slow time.Duration
}

// shownBody is how much of a call's body a Call shows, in bytes.
const shownBody = 600

// ErrKilled: the function ended in the middle of an invocation.
var ErrKilled = errors.New("the function ended in the middle of an invocation")

// Sandbox is an execution environment of a function.
type Sandbox struct {
	Function string
	// Skew is how far its clock is ahead.
	Skew time.Duration

	cloud *Cloud
	mu    sync.Mutex
	dead  bool
	end   context.CancelFunc // of the invocation under way
	nth   int                // the invocation
	calls int                // of it
}

// Now is the sandbox's clock.
func (s *Sandbox) Now() time.Time { return time.Now().Add(s.Skew) }

// attempts is how often the SDK makes a call here; the functions' own number is 6.
const attempts = 3

// Config is an SDK's configuration whose calls go through the sandbox.
func (s *Sandbox) Config() awssdk.Config {
	return awssdk.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("function"+s.Function, "local",
			""), HTTPClient: s,
		BaseEndpoint: awssdk.String("http://sim.invalid"),
		Retryer: func() awssdk.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = attempts, 2*time.Second
			})
		},
	}
}

// invoke makes one invocation. It returns when that ended, was killed, or its time was up.
func (s *Sandbox) invoke(ctx context.Context, nth int, timeout time.Duration, handler Handler,
	payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.mu.Lock()
	s.end, s.nth, s.calls = cancel, nth, 0
	s.mu.Unlock()
	type outcome struct {
		answer []byte
		err    error
	}
	done := make(chan outcome, 1)
	s.cloud.work.Go(func() {
		answer, err := handler(ctx, payload)
		done <- outcome{answer, err}
	})
	select {
	case o := <-done:
		if s.ended() {
			return nil, ErrKilled
		}
		return o.answer, o.err
	case <-ctx.Done():
		s.kill()
		return nil, fmt.Errorf("%w: %w", ErrKilled, ctx.Err())
	}
}

func (s *Sandbox) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *Sandbox) kill() {
	s.mu.Lock()
	s.dead = true
	end := s.end
	s.mu.Unlock()
	if end != nil {
		end()
	}
}

// next counts a call.
func (s *Sandbox) next(c *Call) (alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	c.Function, c.Invocation, c.Number = s.Function, s.nth, s.calls
	return !s.dead
}

// Do is the sandbox's way out, to AWS.
func (s *Sandbox) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	target := r.Header.Get("X-Amz-Target")
	service, action, ok := strings.Cut(target, ".")
	if !ok {
		return nil, fmt.Errorf("the model knows no service behind %s %s", r.Method, r.URL)
	}
	call := Call{Service: services[service], Action: action, Body: string(body[:min(len(body), shownBody)])}
	if call.Service == "DynamoDB" {
		call.Table = s.cloud.tablesOf(action, body)
	}
	var status int
	var answer []byte
	call.Function = s.Function
	if s.cloud.Change != nil {
		body = s.cloud.Change(call, body)
	}
	free := true
	if call.Action == "TransactWriteItems" {
		var items []string
		items, free = s.cloud.hold(body)
		defer s.cloud.release(items)
	}
	failed, err := s.pass(r.Context(), call, func(f Fault) error {
		if !free && f.Kind == None {
			f.Kind = Conflict
		}
		status, answer, err = s.cloud.serve(call, target, body, f.Kind)
		return err
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		status, answer = failed.Status, fmt.Appendf(nil, `{"__type":%q,"message":"injected"}`, failed.Type)
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header,
		Body:   io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)), Request: r,
	}, nil
}

var errReset = errors.New("read tcp: connection reset by peer")

// pass takes a call through its latency and its fault. effect is the call itself.
func (s *Sandbox) pass(ctx context.Context, call Call, effect func(Fault) error) (*awslocal.Fault, error) {
	if !s.next(&call) {
		return nil, ErrKilled
	}
	f := s.cloud.draw(call)
	took := s.cloud.latency(call) + f.Slow
	if f.Kind == Frozen {
		took = time.Hour
	}
	if f.Kind == KillFirst {
		s.kill()
	}
	if err := s.wait(ctx, took/2); err != nil {
		return nil, err
	}
	switch f.Kind {
	case Unsent:
		return nil, errReset
	case Throttled:
		return throttled(call), nil
	case Broken:
		return internal(call), nil
	}
	if err := effect(f); err != nil {
		return nil, err
	}
	if f.Kind == KillAfter {
		s.kill()
	}
	if err := s.wait(ctx, took-took/2); err != nil {
		return nil, err
	}
	switch f.Kind {
	case Lost:
		return nil, errReset
	case Doubtful:
		return internal(call), nil
	}
	return nil, nil
}

// wait lets time pass; an error says that the sandbox or the invocation ended in it.
func (s *Sandbox) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	if s.ended() {
		return ErrKilled
	}
	return ctx.Err()
}

func throttled(c Call) *awslocal.Fault {
	switch {
	case c.Service == "DynamoDB" && c.Number%2 == 0:
		return &awslocal.Fault{Status: http.StatusBadRequest,
			Type: "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}
	case c.Service == "SQS":
		return &awslocal.Fault{Status: http.StatusBadRequest, Type: "com.amazonaws.sqs#RequestThrottled"}
	}
	return &awslocal.Fault{Status: http.StatusBadRequest, Type: "ThrottlingException"}
}

func internal(Call) *awslocal.Fault {
	return &awslocal.Fault{Status: http.StatusInternalServerError, Type: "InternalServerError"}
}

// Random is a generator of its own for what a seed and words name, so that what is drawn does not depend on the order
// in which goroutines come to it.
func Random(seed uint64, words ...any) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range fmt.Appendln(nil, words...) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
