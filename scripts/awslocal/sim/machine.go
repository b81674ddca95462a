package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Machine is the retry state machine: the part of the Amazon States Language that its definition uses. What it does not
// know is a Problem.
type Machine struct {
	// Dead executions are started and do nothing: a test that breaks something sets it.
	Dead bool

	cloud      *Cloud
	definition definition

	mu         sync.Mutex
	executions map[string]*Execution
}

type definition struct {
	StartAt string
	States  map[string]state
}

type state struct {
	Type, Resource, Next, Default, ResultPath, SecondsPath, Error, Cause string
	Seconds                                                              int
	TimeoutSeconds                                                       int
	End                                                                  bool
	Parameters                                                           map[string]any
	Result                                                               any
	Choices                                                              []choice
	Retry                                                                []retrier
	Catch                                                                []struct {
		ErrorEquals      []string
		ResultPath, Next string
	}
	InputPath, OutputPath, ItemsPath *string
}

type choice struct {
	Variable, Next           string
	BooleanEquals            *bool
	IsPresent                *bool
	StringEquals             *string
	NumericGreaterThanEquals *float64
	NumericGreaterThan       *float64
	NumericEquals            *float64
	And, Or                  []choice
	Not                      *choice
}

type retrier struct {
	ErrorEquals     []string
	IntervalSeconds *int
	MaxAttempts     *int
	BackoffRate     *float64
	MaxDelaySeconds int
	JitterStrategy  string
}

// Execution of the machine.
type Execution struct {
	Name   string
	Status string // RUNNING, SUCCEEDED, FAILED, ABORTED
	Error  string
	Tasks  int
	// Transitions are the state transitions that are billed: retries of a task are among them.
	Transitions int
	stop        context.CancelFunc
}

func newMachine(c *Cloud, text string) (*Machine, error) {
	m := &Machine{cloud: c, executions: map[string]*Execution{}}
	if err := json.Unmarshal([]byte(text), &m.definition); err != nil {
		return nil, fmt.Errorf("read the state machine: %w", err)
	}
	for name, s := range m.definition.States {
		if !slices.Contains([]string{"Task", "Choice", "Wait", "Succeed", "Fail", "Pass"}, s.Type) ||
			s.InputPath != nil || s.OutputPath != nil || s.ItemsPath != nil {
			return nil, fmt.Errorf("the model does not know what the state %q of type %s does", name, s.Type)
		}
	}
	return m, nil
}

func (c *Cloud) serveStates(call Call, body []byte) (int, []byte, error) {
	var in struct{ Name, Input, ExecutionArn string }
	if err := json.Unmarshal(body, &in); err != nil {
		return 0, nil, err
	}
	m := c.Machine
	const arn = "arn:aws:states:eu-west-1:000000000000:execution:retry:"
	switch call.Action {
	case "StartExecution":
		if len(in.Name) > 80 || strings.ContainsAny(in.Name, " <>{}[]?*\"#%\\^|~`$&,;:/") {
			return refuse("InvalidName", in.Name)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.executions[in.Name] != nil {
			return refuse("ExecutionAlreadyExists", in.Name)
		}
		var input map[string]any
		if err := json.Unmarshal([]byte(in.Input), &input); err != nil {
			return refuse("InvalidExecutionInput", err.Error())
		}
		ctx, stop := context.WithCancel(c.ctx)
		e := &Execution{Name: in.Name, Status: "RUNNING", stop: stop}
		m.executions[in.Name] = e
		c.work.Go(func() { m.run(ctx, e, input) })
		return answer(map[string]any{"executionArn": arn + in.Name, "startDate": float64(time.Now().Unix())})
	case "DescribeExecution":
		m.mu.Lock()
		defer m.mu.Unlock()
		e := m.executions[strings.TrimPrefix(in.ExecutionArn, arn)]
		if e == nil {
			if !strings.HasPrefix(in.ExecutionArn, arn) {
				e = m.executions[in.ExecutionArn[strings.LastIndex(in.ExecutionArn, ":")+1:]]
			}
			if e == nil {
				return refuse("ExecutionDoesNotExist", in.ExecutionArn)
			}
		}
		return answer(map[string]any{"executionArn": in.ExecutionArn, "name": e.Name, "status": e.Status,
			"startDate": float64(time.Now().Unix())})
	}
	c.Problem("the model knows no %s of Step Functions", call.Action)
	return refuse("UnknownOperationException", call.Action)
}

// Running are the names of the executions under way.
func (m *Machine) Running() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, e := range m.executions {
		if e.Status == "RUNNING" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// All are copies of all executions.
func (m *Machine) All() (out []Execution) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.executions {
		out = append(out, *e)
	}
	return out
}

// Stop aborts an execution, as a person or an event of the service can.
func (m *Machine) Stop(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.executions[name]; e != nil && e.Status == "RUNNING" {
		e.Status = "ABORTED"
		e.stop()
	}
}

func (m *Machine) run(ctx context.Context, e *Execution, input any) {
	if m.Dead {
		m.note(func() { e.Status = "FAILED" })
		return
	}
	at := m.definition.StartAt
	for {
		m.note(func() { e.Transitions++ })
		s, ok := m.definition.States[at]
		if !ok {
			m.cloud.Problem("the state machine has no state %q", at)
			return
		}
		var err error
		if input, at, err = m.step(ctx, e, at, s, input); err != nil || at == "" {
			m.note(func() {
				switch {
				case e.Status != "RUNNING":
				case ctx.Err() != nil:
					e.Status = "ABORTED"
				case err != nil:
					e.Status, e.Error = "FAILED", err.Error()
				default:
					e.Status = "SUCCEEDED"
				}
			})
			e.stop()
			return
		}
	}
}

func (m *Machine) note(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *Machine) step(ctx context.Context, e *Execution, name string, s state, input any) (output any, next string,
	err error) {
	switch s.Type {
	case "Succeed":
		return input, "", nil
	case "Fail":
		return nil, "", errors.New(s.Error + ": " + s.Cause)
	case "Pass":
		if s.Result != nil {
			input = put(input, s.ResultPath, s.Result)
		} else if s.Parameters != nil {
			input = put(input, s.ResultPath, m.fill(s.Parameters, input))
		}
		return input, s.Next, nil
	case "Wait":
		seconds := float64(s.Seconds)
		if s.SecondsPath != "" {
			seconds, _ = path(input, s.SecondsPath).(float64)
		}
		select {
		case <-time.After(time.Duration(seconds * float64(time.Second))):
			return input, s.Next, nil
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	case "Choice":
		for _, c := range s.Choices {
			if m.holds(c, input) {
				return input, c.Next, nil
			}
		}
		return input, s.Default, nil
	}
	return m.task(ctx, e, name, s, input)
}

func (m *Machine) holds(c choice, input any) bool {
	switch v := path(input, c.Variable); {
	case c.BooleanEquals != nil:
		return v == *c.BooleanEquals
	case c.IsPresent != nil:
		return (v != nil) == *c.IsPresent
	case c.StringEquals != nil:
		return v == *c.StringEquals
	case c.NumericGreaterThan != nil:
		n, ok := v.(float64)
		return ok && n > *c.NumericGreaterThan
	case c.NumericGreaterThanEquals != nil:
		n, ok := v.(float64)
		return ok && n >= *c.NumericGreaterThanEquals
	case c.NumericEquals != nil:
		return v == *c.NumericEquals
	case c.Not != nil:
		return !m.holds(*c.Not, input)
	case c.And != nil:
		return !slices.ContainsFunc(c.And, func(o choice) bool { return !m.holds(o, input) })
	case c.Or != nil:
		return slices.ContainsFunc(c.Or, func(o choice) bool { return m.holds(o, input) })
	}
	m.cloud.Problem("the model does not know a choice of the state machine: %+v", c)
	return false
}

// taskError is an error by the name that the definition's retriers know.
type taskError struct{ name, cause string }

func (e *taskError) Error() string { return e.name + ": " + e.cause }

func (m *Machine) task(ctx context.Context, e *Execution, name string, s state, input any) (output any, next string,
	err error) {
	tried := make([]int, len(s.Retry))
	for {
		var result any
		var failed *taskError
		result, failed = m.perform(ctx, e, s, input)
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if failed == nil {
			next = s.Next
			return put(input, s.ResultPath, result), next, nil
		}
		n := slices.IndexFunc(s.Retry, func(r retrier) bool { return matches(r.ErrorEquals, failed.name) })
		if n < 0 || tried[n] >= s.Retry[n].most() {
			for _, c := range s.Catch {
				if matches(c.ErrorEquals, failed.name) {
					return put(input, c.ResultPath, map[string]any{"Error": failed.name, "Cause": failed.cause}),
						c.Next, nil
				}
			}
			return nil, "", failed
		}
		wait := s.Retry[n].wait(tried[n])
		if s.Retry[n].JitterStrategy == "FULL" {
			wait = time.Duration(m.cloud.random("jitter", e.Name, name, e.Tasks).Int64N(int64(wait) + 1))
		}
		tried[n]++
		m.note(func() { e.Transitions++ })
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

func matches(list []string, name string) bool {
	for _, want := range list {
		// Step Functions, "Error handling": States.TaskFailed matches all but States.Timeout, States.ALL nearly all.
		if want == name || want == "States.ALL" || want == "States.TaskFailed" && name != "States.Timeout" {
			return true
		}
	}
	return false
}

func (r retrier) most() int {
	if r.MaxAttempts == nil {
		return 3
	}
	return *r.MaxAttempts
}

func (r retrier) wait(tried int) time.Duration {
	first, rate := 1.0, 2.0
	if r.IntervalSeconds != nil {
		first = float64(*r.IntervalSeconds)
	}
	if r.BackoffRate != nil {
		rate = *r.BackoffRate
	}
	seconds := first * math.Pow(rate, float64(tried))
	if r.MaxDelaySeconds > 0 {
		seconds = min(seconds, float64(r.MaxDelaySeconds))
	}
	return time.Duration(seconds * float64(time.Second))
}

// perform calls a task's resource, now and then again after it succeeded.
func (m *Machine) perform(ctx context.Context, e *Execution, s state, input any) (any, *taskError) {
	m.note(func() { e.Tasks++ })
	argument := input
	if s.Parameters != nil {
		argument = m.fill(s.Parameters, input)
	}
	raw := encode(argument)
	if queue, ok := strings.CutSuffix(s.Resource, ":sqs:sendMessage"); ok && queue != "" {
		a, _ := argument.(map[string]any)
		url, _ := a["QueueUrl"].(string)
		body, isText := a["MessageBody"].(string)
		if !isText {
			body = string(encode(a["MessageBody"]))
		}
		group, _ := a["MessageGroupId"].(string)
		q := m.cloud.queueOf(url)
		if q == nil {
			m.cloud.Problem("the state machine sends to %q", url)
			return nil, &taskError{"SQS.QueueDoesNotExist", url}
		}
		q.put(&Message{Body: body, Group: group}, 0)
		return map[string]any{}, nil
	}
	f := m.cloud.Functions[s.Resource]
	if f == nil {
		m.cloud.Problem("the model knows no task %q", s.Resource)
		return nil, &taskError{"States.Runtime", s.Resource}
	}
	r := m.cloud.random("task", e.Name, e.Tasks)
	draw := m.cloud.draw(Call{Function: "Step Functions", Service: "Lambda", Action: "Invoke", Table: s.Resource,
		Invocation: 1, Number: e.Tasks})
	if draw.Kind == Throttled {
		return nil, &taskError{"Lambda.TooManyRequestsException", "injected"}
	}
	timeout := time.Duration(s.TimeoutSeconds) * time.Second
	if timeout == 0 {
		timeout = 24 * time.Hour
	}
	inside, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	got, err := f.Invoke(inside, raw)
	if err == nil && r.Float64() < m.cloud.Untidy.Again {
		got, err = f.Invoke(inside, raw)
	}
	switch {
	case draw.Kind == Lost || draw.Kind == Broken:
		return nil, &taskError{"Lambda.ServiceException", "injected"}
	case inside.Err() != nil:
		return nil, &taskError{"States.Timeout", s.Resource}
	case err != nil:
		return nil, &taskError{errorName(err), err.Error()}
	}
	var out any
	if err := json.Unmarshal(got, &out); err != nil {
		return nil, &taskError{"States.Runtime", err.Error()}
	}
	return out, nil
}

// path reads $.a.b.
func path(v any, p string) any {
	if p == "$" {
		return v
	}
	for _, name := range strings.Split(strings.TrimPrefix(p, "$."), ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// put is ResultPath: "" and "$" replace the input, "null" can not be told from "".
func put(input any, p string, result any) any {
	if p == "" || p == "$" {
		return result
	}
	out := map[string]any{}
	if m, ok := input.(map[string]any); ok {
		for k, v := range m {
			out[k] = v
		}
	}
	out[strings.TrimPrefix(p, "$.")] = result
	return out
}

// fill replaces the members of a template whose names end in .$.
func (m *Machine) fill(template map[string]any, input any) map[string]any {
	out := map[string]any{}
	for k, v := range template {
		name, isPath := strings.CutSuffix(k, ".$")
		switch v := v.(type) {
		case string:
			if !isPath {
				out[name] = v
				continue
			}
			if !strings.HasPrefix(v, "$") || strings.HasPrefix(v, "$$") {
				m.cloud.Problem("the model does not know %s of the state machine", v)
			}
			out[name] = path(input, v)
		case map[string]any:
			out[name] = m.fill(v, input)
		default:
			out[name] = v
		}
	}
	return out
}
