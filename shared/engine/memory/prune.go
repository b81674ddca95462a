package memory

import (
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/retention"
)

// Prune removes ended deliveries, events that nothing waits for, and rejected entries, once they are older than their
// tenant chose to keep them, or than keep. The places of what stays are as they were: pages go on from them.
func (e *Engine) Prune(now time.Time, keep time.Duration) {
	defer e.lock()()
	before := func(tenant string, kept func(retention.Kept) time.Duration) time.Time {
		return now.Add(-kept(e.settings[tenant].Retention.For(keep)))
	}
	events := func(k retention.Kept) time.Duration { return k.Events }
	awaited := map[key]bool{}
	for of, all := range e.deliveries {
		limit := before(of.tenant, func(k retention.Kept) time.Duration { return k.Deliveries })
		for id, v := range all {
			switch {
			case v.State != delivery.Delivered && v.State != delivery.Dead:
				for _, one := range v.Events {
					awaited[key{one.Tenant, one.ID}] = true
				}
			case v.CreatedAt.Before(limit):
				delete(all, id)
			}
		}
	}
	for n, a := range e.accepted {
		if k := (key{a.Event.Tenant, a.Event.ID}); !awaited[k] && a.At.Before(before(k.tenant, events)) {
			e.accepted[n] = accepted{}
			delete(e.known, k)
		}
	}
	for n, l := range e.deadLetters {
		if l.At.Before(before(l.Tenant, events)) {
			e.deadLetters[n] = delivery.DeadLetter{}
		}
	}
}
