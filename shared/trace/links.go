package trace

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// MaxLinks bounds the links of a span: it is the limit of OpenTelemetry's own SDK (specification, "Span Limits").
const MaxLinks = 128

// Links are the spans that another one comes from, MaxLinks at the most. The zero value is none.
type Links struct {
	Spans []Context
	More  int // for which there was no room
}

// Add adds spans, those that are recorded.
func (l *Links) Add(spans ...Context) {
	for _, c := range spans {
		switch {
		case !c.Recorded():
		case len(l.Spans) < MaxLinks:
			l.Spans = append(l.Spans, c)
		default:
			l.More++
		}
	}
}

// Merge adds those of others.
func (l *Links) Merge(others Links) {
	l.Add(others.Spans...)
	l.More += others.More
}

// Caused begins the trace of an event of our own that comes of others, such as the notice of a trigger: with a span
// that links to theirs. It is recorded where one of those is, or where the event's own id says so; else the span is
// none. The Parent is to be kept with the event, and the span to be recorded once the event is written.
func (t *Tracer) Caused(name, tenant, id string, at time.Time, by Links, about ...Attribute) (Span, Parent) {
	if t == nil {
		return Span{}, ""
	}
	of := Context{Trace: ofEvent(tenant, id)}
	if !within(of.Trace, t.config.Ratio) && (len(by.Spans) == 0 || !t.config.ParentBased) {
		return Span{}, ""
	}
	c := of.Child("cause", tenant, id)
	return Span{Context: c, Name: name, Kind: Producer, Start: at, End: at, Links: by, Attributes: append([]Attribute{
		{MessageID, id}, {Tenant, tenant}, {OperationType, "create"}}, about...)}, Parent(c.String())
}

// XRay is the Parent as the TraceHeader of an entry of PutEvents, which FromXRay reads; "" where it names no span.
func (p Parent) XRay() string {
	c := p.context()
	if !c.Recorded() {
		return ""
	}
	return fmt.Sprintf("Root=1-%x-%x;Parent=%x;Sampled=1", c.Trace[:4], c.Trace[4:], c.Span)
}

type linksKey struct{}

// With is a context in which something is done that comes of spans.
func With(ctx context.Context, by Links) context.Context {
	if len(by.Spans) == 0 {
		return ctx
	}
	return context.WithValue(ctx, linksKey{}, by)
}

// By are the spans that what is done comes of: see With.
func By(ctx context.Context) Links {
	by, _ := ctx.Value(linksKey{}).(Links)
	return by
}

// Append writes the links for ReadLinks.
func (l Links) Append(b []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(l.More)), uint64(len(l.Spans)))
	for _, c := range l.Spans {
		b = append(append(b, c.Trace[:]...), c.Span[:]...)
	}
	return b
}

// ReadLinks reads what Append wrote, and returns what stands behind it. ok is false where it did not write that.
func ReadLinks(b []byte) (l Links, rest []byte, ok bool) {
	more, n := binary.Uvarint(b)
	if n <= 0 || more > 1<<31 {
		return Links{}, nil, false
	}
	b = b[n:]
	count, n := binary.Uvarint(b)
	if n <= 0 || count > MaxLinks || len(b)-n < int(count)*spanBytes {
		return Links{}, nil, false
	}
	b = b[n:]
	l = Links{Spans: make([]Context, count), More: int(more)}
	for n := range l.Spans {
		c := &l.Spans[n]
		b = b[copy(c.Trace[:], b):]
		b = b[copy(c.Span[:], b):]
	}
	return l, b, true
}

const spanBytes = len(Context{}.Trace) + len(Context{}.Span)
