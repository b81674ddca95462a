package delivery

import (
	"time"

	"tocsin/shared/trace"
)

// DeadLetter is a rejected entry as it is kept.
type DeadLetter struct {
	ID         string
	Tenant     string
	DetailType string
	Detail     []byte
	At         time.Time
	Reason     string
	// ReplayedAt is when it was sent again, zero for never. What became of that is an entry of its own.
	ReplayedAt time.Time
}

// Entry is one event as the bus hands it over.
type Entry struct {
	// Receipt names the entry to the engine that handed it over.
	Receipt    string
	DetailType string
	Detail     []byte
	// At is when the bus took it.
	At time.Time
	// Trace says which span the first one of its event is a child of.
	Trace trace.Parent
}
