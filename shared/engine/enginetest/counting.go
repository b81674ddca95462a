package enginetest

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/counting"
	"tocsin/shared/fanout"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

// Counting is an engine that counts apart from accepting: see package counting. nil: the engine counts as it accepts.
type Counting struct {
	Source counting.Source
	Store  counting.Store
	// Waiting takes the intakes that are to be counted, in the order in which they were accepted, by tenant.
	Waiting func() map[string][]string
}

// Count counts what waits: each intake, and again, as messages come again.
func (c *Counting) Count(t *testing.T, store trigger.Store) {
	t.Helper()
	if c == nil {
		return
	}
	log := slog.New(slog.DiscardHandler)
	clock := func() time.Time { return At }
	counter := &counting.Counter{
		Source: c.Source, Store: c.Store, Log: log, Now: clock,
		Recorder: &daily.Recorder{Zone: report.ZoneOf(utc{}), Now: clock},
		Triggers: &trigger.Evaluator{Store: store, Now: clock, Log: log},
	}
	for tenant, ids := range c.Waiting() {
		for range 2 {
			done, err := counter.Count(t.Context(), tenant, ids)
			require.NoError(t, err)
			require.Equal(t, len(ids), done)
		}
	}
}

var intakes atomic.Int64

// Write writes what an accepted event means; an engine that counts apart writes it for an intake of its own. again
// hands the very same in once more, as after an answer that got lost.
func (c *Counting) Write(t *testing.T, log Log, a fanout.Accepted, o trigger.Outcome,
	records []daily.Entry) (again func() error, err error) {
	if c == nil {
		in := fanout.Intake{Accepted: []fanout.Accepted{a}, Records: records, Triggers: o}
		again = func() error { return log.Accept(t.Context(), in) }
		return again, again()
	}
	apart := counting.Outcome{
		Tenant: a.Event.Tenant, Marks: []counting.Mark{{Intake: fmt.Sprint("intake-", intakes.Add(1)), To: 1}},
		Records: records, Triggers: o,
	}
	err = c.Store.Write(t.Context(), apart)
	return func() error {
		err := c.Store.Write(t.Context(), apart)
		require.ErrorIs(t, err, counting.ErrCounted)
		return nil
	}, err
}

// utc is the zone of every tenant of the suites.
type utc struct{}

func (utc) Settings(_ context.Context, tenant string) (report.Settings, error) {
	return report.Settings{Tenant: tenant}, nil
}
