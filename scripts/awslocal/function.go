package awslocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// startLimit is how long a function may take until it asks for its first invocation, on a machine that is busy.
const startLimit = 2 * time.Minute

// FunctionError is what a function answered as its error, or why it ended.
type FunctionError struct{ Payload string }

func (e *FunctionError) Error() string { return e.Payload }

// Function runs a built `bootstrap` behind the Lambda runtime API (AWS Lambda developer guide, "Using the Lambda
// runtime API"): as many processes as there are invocations at once, each doing one at a time.
type Function struct {
	Bootstrap string
	Env       []string
	Timeout   time.Duration
	Log       io.Writer // what the processes write

	mu     sync.Mutex
	idle   []*process
	all    map[*process]bool
	closed bool
	starts []time.Duration
	calls  int
	busy   time.Duration
}

// Invoke calls the function.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	p, err := f.take()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	call := &invocation{payload: payload, deadline: deadline, done: make(chan result, 1)}
	defer f.bill(time.Now())
	select {
	case p.next <- call:
	case <-p.ended:
		f.drop(p)
		return nil, &FunctionError{"the runtime ended before it took an invocation"}
	case <-ctx.Done():
		f.drop(p)
		return nil, &FunctionError{"the function did not take an invocation in time"}
	}
	select {
	case r := <-call.done:
		f.give(p)
		if r.failed {
			return nil, &FunctionError{string(r.payload)}
		}
		return r.payload, nil
	case <-p.ended:
		f.drop(p)
		return nil, &FunctionError{
			`{"errorType":"Runtime.ExitError","errorMessage":"the runtime ended in the middle of an invocation"}`}
	case <-ctx.Done():
		f.drop(p)
		return nil, &FunctionError{`{"errorType":"Sandbox.Timedout","errorMessage":"the function took too long"}`}
	}
}

// Kill ends all processes in the middle of what they do, as a crash would.
func (f *Function) Kill() {
	f.mu.Lock()
	var all []*process
	for p := range f.all {
		all = append(all, p)
	}
	f.mu.Unlock()
	for _, p := range all {
		f.drop(p)
	}
}

// Close ends all processes for good.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Kill()
}

func (f *Function) bill(began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.busy += time.Since(began)
}

// Billed are the invocations since the last time, and how long they took together.
func (f *Function) Billed() (calls int, busy time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls, busy = f.calls, f.busy
	f.calls, f.busy = 0, 0
	return calls, busy
}

// Start starts and ends so many processes, one after another, and returns how long each took from its start to its
// first call for an invocation: the part of a cold start that is ours.
func (f *Function) Start(count int) ([]time.Duration, error) {
	for range count {
		p, err := f.start()
		if err != nil {
			return nil, err
		}
		p.stop()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Duration(nil), f.starts...), nil
}

func (f *Function) take() (*process, error) {
	f.mu.Lock()
	for len(f.idle) > 0 {
		p := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		select {
		case <-p.ended:
			delete(f.all, p)
			continue
		default:
			f.mu.Unlock()
			return p, nil
		}
	}
	closed := f.closed
	f.mu.Unlock()
	if closed {
		return nil, errors.New("the function is closed")
	}
	p, err := f.start()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", f.Bootstrap, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[*process]bool{}
	}
	f.all[p] = true
	return p, nil
}

func (f *Function) give(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, p)
}

func (f *Function) drop(p *process) {
	p.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, p)
}

type result struct {
	payload []byte
	failed  bool
}

type invocation struct {
	payload  []byte
	deadline time.Time
	done     chan result
}

// process is one execution environment.
type process struct {
	next    chan *invocation
	ended   chan struct{}
	first   chan struct{}
	once    sync.Once
	command *exec.Cmd
	server  *http.Server

	mu      sync.Mutex
	current *invocation
	count   int
}

func (f *Function) start() (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{next: make(chan *invocation), ended: make(chan struct{}), first: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", p.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{what}", p.serveAnswer)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error",
		func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) })
	p.server = &http.Server{Handler: mux}
	go func() { _ = p.server.Serve(listener) }()
	p.command = exec.Command(f.Bootstrap)
	p.command.Env = append(append([]string{}, f.Env...), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(),
		"AWS_LAMBDA_FUNCTION_NAME="+filepath.Base(filepath.Dir(f.Bootstrap)), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"_LAMBDA_SERVER_PORT=0")
	p.command.Stdout, p.command.Stderr = f.Log, f.Log
	began := time.Now()
	if err := p.command.Start(); err != nil {
		_ = p.server.Close()
		return nil, err
	}
	go func() {
		_ = p.command.Wait() // how it ended shows in its log
		close(p.ended)
		_ = p.server.Close()
	}()
	select {
	case <-p.first:
		f.mu.Lock()
		f.starts = append(f.starts, time.Since(began))
		f.mu.Unlock()
		return p, nil
	case <-p.ended:
		return nil, errors.New("it ended before it asked for an invocation: see its log")
	case <-time.After(startLimit):
		p.stop()
		return nil, fmt.Errorf("it did not ask for an invocation within %s", startLimit)
	}
}

func (p *process) stop() {
	_ = p.command.Process.Kill()
	<-p.ended
}

func (p *process) serveNext(w http.ResponseWriter, r *http.Request) {
	p.once.Do(func() { close(p.first) })
	select {
	case call := <-p.next:
		p.mu.Lock()
		p.current = call
		p.count++
		id := strconv.Itoa(p.count)
		p.mu.Unlock()
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(call.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:local")
		_, _ = w.Write(call.payload)
	case <-r.Context().Done():
	case <-p.ended:
	}
}

func (p *process) serveAnswer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	p.mu.Lock()
	call := p.current
	p.current = nil
	p.mu.Unlock()
	if call == nil || err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	call.done <- result{payload: body, failed: r.PathValue("what") == "error"}
}

// Build builds functions for this machine by the Makefile's own targets, into a folder each.
func Build(root, into string, functions ...string) error {
	for _, f := range functions {
		artifacts := filepath.Join(into, strings.ToLower(f))
		if err := os.MkdirAll(artifacts, 0o755); err != nil {
			return err
		}
		var out bytes.Buffer
		c := exec.Command("make", "-s", "-C", root, "build-"+f+"Function", "ARTIFACTS_DIR="+artifacts, "LAMBDA_GOARCH="+
			goarch())
		c.Stdout, c.Stderr = &out, &out
		if err := c.Run(); err != nil {
			return fmt.Errorf("build the function %s: %w\n%s", f, err, out.String())
		}
	}
	return nil
}
