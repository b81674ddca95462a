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

// NoTenant stands for the tenant of entries that name none.
const NoTenant = "?"

// Entry is one event as the bus hands it over.
type Entry struct {
	// Receipt names the entry to the engine that handed it over.
	Receipt string
	// Tenant is who published it, so that nobody's crowd out another's: NoTenant where it names none. "" is ourselves.
	// It is not kept.
	Tenant     string
	DetailType string
	Detail     []byte
	// At is when the bus took it.
	At time.Time
	// Trace says which span the first one of its event is a child of.
	Trace trace.Parent
}

// Turns orders entries that wait: what a tenant has beyond its share comes after what others have within theirs. Each
// tenant's keep their order, and our own come where they stand.
func Turns(entries []Entry, share int) []Entry {
	taken := map[string]int{}
	within, beyond := make([]Entry, 0, len(entries)), []Entry(nil)
	for _, e := range entries {
		if taken[e.Tenant]++; e.Tenant != "" && taken[e.Tenant] > share {
			beyond = append(beyond, e)
		} else {
			within = append(within, e)
		}
	}
	return append(within, beyond...)
}
