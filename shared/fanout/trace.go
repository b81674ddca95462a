package fanout

import (
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/trace"
)

// trace records what became of accepted events: their wait for fan-out, and fan-out. Those that are handed in again are
// recorded then.
func (f *Fanout) trace(accepted []Accepted, again []delivery.Entry, began time.Time) {
	if f.Tracer == nil {
		return
	}
	receipts := make(map[string]bool, len(again))
	for _, e := range again {
		receipts[e.Receipt] = true
	}
	end := f.now()
	for _, a := range accepted {
		e := a.Event
		of := f.Tracer.Event(e.Trace, e.Tenant, e.ID)
		if !of.Recorded() || receipts[a.Entry.Receipt] {
			continue
		}
		about := []trace.Attribute{{Name: trace.MessageID, Value: e.ID}, {Name: trace.Tenant, Value: e.Tenant},
			{Name: trace.EventKind, Value: string(e.Kind)}}
		taken := trace.Accepted(of, e.Tenant, e.ID)
		f.Tracer.Record(trace.Span{Context: taken, Parent: of.Span, Name: "accept", Kind: trace.Consumer,
			Start: a.Entry.At, End: latest(a.Entry.At, began),
			Attributes: append(about[:len(about):len(about)],
				trace.Attribute{Name: trace.OperationType, Value: "receive"})})
		f.Tracer.Record(trace.Span{Context: trace.FannedOut(of, e.Tenant, e.ID), Parent: taken.Span, Name: "fan-out",
			Kind: trace.Internal, Start: began, End: end,
			Attributes: append(about[:len(about):len(about)],
				trace.Attribute{Name: trace.OperationType, Value: "process"})})
	}
}

// latest is the later of two times: the clocks of two machines differ.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
