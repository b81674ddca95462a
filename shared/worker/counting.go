package worker

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// counting decides for both workers what attempts say of the health of their integrations. A worker drives it in three
// steps: weigh makes counts of the outcomes, add writes the counts, judge applies the rule that disables.
//
// An attempt in which the system took something is a success. One in which it failed is a failure. Being told to slow
// down, and what is the fault of one receiver's mailbox or of one record, counts as neither.
//
// A request that is refused for what it holds, beside which nothing arrived, is in doubt: is it one bad record, or are
// the settings wrong? It is a failure unless the system took something else since the delivery was made, for an hour at
// most, or in the hour before that if it was refused already. So nobody who can put bytes into a hit can have the
// integration disabled that the hit goes to. A system that refuses everything is disabled as ever.
type counting struct {
	monitor *health.Monitor
	now     func() time.Time
}

// outcome is a delivery to settle, or a barrier that closes when all before it are written.
type outcome struct {
	after   sending.Outcome
	of      *integration.Integration // nil when it is gone, or nothing was decided
	window  int64                    // of the integration; 0 when it is not known, or nothing was decided
	failing time.Time                // since when the integration has been failing; zero when it is not
	system  string                   // of the integration, "" when it is gone
	mails   bool                     // it is the deployment's own mail service
	ended   bool                     // without an attempt: see killed
	barrier chan struct{}
}

// outcomeOf is the outcome of an attempt at a delivery.
func outcomeOf(t *sending.Target, after sending.Outcome) outcome {
	return outcome{after: after, of: &t.Integration, window: t.Integration.Window,
		failing: sending.FailingSince(t.Integration), system: t.Integration.System, mails: t.Mails()}
}

// killed is the outcome of a delivery that is not to be sent any more.
func killed(d delivery.Delivery, end sending.End) outcome {
	return outcome{after: sending.Outcome{Delivery: d.Kill(end.Why)}, of: end.Of, window: end.Window,
		system: end.System,
		ended:  true}
}

// doubtSpan is how far back the success of others says that a refusal is about one record and not about the settings.
const doubtSpan = time.Hour

// countKey is what is counted apart.
type countKey struct {
	tenant, integration string
	window              int64
}

// weighed is what attempts say of one integration.
type weighed struct {
	health.Count
	doubts []sending.Outcome
}

// weigh adds up what attempts say, one count for each integration's window.
func (c counting) weigh(ctx context.Context, batch []outcome) ([]health.Count, error) {
	now := c.now()
	at := map[countKey]int{}
	var all []weighed
	for _, o := range batch {
		mark := o.after.Mark
		if o.window == 0 || mark == sending.Silent && !over(o.after.Delivery) {
			continue
		}
		k := countKey{o.after.Tenant, o.after.Integration, o.window}
		n, ok := at[k]
		if !ok {
			n = len(all)
			at[k] = n
			all = append(all, weighed{Count: health.Count{Tenant: k.tenant, Integration: k.integration,
				Window: k.window, At: now}})
		}
		all[n].FailingSince = o.failing
		countEnd(&all[n].Ended, o.after.Delivery)
		switch mark {
		case sending.Silent: // says nothing of the system
		case sending.Doubtful:
			all[n].doubts = append(all[n].doubts, o.after)
		default:
			countAttempt(&all[n].Count, o.after, mark == sending.Ill)
		}
	}
	counts := make([]health.Count, 0, len(all))
	for _, w := range all {
		if len(w.doubts) > 0 && w.Attempts == w.Failures {
			if err := c.believe(ctx, &w.Count, w.doubts); err != nil {
				return nil, err
			}
		}
		if w.Attempts > 0 || w.Any() {
			counts = append(counts, w.Count)
		}
	}
	return counts, nil
}

// add writes counts.
func (c counting) add(ctx context.Context, counts []health.Count) error {
	return c.monitor.Counters.Add(ctx, counts)
}

// judge applies the rule to the integrations of counts, and returns those that it disabled.
func (c counting) judge(ctx context.Context, counts []health.Count) (disabled []string, err error) {
	return c.monitor.Judge(ctx, counts)
}

// believe counts those of the doubts as failures after which the system took nothing.
func (c counting) believe(ctx context.Context, count *health.Count, doubts []sending.Outcome) error {
	oldest := count.At
	for _, d := range doubts {
		if at := excused(d.Delivery, count.At); at.Before(oldest) {
			oldest = at
		}
	}
	points, err := c.monitor.Counters.Series(ctx, count.Tenant, count.Integration, count.Window, oldest)
	if err != nil {
		return fmt.Errorf("look whether the system of integration %s takes anything: %w", count.Integration, err)
	}
	last := time.Time{} // of the newest bucket with a success
	for _, p := range points {
		if p.Attempts > p.Failures && p.At.After(last) {
			last = p.At
		}
	}
	for _, d := range doubts {
		if last.Before(excused(d.Delivery, count.At)) {
			countAttempt(count, d, true)
		}
	}
	return nil
}

// excused is the first bucket in which a success excuses the refusal of a delivery. A retry is excused by what was
// taken before, too: the same record, refused again, says nothing new of its system, and an integration with few events
// has nothing else to show for the ten minutes in which twelve requests of one bad record fail.
func excused(d delivery.Delivery, now time.Time) time.Time {
	at := d.CreatedAt
	if early := now.Add(-doubtSpan); at.Before(early) {
		at = early
	}
	if d.Failures > 1 {
		at = at.Add(-doubtSpan)
	}
	return at.Truncate(health.Bucket)
}

// over reports whether a delivery ended.
func over(d delivery.Delivery) bool { return d.State == delivery.Delivered || d.State == delivery.Dead }

// countEnd counts a delivery that ended.
func countEnd(e *health.Ended, d delivery.Delivery) {
	switch d.State {
	case delivery.Dead:
		e.Dead++
	case delivery.Delivered:
		e.Delivered++
		if took, ok := latency(&d); ok {
			e.Latencies.Add(took)
		}
	}
}

// countAttempt counts the last attempt at a delivery.
func countAttempt(c *health.Count, d sending.Outcome, failed bool) {
	if len(d.Attempts) == 0 {
		return
	}
	a := d.Attempts[len(d.Attempts)-1]
	c.Spans.Add(d.Span)
	c.Attempt(a.At.Add(a.Took), failed, health.Answer{Status: a.Status, Words: cut.Keep(a.Reason, health.MaxWords)})
}
