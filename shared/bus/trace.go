package bus

import (
	"time"

	"tocsin/shared/trace"
)

// trace records a call; fault is the code of its error, "" where it was answered.
func (h *handler) trace(span trace.Context, parent [8]byte, began time.Time, answer response, fault string) {
	if !span.Recorded() {
		return
	}
	s := trace.Span{Context: span, Parent: parent, Name: "PutEvents", Kind: trace.Server, Start: began,
		End: h.Now().UTC(), Error: fault, Attributes: []trace.Attribute{
			{Name: trace.OperationType, Value: "send"},
			{Name: trace.BatchCount, Value: int64(len(answer.Entries))},
			{Name: trace.Refused, Value: int64(answer.FailedEntryCount)},
		}}
	if fault != "" {
		s.Attributes = append(s.Attributes, trace.Attribute{Name: trace.ErrorType, Value: fault})
	}
	h.Tracer.Record(s)
}
