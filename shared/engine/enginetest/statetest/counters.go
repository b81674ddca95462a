package statetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/health"
)

// start is the time of what is counted.
var start = enginetest.At

// OpenCounters opens an engine.
type OpenCounters func(t *testing.T) health.Counters

// Counters is the suite of health.Counters.
func Counters(t *testing.T, open OpenCounters) {
	run := enginetest.Parallel(t, open)
	run("counts add up by integration and window", countsAddUp)
	run("a bucket counts when it begins at since or later", bucketCountsFromSince)
	run("the rolling window is that of the rule", rollingWindowIsThatOfTheRule)
	run("a series lists the buckets of one window in the order of time", seriesIsInOrder)
	run("a counter knows its first and last failure, its last success and the last answer", counterKnowsItsFailures)
	run("many series of a tenant are read at once", manySeriesAtOnce)
	run("series of more integrations than are read in a call", seriesOfManyIntegrations)
	run("a count is taken back", countIsTakenBack)
	run("what became of deliveries adds up, beside attempts and without any", endsAddUp)
	run("many writers lose nothing", manyWritersLoseNoCount)
}

func countsAddUp(t *testing.T, open OpenCounters) {
	c := open(t)
	require.NoError(t,
		c.Add(t.Context(), []health.Count{count("a", 1, start, 10, 3), count("b", 1, start, 5, 5),
			count("a", 2, start, 1, 1)}))
	require.NoError(t, c.Add(t.Context(), []health.Count{count("a", 1, start.Add(time.Hour), 2, 1)}))
	require.Equal(t, health.Tally{Attempts: 12, Failures: 4}, enginetest.Tally(t, c, "42", "a", 1, start))
	require.Equal(t, health.Tally{Attempts: 1, Failures: 1}, enginetest.Tally(t, c, "42", "a", 2, start))
	require.Equal(t, health.Tally{Attempts: 5, Failures: 5}, enginetest.Tally(t, c, "42", "b", 1, start))
	require.Zero(t, enginetest.Tally(t, c, "43", "a", 1, start))
	require.Zero(t, enginetest.Tally(t, c, "42", "c", 1, start))
}

func bucketCountsFromSince(t *testing.T, open OpenCounters) {
	c := open(t)
	require.NoError(t,
		c.Add(t.Context(), []health.Count{count("a", 1, start.Add(9*time.Minute+59*time.Second), 1, 1)}))
	require.Equal(t, 1, enginetest.Tally(t, c, "42", "a", 1, start).Attempts)
	require.Zero(t, enginetest.Tally(t, c, "42", "a", 1, start.Add(time.Second)).Attempts)
	require.Zero(t, enginetest.Tally(t, c, "42", "a", 1, start.Add(10*time.Minute)).Attempts)
}

func rollingWindowIsThatOfTheRule(t *testing.T, open OpenCounters) {
	c := open(t)
	for minutes := 0; minutes < 24*60; minutes += 10 {
		require.NoError(t, c.Add(t.Context(),
			[]health.Count{count("a", 1, start.Add(time.Duration(minutes)*time.Minute), 1, 0)}))
	}
	now := start.Add(24*time.Hour - time.Minute)
	require.Equal(t, 73, enginetest.Tally(t, c, "42", "a", 1, health.Rule{}.Since(now)).Attempts, "at most 73 buckets")
}

func seriesIsInOrder(t *testing.T, open OpenCounters) {
	c := open(t)
	require.NoError(t, c.Add(t.Context(), []health.Count{
		count("a", 1, start.Add(25*time.Minute), 4, 1), count("a", 1, start, 10, 3), count("a", 2, start, 1, 1),
		count("b", 1, start, 9, 9), count("a", 1, start.Add(time.Minute), 1, 1),
	}))
	got, err := c.Series(t.Context(), "42", "a", 1, start)
	require.NoError(t, err)
	require.Equal(t, []health.Point{
		{At: start.Truncate(health.Bucket).UTC(), Tally: health.Tally{Attempts: 11, Failures: 4}},
		{At: start.Add(25 * time.Minute).Truncate(health.Bucket).UTC(), Tally: health.Tally{Attempts: 4, Failures: 1}},
	}, got)
	got, err = c.Series(t.Context(), "42", "a", 1, start.Add(10*time.Minute))
	require.NoError(t, err)
	require.Len(t, got, 1)
	got, err = c.Series(t.Context(), "42", "c", 1, start)
	require.NoError(t, err)
	require.Empty(t, got)
}

func counterKnowsItsFailures(t *testing.T, open OpenCounters) {
	c := open(t)
	bucket := start.Truncate(health.Bucket).UTC()
	attempts := func(offsets ...int) health.Count { // seconds into the bucket; the failures are negative
		n := count("a", 1, bucket, 0, 0)
		for _, s := range offsets {
			when := bucket.Add(time.Duration(max(s, -s)) * time.Second)
			n.Attempt(when, s < 0, health.Answer{Status: 500 + max(s, -s), Words: when.Format(time.TimeOnly)})
		}
		return n
	}
	one := func() health.Point {
		points, err := c.Series(t.Context(), "42", "a", 1, bucket)
		require.NoError(t, err)
		require.Len(t, points, 1)
		return points[0]
	}
	at := func(s int) time.Time { return bucket.Add(time.Duration(s) * time.Second) }
	require.NoError(t, c.Add(t.Context(), []health.Count{attempts(3)}))
	require.Equal(t, health.Point{At: bucket, Tally: health.Tally{Attempts: 1}, LastSuccess: at(3)}, one())
	require.NoError(t, c.Add(t.Context(), []health.Count{attempts(-5, -7, 6), attempts(-8)}))
	want := health.Point{
		At: bucket, Tally: health.Tally{Attempts: 5, Failures: 3}, FirstFailure: at(5), LastFailure: at(8),
		LastSuccess: at(6),
		Answer:      health.Answer{Status: 508, Words: at(8).Format(time.TimeOnly)},
	}
	require.Equal(t, want, one())
	require.NoError(t, c.Add(t.Context(), []health.Count{attempts(20)}))
	want.Tally, want.LastSuccess = health.Tally{Attempts: 6, Failures: 3}, at(20)
	require.Equal(t, want, one(), "a success leaves what is known of failures")
}

// manySeriesAtOnce has more buckets than an engine reads at a time.
func manySeriesAtOnce(t *testing.T, open OpenCounters) {
	c := open(t)
	for _, of := range [][]health.SeriesKey{nil, {{Integration: "a", Window: 1}}} {
		require.NoError(t, c.Several(t.Context(), "42", of, start,
			func(int, health.Point) { t.Error("nothing is counted") }))
	}
	const integrations, buckets = 15, 140
	var keys []health.SeriesKey
	var counts []health.Count
	for n := range integrations {
		id := fmt.Sprintf("i%03d", n)
		keys = append(keys, health.SeriesKey{Integration: id, Window: int64(1 + n%3)})
		for k := range buckets {
			counts = append(counts, count(id, int64(1+n%3), start.Add(time.Duration(k)*health.Bucket), k+1, n))
		}
	}
	tomorrow := start.Add(buckets * health.Bucket)
	keys = append(keys, health.SeriesKey{Integration: "nothing", Window: 1},
		health.SeriesKey{Integration: "i000", Window: 9}, health.SeriesKey{Integration: health.LeftOutOf("i000", "f")})
	counts = append(counts, count("i000", 2, start, 1000, 0), // of another window
		health.LeftOut("42", "i000", "f", start, 12), health.LeftOut("42", "i000", "g", start, 1000),
		health.Arrived("42", start, 1000), health.Arrived("43", start, 1000))
	require.NoError(t, c.Add(t.Context(), counts))
	for _, since := range []time.Time{start.Truncate(health.Bucket), start.Add(time.Hour), tomorrow.Add(time.Hour)} {
		got := map[int][]health.Point{}
		require.NoError(t, c.Several(t.Context(), "42", keys, since, func(n int, p health.Point) {
			got[n] = append(got[n], p)
		}))
		for n, k := range keys {
			want, err := c.Series(t.Context(), "42", k.Integration, k.Window, since)
			require.NoError(t, err)
			require.Equal(t, want, got[n], k)
		}
	}
}

// seriesOfManyIntegrations has some that nothing was counted of.
func seriesOfManyIntegrations(t *testing.T, open OpenCounters) {
	c := open(t)
	keys, want := make([]health.SeriesKey, 230), make([]int, 230)
	var counts []health.Count
	for n := range keys {
		id := fmt.Sprintf("i%03d", n)
		keys[n] = health.SeriesKey{Integration: id, Window: 1}
		for hour := range n % 3 {
			counts = append(counts, count(id, 1, start.Add(-time.Duration(hour)*time.Hour), n, 0))
			want[n] += n
		}
		counts = append(counts, count(id, 1, start.Add(-2*24*time.Hour), 1000, 0))
	}
	require.NoError(t, c.Add(t.Context(), counts))
	got, last := make([]int, len(keys)), make([]time.Time, len(keys))
	require.NoError(t, c.Several(t.Context(), "42", keys, start.Add(-24*time.Hour), func(n int, p health.Point) {
		require.True(t, p.At.After(last[n]), "in the order of time")
		got[n], last[n] = got[n]+p.Attempts, p.At
	}))
	require.Equal(t, want, got)
}

func countIsTakenBack(t *testing.T, open OpenCounters) {
	// mail.Quota does, for mails that are over its limit
	c := open(t)
	require.NoError(t, c.Add(t.Context(), []health.Count{count("mails on request", 0, start, 7, 0)}))
	require.NoError(t, c.Add(t.Context(), []health.Count{count("mails on request", 0, start, -3, 0)}))
	got, err := c.Series(t.Context(), "42", "mails on request", 0, start.Truncate(health.Bucket))
	require.NoError(t, err)
	require.Equal(t, []health.Point{{At: start.Truncate(health.Bucket).UTC(), Tally: health.Tally{Attempts: 4}}}, got)
}

func endsAddUp(t *testing.T, open OpenCounters) {
	c := open(t)
	ended := func(delivered, dead int, took ...time.Duration) health.Ended {
		e := health.Ended{Delivered: delivered, Dead: dead}
		for _, d := range took {
			e.Latencies.Add(d)
		}
		return e
	}
	first, second := count("a", 1, start, 3, 1), count("a", 1, start, 2, 0)
	first.Ended = ended(2, 1, 80*time.Millisecond, 2*time.Hour)
	second.Ended = ended(2, 0, 80*time.Millisecond, 3*time.Second)
	silent := count("a", 1, start.Add(health.Bucket), 0, 0)
	silent.Ended = ended(0, 7)
	require.NoError(t, c.Add(t.Context(), []health.Count{first, silent}))
	require.NoError(t, c.Add(t.Context(), []health.Count{second}))
	points, err := c.Series(t.Context(), "42", "a", 1, start.Truncate(health.Bucket))
	require.NoError(t, err)
	bucket := start.Truncate(health.Bucket).UTC()
	require.Equal(t, []health.Point{
		{At: bucket, Tally: health.Tally{Attempts: 5, Failures: 1},
			Ended: ended(4, 1, 80*time.Millisecond, 80*time.Millisecond, 3*time.Second, 2*time.Hour)},
		{At: bucket.Add(health.Bucket), Ended: ended(0, 7)},
	}, points)
}

func manyWritersLoseNoCount(t *testing.T, open OpenCounters) {
	c := open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if err := c.Add(t.Context(), []health.Count{count("a", 1, start, 2, 1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, health.Tally{Attempts: 400, Failures: 200}, enginetest.Tally(t, c, "42", "a", 1, start))
}

func count(id string, window int64, when time.Time, attempts, failures int) health.Count {
	return health.Count{Tenant: "42", Integration: id, Window: window, At: when, Attempts: attempts,
		Failures: failures}
}
