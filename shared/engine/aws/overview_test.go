//go:build awslocal

package aws_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/aws/paces"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/overview"
	"tocsin/shared/worker/pace"
)

// listed are a tenant's integrations, whose secrets can be opened.
type listed []integration.Integration

func (l listed) List(_ context.Context, _, after string, limit int) (out []integration.Integration, _ error) {
	for _, i := range l {
		if i.ID > after && len(out) < limit {
			out = append(out, i)
		}
	}
	return out, nil
}

func (listed) Opens(context.Context, integration.Integration) (bool, error) { return true, nil }

// What an overview asks of DynamoDB grows by the hundred integrations, and not by each.
func TestAnOverviewOfManyIntegrationsIsReadInBatches(t *testing.T) {
	const many = 300
	w := open(t)
	reader := w.manyIntegrations(t, many)
	var o overview.Overview
	var err error
	repeated := -1
	for tries := 0; repeated != 0; tries++ {
		require.Less(t, tries, 10, "nothing was measured: each time answers came late")
		w.gate.Calls()
		w.gate.Repeated()
		o, err = reader.Read(t.Context(), "42")
		require.NoError(t, err)
		repeated = w.gate.Repeated()
	}
	calls, units := w.gate.Calls()
	t.Logf("%d integrations: calls %v, %.1f read units", many, calls, units["read"])
	// 300 integrations are six statements of counters and six of what waits. Rows of what is retried next, markers of
	// what is held, and paces are read by the hundred. What came in, what was throttled, and what was not sent to the
	// one that needs a person are queries.
	require.Equal(t, map[string]int{"ExecuteStatement": 12, "BatchGetItem": 7, "Query": 3}, calls)
	require.Len(t, o.Integrations, many)
	require.Equal(t, integration.Waiting{Count: 3, Next: soon.Add(time.Minute).UTC(), Floor: true},
		o.Integrations[0].Waiting)
	delivered := 0
	for n, l := range o.Integrations[1:] {
		require.Equal(t, n*(n%3), l.Delivered, l.Integration.ID)
		require.Zero(t, l.Waiting.Count)
		delivered += l.Delivered
	}
	require.Equal(t, delivered, o.All.Delivered)
	require.Equal(t, 3, o.All.Waiting.Count)
	require.Len(t, o.Trouble, 1)
	require.Equal(t, []any{"i007", overview.Held}, []any{o.Trouble[0].Integration.ID, o.Trouble[0].Cause})

	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	for _, u := range w.gate.Uses() {
		if u.Caller == "Api" {
			require.True(t, template.Allows(u, w.prefix), "%s on %s", u.Action, u.Resource)
		}
	}
}

// soon is when the overview is read.
var soon = enginetest.At.Add(time.Hour)

// manyIntegrations reads the overview of a tenant as the function Api does. Three deliveries wait for the first one's
// system; the system of i007 is spared; each of the others was sent to in up to two hours.
func (w *world) manyIntegrations(t *testing.T, many int) *overview.Reader {
	t.Helper()
	log := w.log()
	rig := &enginetest.Rig{T: t, Log: log}
	all := rig.Accept(3)
	rig.Ready(3)
	for n := range all {
		all[n].State, all[n].Failures, all[n].Due, all[n].Batch = delivery.Retrying, 1, soon.Add(time.Minute), "b"
		all[n].Attempts = []delivery.Attempt{{At: enginetest.At, Status: 503}}
	}
	require.NoError(t, log.Settle(t.Context(), all))
	list := listed{{ID: "i", Tenant: "42", System: "web_hooks", Window: 1}}
	var counts []health.Count
	for n := range many - 1 {
		i := integration.Integration{ID: fmt.Sprintf("i%03d", n), Tenant: "42", System: "web_hooks", Window: 1}
		list = append(list, i)
		for hour := range n % 3 {
			c := health.Count{Tenant: "42", Integration: i.ID, Window: 1,
				At: soon.Add(-time.Duration(hour) * time.Hour), Attempts: 2}
			c.Delivered = n
			counts = append(counts, c)
		}
	}
	require.NoError(t, w.counters().Add(t.Context(), counts))
	clock := func() time.Time { return soon }
	spared := &paces.Store{DB: w.db, Table: w.prefix + "PacesTable", Now: clock}
	_, err := spared.Swap(t.Context(), delivery.Lane{Tenant: "42", Integration: "i007"}, 0,
		pace.Pace{Quiet: soon.Add(10 * time.Minute)})
	require.NoError(t, err)
	api, counted := as(w.deliveries(), "Api"), w.counters()
	spared.DB, counted.DB = api.DB, api.DB
	return &overview.Reader{Integrations: list, Systems: catalogue.Default(), Counters: counted, Backlog: api,
		Holds: pace.Holds{Store: spared, Now: clock}, Now: clock}
}
