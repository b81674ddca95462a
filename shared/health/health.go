// Package health switches off an integration that keeps failing: when at least 60 % of its requests of the last
// 12 hours failed (product facts, section 3), and at least 20 were made (ours: one bad minute of a quiet
// integration is no reason). Every attempt counts, retries included; tests do not.
package health

import (
	"context"
	"fmt"
	"time"
)

// Bucket is the grain of the counters: a window of 12 hours is read as at most 73 of them.
const Bucket = 10 * time.Minute

// Count is what one batch of attempts adds to an integration's window.
type Count struct {
	Tenant      string
	Integration string
	Window      int64 // integration.Integration.Window: enabling starts a new one
	At          time.Time
	Attempts    int
	Failures    int
}

// Tally is a sum of counts.
type Tally struct {
	Attempts int `json:"attempts"`
	Failures int `json:"failures"`
}

// Counters keeps the counts in buckets of 10 minutes and forgets them some time after the span of the rule.
type Counters interface {
	// Add adds each count to its bucket. Several counts of one batch may share a bucket.
	Add(ctx context.Context, counts []Count) error
	// Sum adds up the buckets of one window that begin at since or later.
	Sum(ctx context.Context, tenant, integration string, window int64, since time.Time) (Tally, error)
	// Series lists the same buckets in the order of time; a bucket without an attempt is left out.
	Series(ctx context.Context, tenant, integration string, window int64, since time.Time) ([]Point, error)
}

// Point is the tally of one bucket.
type Point struct {
	At time.Time `json:"at"` // when the bucket begins
	Tally
}

// Add sums two tallies.
func (t Tally) Add(u Tally) Tally {
	return Tally{Attempts: t.Attempts + u.Attempts, Failures: t.Failures + u.Failures}
}

// Rule says when an integration is broken. Its zero value is the product's.
type Rule struct {
	Span    time.Duration // 0 = 12 h
	Percent int           // 0 = 60
	Minimum int           // requests; 0 = 20
}

// The product's rule.
const (
	DefaultSpan    = 12 * time.Hour
	DefaultPercent = 60
	DefaultMinimum = 20
)

// Filled is the rule with its defaults.
func (r Rule) Filled() Rule {
	if r.Span == 0 {
		r.Span = DefaultSpan
	}
	if r.Percent == 0 {
		r.Percent = DefaultPercent
	}
	if r.Minimum == 0 {
		r.Minimum = DefaultMinimum
	}
	return r
}

// Broken applies the rule.
func (r Rule) Broken(t Tally) bool {
	r = r.Filled()
	return t.Attempts >= r.Minimum && t.Failures*100 >= r.Percent*t.Attempts
}

// Left is how many more failures in a row make the tally broken: 0 when it is broken already, -1 when no number does.
func (r Rule) Left(t Tally) int {
	r = r.Filled()
	if r.Broken(t) {
		return 0
	}
	left := max(0, r.Minimum-t.Attempts)
	if r.Percent < 100 {
		// The smallest n with (failures + n) * 100 >= percent * (attempts + n).
		short, step := r.Percent*t.Attempts-t.Failures*100, 100-r.Percent
		return max(left, (short+step-1)/step)
	}
	if t.Failures < t.Attempts {
		return -1 // all must fail, and one arrived: not before it has left the window
	}
	return left
}

// Since is the start of the oldest bucket that counts at now.
func (r Rule) Since(now time.Time) time.Time {
	return now.Add(-r.Filled().Span).Truncate(Bucket)
}

// Disabler switches an integration off once for a window.
type Disabler interface {
	DisableBroken(ctx context.Context, tenant, id string, window int64, reason string) (done bool, err error)
}

// Monitor applies the rule.
type Monitor struct {
	Counters Counters
	Rule     Rule
	Disabler Disabler
	Now      func() time.Time
}

// Judge applies the rule after a batch of counts was added, at most one for each integration, and disables those
// that it finds broken. Only an integration that failed in this batch is looked at. It returns the ids it
// disabled; after an error it can be called again with the same counts.
func (m *Monitor) Judge(ctx context.Context, counts []Count) (disabled []string, err error) {
	now := m.Now()
	for _, c := range counts {
		if c.Failures == 0 {
			continue
		}
		t, err := m.Tally(ctx, c.Tenant, c.Integration, c.Window, now)
		if err != nil {
			return disabled, err
		}
		if !m.Rule.Broken(t) {
			continue
		}
		done, err := m.Disabler.DisableBroken(ctx, c.Tenant, c.Integration, c.Window, m.reason(t))
		if err != nil {
			return disabled, err
		}
		if done {
			disabled = append(disabled, c.Integration)
		}
	}
	return disabled, nil
}

// Tally is the present sum of an integration's window.
func (m *Monitor) Tally(ctx context.Context, tenant, integration string, window int64, now time.Time) (Tally, error) {
	t, err := m.Counters.Sum(ctx, tenant, integration, window, m.Rule.Since(now))
	if err != nil {
		return t, fmt.Errorf("sum the attempts of integration %s: %w", integration, err)
	}
	return t, nil
}

// Series is an integration's window bucket by bucket.
func (m *Monitor) Series(ctx context.Context, tenant, integration string, window int64, now time.Time) ([]Point, error) {
	points, err := m.Counters.Series(ctx, tenant, integration, window, m.Rule.Since(now))
	if err != nil {
		return nil, fmt.Errorf("list the attempts of integration %s: %w", integration, err)
	}
	return points, nil
}

func (m *Monitor) reason(t Tally) string {
	r := m.Rule.Filled()
	return fmt.Sprintf("%d of %d requests failed within %d hours (%d %%, the limit is %d %%)",
		t.Failures, t.Attempts, int(r.Span.Hours()), t.Failures*100/t.Attempts, r.Percent)
}
