package crashtest_test

import (
	"context"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// ledger is what was promised to publishers and receivers. It knows no engine.
type ledger struct {
	events  int
	taken   map[string]time.Time // the valid events that were acknowledged, by tenant and id: when
	reached map[string]int       // the number of the last of them that fan-out took up, by tenant
	kept    []published          // events that were published, to be published again
	settled map[string]bool      // deliveries that were settled for good and not replayed since
	ended   map[string]bool      // what was settled for good, by integration, tenant and event
	muted   map[string]time.Time // until when, by integration
	pruned  time.Time            // what came before may be gone
	leased  []delivery.Delivery  // handed out and not settled
	last    []delivery.Delivery  // what the lease under way got

	received []delivery.Entry // what fan-out got, and has not taken up
}

// published is an event that somebody published.
type published struct{ tenant, detail string }

func newLedger() *ledger {
	return &ledger{taken: map[string]time.Time{}, settled: map[string]bool{}, ended: map[string]bool{},
		muted: map[string]time.Time{}, reached: map[string]int{}}
}

// Holding makes the ledger what knows of holds.
func (l *ledger) Holding(_ context.Context, _, id string) (delivery.Holding, error) {
	until := l.muted[id]
	return func([]event.Kind, time.Time) delivery.Held {
		if until.IsZero() {
			return delivery.Held{}
		}
		return delivery.Held{By: "mute", Until: until}
	}, nil
}

// restarted forgets what the process knew.
func (l *ledger) restarted() { l.leased, l.received = nil, nil }

// drain lets everything come to its end: nothing is stuck.
func (w *world) drain() {
	w.muted = map[string]time.Time{}
	for n := 0; ; n++ {
		if n == 400 {
			w.fail("something never ends")
		}
		if n > 3 {
			w.now = w.now.Add(6 * time.Hour)
		}
		for _, lane := range lanes {
			w.step(w.reconsider(lane))
			w.step(w.receive(1000))
			w.step(w.fanOut())
			for _, retry := range []bool{false, true} {
				lane.Retry = retry
				w.step(w.lease(lane, 10_000))
				w.step(w.settle(w.leased, func(int, delivery.Delivery) string { return "arrives" }))
			}
		}
		w.step(w.receive(1))
		deferred, _, err := w.subject.Bus().Deferred(w.Context())
		w.check(err, "look for what is deferred")
		waiting, next, err := w.subject.Deliveries().Waiting(w.Context(), w.now)
		w.check(err, "look for what waits")
		if len(w.received)+deferred == 0 && len(waiting) == 0 && next.IsZero() {
			break
		}
	}
	w.audit()
}

// audit compares the log of deliveries with what was promised.
func (w *world) audit() {
	carried := map[string]string{} // by integration, tenant and event: the delivery
	for _, lane := range lanes {
		list, err := w.subject.Deliveries().List(w.Context(), delivery.Query{Tenant: lane.Tenant,
			Integration: lane.Integration, Limit: 100_000})
		w.check(err, "list the deliveries")
		for _, d := range list {
			if d.State != delivery.Delivered && d.State != delivery.Dead {
				w.fail("delivery %s is still %s", d.ID, d.State)
			}
			whole, err := w.subject.Deliveries().Get(w.Context(), lane.Tenant, lane.Integration, d.ID)
			w.check(err, "read a delivery")
			if len(whole.Events) != d.Count && d.CreatedAt.After(w.pruned) {
				w.fail("delivery %s has %d of %d events", d.ID, len(whole.Events), d.Count)
			}
			if d.From != nil {
				continue // they came to another first
			}
			for _, e := range whole.Events {
				key := lane.Integration + " " + lane.Tenant + " " + e.ID
				if other, twice := carried[key]; twice {
					w.fail("event %s is carried by %s and by %s", key, other, d.ID)
				}
				carried[key] = d.ID
			}
		}
	}
	for key, at := range w.taken {
		if at.Before(w.pruned) {
			continue
		}
		for _, lane := range receivers(key) {
			if carried[lane.Integration+" "+key] == "" && !w.ended[lane.Integration+" "+key] {
				w.fail("event %s, acknowledged at %s, was lost on its way to %s", key, at, lane.Integration)
			}
		}
	}
}

// lanes are the integrations of the world; what goes to j falls back to k of its tenant.
var lanes = []delivery.Lane{{Tenant: "42", Integration: "i"}, {Tenant: "42", Integration: "j"},
	{Tenant: "42", Integration: "k"}, {Tenant: "43", Integration: "i"}}

// receivers are who gets an event.
func receivers(key string) (out []delivery.Lane) {
	for _, lane := range lanes {
		if key[:2] == lane.Tenant && pick(3, key, lane.Integration) > 0 {
			out = append(out, lane)
		}
	}
	return out
}
