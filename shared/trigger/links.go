package trigger

import (
	"slices"

	"tocsin/shared/event"
	"tocsin/shared/trace"
)

// hasLinks is the flag of an entry in a state.
const hasLinks = 2

func (e entry) links() int {
	if e.by == nil {
		return 0
	}
	return len(e.by.Spans)
}

// linked reports whether any event of a window has a trace.
func (w *window) linked() bool {
	return slices.ContainsFunc(w.entries, func(e entry) bool { return e.by != nil })
}

// link notes the span of an event whose entry was added. The newest are kept: the oldest leave the window first.
func (w *window) link(at int64, key uint64, span trace.Context) {
	k := len(w.entries) - 1
	for k >= 0 && (w.entries[k].at > at || w.entries[k].key != key) {
		k--
	}
	if k < 0 || w.entries[k].at != at {
		return // it lies before the window
	}
	e := &w.entries[k]
	if e.by == nil {
		e.by = &trace.Links{}
	}
	e.by.Spans = append(e.by.Spans, span)
	if w.spans++; w.spans <= trace.MaxLinks {
		return
	}
	oldest := w.entries[slices.IndexFunc(w.entries, func(e entry) bool { return e.links() > 0 })].by
	oldest.Spans = oldest.Spans[1:]
	oldest.More++
	w.spans--
}

// links are those of the events in a window.
func (w *window) links() (l trace.Links) {
	for _, e := range w.entries {
		if e.by != nil {
			l.Merge(*e.by)
		}
	}
	return l
}

// span is that of the fan-out of an event.
func (v *Evaluator) span(e event.Event) trace.Context {
	return trace.FannedOut(v.Tracer.Event(e.Trace, e.Tenant, e.ID), e.Tenant, e.ID)
}

// begin begins the traces of what a firing publishes.
func (v *Evaluator) begin(trigger string, events []event.Event, by trace.Links, out *Outcome) {
	if v.Tracer == nil {
		return
	}
	for n := range events {
		e := &events[n]
		var span trace.Span
		span, e.Trace = v.Tracer.Caused("trigger", e.Tenant, e.ID, e.Time, by,
			trace.Attribute{Name: trace.EventKind, Value: string(e.Kind)},
			trace.Attribute{Name: trace.Trigger, Value: trigger})
		if span.Recorded() {
			out.Spans = append(out.Spans, span)
		}
	}
}
