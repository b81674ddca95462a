// Package metrics writes what the functions count for CloudWatch: one line of the embedded metric format for each call
// of a function, on standard output, where Lambda hands it to CloudWatch Logs. No call of AWS is made for it, and
// nothing waits. (Amazon CloudWatch User Guide, "Specification: Embedded metric format".)
//
// Lambda's own metrics miss what matters here: an item of a batch that fails counts as no error of the function, and
// the age of the oldest message of a queue counts the time that a message is meant to wait. SQS, KMS, SES and Step
// Functions have no metric at all for a caller that they slow down.
//
// A line has the function's name for a dimension, and a fixed list of metrics: nothing in it comes from an event, so
// that it holds no secret and the number of metrics that CloudWatch bills is bounded.
//
// What all of Tocsin counts, on one machine too, has the names of the package shared/metrics here as there. It stands
// in the same line, as sums over all systems; deliveries that died have a line for each reason. By choice
// (Meter.Systems) there are lines of each system besides. The values of these dimensions are few and known beforehand.
package metrics

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// Metric is a name in CloudWatch.
type Metric string

// Metrics. Those in seconds keep the most of a call, the others are sums.
const (
	// Processed are the items of a call that are done with: messages of a queue, 1 for any other call.
	Processed Metric = "Processed"
	// FailedItems are those that were handed back to their queue, or 1 for another call that failed.
	FailedItems Metric = "FailedItems"
	// Late is how long after its time the latest message of the call came, in seconds.
	Late Metric = "Late"
	// Rejected are entries of the bus that were no event, and are kept as dead letters.
	Rejected Metric = "Rejected"
	// Swept is 1 for each call that looked for what was left behind.
	Swept Metric = "Swept"
	// OutboxAge is the age of the oldest batch that was begun and not finished, in seconds.
	OutboxAge Metric = "OutboxAge"
	// Repaired is what was found without a message or an execution, and taken up again.
	Repaired Metric = "Repaired"
	// Throttled are attempts of calls that a service put off. Each service has a metric of its own besides, see Watch.
	Throttled Metric = "Throttled"
	// ServerErrors are attempts of calls that a service failed for a fault of its own.
	ServerErrors Metric = "ServerErrors"
)

// seconds are the metrics that are no counts.
var seconds = []Metric{Late, OutboxAge}

// Meter writes the lines of one function.
type Meter struct {
	Out       io.Writer // standard output
	Namespace string    // in CloudWatch; "" writes nothing
	Function  string    // the value of the dimension Function
	Now       func() time.Time
	// Systems: what shared/metrics names has a line for each system besides, with the system as its dimension.
	// CloudWatch bills each system's metrics.
	Systems bool

	mu sync.Mutex // one line at a time
}

// call is what one call of the function has counted so far. A function does much side by side.
type call struct {
	mu     sync.Mutex
	values map[Metric]float64
	work   work
}

type key struct{}

// Count adds to a metric of the call that the context belongs to. Outside of a call it does nothing.
func Count(ctx context.Context, m Metric, n int) {
	if c, ok := ctx.Value(key{}).(*call); ok {
		c.mu.Lock()
		c.values[m] += float64(n)
		c.mu.Unlock()
	}
}

// Most keeps the longest time of a metric in seconds.
func Most(ctx context.Context, m Metric, d time.Duration) {
	if c, ok := ctx.Value(key{}).(*call); ok {
		c.mu.Lock()
		c.values[m] = max(c.values[m], d.Seconds())
		c.mu.Unlock()
	}
}

// Of is a handler that writes a line after each call.
func Of[In, Out any](m *Meter, handle func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (out Out, err error) {
		ctx, end := m.begin(ctx)
		defer end()
		if out, err = handle(ctx, in); err != nil {
			Count(ctx, FailedItems, 1)
		} else {
			Count(ctx, Processed, 1)
		}
		return out, err
	}
}

// begin starts to count; end writes the line.
func (m *Meter) begin(ctx context.Context) (counting context.Context, end func()) {
	if m.Namespace == "" {
		return ctx, func() {}
	}
	c := &call{values: map[Metric]float64{}}
	return context.WithValue(ctx, key{}, c), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		m.write(c)
	}
}

// definition names a metric in a line.
type definition struct {
	Name Metric
	Unit string
}

// directive says which members of a line are metrics.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

// metadata is the member "_aws" of a line.
type metadata struct {
	Timestamp         int64 // milliseconds since 1970
	CloudWatchMetrics []directive
}

// write writes the line of a call, and others where it does not hold all.
func (m *Meter) write(c *call) {
	whole := newLine(dimension{"Function", m.Function})
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		unit := "Count"
		if slices.Contains(seconds, name) {
			unit = "Seconds"
		}
		whole.put(name, unit, c.values[name])
	}
	m.work(whole, c.work.sum())
	if !m.Systems {
		return
	}
	for _, system := range slices.Sorted(maps.Keys(c.work)) {
		if system != "" { // what is of no system is in the line of the function
			m.work(newLine(dimension{"system", system}), c.work[system])
		}
	}
}

// dimension is one of those that a line's metrics have.
type dimension struct{ name, value string }

// line is one of those that are written.
type line struct {
	dimensions []dimension
	metrics    []definition
	members    map[string]any
}

func newLine(of ...dimension) *line {
	l := &line{dimensions: of, members: map[string]any{}}
	for _, d := range of {
		l.members[d.name] = d.value
	}
	return l
}

func (l *line) put(name Metric, unit string, value any) {
	l.metrics = append(l.metrics, definition{name, unit})
	l.members[string(name)] = value
}

// out writes a line that has anything to tell.
func (m *Meter) out(l *line) {
	if len(l.metrics) == 0 {
		return
	}
	names := make([]string, len(l.dimensions))
	for n, d := range l.dimensions {
		names[n] = d.name
	}
	l.members["_aws"] = metadata{m.Now().UnixMilli(), []directive{{m.Namespace, [][]string{names}, l.metrics}}}
	text, err := json.Marshal(l.members)
	if err != nil {
		return // a number that JSON has not: none of ours is
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.Out.Write(append(text, '\n')) // a line that is lost is a gap in a graph
}
