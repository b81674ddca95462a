package report

import "strings"

// ReceiverKind is what the id of a receiver stands for.
type ReceiverKind int

// The kinds of receivers.
const (
	IntegrationReceiver ReceiverKind = iota
	PersonReceiver                   // a person of a tenant: see PersonPrefix
	OrderReceiver                    // a report that was ordered once: see OnDemand
)

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
