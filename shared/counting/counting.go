// Package counting counts committed intakes: what their events mean to the triggers of their tenant, and what they add
// to the record for reports. Each event counts once, in whatever company its intake is counted and however often it is
// handed in.
//
// The distributed engine counts apart from accepting. There many functions accept events of one tenant at once; were
// each to replace the states of its triggers in the transaction that makes its events known, all but one would begin
// anew (measured before: one function 687 events a second, twenty of them 230, and 23 % of the batches gave up). So
// accepting commits an intake without a look at states, and counts nothing; one message for each intake, first in first
// out by tenant, feeds an evaluator that is alone for its tenant. Delivery does not wait for counting, and a firing
// comes as much later as the queue is long.
//
// The embedded engine counts in the transaction that accepts. It has one writer anyway (SQLite allows no second one),
// so there is nothing to conflict with; a pass of its own would read each event again and write a second time for each
// intake; and what is told of triggers and reports is never behind there.
package counting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/logsample"
	"tocsin/shared/report/daily"
	"tocsin/shared/sleep"
	"tocsin/shared/trace"
	"tocsin/shared/trigger"
)

// Intake is a committed batch of one tenant's events, in the order in which they arrived.
type Intake struct {
	ID     string
	Events []trigger.Seen
}

// Counts reports whether events of a kind mean anything to a trigger or to the record: an intake without any needs no
// counting.
func Counts(k event.Kind) bool { return trigger.Watches(k) || daily.Records(k) }

// Source reads committed intakes.
type Source interface {
	// Load reads intakes of a tenant in the order given: all of them, or as many of the first ones as it likes to have
	// in memory at once, one at the least. Error: *IntakeError when the first one can not be read, now or ever.
	Load(ctx context.Context, tenant string, ids []string) ([]Intake, error)
}

// Outcome is what events of one tenant's intakes come to.
type Outcome struct {
	Tenant   string
	Marks    []Mark // one for each intake
	Records  []daily.Entry
	Triggers trigger.Outcome
}

// Mark says which events of an intake an Outcome counts: those from From on, before To.
type Mark struct {
	Intake   string
	From, To int
}

// Store keeps what counting comes to. Implementations are safe for concurrent use.
type Store interface {
	// Counted says of each intake how many of its events are counted: Write wrote a mark with that To. 0 = none.
	Counted(ctx context.Context, tenant string, intakes []string) ([]int, error)
	// Write writes an outcome whole or not at all: states under their versions, the record, the events to publish, and
	// the marks. Errors: ErrCounted when an intake is not counted exactly up to the From of its mark, trigger.ErrStale
	// when a state is not any more as it was read, ErrTooLarge when the engine can not write so much at once.
	Write(ctx context.Context, o Outcome) error
}

// Errors of a Store.
var (
	ErrCounted  = errors.New("an intake was counted meanwhile")
	ErrTooLarge = errors.New("it is more than can be written at once")
)

// IntakeError says that an intake itself is why it can not be counted: it would fail the next time, too.
type IntakeError struct {
	Intake string
	Err    error
}

func (e *IntakeError) Error() string { return fmt.Sprintf("intake %s: %s", e.Intake, e.Err) }

// Unwrap returns what is wrong with the intake.
func (e *IntakeError) Unwrap() error { return e.Err }

// Triggers finds what events mean to triggers.
type Triggers interface {
	Evaluate(ctx context.Context, seen []trigger.Seen) (trigger.Outcome, error)
}

// Recorder makes the record for reports of events.
type Recorder interface {
	Records(ctx context.Context, events []event.Event) ([]daily.Entry, error)
}

// Counter counts. It is safe for concurrent use, and two at work for one tenant do no harm, but they wait for each
// other.
type Counter struct {
	Source   Source
	Store    Store
	Triggers Triggers
	Recorder Recorder
	Log      *slog.Logger
	Now      func() time.Time // of log lines; nil = time.Now
	Tracer   *trace.Tracer    // that of Triggers

	lines logsample.Sampler
}

// A commit whose intakes or states another counter has changed is made anew so many times, after pauses of chance that
// grow (sleep.Random).
const (
	tries      = 12
	firstPause = 10 * time.Millisecond
	lastPause  = 120 * time.Millisecond
)

// Count counts intakes of a tenant in their order. done is how many of them, from the first on, are counted now; err
// says why the next one is not. It is a *IntakeError where that intake will never be.
func (c *Counter) Count(ctx context.Context, tenant string, ids []string) (done int, err error) {
	for done < len(ids) {
		intakes, err := c.Source.Load(ctx, tenant, ids[done:])
		if err != nil {
			return done, fmt.Errorf("read intakes of tenant %s: %w", tenant, err)
		}
		if len(intakes) == 0 {
			return done, fmt.Errorf("read intake %s of tenant %s: nothing came", ids[done], tenant)
		}
		n, err := c.intakes(ctx, tenant, intakes)
		if done += n; err != nil {
			return done, fmt.Errorf("count intakes of tenant %s: %w", tenant, err)
		}
	}
	return done, nil
}

// intakes counts loaded intakes: in one commit, or in as many as the store's limits make of it.
func (c *Counter) intakes(ctx context.Context, tenant string, intakes []Intake) (done int, err error) {
	rest := whole(intakes)
	size := count(rest)
	pauses := sleep.Random(firstPause, lastPause)
	for try := 1; len(rest) > 0; {
		commit, after := split(rest, size)
		err := c.commit(ctx, tenant, commit)
		switch {
		case err == nil:
			rest, try = after, 1
			pauses.Reset()
		case divisible(err) && count(commit) > 1:
			size = count(commit) / 2
		case divisible(err):
			return rest[0].place, &IntakeError{rest[0].intake.ID, err}
		case try == tries:
			return rest[0].place, err
		case errors.Is(err, ErrCounted):
			try++
			if rest, err = c.left(ctx, tenant, rest); err != nil {
				return rest[0].place, err
			}
		case errors.Is(err, trigger.ErrStale):
			sleep.For(ctx, pauses.NextBackOff())
			try++
		default:
			return rest[0].place, err
		}
	}
	return len(intakes), nil
}

// divisible reports whether fewer events may do where these did not.
func divisible(err error) bool {
	var p *panicked
	return errors.Is(err, ErrTooLarge) || errors.As(err, &p)
}

// commit counts parts in one write.
func (c *Counter) commit(ctx context.Context, tenant string, parts []part) error {
	o, err := c.outcome(ctx, tenant, parts)
	if err != nil {
		return err
	}
	if err := c.Store.Write(ctx, o); err != nil {
		return fmt.Errorf("write what %d events mean: %w", count(parts), err)
	}
	for _, s := range o.Triggers.Spans {
		c.Tracer.Record(s)
	}
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	for _, e := range o.Triggers.Publish { // sampled: a trigger can fire a thousand times a second
		c.lines.Add(c.Log, now(), slog.LevelInfo, logsample.Kind{Group: tenant, Class: string(e.Kind)}, "trigger fired",
			"tenant", tenant, "event", e.ID, "kind", e.Kind)
	}
	return nil
}

// panicked is a panic over events, which strangers write in part: it must not keep the tenant's later intakes from
// counting.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprintf("a fault of ours, see the log: %v", p.value) }

// outcome evaluates parts.
func (c *Counter) outcome(ctx context.Context, tenant string, parts []part) (o Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.Log.Error("counting events: a fault of ours", "tenant", tenant, "intake", parts[0].intake.ID, "events",
				count(parts), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = &panicked{v}
		}
	}()
	o.Tenant = tenant
	var seen []trigger.Seen
	var events []event.Event
	for _, p := range parts {
		o.Marks = append(o.Marks, Mark{p.intake.ID, p.from, p.to})
		for _, s := range p.intake.Events[p.from:p.to] {
			seen, events = append(seen, s), append(events, s.Event)
		}
	}
	if o.Triggers, err = c.Triggers.Evaluate(ctx, seen); err != nil {
		return o, fmt.Errorf("evaluate triggers on %d events: %w", len(seen), err)
	}
	if o.Records, err = c.Recorder.Records(ctx, events); err != nil {
		return o, fmt.Errorf("record %d events: %w", len(events), err)
	}
	return o, nil
}

// left is what is not counted yet. With an error it is what it was.
func (c *Counter) left(ctx context.Context, tenant string, parts []part) ([]part, error) {
	ids := make([]string, len(parts))
	for n, p := range parts {
		ids[n] = p.intake.ID
	}
	counted, err := c.Store.Counted(ctx, tenant, ids)
	if err != nil {
		return parts, fmt.Errorf("look which of %d intakes are counted: %w", len(ids), err)
	}
	out := make([]part, 0, len(parts))
	for n, p := range parts {
		if p.from = counted[n]; p.from < p.to {
			out = append(out, p)
		}
	}
	return out, nil
}

// part is a range of an intake's events.
type part struct {
	place    int // of the intake among those that are counted
	intake   *Intake
	from, to int
}

// whole are all events of intakes. One that stands there twice, and one without events, has nothing to count.
func whole(intakes []Intake) (parts []part) {
	seen := make(map[string]bool, len(intakes))
	for n := range intakes {
		b := &intakes[n]
		if len(b.Events) > 0 && !seen[b.ID] {
			parts = append(parts, part{n, b, 0, len(b.Events)})
		}
		seen[b.ID] = true
	}
	return parts
}

func count(parts []part) (n int) {
	for _, p := range parts {
		n += p.to - p.from
	}
	return n
}

// split cuts after so many events.
func split(parts []part, size int) (first, rest []part) {
	for n, p := range parts {
		if events := p.to - p.from; events > size {
			head, tail := p, p
			head.to, tail.from = p.from+size, p.from+size
			if size > 0 {
				first = append(first, head)
			}
			return first, append([]part{tail}, parts[n+1:]...)
		} else if first, size = append(first, p), size-events; size == 0 {
			return first, parts[n+1:]
		}
	}
	return first, nil
}
