package health_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/health"
)

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// attempt is one request as the oracle keeps it.
type attempt struct {
	at     time.Time
	failed bool
}

// every makes an attempt each step from one minute after midnight to another, of which the share given fails.
func every(step time.Duration, from, to float64, failing float64) (out []attempt) {
	at := func(minutes float64) time.Time { return midnight.Add(time.Duration(minutes * float64(time.Minute))) }
	owed := 0.0
	for t := at(from); t.Before(at(to)); t = t.Add(step) {
		owed += failing
		failed := owed >= 1-1e-9
		if failed {
			owed--
		}
		out = append(out, attempt{t, failed})
	}
	return out
}

// counters is health.Counters in memory, from all attempts.
type counters struct {
	points []health.Point
	reads  int
	err    error
}

func (c *counters) Add(_ context.Context, counts []health.Count) error {
	for _, n := range counts {
		at := n.At.Truncate(health.Bucket)
		k := slices.IndexFunc(c.points, func(p health.Point) bool { return p.At.Equal(at) })
		if k < 0 {
			k = len(c.points)
			c.points = append(c.points, health.Point{At: at})
		}
		p := &c.points[k]
		p.Tally = p.Add(health.Tally{Attempts: n.Attempts, Failures: n.Failures})
		if p.FirstFailure.IsZero() {
			p.FirstFailure = n.FirstFailure
		}
		if n.Failures > 0 {
			p.LastFailure, p.Answer = n.LastFailure, n.Answer
		}
		if !n.LastSuccess.IsZero() {
			p.LastSuccess = n.LastSuccess
		}
	}
	return c.err
}

func (c *counters) Series(_ context.Context, _, _ string, _ int64, since time.Time) (out []health.Point, err error) {
	c.reads++
	for _, p := range c.points {
		if !p.At.Before(since) {
			out = append(out, p)
		}
	}
	return out, c.err
}

func (c *counters) Several(context.Context, string, []health.SeriesKey, time.Time, func(int, health.Point)) error {
	panic("the rule is of one integration")
}

// states is health.Switch: the state of one integration and what its tenant was told.
type states struct {
	since    time.Time
	disabled time.Time
	now      func() time.Time
	told     []string
	answers  []health.Answer
}

func (s *states) BeginFailing(_ context.Context, _, _ string, _ int64, since time.Time, a health.Answer) (bool, error) {
	if !s.since.IsZero() || !s.disabled.IsZero() {
		return false, nil
	}
	s.since, s.told, s.answers = since, append(s.told, "failing"), append(s.answers, a)
	return true, nil
}

func (s *states) EndFailing(context.Context, string, string, int64) (bool, error) {
	if s.since.IsZero() || !s.disabled.IsZero() {
		return false, nil
	}
	s.since, s.told = time.Time{}, append(s.told, "working")
	return true, nil
}

func (s *states) DisableBroken(_ context.Context, _, _ string, _ int64, reason string, a health.Answer) (bool, error) {
	if !s.disabled.IsZero() {
		return false, nil
	}
	s.disabled, s.told, s.answers = s.now(), append(s.told, "disabled"), append(s.answers, a)
	return true, nil
}

// run plays attempts, one batch each, has each looked at, and returns what became of the integration.
func run(t *testing.T, rule health.Rule, attempts []attempt, look func(attempt, *states)) *states {
	t.Helper()
	now := midnight
	s := &states{now: func() time.Time { return now }}
	m := &health.Monitor{Counters: &counters{}, Rule: rule, Switch: s, Now: s.now}
	for _, a := range attempts {
		now = a.at
		c := health.Count{Tenant: "42", Integration: "a", Window: 1, At: now, FailingSince: s.since}
		c.Attempt(a.at, a.failed, health.Answer{Status: 503, Words: "answered 503 Service Unavailable"})
		require.NoError(t, m.Counters.Add(t.Context(), []health.Count{c}))
		_, err := m.Judge(t.Context(), []health.Count{c})
		require.NoError(t, err)
		look(a, s)
		if !s.disabled.IsZero() {
			break
		}
	}
	return s
}

// TestOutages writes down what becomes of an integration in the outages that receivers have.
func TestOutages(t *testing.T) {
	const second, minute = time.Second, time.Minute
	for name, c := range map[string]struct {
		attempts []attempt
		told     []string
		off      float64 // minutes after midnight, 0 = never
	}{
		"two events in a minute of 503 are told to nobody": {
			append(every(3*second, 0, 1, 1), every(3*second, 1, 1.2, 0)...), nil, 0},
		"a minute that lies in two counters is told, and told again when it is over": {
			append(every(3*second, 9.5, 10.5, 1), every(3*second, 10.5, 30, 0)...), []string{"failing", "working"}, 0},
		"a deployment of 25 minutes, all of a quiet integration's requests failing, disables nothing": {
			append(every(30*second, 9, 34, 1), every(30*second, 34, 60, 0)...), []string{"failing", "working"}, 0},
		"a deployment of 25 minutes of a busy integration disables nothing": {
			append(append(every(6*second, 0, 300, 0), every(6*second, 300, 325, 1)...),
				every(6*second, 325, 400, 0)...), []string{"failing", "working"}, 0},
		"70 % failing for an hour disables one that did nothing else that day": {
			every(6*second, 0, 60, 0.7), []string{"failing", "disabled"}, 30},
		"70 % failing for an hour is told, and disables none that worked for the hours before": {
			append(append(every(6*second, 0, 120, 0), every(6*second, 120, 180, 0.7)...),
				every(6*second, 180, 240, 0)...), []string{"failing", "working"}, 0},
		"a receiver that is gone is told of early and disabled after half an hour": {
			every(30*second, 0, 90, 1), []string{"failing", "disabled"}, 30},
		"half failing is told to nobody": {every(6*second, 0, 600, 0.5), nil, 0},
		"a request an hour that fails with all its retries is told of, and disabled when they are 20": {
			append(every(4*minute, 0, 52, 1), every(4*minute, 60, 112, 1)...), []string{"failing", "disabled"}, 84},
		"a bad minute this morning does not begin an episode of tonight": {
			slices.Concat(every(3*second, 0, 1, 1), every(3*second, 1, 1.2, 0), every(3*second, 300, 300.5, 1),
				every(3*second, 300.5, 320, 0)), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := run(t, health.Rule{}, c.attempts, func(attempt, *states) {})
			require.Equal(t, c.told, s.told)
			if c.off == 0 {
				require.Zero(t, s.disabled)
				return
			}
			require.InDelta(t, c.off, s.disabled.Sub(midnight).Minutes(), 1)
			require.Equal(t, health.Answer{Status: 503, Words: "answered 503 Service Unavailable"}, s.answers[1],
				"the cause is told")
		})
	}
}

// TestDisabledExactlyWhenEveryConditionHolds compares with an oracle that keeps every attempt.
func TestDisabledExactlyWhenEveryConditionHolds(t *testing.T) {
	disabled := 0
	for range 200 {
		rule := health.Rule{
			Percent: 1 + rand.IntN(100), Minimum: 1 + rand.IntN(60), Spread: 1 + rand.IntN(6),
			Lasting: time.Duration(rand.IntN(60)-20) * time.Minute,
		}.Filled()
		var attempts []attempt
		at := 0.0
		for range 1 + rand.IntN(8) {
			long, failing := rand.Float64()*180, []float64{0, 0.3, 0.7, 1, rand.Float64()}[rand.IntN(5)]
			attempts = append(attempts, every(time.Duration(5+rand.IntN(240))*time.Second, at, at+long, failing)...)
			at += long + rand.Float64()*60
		}
		o := oracle{rule: rule, counters: map[time.Time]int{}}
		s := run(t, rule, attempts, func(a attempt, s *states) {
			lasted := rule.Lasting < 0 || !s.since.IsZero() && a.at.Sub(s.since) >= rule.Lasting
			require.Equal(t, o.reached(a) && a.failed && lasted, !s.disabled.IsZero(), "%+v at %s", rule, a.at)
		})
		if !s.disabled.IsZero() {
			disabled++
		}
	}
	require.NotZero(t, disabled)
}

// oracle keeps the attempts of the rule's span.
type oracle struct {
	rule     health.Rule
	kept     []attempt
	failures int
	counters map[time.Time]int // failures in each
}

// reached adds an attempt and tells whether share, number and spread suffice now.
func (o *oracle) reached(a attempt) bool {
	o.count(a, 1)
	o.kept = append(o.kept, a)
	for o.kept[0].at.Before(o.rule.Since(a.at)) {
		o.count(o.kept[0], -1)
		o.kept = o.kept[1:]
	}
	return len(o.kept) >= o.rule.Minimum && o.failures*100 >= o.rule.Percent*len(o.kept) &&
		len(o.counters) >= o.rule.Spread
}

func (o *oracle) count(a attempt, n int) {
	if !a.failed {
		return
	}
	o.failures += n
	counter := a.at.Truncate(health.Bucket)
	if o.counters[counter] += n; o.counters[counter] == 0 {
		delete(o.counters, counter)
	}
}

func TestTheWindowIsAtMost73Buckets(t *testing.T) {
	for range 1000 {
		now := time.Unix(rand.Int64N(1<<32), rand.Int64N(1e9)).UTC()
		since := health.Rule{}.Since(now)
		buckets := now.Truncate(health.Bucket).Sub(since)/health.Bucket + 1
		require.LessOrEqual(t, buckets, time.Duration(73), now)
		require.GreaterOrEqual(t, now.Sub(since), 12*time.Hour, "nothing of the last 12 hours is left out")
	}
}

func TestLeftIsHowManyFailuresSuffice(t *testing.T) {
	suffices := func(rule health.Rule, t health.Tally) bool {
		return t.Attempts >= rule.Minimum && t.Failures*100 >= rule.Percent*t.Attempts
	}
	for range 2000 {
		rule := health.Rule{Percent: 1 + rand.IntN(100), Minimum: 1 + rand.IntN(40)}
		tally := health.Tally{Attempts: rand.IntN(60)}
		if tally.Attempts > 0 {
			tally.Failures = rand.IntN(tally.Attempts + 1)
		}
		fail := func(n int) health.Tally { return tally.Add(health.Tally{Attempts: n, Failures: n}) }
		left := rule.Left(tally)
		if left < 0 {
			require.Equal(t, 100, rule.Percent)
			require.False(t, suffices(rule, fail(1_000_000)), "%+v %+v", rule, tally)
			continue
		}
		require.True(t, suffices(rule, fail(left)), "%+v %+v: %d", rule, tally, left)
		require.True(t, left == 0 || !suffices(rule, fail(left-1)), "%+v %+v: %d is one too many", rule, tally, left)
	}
}

func TestJudge(t *testing.T) {
	failed := health.Count{Tenant: "42", Integration: "a", Window: 3, Attempts: 4, Failures: 4}
	t.Run("an integration that works and did not fail in the batch is not even looked at", func(t *testing.T) {
		c := &counters{}
		ids, err := (&health.Monitor{Counters: c, Switch: &states{}, Now: time.Now}).Judge(t.Context(),
			[]health.Count{{Integration: "a", Attempts: 5}})
		require.NoError(t, err)
		require.Empty(t, ids)
		require.Zero(t, c.reads)
	})
	t.Run("an error of the counters is passed on with the integration's id", func(t *testing.T) {
		cause := errors.New("disk full")
		_, err := (&health.Monitor{Counters: &counters{err: cause}, Switch: &states{}, Now: time.Now}).
			Judge(t.Context(), []health.Count{failed})
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, "integration a")
	})
}

// TestAQuietIntegrationWorksAgainWithoutAnotherRequest: its last request was taken, and nothing was sent since.
func TestAQuietIntegrationWorksAgainWithoutAnotherRequest(t *testing.T) {
	s := run(t, health.Rule{}, append(every(time.Minute, 0, 25, 1), attempt{midnight.Add(25 * time.Minute), false}),
		func(attempt, *states) {})
	require.Equal(t, []string{"failing"}, s.told)
	c := &counters{}
	for _, a := range append(every(time.Minute, 0, 25, 1), attempt{midnight.Add(25 * time.Minute), false}) {
		n := health.Count{At: a.at}
		n.Attempt(a.at, a.failed, health.Answer{})
		require.NoError(t, c.Add(t.Context(), []health.Count{n}))
	}
	now := midnight.Add(26 * time.Minute)
	m := &health.Monitor{Counters: c, Switch: s, Now: func() time.Time { return now }}
	failing := []health.Failing{{Tenant: "42", Integration: "a", Window: 1}}
	ended, err := m.Sweep(t.Context(), failing)
	require.NoError(t, err)
	require.Zero(t, ended, "its last failure is two minutes old")
	now = midnight.Add(40 * time.Minute)
	ended, err = m.Sweep(t.Context(), failing)
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	require.Equal(t, []string{"failing", "working"}, s.told)
}

func TestARuleThatCanNotHoldIsRefused(t *testing.T) {
	require.NoError(t, health.Rule{}.Check())
	for _, r := range []health.Rule{{Percent: 101}, {Percent: -1}, {Minimum: -1}, {Spread: -1}, {Spread: 73},
		{Lasting: 13 * time.Hour}} {
		require.Error(t, r.Check(), "%+v", r)
	}
}
