package overview_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/overview"
)

// crowd is a tenant with many integrations, of which one has died deliveries. It counts what is asked of an engine.
type crowd struct {
	world
	many, asked int
}

func (c *crowd) List(_ context.Context, tenant, after string, limit int) (out []integration.Integration, _ error) {
	for n := range c.many {
		if id := fmt.Sprintf("i%05d", n); id > after && len(out) < limit {
			out = append(out, integration.Integration{ID: id, Tenant: tenant, System: "slack", Window: 1})
		}
	}
	return out, nil
}

func (c *crowd) Series(context.Context, string, string, int64, time.Time) ([]health.Point, error) {
	c.asked++
	return nil, nil
}

func (c *crowd) Several(_ context.Context, _ string, of []health.SeriesKey, _ time.Time,
	visit func(int, health.Point)) error {
	c.asked++
	if len(of) != c.many {
		return fmt.Errorf("%d series were asked for", len(of))
	}
	visit(7, died(3, health.Answer{Status: 404}))
	return nil
}

func (c *crowd) CountWaitingOf(_ context.Context, _ string, ids []string, _ int) ([]integration.Waiting, error) {
	c.asked++
	out := make([]integration.Waiting, len(ids))
	out[7].Count = 5
	return out, nil
}

func (c *crowd) CountDead(context.Context, string, string, time.Time, int) (int, error) {
	c.asked++
	return 3, nil
}

func (c *crowd) HeldUntil(_ context.Context, _ string, ids []string) ([]time.Time, error) {
	c.asked++
	return make([]time.Time, len(ids)), nil
}

// What is asked of an engine does not grow with the integrations that have nothing to tell.
func TestAnOverviewAsksAsMuchForTenThousandIntegrationsAsForTen(t *testing.T) {
	for _, many := range []int{10, 10_000} {
		c := &crowd{world: world{opens: true}, many: many}
		r := overview.Reader{Integrations: c, Systems: c, Counters: c, Backlog: c, Holds: c,
			Now: func() time.Time { return now }}
		o, err := r.Read(t.Context(), "42")
		require.NoError(t, err)
		require.Len(t, o.Integrations, many)
		require.Equal(t, 6, c.asked, "%d integrations: what came in, what was throttled, what became of deliveries, "+
			"what waits; of one whether it is held, and what was not sent", many)
		require.Len(t, o.Trouble, 1)
		require.Equal(t, "i00007", o.Trouble[0].Integration.ID)
		require.Equal(t, []int{5, 3}, []int{o.Trouble[0].Waiting.Count, o.Trouble[0].NotSent})
		require.Equal(t, []int{5, 3}, []int{o.All.Waiting.Count, o.All.Dead})
		require.Equal(t, 3, o.Hours[22].Dead)
		require.Nil(t, o.Integrations[6].Hours)
	}
}
