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

// BenchmarkLogOfManyIntegrations is what a page of the log costs of a tenant with 10,000 integrations, each of which
// has ten deliveries that arrived: docs/limits.md.
func BenchmarkLogOfManyIntegrations(b *testing.B) {
	const many, events = 10_000, 10
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(b, err)
	defer db.Close()
	for n := range many {
		i := integration.Integration{ID: fmt.Sprintf("i%05d", n), Tenant: "42", System: "one", Revision: 1,
			Subscriptions: []integration.Subscription{{Event: event.Hits}}}
		require.NoError(b, db.Integrations().Create(b.Context(), i,
			activity.Record{Entry: enginetest.Entry("42"), Event: event.Event{ID: "c" + i.ID, Tenant: "42",
				Kind: event.CreateIntegration, Time: time.Now(), Data: []byte(`{"integration":{"id":"i"}}`)}}))
	}
	f := fanout.Fanout{Integrations: db.Integrations(), Systems: one{}, Store: db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler)}
	for n := range events {
		at := time.Now().Add(time.Duration(n-events) * time.Hour)
		require.NoError(b, db.Bus().Put(b.Context(), []delivery.Entry{{DetailType: "new_hits", At: at,
			Detail: fmt.Appendf(nil, `{"version":1,"id":"log-%07d","tenant":"42","client_name":"Acme",`+
				`"time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli","domain":"shop.example.com",`+
				`"path":"/orders/%[1]d","remote_addr4":"203.0.113.7"}}}`, n)}}))
		for {
			entries, err := db.Bus().Receive(b.Context(), logBatch)
			require.NoError(b, err)
			if len(entries) == 0 {
				break
			}
			_, err = f.Process(b.Context(), entries)
			require.NoError(b, err)
		}
		for r := range many {
			settle(b, db, delivery.Lane{Tenant: "42", Integration: fmt.Sprintf("i%05d", r)})
		}
	}
	_, err = db.Integrations().Enabled(b.Context(), "42") // as fan-out has them
	require.NoError(b, err)
	log := &deliverylog.Log{Integrations: db.Integrations(), Store: db.Deliveries()}
	for name, q := range map[string]deliverylog.Query{
		"a page":               {Limit: 50},
		"a page of the middle": {Limit: 50, To: time.Now().Add(-5 * time.Hour)},
		"a page of dead ones":  {Limit: 50, States: []delivery.State{delivery.Dead}},
		"1000 rows":            {Limit: 1000},
		"an event":             {Limit: 50, Event: "log-0000005"},
	} {
		q.Tenant = "42"
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := log.Search(b.Context(), q)
				require.NoError(b, err)
			}
		})
	}
	b.Run("an export of 5000 rows", func(b *testing.B) {
		for b.Loop() {
			pages := log.Pages(deliverylog.Query{Tenant: "42", Limit: 1000})
			for range 5 {
				page, err := pages.Next(b.Context())
				require.NoError(b, err)
				require.Len(b, page.Found, 1000)
			}
		}
	})
}
