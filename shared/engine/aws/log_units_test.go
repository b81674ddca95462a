//go:build awslocal

package aws_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// logBatches is how many fan-outs of 93 hits the log is made of: to make 12 takes minutes.
var logBatches = flag.Int("logbatches", 2, "fan-outs of the log whose read units are counted")

// logReceivers is how many integrations the log of TestWhatASearchOfTheLogCostsDynamoDB is of.
const logReceivers = 10

func (f fixed) List(context.Context, string, string, int) ([]integration.Integration, error) {
	return f, nil
}

// logged fills the tables with deliveries that arrived, and returns their log.
func (w *world) logged(t *testing.T, batches int) *deliverylog.Log {
	t.Helper()
	var all fixed
	for n := range logReceivers {
		all = append(all, integration.Integration{ID: fmt.Sprint("i", n), Tenant: "42", System: "slack", Revision: 1,
			Window: 1, Parameters: []byte(`{}`), Subscriptions: []integration.Subscription{{Event: event.Hits}}})
	}
	d, hits := w.deliveries(), newHitSource(t)
	f := &fanout.Fanout{Integrations: all, Systems: catalogue.Default(), Store: d,
		Logger: slog.New(slog.DiscardHandler)}
	for n := range batches {
		_, err := f.Process(t.Context(), hits.batch(now().Add(time.Duration(n)*time.Second)))
		require.NoError(t, err)
		for left := w.receive(t); len(left) > 0; left = w.receive(t) {
			for _, p := range left {
				loaded, err := d.Load(t.Context(), p)
				require.NoError(t, err)
				for k := range loaded {
					loaded[k].State = delivery.Delivered
					loaded[k].Attempts = []delivery.Attempt{{At: now(), Took: 80 * time.Millisecond, Status: 200,
						Delivered: true}}
				}
				require.NoError(t, d.Settle(t.Context(), loaded))
			}
		}
	}
	return &deliverylog.Log{Integrations: all, Store: d}
}

// TestWhatASearchOfTheLogCostsDynamoDB counts the read units that docs/delivery-log.md tells.
func TestWhatASearchOfTheLogCostsDynamoDB(t *testing.T) {
	w := open(t)
	log := w.logged(t, *logBatches)
	w.gate.Calls()
	first, err := log.Search(t.Context(), deliverylog.Query{Tenant: "42", Limit: 1000})
	require.NoError(t, err)
	require.Len(t, first.Found, 1000)
	w.gate.Calls()
	for _, one := range []struct {
		name  string
		query deliverylog.Query
		most  float64 // read units
	}{
		{"a page of 50", deliverylog.Query{Limit: 50}, 20},
		{"a page of 50 dead ones", deliverylog.Query{Limit: 50, States: []delivery.State{delivery.Dead}}, 10},
		{"1,000 rows", deliverylog.Query{Limit: 1000}, 200},
		{"by the id of a delivery", deliverylog.Query{Limit: 50, Delivery: first.Found[0].ID}, 10},
		{"an event", deliverylog.Query{Limit: 50, Event: fmt.Sprintf("evt-hits-%026d", 100)}, 60},
		{"a status that none has, 10,000 looked at at most", deliverylog.Query{Limit: 50, Status: "5xx"}, 1500},
		{"a text that none has, 1,000 looked at", deliverylog.Query{Limit: 50, Text: "no such words"}, 800},
	} {
		one.query.Tenant = "42"
		var calls map[string]int
		var units map[string]float64
		for range 10 { // a call whose answer comes too late is made again, and is no measure
			w.gate.Calls()
			w.gate.Repeated()
			_, err := log.Search(t.Context(), one.query)
			require.NoError(t, err)
			if calls, units = w.gate.Calls(); w.gate.Repeated() == 0 {
				break
			}
		}
		t.Logf("%s: %.1f read units, calls %v", one.name, units["read"], calls)
		require.Positive(t, units["read"], one.name)
		require.LessOrEqual(t, units["read"], one.most, one.name)
		require.Zero(t, units["write"], one.name)
	}
}
