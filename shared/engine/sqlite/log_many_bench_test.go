package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/sqlite"
)

// BenchmarkLogOfManyIntegrations is what a page of the log costs of a tenant with 10,000 integrations, each of which
// has ten deliveries that arrived: docs/limits.md.
func BenchmarkLogOfManyIntegrations(b *testing.B) {
	const many, events = 10_000, 10
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(b, err)
	defer db.Close()
	log := filled(b, db, many, events, 1, events*time.Hour)
	_, err = db.Integrations().Enabled(b.Context(), "42") // as fan-out has them
	require.NoError(b, err)
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
