package fit

import (
	"sync"
	"time"

	"tocsin/shared/destination"
)

// untakenFor is how long it is remembered that a system does not take a feature: then one request asks for it again, so
// that an upgrade of the system is found.
const untakenFor = 6 * time.Hour

// Features are those that systems turned out not to take, by host. The zero value is empty.
type Features struct {
	mu    sync.Mutex
	since map[untakenKey]time.Time
}

type untakenKey struct {
	host    string
	feature destination.Feature
}

// LeaveOut is q without what its system is known not to take.
func (u *Features) LeaveOut(q destination.Request, now time.Time) destination.Request {
	if q.Spare == nil {
		return q
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.since) == 0 {
		return q
	}
	host := destination.Host(q.URL)
	for key, since := range u.since {
		if now.Sub(since) >= untakenFor {
			delete(u.since, key)
		} else if key.host == host {
			if less, ok := q.Spare.Without(q, key.feature); ok {
				q = less
			}
		}
	}
	return q
}

// Remember notes that the system of a request does not take a feature.
func (u *Features) Remember(q destination.Request, f destination.Feature, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.since == nil {
		u.since = map[untakenKey]time.Time{}
	}
	u.since[untakenKey{destination.Host(q.URL), f}] = now
}
