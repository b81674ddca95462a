package mail

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/health"
)

// DefaultOnRequest is Relay.Limit: a test of the 50 addresses that an integration can have is 100 mails, and a report
// on demand goes to 50 at most.
const DefaultOnRequest = 200

// Counters is what Relay needs of health.Counters, under which it counts as an integration that nobody can make.
type Counters interface {
	Add(ctx context.Context, counts []health.Count) error
	Series(ctx context.Context, tenant, integration string, window int64, since time.Time) ([]health.Point, error)
}

// Quota bounds the mails that the people of a tenant have sent to other people's addresses on the spot, by tests and by
// reports on demand, and those that they have sent again: else a mail server that is trusted could be used to pester
// strangers. What events lead to is not bounded here. The count outlasts a restart, and holds over all functions.
type Quota struct {
	Counters Counters
	Limit    int // mails in an hour for a tenant; 0 = DefaultOnRequest
	Now      func() time.Time
}

// Counted mails count for the hour after their ten minutes have ended.
const relayHour = time.Hour + health.Bucket

const relayCounter = "mails on request"

// QuotaError says that a tenant has had all the mails of an hour.
type QuotaError struct {
	Mails, Limit int
	Free         time.Time // when so many can be sent again; zero: never so many at once
}

func (e *QuotaError) Error() string {
	why := fmt.Sprintf("an account can have %d mails an hour sent on request (tests and reports to other people's "+
		"addresses, "+
		"and mails that are sent again), and this would be ", e.Limit)
	if e.Free.IsZero() {
		return fmt.Sprintf("%s%d: choose fewer addresses", why, e.Mails)
	}
	return fmt.Sprintf("%s%d more: try again at %s", why, e.Mails, e.Free.UTC().Format("15:04 MST on 2006-01-02"))
}

// Spend counts mails that are about to be sent. The error of too many is a *RelayError, and then none are counted.
func (r *Quota) Spend(ctx context.Context, tenant string, mails int) error {
	limit := r.Limit
	if limit == 0 {
		limit = DefaultOnRequest
	}
	switch {
	case mails <= 0:
		return nil
	case mails > limit:
		return &QuotaError{Mails: mails, Limit: limit}
	}
	now := r.Now()
	// Counted first and looked at then, so that of two at once one sees the other.
	if err := r.add(ctx, tenant, now, mails); err != nil {
		return err
	}
	since := now.Add(time.Second - relayHour) // without the bucket that is free now
	points, err := r.Counters.Series(ctx, tenant, relayCounter, 0, since)
	if err != nil {
		return fmt.Errorf("count the mails on request of tenant %s: %w", tenant, err)
	}
	used := 0
	for _, p := range points {
		used += p.Attempts
	}
	if used <= limit {
		return nil
	}
	free := now
	for _, p := range points { // the oldest first: until there is room
		if used <= limit {
			break
		}
		used -= p.Attempts
		free = p.At.Add(relayHour)
	}
	if err := r.add(ctx, tenant, now, -mails); err != nil {
		return err
	}
	return &QuotaError{Mails: mails, Limit: limit, Free: free}
}

func (r *Quota) add(ctx context.Context, tenant string, now time.Time, mails int) error {
	if err := r.Counters.Add(ctx,
		[]health.Count{{Tenant: tenant, Integration: relayCounter, At: now, Attempts: mails}}); err != nil {
		return fmt.Errorf("count the mails on request of tenant %s: %w", tenant, err)
	}
	return nil
}
