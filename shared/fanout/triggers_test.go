package fanout_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

const exceeded = `{"trigger_name":"Burst","count":1,"period":60,"reaction":{"trigger":"t","integrations":["i0","i1","gone"]}}`

func TestATriggersNotificationReachesTheIntegrationsThatItNames(t *testing.T) {
	f, m := newFanout(event.Scope, event.Scope, event.Scope) // none is subscribed to it
	f.Integrations.(subscribers)[1].Off = &integration.Off{By: integration.ByPerson}
	_, err := f.Process(t.Context(), []delivery.Entry{
		entry(event.AttacksExceeded, "1", "42", exceeded),
		entry(event.AttacksExceeded, "2", "42", exceeded),
		entry(event.AttacksExceeded, "3", "42", `{"trigger_name":"upstream's own","count":1,"period":60}`),
	})
	require.NoError(t, err, "an integration that was deleted or is disabled is no error")
	in := m.accepted[0]
	require.Len(t, in.Accepted, 3)
	require.Len(t, in.Deliveries, 1)
	require.Equal(t, "i0", in.Deliveries[0].Integration)
	require.Equal(t, 2, in.Deliveries[0].Count, "those of one batch travel together")
}

// counting makes as many states as it is told.
type counting struct {
	states  int
	batches []int
}

func (c *counting) Evaluate(_ context.Context, batch []trigger.Seen) (trigger.Outcome, error) {
	c.batches = append(c.batches, len(batch))
	if len(batch) == 0 {
		return trigger.Outcome{}, nil
	}
	return trigger.Outcome{States: make([]trigger.State, c.states)}, nil
}

// staleLog refuses an Intake so often.
type staleLog struct {
	*intakes
	left int
}

func (l *staleLog) Accept(ctx context.Context, in fanout.Intake) error {
	if l.left > 0 {
		l.left--
		return fmt.Errorf("wrapped: %w", trigger.ErrStale)
	}
	return l.intakes.Accept(ctx, in)
}

func hits(n int) (out []delivery.Entry) {
	for k := range n {
		out = append(out, entry(event.NewHits, fmt.Sprint(k), "42", newHit))
	}
	return out
}

func TestABatchWhoseStatesChangedIsEvaluatedAgain(t *testing.T) {
	f, m := newFanout(event.Hits)
	c := &counting{states: 1}
	f.Triggers, f.Store = c, &staleLog{m, 2}
	_, err := f.Process(t.Context(), hits(3))
	require.NoError(t, err)
	require.Equal(t, []int{3, 3, 3}, c.batches)
	require.Len(t, m.accepted, 1)

	f.Store = &staleLog{m, 1 << 20}
	_, err = f.Process(t.Context(), hits(4))
	require.ErrorIs(t, err, trigger.ErrStale, "it gives up, and the entries come again")
}
