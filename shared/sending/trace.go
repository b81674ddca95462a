package sending

import (
	"strconv"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/trace"
)

// maxLinks bounds the links of a span: OpenTelemetry's own limit is 128, and a batch can have more events.
const maxLinks = 32

// traced is an attempt in the traces of the events that it sends.
type traced struct {
	trace.Context
	parent trace.Context // the fan-out of the first event that is followed
	links  []trace.Context
}

// trace finds the span of the attempt that begins at a time; none where no event of the delivery is followed.
func (s *Sender) trace(d *delivery.Delivery, at time.Time) (t traced) {
	if s.Tracer == nil {
		return t
	}
	for _, e := range d.Events {
		of := trace.FannedOut(s.Tracer.Event(e.Trace, e.Tenant, e.ID), e.Tenant, e.ID)
		switch {
		case !of.Recorded():
		case !t.parent.Recorded():
			t.parent = of
		case len(t.links) < maxLinks:
			t.links = append(t.links, of)
		}
	}
	t.Context = attempted(t.parent, d.ID, at)
	return t
}

// attempted is the span of an attempt. Engines keep its time to the millisecond at least.
func attempted(parent trace.Context, delivery string, at time.Time) trace.Context {
	return parent.Child("attempt", delivery, strconv.FormatInt(at.UnixMilli(), 10))
}

// record tells of an attempt that was made; before are those before it.
func (s *Sender) record(r *Target, t traced, d *delivery.Delivery, before []delivery.Attempt, a delivery.Attempt) {
	if !t.Recorded() {
		return
	}
	if n := len(before); n > 0 {
		t.links = append(t.links, attempted(t.parent, d.ID, before[n-1].At))
	}
	span := trace.Span{Context: t.Context, Parent: t.parent.Span, Name: "attempt " + r.Integration.System,
		Kind: trace.Client, Start: a.At, End: a.At.Add(a.Took), Links: t.links, Attributes: []trace.Attribute{
			{Name: trace.OperationType, Value: "send"},
			{Name: trace.System, Value: r.Integration.System},
			{Name: trace.Tenant, Value: d.Tenant},
			{Name: trace.Integration, Value: d.Integration},
			{Name: trace.Delivery, Value: d.ID},
			{Name: trace.State, Value: string(d.State)},
			{Name: trace.BatchCount, Value: int64(len(d.Events))},
			{Name: trace.ResendCount, Value: int64(len(before))},
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
	if a.Status > 0 && !r.Mails() {
		add(trace.ResponseCode, int64(a.Status))
	}
	if !a.Delivered {
		span.Error = "no answer"
		if a.Status > 0 {
			span.Error = "answer " + strconv.Itoa(a.Status)
		}
		add(trace.ErrorType, errorType(a.Status))
	}
	s.Tracer.Record(span)
}

func errorType(status int) string {
	if status == 0 {
		return "no_answer"
	}
	return strconv.Itoa(status)
}
