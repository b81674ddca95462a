package health_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/health"
)

func TestBroken(t *testing.T) {
	for name, c := range map[string]struct {
		rule   health.Rule
		tally  health.Tally
		broken bool
	}{
		"60 % of 20 requests is broken":                    {health.Rule{}, health.Tally{Attempts: 20, Failures: 12}, true},
		"just under 60 % is not":                           {health.Rule{}, health.Tally{Attempts: 1000, Failures: 599}, false},
		"19 failures of 19 requests are too few to tell":   {health.Rule{}, health.Tally{Attempts: 19, Failures: 19}, false},
		"no requests is not broken":                        {health.Rule{}, health.Tally{}, false},
		"the minimum can be set":                           {health.Rule{Minimum: 5}, health.Tally{Attempts: 5, Failures: 5}, true},
		"the percentage can be set":                        {health.Rule{Percent: 90}, health.Tally{Attempts: 100, Failures: 89}, false},
		"60 % is reached by rounding neither up nor down":  {health.Rule{}, health.Tally{Attempts: 21, Failures: 12}, false},
		"exactly 60 % of an odd number of requests counts": {health.Rule{}, health.Tally{Attempts: 25, Failures: 15}, true},
		"a window of failures alone is broken at its 20th": {health.Rule{}, health.Tally{Attempts: 20, Failures: 20}, true},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.broken, c.rule.Broken(c.tally)) })
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

// counters holds one sum; what is tested here is what the monitor does with it.
type counters struct {
	tally health.Tally
	sums  int
	err   error
}

func (c *counters) Add(context.Context, []health.Count) error { return c.err }
func (c *counters) Sum(context.Context, string, string, int64, time.Time) (health.Tally, error) {
	c.sums++
	return c.tally, c.err
}

func (c *counters) Series(context.Context, string, string, int64, time.Time) ([]health.Point, error) {
	return []health.Point{{Tally: c.tally}}, c.err
}

func TestLeftIsHowManyFailuresBreakIt(t *testing.T) {
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
			require.False(t, rule.Broken(fail(1_000_000)), "%+v %+v", rule, tally)
			continue
		}
		require.True(t, rule.Broken(fail(left)), "%+v %+v: %d", rule, tally, left)
		require.True(t, left == 0 || !rule.Broken(fail(left-1)), "%+v %+v: %d is one too many", rule, tally, left)
	}
}

type disabler struct {
	windows []int64
	reasons []string
	already bool
}

func (d *disabler) DisableBroken(_ context.Context, _, _ string, window int64, reason string) (bool, error) {
	d.windows, d.reasons = append(d.windows, window), append(d.reasons, reason)
	return !d.already, nil
}

func TestJudge(t *testing.T) {
	failed := health.Count{Tenant: "42", Integration: "a", Window: 3, Attempts: 4, Failures: 4}
	monitor := func(c *counters, d *disabler) *health.Monitor {
		return &health.Monitor{Counters: c, Disabler: d, Now: time.Now}
	}

	t.Run("a broken integration is disabled with a reason that has the figures", func(t *testing.T) {
		d := &disabler{}
		ids, err := monitor(&counters{tally: health.Tally{Attempts: 40, Failures: 30}}, d).Judge(t.Context(), []health.Count{failed})
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, ids)
		require.Equal(t, []int64{3}, d.windows)
		require.Equal(t, []string{"30 of 40 requests failed within 12 hours (75 %, the limit is 60 %)"}, d.reasons)
	})
	t.Run("a batch without failures is not even looked at", func(t *testing.T) {
		c := &counters{tally: health.Tally{Attempts: 40, Failures: 40}}
		ids, err := monitor(c, &disabler{}).Judge(t.Context(), []health.Count{{Integration: "a", Attempts: 5}})
		require.NoError(t, err)
		require.Empty(t, ids)
		require.Zero(t, c.sums)
	})
	t.Run("an integration that is off already is not reported again", func(t *testing.T) {
		ids, err := monitor(&counters{tally: health.Tally{Attempts: 40, Failures: 40}}, &disabler{already: true}).Judge(t.Context(), []health.Count{failed})
		require.NoError(t, err)
		require.Empty(t, ids)
	})
	t.Run("an error of the counters is passed on with the integration's id", func(t *testing.T) {
		cause := errors.New("disk full")
		_, err := monitor(&counters{err: cause}, &disabler{}).Judge(t.Context(), []health.Count{failed})
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, "integration a")
	})
}
