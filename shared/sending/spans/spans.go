// Package spans tells of attempts at deliveries in the traces of the events that they send.
package spans

import (
	"strconv"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/trace"
)

// Attempt is the span of an attempt; none where no event of its delivery is followed.
type Attempt struct {
	trace.Context
	parent trace.Context // the fan-out of the first event that is followed
}

// Of finds the span of the attempt at a delivery that begins at a time.
func Of(t *trace.Tracer, d *delivery.Delivery, at time.Time) (a Attempt) {
	if t == nil {
		return a
	}
	for _, e := range d.Events {
		if a.parent = fannedOut(t, e); a.parent.Recorded() {
			break
		}
	}
	a.Context = attempted(a.parent, d.ID, at)
	return a
}

// fannedOut is the span of the fan-out of a delivery's event.
func fannedOut(t *trace.Tracer, e event.Event) trace.Context {
	return trace.FannedOut(t.Event(e.Trace, e.Tenant, e.ID), e.Tenant, e.ID)
}

// attempted is the span of an attempt. Engines keep its time to the millisecond at least.
func attempted(parent trace.Context, delivery string, at time.Time) trace.Context {
	return parent.Child("attempt", delivery, strconv.FormatInt(at.UnixMilli(), 10))
}

// links are the spans that an attempt comes from besides its parent: the attempt before it, and the fan-outs of the
// delivery's other events.
func (a Attempt) links(t *trace.Tracer, d *delivery.Delivery, before []delivery.Attempt) (l trace.Links) {
	if n := len(before); n > 0 {
		l.Add(attempted(a.parent, d.ID, before[n-1].At))
	}
	for _, e := range d.Events {
		if of := fannedOut(t, e); of != a.parent {
			l.Add(of)
		}
	}
	return l
}

// Made is an attempt that was made, and what it was made at.
type Made struct {
	delivery.Attempt
	Delivery *delivery.Delivery // after it
	Before   []delivery.Attempt // those before it
	System   string
	Mails    bool // it has no status of HTTP
}

// Record tells of an attempt.
func (a Attempt) Record(t *trace.Tracer, m Made) {
	if !a.Recorded() {
		return
	}
	d := m.Delivery
	span := trace.Span{Context: a.Context, Parent: a.parent.Span, Name: "attempt " + m.System, Kind: trace.Client,
		Start: m.At, End: m.At.Add(m.Took), Links: a.links(t, d, m.Before), Attributes: []trace.Attribute{
			{Name: trace.OperationType, Value: "send"},
			{Name: trace.System, Value: m.System},
			{Name: trace.Tenant, Value: d.Tenant},
			{Name: trace.Integration, Value: d.Integration},
			{Name: trace.Delivery, Value: d.ID},
			{Name: trace.State, Value: string(d.State)},
			{Name: trace.BatchCount, Value: int64(len(d.Events))},
			{Name: trace.ResendCount, Value: int64(len(m.Before))},
		}}
	add := func(name string, value any) {
		span.Attributes = append(span.Attributes, trace.Attribute{Name: name, Value: value})
	}
	if len(d.Kinds) == 1 {
		add(trace.EventKind, string(d.Kinds[0]))
	}
	if d.Digest != "" {
		add(trace.Digest, d.Digest)
	}
	if m.Status > 0 && !m.Mails {
		add(trace.ResponseCode, int64(m.Status))
	}
	if !m.Delivered {
		span.Error = "no answer"
		if m.Status > 0 {
			span.Error = "answer " + strconv.Itoa(m.Status)
		}
		add(trace.ErrorType, errorType(m.Status))
	}
	t.Record(span)
}

func errorType(status int) string {
	if status == 0 {
		return "no_answer"
	}
	return strconv.Itoa(status)
}
