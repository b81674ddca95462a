package worker

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/health"
)

// outcome is a delivery to settle, or a barrier that closes when all before it are written.
type outcome struct {
	delivery delivery.Delivery
	window   int64     // of the integration; 0 when no attempt was made
	failing  time.Time // since when the integration has been failing; zero when it is not
	barrier  chan struct{}
}

// doubtSpan is how far back the success of others says that a refusal is about one record and not about the settings.
const doubtSpan = time.Hour

// count adds up what attempts say of their systems' health, one count for each integration's window. It is the one way
// in which both workers count. An attempt in which the system took something is a success; one in which it failed is a
// failure. Being told to slow down, and what is the fault of one receiver's mailbox or of one record, counts as
// neither.
//
// A request that is refused for what it holds, beside which nothing arrived, is in doubt: one bad record, or wrong
// settings? It is a failure unless the system took something else since the delivery was made, for an hour at most, or
// in the hour before that if it was refused already. So whoever can put bytes into a hit can not switch off the feed
// that it goes to, nor have its people told that it fails, and a system that refuses all is switched off as ever.
func count(ctx context.Context, counters health.Counters, batch []outcome, now time.Time) ([]health.Count, error) {
	type key struct {
		tenant, integration string
		window              int64
	}
	at := map[key]int{}
	var counts []health.Count
	var doubts [][]delivery.Delivery
	for _, o := range batch {
		m := o.delivery.Mark
		if o.window == 0 || m == delivery.Silent {
			continue
		}
		k := key{o.delivery.Tenant, o.delivery.Integration, o.window}
		i, ok := at[k]
		if !ok {
			i = len(counts)
			at[k] = i
			counts = append(counts, health.Count{Tenant: k.tenant, Integration: k.integration, Window: k.window,
				At: now})
			doubts = append(doubts, nil)
		}
		counts[i].FailingSince = o.failing
		if m == delivery.Doubtful {
			doubts[i] = append(doubts[i], o.delivery)
		} else {
			attempted(&counts[i], o.delivery, m == delivery.Ill)
		}
	}
	kept := counts[:0]
	for i, c := range counts {
		if len(doubts[i]) > 0 && c.Attempts == c.Failures {
			if err := believe(ctx, counters, &c, doubts[i]); err != nil {
				return nil, err
			}
		}
		if c.Attempts > 0 {
			kept = append(kept, c)
		}
	}
	return kept, nil
}

// believe counts those of the doubts as failures after which the system took nothing.
func believe(ctx context.Context, counters health.Counters, c *health.Count, doubts []delivery.Delivery) error {
	oldest := c.At
	for _, d := range doubts {
		if at := excused(d, c.At); at.Before(oldest) {
			oldest = at
		}
	}
	points, err := counters.Series(ctx, c.Tenant, c.Integration, c.Window, oldest)
	if err != nil {
		return fmt.Errorf("look whether the system of integration %s takes anything: %w", c.Integration, err)
	}
	last := time.Time{} // of the newest bucket with a success
	for _, p := range points {
		if p.Attempts > p.Failures && p.At.After(last) {
			last = p.At
		}
	}
	for _, d := range doubts {
		if last.Before(excused(d, c.At)) {
			attempted(c, d, true)
		}
	}
	return nil
}

// excused is the bucket from which on a success excuses the refusal of a delivery. A retry is excused by what was taken
// before, too: the same record, refused again, says nothing new of its system, and a quiet one has nothing else to show
// for the ten minutes in which twelve requests of one bad record fail.
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

// attempted counts the last attempt at a delivery for the health of its integration.
func attempted(c *health.Count, d delivery.Delivery, failed bool) {
	if len(d.Attempts) == 0 {
		return
	}
	a := d.Attempts[len(d.Attempts)-1]
	c.Attempt(a.At.Add(a.Took), failed, health.Answer{Status: a.Status, Words: cut.Keep(a.Reason, health.MaxWords)})
}
