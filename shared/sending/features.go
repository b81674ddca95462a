package sending

import (
	"sync"
	"time"

	"tocsin/shared/destination"
)

// untakenFor is how long it is remembered that a system does not take a feature: then one request asks for it again, so
// that an upgrade of the system is found.
const untakenFor = 6 * time.Hour

// untaken is what the systems of a Target turned out not to take, by host. The zero value is empty.
type untaken struct {
	mu    sync.Mutex
	since map[untakenKey]time.Time
}

type untakenKey struct {
	host    string
	feature destination.Feature
}

// leaveOut is q without what its system is known not to take.
func (u *untaken) leaveOut(q destination.Request, now time.Time) destination.Request {
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

func (u *untaken) remember(q destination.Request, f destination.Feature, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.since == nil {
		u.since = map[untakenKey]time.Time{}
	}
	u.since[untakenKey{destination.Host(q.URL), f}] = now
}
