package retry_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/retry"
)

func TestTheCyclesAreThoseOfTheProductFacts(t *testing.T) {
	const s, m = time.Second, time.Minute
	want := []time.Duration{
		1 * s, 3 * s, 5 * s, 10 * s, 10 * s,
		0, 1 * s, 3 * s, 5 * s, 30 * s,
		1 * m, 1 * m, 3 * m, 5 * m, 10 * m, 30 * m,
	}
	var got []time.Duration
	var total time.Duration
	for failures := 1; ; failures++ {
		wait, ok := retry.Schedule{}.Next(failures, 0)
		if !ok {
			break
		}
		got = append(got, wait)
		total += wait
	}
	require.Equal(t, want, got)
	require.Equal(t, 51*time.Minute+8*time.Second, total, "product facts, section 3")
	require.Equal(t, 17, retry.Schedule{}.Attempts())
}

func TestRetryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		failures        int
		retryAfter, got time.Duration
	}{
		"a longer Retry-After lengthens the wait":    {1, 20 * time.Second, 20 * time.Second},
		"a shorter Retry-After does not shorten it":  {2, time.Second, 3 * time.Second},
		"Retry-After is capped at 30 minutes":        {1, 24 * time.Hour, 30 * time.Minute},
		"no Retry-After leaves the wait":             {10, 0, 30 * time.Second},
		"the wait of 0 s can be lengthened as well":  {6, 2 * time.Second, 2 * time.Second},
		"a negative Retry-After is as good as none":  {1, -time.Hour, time.Second},
		"the last wait is not shortened by the cap":  {16, 31 * time.Minute, 30 * time.Minute},
		"a Retry-After just under the cap is obeyed": {16, 29 * time.Minute, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			wait, ok := retry.Schedule{}.Next(c.failures, c.retryAfter)
			require.True(t, ok)
			require.Equal(t, c.got, wait)
		})
	}
}

func TestNoWaitOutsideTheCycles(t *testing.T) {
	for _, failures := range []int{-1, 0, 17, 1000} {
		_, ok := retry.Schedule{}.Next(failures, time.Hour)
		require.False(t, ok, failures)
	}
}

func TestAFasterScheduleDividesEveryWait(t *testing.T) {
	for failures := 1; failures <= 16; failures++ {
		full, _ := retry.Schedule{}.Next(failures, 0)
		fast, ok := retry.Schedule{Faster: 100}.Next(failures, 0)
		require.True(t, ok)
		require.Equal(t, full/100, fast)
	}
}

func TestPosition(t *testing.T) {
	for failures, want := range map[int][2]int{0: {0, 0}, 1: {1, 1}, 5: {1, 5}, 6: {2, 1}, 10: {2, 5}, 11: {3, 1},
		16: {3, 6}, 17: {0, 0}} {
		cycle, wait := retry.Position(failures)
		require.Equal(t, want, [2]int{cycle, wait}, failures)
	}
}

// TestThePagesSayWhenRetriesEnd: without a word of the receiver, and where each answer asks for the longest wait. The
// requests themselves take their time besides.
func TestThePagesSayWhenRetriesEnd(t *testing.T) {
	var usual, longest time.Duration
	for failures := 1; failures < (retry.Schedule{}).Attempts(); failures++ {
		wait, _ := retry.Schedule{}.Next(failures, 0)
		usual += wait
		wait, _ = retry.Schedule{}.Next(failures, 24*time.Hour)
		longest += wait
	}
	require.Equal(t, 51*time.Minute, usual.Truncate(time.Minute))
	require.Equal(t, 8*time.Hour, longest)
	for page, says := range map[string]string{
		"alerts.md":    "51 minutes after the first failure, or up to 8 hours",
		"retention.md": "Retries end within an hour, or within 8 hours"} {
		text, err := os.ReadFile("../../docs/" + page)
		require.NoError(t, err)
		require.Contains(t, strings.Join(strings.Fields(string(text)), " "), says)
	}
}
