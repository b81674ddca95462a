// Package health tells how an integration does, and disables one that keeps failing.
//
// It is disabled when all of this holds: at least 60 % of its requests of the last 12 hours failed (product facts,
// section 3); at least 20 were made; its failures lie in at least three of the ten-minute counters; and it has been
// failing for at least half an hour. The last three are ours: no bad minute and no deployment of a receiver, with a
// quiet integration behind it that made a handful of requests, is a reason. All four are configuration.
//
// The half hour is that of one run of failures: a receiver that takes a request now and then, ten minutes and more
// after the last failure, gets what is sent to it by the retries and is not disabled, whatever its share.
//
// Before that it is failing, and its people are told once: most requests of two counters in a row failed. The half hour
// counts from the first of those failures, so nobody loses an integration without having been told before.
//
// Every attempt counts, retries included. Tests do not, nor does what says nothing of the system: a request to slow
// down, one receiver's mailbox, a fault of our own.
package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/trace"
)

// Bucket is the grain of the counters: a window of 12 hours is read as at most 73 of them.
const Bucket = 10 * time.Minute

// Answer is what a system said to a request, in words for a person and without secrets.
type Answer struct {
	Status int    `json:"status,omitempty"` // 0 when there was no answer
	Words  string `json:"words"`
}

// MaxWords bounds Answer.Words, in bytes.
const MaxWords = 512

// Count is what one batch of attempts adds to an integration's window.
type Count struct {
	Tenant      string
	Integration string
	Window      int64 // integration.Integration.Window: enabling starts a new one
	At          time.Time
	Attempts    int
	Failures    int
	// FirstFailure, LastFailure and LastSuccess are when those attempts ended; zero when there was none.
	FirstFailure, LastFailure, LastSuccess time.Time
	// Answer is that to the last failure.
	Answer Answer
	// FailingSince is that of the integration when it was read; zero when it was not failing. It is not stored.
	FailingSince time.Time
	// Spans are those of the attempts that are recorded. They are not stored.
	Spans trace.Links
	Ended
}

// Ended is what became of deliveries: for the overview of a day. The rule does not look at it.
type Ended struct {
	Delivered int
	Dead      int
	Latencies Latencies // of those delivered
}

// Merge adds others.
func (e *Ended) Merge(others Ended) {
	e.Delivered += others.Delivered
	e.Dead += others.Dead
	e.Latencies.Merge(others.Latencies)
}

// Any reports whether a delivery ended.
func (e *Ended) Any() bool { return e.Delivered > 0 || e.Dead > 0 }

// Arrivals is what the events of a tenant count under when they come in, each once: as the attempts of an integration
// that nobody can make, in window 0.
const Arrivals = "events in"

// Arrived counts events that came in.
func Arrived(tenant string, at time.Time, events int) Count {
	return Count{Tenant: tenant, Integration: Arrivals, At: at, Attempts: events}
}

// Throttled is what entries count under that a tenant published over its quota, each time: likewise.
const Throttled = "events throttled"

// Throttle counts entries that were throttled.
func Throttle(tenant string, at time.Time, entries int) Count {
	return Count{Tenant: tenant, Integration: Throttled, At: at, Attempts: entries}
}

// LeftOut counts events that an integration does not get for a reason, such as one of its filters: as the attempts of
// LeftOutOf, in window 0.
func LeftOut(tenant, integration, reason string, at time.Time, events int) Count {
	return Count{Tenant: tenant, Integration: LeftOutOf(integration, reason), At: at, Attempts: events}
}

// LeftOutOf is the name under which the events that an integration does not get for a reason count.
func LeftOutOf(integration, reason string) string { return integration + " without " + reason }

// Attempt adds one attempt that ended at the time.
func (c *Count) Attempt(at time.Time, failed bool, a Answer) {
	c.Attempts++
	if !failed {
		c.LastSuccess = later(c.LastSuccess, at)
		return
	}
	c.Failures++
	if c.FirstFailure.IsZero() || at.Before(c.FirstFailure) {
		c.FirstFailure = at
	}
	if !at.Before(c.LastFailure) {
		c.LastFailure, c.Answer = at, a
	}
}

// Merge adds another count of the same bucket.
func (c *Count) Merge(n Count) {
	c.Attempts += n.Attempts
	c.Failures += n.Failures
	c.LastSuccess = later(c.LastSuccess, n.LastSuccess)
	if c.FirstFailure.IsZero() || !n.FirstFailure.IsZero() && n.FirstFailure.Before(c.FirstFailure) {
		c.FirstFailure = n.FirstFailure
	}
	if n.Failures > 0 && !n.LastFailure.Before(c.LastFailure) {
		c.LastFailure, c.Answer = n.LastFailure, n.Answer
	}
	c.Spans.Merge(n.Spans)
	c.Ended.Merge(n.Ended)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Tally is a sum of counts.
type Tally struct {
	Attempts int `json:"attempts"`
	Failures int `json:"failures"`
}

// Kept is how long a bucket is kept at least: the overview is of 24 hours.
const Kept = 25 * time.Hour

// Counters keeps the counts in buckets of 10 minutes, for Kept.
type Counters interface {
	// Add adds each count to its bucket. Several counts of one batch may share a bucket.
	Add(ctx context.Context, counts []Count) error
	// Series lists the buckets of one window that begin at since or later, in the order of time; a bucket in which
	// nothing was counted is left out.
	Series(ctx context.Context, tenant, integration string, window int64, since time.Time) ([]Point, error)
	// Several is Series of many of a tenant, each named once. It visits each bucket with the place of its series in of;
	// those of one series come in the order of time.
	Several(ctx context.Context, tenant string, of []SeriesKey, since time.Time, visit func(n int, p Point)) error
}

// SeriesKey names a series of a tenant.
type SeriesKey struct {
	Integration string
	Window      int64
}

// Point is one bucket.
type Point struct {
	At time.Time `json:"at"` // when the bucket begins
	Tally
	// FirstFailure, LastFailure and LastSuccess are when those attempts ended, to the millisecond; zero when there was
	// none.
	FirstFailure time.Time `json:"-"`
	LastFailure  time.Time `json:"-"`
	LastSuccess  time.Time `json:"-"`
	Answer       Answer    `json:"-"` // that to the last failure
	Ended        `json:"-"`
}

// Add sums two tallies.
func (t Tally) Add(u Tally) Tally {
	return Tally{Attempts: t.Attempts + u.Attempts, Failures: t.Failures + u.Failures}
}

// mostly reports whether the share of failures reaches the percentage.
func (t Tally) mostly(percent int) bool {
	return t.Attempts > 0 && t.Failures*100 >= percent*t.Attempts
}

// Rule says when an integration is failing, and when it is disabled for it. Its zero value is the product's.
type Rule struct {
	Span    time.Duration // 0 = 12 h
	Percent int           // 0 = 60
	Minimum int           // requests; 0 = 20
	Spread  int           // counters with failures; 0 = 3
	// Lasting is how long it must have been failing; 0 = 30 min, negative = no time.
	Lasting time.Duration
}

// The product's rule.
const (
	DefaultSpan    = 12 * time.Hour
	DefaultPercent = 60
	DefaultMinimum = 20
	DefaultSpread  = 3
	DefaultLasting = 30 * time.Minute
)

// When an integration counts as failing: failures in so many counters in a row, the newest of which is recent, and so
// many failures in them. A stricter Rule bounds both.
const (
	earlySpread  = 2
	earlyMinimum = 5
	recent       = 3 // counters, the present one included; a retry cycle waits for 30 minutes at most
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
	if r.Spread == 0 {
		r.Spread = DefaultSpread
	}
	if r.Lasting == 0 {
		r.Lasting = DefaultLasting
	}
	return r
}

// Check tells what is wrong with a configured rule.
func (r Rule) Check() error {
	r = r.Filled()
	switch {
	case r.Percent < 1 || r.Percent > 100:
		return errors.New("the share of failures that disables an integration must be 1 to 100 percent")
	case r.Minimum < 1:
		return errors.New("the number of requests below which no integration is disabled must be at least 1")
	case r.Spread < 1 || r.Spread > int(r.Span/Bucket):
		return fmt.Errorf("the number of ten-minute counters with failures must be 1 to %d", int(r.Span/Bucket))
	case r.Lasting > r.Span:
		return fmt.Errorf("the time that an integration must have been failing for must be at most %s", r.Span)
	}
	return nil
}

// Window is what the counters say of an integration at a time.
type Window struct {
	Tally
	// Spread is how many counters have failures.
	Spread int
	// LastSuccess and LastFailure are zero when there was none.
	LastSuccess, LastFailure time.Time
	// Answer is that to the last failure.
	Answer Answer
	// Began is the first failure of the present run: of the newest counters in a row in which the share of failures
	// reaches the rule's. Zero when the newest counter is not one of them.
	Began time.Time
	// run is the sum of these counters, runSpread their number.
	run       Tally
	runSpread int
	points    []Point
}

// Window sums a series up.
func (r Rule) Window(points []Point) Window {
	r = r.Filled()
	w := Window{points: points}
	for _, p := range points {
		w.Tally = w.Add(p.Tally)
		w.LastSuccess = later(w.LastSuccess, p.LastSuccess)
		if p.Failures > 0 {
			w.Spread++
		}
		if !p.LastFailure.Before(w.LastFailure) && !p.LastFailure.IsZero() {
			w.LastFailure, w.Answer = p.LastFailure, p.Answer
		}
	}
	for _, p := range slices.Backward(points) {
		worked := p.LastSuccess.After(p.LastFailure) && w.Began.Sub(p.LastSuccess) >= Bucket
		if !p.mostly(r.Percent) || w.runSpread > 0 && worked {
			break // what failed hours ago, and worked again, is another run
		}
		w.run = w.run.Add(p.Tally)
		w.runSpread++
		w.Began = p.FirstFailure
	}
	return w
}

// Failing reports whether an integration's people are to be told: most requests of the newest counters failed.
func (r Rule) Failing(w Window, now time.Time) bool {
	r = r.Filled()
	return w.run.Failures >= min(earlyMinimum, r.Minimum) && w.runSpread >= min(earlySpread, r.Spread) &&
		w.LastFailure.After(now.Truncate(Bucket).Add(-recent*Bucket))
}

// Working reports whether a failing integration works again: its last request was taken, and either few requests of the
// present counter and the one before failed, or none did for ten minutes.
func (r Rule) Working(w Window, now time.Time) bool {
	if !w.LastSuccess.After(w.LastFailure) {
		return false
	}
	return !w.newest(now).mostly(max(1, r.Filled().Percent/2)) || !w.LastFailure.After(now.Add(-Bucket))
}

// newest sums the present counter and the one before up.
func (w Window) newest(now time.Time) (t Tally) {
	for _, p := range slices.Backward(w.points) {
		if p.At.Before(now.Truncate(Bucket).Add(-Bucket)) {
			break
		}
		t = t.Add(p.Tally)
	}
	return t
}

// Broken applies the rule to an integration that has been failing since a time; zero when it is not.
func (r Rule) Broken(w Window, since, now time.Time) bool {
	return r.reached(w.Tally, w.Spread) && r.lasted(since, now)
}

func (r Rule) reached(t Tally, spread int) bool {
	r = r.Filled()
	return t.Attempts >= r.Minimum && t.mostly(r.Percent) && spread >= r.Spread
}

func (r Rule) lasted(since, now time.Time) bool {
	r = r.Filled()
	return r.Lasting < 0 || !since.IsZero() && now.Sub(since) >= r.Lasting
}

// Left is how many more failures in a row make the share and the number of requests suffice: 0 when they do already, -1
// when no number does.
func (r Rule) Left(t Tally) int {
	r = r.Filled()
	if r.reached(t, r.Spread) {
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

// Switch changes the state of an integration. Each method does so once: an integration that is in that state already,
// is disabled, was deleted, or was enabled again since (another window) is left alone, and done is false. What its
// tenant is told comes of the spans of the context (trace.By).
type Switch interface {
	// BeginFailing marks it as failing and has its tenant told.
	BeginFailing(ctx context.Context, tenant, id string, window int64, since time.Time, a Answer) (done bool, err error)
	// EndFailing takes the mark away and has its tenant told.
	EndFailing(ctx context.Context, tenant, id string, window int64) (done bool, err error)
	// DisableBroken disables it and has its tenant told. reason has the figures.
	DisableBroken(ctx context.Context, tenant, id string, window int64, reason string, a Answer) (done bool, err error)
}

// Monitor applies the rule.
type Monitor struct {
	Counters Counters
	Rule     Rule
	Switch   Switch
	Now      func() time.Time
}

// Judge applies the rule after a batch of counts was added, at most one for each integration. It returns the ids that
// it disabled. An integration that is not failing and did not fail in this batch is not looked at. After an error it
// can be called again with the same counts.
func (m *Monitor) Judge(ctx context.Context, counts []Count) (disabled []string, err error) {
	for _, c := range counts {
		if c.Attempts == 0 || c.Failures == 0 && c.FailingSince.IsZero() {
			continue
		}
		done, err := m.judge(trace.With(ctx, c.Spans), c)
		if err != nil {
			return disabled, err
		}
		if done {
			disabled = append(disabled, c.Integration)
		}
	}
	return disabled, nil
}

func (m *Monitor) judge(ctx context.Context, c Count) (disabled bool, err error) {
	now := m.Now()
	points, err := m.Series(ctx, c.Tenant, c.Integration, c.Window, now)
	if err != nil {
		return false, err
	}
	w, since := m.Rule.Window(points), c.FailingSince
	switch {
	case since.IsZero() && m.Rule.Failing(w, now):
		if _, err := m.Switch.BeginFailing(ctx, c.Tenant, c.Integration, c.Window, w.Began, w.Answer); err != nil {
			return false, err
		}
		since = w.Began
	case !since.IsZero() && m.Rule.Working(w, now):
		_, err := m.Switch.EndFailing(ctx, c.Tenant, c.Integration, c.Window)
		return false, err
	}
	if c.Failures == 0 || !m.Rule.Broken(w, since, now) {
		return false, nil
	}
	return m.Switch.DisableBroken(ctx, c.Tenant, c.Integration, c.Window, m.reason(w.Tally), w.Answer)
}

// Failing is a failing integration as Sweep needs it.
type Failing struct {
	Tenant      string
	Integration string
	Window      int64
}

// Sweep looks at failing integrations to which nothing was sent lately: one whose last request was taken works again,
// though no other request says so. It returns how many that were.
func (m *Monitor) Sweep(ctx context.Context, failing []Failing) (ended int, err error) {
	now := m.Now()
	for _, f := range failing {
		points, err := m.Series(ctx, f.Tenant, f.Integration, f.Window, now)
		if err != nil {
			return ended, err
		}
		if len(points) > 0 && !m.Rule.Working(m.Rule.Window(points), now) {
			continue
		}
		done, err := m.Switch.EndFailing(ctx, f.Tenant, f.Integration, f.Window)
		if err != nil {
			return ended, err
		}
		if done {
			ended++
		}
	}
	return ended, nil
}

// Series is an integration's window bucket by bucket, those with attempts.
func (m *Monitor) Series(ctx context.Context, tenant, integration string, window int64, now time.Time) ([]Point,
	error) {
	points, err := m.Counters.Series(ctx, tenant, integration, window, m.Rule.Since(now))
	if err != nil {
		return nil, fmt.Errorf("list the attempts of integration %s: %w", integration, err)
	}
	return slices.DeleteFunc(points, func(p Point) bool { return p.Attempts == 0 }), nil
}

func (m *Monitor) reason(t Tally) string {
	r := m.Rule.Filled()
	return fmt.Sprintf("%d of %d requests failed within %d hours (%d %%, the limit is %d %%)",
		t.Failures, t.Attempts, int(r.Span.Hours()), t.Failures*100/t.Attempts, r.Percent)
}
