package statetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/ratelimit"
)

// Requests is what a counter of the requests of tenants must do.
func Requests(t *testing.T, c ratelimit.Counter) {
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	count := func(tenant string, window time.Time, n int) int {
		t.Helper()
		sum, err := c.Count(t.Context(), tenant, window, n)
		require.NoError(t, err)
		return sum
	}
	t.Run("it sums up each tenant's by the window", func(t *testing.T) {
		require.Equal(t, 1, count("42", minute, 1))
		require.Equal(t, 3, count("42", minute, 2))
		require.Equal(t, 5, count("43", minute, 5))
		require.Equal(t, 4, count("42", minute, 1))
		require.Equal(t, 7, count("42", minute.Add(ratelimit.Window), 7))
	})
	t.Run("of many at once each gets a sum of its own", func(t *testing.T) {
		seen := map[int]bool{}
		var mu sync.Mutex
		var work sync.WaitGroup
		for range 20 {
			work.Go(func() {
				sum, err := c.Count(t.Context(), "44", minute.Add(2*ratelimit.Window), 3)
				mu.Lock()
				defer mu.Unlock()
				seen[sum] = err == nil
			})
		}
		work.Wait()
		require.Len(t, seen, 20)
		require.True(t, seen[60], "the last one sees all")
	})
}
