package sqlite_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// The log of BenchmarkLogOfAMillion: each event goes to every integration, and one delivery in some hundred died.
const (
	logReceivers = 20
	logEvents    = 50_000
	logBatch     = 500
)

// million fills a store with the deliveries of a day.
func million(b *testing.B, db *sqlite.DB) *deliverylog.Log {
	b.Helper()
	return filled(b, db, logReceivers, logEvents, logBatch, 24*time.Hour)
}

// filled is a log of so many events, a batch at a time, each to every receiver, which came evenly until now.
func filled(b *testing.B, db *sqlite.DB, receivers, events, batch int, within time.Duration) *deliverylog.Log {
	b.Helper()
	for n := range receivers {
		i := integration.Integration{ID: receiver(n), Tenant: "42", System: "one", Revision: 1,
			Subscriptions: []integration.Subscription{{Event: event.Hits}}}
		require.NoError(b, db.Integrations().Create(b.Context(), i,
			activity.Record{Entry: enginetest.Entry("42"), Event: event.Event{ID: "c" + i.ID, Tenant: "42",
				Kind: event.CreateIntegration, Time: time.Now(), Data: []byte(`{"integration":{"id":"i"}}`)}}))
	}
	f := fanout.Fanout{Integrations: db.Integrations(), Systems: one{}, Store: db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler)}
	began := time.Now().Add(-within)
	for n := 0; n < events; n += batch {
		at := began.Add(time.Duration(n) * within / time.Duration(events))
		entries := make([]delivery.Entry, batch)
		for k := range entries {
			entries[k] = delivery.Entry{DetailType: "new_hits", At: at, Detail: fmt.Appendf(nil,
				`{"version":1,"id":"log-%07d","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",`+
					`"data":{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/%[1]d",`+
					`"remote_addr4":"203.0.113.7"}}}`, n+k)}
		}
		require.NoError(b, db.Bus().Put(b.Context(), entries))
		for {
			entries, err := db.Bus().Receive(b.Context(), logBatch)
			require.NoError(b, err)
			if len(entries) == 0 {
				break
			}
			_, err = f.Process(b.Context(), entries)
			require.NoError(b, err)
		}
		for r := range receivers {
			settle(b, db, delivery.Lane{Tenant: "42", Integration: receiver(r)})
		}
	}
	return &deliverylog.Log{Integrations: db.Integrations(), Store: db.Deliveries()}
}

// receiver is the id of one; ids sort as their numbers do.
func receiver(n int) string { return fmt.Sprintf("i%05d", n) }

// settle ends what waits in a lane: of several one died.
func settle(b *testing.B, db *sqlite.DB, lane delivery.Lane) {
	b.Helper()
	now := time.Now()
	leased, err := db.Deliveries().Lease(b.Context(), lane, 2*logBatch, now, now, now.Add(time.Hour))
	require.NoError(b, err)
	require.NotEmpty(b, leased)
	for k := range leased {
		leased[k].State = delivery.Delivered
		leased[k].Attempts = []delivery.Attempt{{At: now, Took: time.Millisecond, Status: 200, Delivered: true}}
		if k == 0 && len(leased) > 1 {
			leased[k].State, leased[k].Reason = delivery.Dead, "answered 404 Not Found"
			leased[k].Attempts[0].Status, leased[k].Attempts[0].Delivered = 404, false
		}
	}
	require.NoError(b, db.Deliveries().Settle(b.Context(), leased))
}

// BenchmarkLogOfAMillion is what a person waits for who searches a log of a million rows: docs/delivery-log.md.
func BenchmarkLogOfAMillion(b *testing.B) {
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(b, err)
	defer db.Close()
	log := million(b, db)
	middle, err := log.Search(b.Context(), deliverylog.Query{Tenant: "42", Limit: 1,
		To: time.Now().Add(-12 * time.Hour)})
	require.NoError(b, err)
	for name, q := range map[string]deliverylog.Query{
		"a page":                                {Limit: 50},
		"a page of the middle":                  {Limit: 50, To: time.Now().Add(-12 * time.Hour)},
		"a page of one integration":             {Limit: 50, Integrations: []string{receiver(7)}},
		"a page of dead ones":                   {Limit: 50, States: []delivery.State{delivery.Dead}},
		"1000 rows":                             {Limit: 1000},
		"a delivery by its id":                  {Limit: 50, Delivery: middle.Found[0].ID},
		"an event with its deliveries":          {Limit: 50, Event: "log-0025000"},
		"a status that none has, 10000 rows":    {Limit: 50, Status: "5xx"},
		"a kind that none has, 10000 rows":      {Limit: 50, Kinds: []event.Kind{event.DeleteUser}},
		"a text that none has, of 1000 opened":  {Limit: 50, Text: "no such words"},
		"a text that is far back, 1000 opened":  {Limit: 50, Text: "/orders/25000"},
		"a text that the newest have, 50 found": {Limit: 50, Text: "shop.example.com"},
	} {
		q.Tenant = "42"
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := log.Search(b.Context(), q)
				require.NoError(b, err)
			}
		})
	}
}
