package sim

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"tocsin/scripts/awslocal"
)

// Function is a Lambda function: as many sandboxes as invocations at once, each kept for the next one.
type Function struct {
	Name    string
	Timeout time.Duration
	// Make starts a sandbox: what a function's main does before lambda.Start.
	Make func(*Sandbox) Handler
	// Skew bounds how wrong the sandboxes' clocks are.
	Skew time.Duration
	// Recycle ends a sandbox after so many invocations; 0 = never.
	Recycle int

	cloud *Cloud
	mu    sync.Mutex
	idle  []*environment
	made  int
	calls int
	busy  time.Duration
}

type environment struct {
	*Sandbox
	handler Handler
	used    int
}

// Deploy makes a function of the template, under its logical id without "Function".
func (c *Cloud) Deploy(name string, make func(*Sandbox) Handler) *Function {
	f := &Function{Name: name, Make: make, cloud: c}
	f.Timeout = time.Duration(awslocal.Number(awslocal.At(c.Template.Resources[name+"Function"].Properties,
		"Timeout"))) * time.Second
	if f.Timeout == 0 {
		f.Timeout = time.Minute
		if _, ok := c.Template.Resources[name+"Function"]; !ok {
			c.Problem("the template has no function %s", name)
		}
	}
	c.Functions[name] = f
	return f
}

// Poll starts the event sources of a function as the template says, each with so many pollers. change may alter a
// source.
func (c *Cloud) Poll(name string, pollers int, change func(queue string, size *int, window *time.Duration)) {
	sources, _ := awslocal.At(c.Template.Resources[name+"Function"].Properties, "Events").(map[string]any)
	for _, e := range sources {
		if awslocal.Text(awslocal.At(e, "Type")) != "SQS" {
			continue
		}
		source := awslocal.At(e, "Properties")
		q := c.Queues[awslocal.Target(awslocal.At(source, "Queue"))]
		size := max(1, awslocal.Number(awslocal.At(source, "BatchSize")))
		window := time.Duration(awslocal.Number(awslocal.At(source, "MaximumBatchingWindowInSeconds"))) * time.Second
		if change != nil {
			change(q.Name, &size, &window)
		}
		for range pollers {
			c.work.Go(func() { q.poll(c.ctx, c.Functions[name], size, window) })
		}
	}
}

// Invoke calls the function.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f.mu.Lock()
	f.calls++
	nth := f.calls
	var e *environment
	if n := len(f.idle); n > 0 {
		e, f.idle = f.idle[n-1], f.idle[:n-1]
	}
	f.mu.Unlock()
	if e == nil {
		e = f.start()
	}
	began := time.Now()
	answer, err := e.invoke(ctx, nth, f.Timeout, e.handler, payload)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy += time.Since(began)
	e.used++
	if !e.ended() && (f.Recycle == 0 || e.used < f.Recycle) {
		f.idle = append(f.idle, e)
	}
	return answer, err
}

func (f *Function) start() *environment {
	f.mu.Lock()
	f.made++
	n := f.made
	f.mu.Unlock()
	skew := time.Duration(0)
	if f.Skew > 0 {
		skew = time.Duration(f.cloud.random("skew", f.Name, n).Int64N(2*int64(f.Skew))) - f.Skew
	}
	s := f.cloud.Sandbox(f.Name, skew)
	return &environment{Sandbox: s, handler: f.Make(s)}
}

// Billed are the invocations so far and their time together.
func (f *Function) Billed() (calls int, busy time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.busy
}

// errorName is what Step Functions calls an error of a function written in Go: the name of its type (aws-lambda-go),
// and what ended is Lambda's.
func errorName(err error) string {
	if errors.Is(err, ErrKilled) {
		if errors.Is(err, context.DeadlineExceeded) {
			return "Sandbox.Timedout"
		}
		return "Runtime.ExitError"
	}
	t := reflect.TypeOf(err)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// Do makes a call of a sandbox that is no call of AWS: a request to a customer's system.
func (s *Sandbox) Request(ctx context.Context, system string, effect func() error) error {
	failed, err := s.pass(ctx, Call{Service: "Receiver", Action: system}, func(Fault) error { return effect() })
	if err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%s: %s", system, failed.Type)
	}
	return nil
}
