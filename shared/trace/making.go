package trace

import (
	"context"
	"time"
)

// making is something of our own at work that becomes an event, such as a report: when it was begun, and what it is
// made of.
type making struct {
	tracer *Tracer
	began  time.Time
	of     Links
}

type makingKey struct{}

// Begin is a context in which something is made that becomes an event: see Uses and Made.
func (t *Tracer) Begin(ctx context.Context, at time.Time) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, makingKey{}, &making{tracer: t, began: at})
}

// Uses notes that what is made in a context is made of an event, among others. p is what is kept with that event.
func Uses(ctx context.Context, p Parent, tenant, id string) {
	if m, _ := ctx.Value(makingKey{}).(*making); m != nil {
		m.of.Add(FannedOut(m.tracer.Event(p, tenant, id), tenant, id))
	}
}

// Made begins the trace of the event that was made in a context, as Caused does, with a span from when that was begun
// until `at`. It links to the fan-out of each event that was used.
func (t *Tracer) Made(ctx context.Context, name, tenant, id string, at time.Time, about ...Attribute) (Span, Parent) {
	m, _ := ctx.Value(makingKey{}).(*making)
	if m == nil {
		return t.Caused(name, tenant, id, at, Links{}, about...)
	}
	span, p := t.Caused(name, tenant, id, m.began, m.of, about...)
	span.End = at
	return span, p
}
