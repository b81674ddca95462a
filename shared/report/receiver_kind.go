package report

import "strings"

// ReceiverKind is what the id of a receiver stands for.
type ReceiverKind int

// The kinds of receivers.
const (
	IntegrationReceiver ReceiverKind = iota
	PersonReceiver                   // a person of a tenant: see PersonPrefix
	OrderReceiver                    // a report that was ordered once: see OrderReceiverID
)

// OnDemand is the beginning of the ids of order receivers.
const OnDemand = "report."

// OrderReceiverID is the id of the receiver of a report on demand, which exists for that report only.
func OrderReceiverID(report string) string { return OnDemand + report }

// OrderedReport is the report whose receiver has that id.
func OrderedReport(receiver string) string { return strings.TrimPrefix(receiver, OnDemand) }

// KindOf reads the kind of a receiver off its id. Ids are stored as they are; nothing else looks at their beginning.
func KindOf(id string) ReceiverKind {
	switch {
	case strings.HasPrefix(id, PersonPrefix):
		return PersonReceiver
	case strings.HasPrefix(id, OnDemand):
		return OrderReceiver
	}
	return IntegrationReceiver
}
