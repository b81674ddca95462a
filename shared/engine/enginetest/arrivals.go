package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/health"
)

// Arrivals is the suite of what accepting counts for the overview of a day (health.Arrivals).
func Arrivals(t *testing.T, open func(t *testing.T) (AcceptingEngine, health.Counters)) {
	t.Run("an event that came in counts once, however often it comes", func(t *testing.T) {
		t.Parallel()
		e, counters := open(t)
		a := begin(t, e)
		arrived := func(tenant string) (n int) {
			t.Helper()
			return tally(t, counters, tenant, health.Arrivals, 0, At.Truncate(health.Bucket)).Attempts
		}
		require.Zero(t, arrived("42"))
		a.process(a.take("a", "b", "a"))
		require.Equal(t, 2, arrived("42"))
		a.process(a.take("b", "c"))
		a.process(a.take("a"))
		a.Later(t)
		require.Equal(t, 3, arrived("42"))
		require.Zero(t, arrived("43"))
	})
}
