package fanouttest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/filter"
	"tocsin/shared/health"
)

// Arrivals is the suite of what accepting counts for the overview of a day (health.Arrivals, health.LeftOut).
func Arrivals(t *testing.T, open func(t *testing.T) (AcceptingEngine, health.Counters)) {
	t.Run("an event that came in counts once, however often it comes", func(t *testing.T) {
		t.Parallel()
		e, counters := open(t)
		a := begin(t, e)
		arrived := func(tenant string) (n int) {
			t.Helper()
			since := enginetest.At.Truncate(health.Bucket)
			return enginetest.Tally(t, counters, tenant, health.Arrivals, 0, since).Attempts
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
	t.Run("what a filter stops counts for its integration and filter", func(t *testing.T) {
		t.Parallel()
		e, counters := open(t)
		a := begin(t, e)
		to := a.fanout.Integrations.(only)
		to.Filters = []filter.Filter{{ID: filter.ByKind, Operator: filter.NotEqual,
			Values: []filter.Value{"create_user"}}}
		a.fanout.Integrations = to
		stopped := func(by filter.ID) int {
			t.Helper()
			name := health.LeftOutOf("i", string(by))
			return enginetest.Tally(t, counters, "42", name, 0, enginetest.At.Truncate(health.Bucket)).Attempts
		}
		require.Zero(t, stopped(filter.ByKind))
		a.process(a.take("a", "b", "a"))
		a.process(a.take("b", "c"))
		require.Equal(t, 3, stopped(filter.ByKind))
		require.Zero(t, stopped(filter.ByType))
		require.Empty(t, a.Log.Ready(t, "42", "i", 10))
	})
}
