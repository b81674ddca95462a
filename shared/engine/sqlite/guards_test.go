package sqlite_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/filter"
	"tocsin/shared/report"
	"tocsin/shared/retention"
	"tocsin/shared/sending/reference"
)

// An earlier program would misread what it does not know, or drop it with the next change: it refuses the file. since
// is the step of the schema that no program has which does not know the content.
func TestAProgramRefusesAFileThatHoldsWhatItDoesNotKnow(t *testing.T) {
	steps, err := filepath.Glob("db/schema/*.sql")
	require.NoError(t, err)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		since string
		write func(t *testing.T, db *sqlite.DB) error
		reads func(t *testing.T, db *sqlite.DB)
	}{
		"an event that stands beside the line": {"019_deferred.sql", func(t *testing.T, db *sqlite.DB) error {
			return db.Bus().Put(t.Context(), []delivery.Entry{entry(1), entry(2)})
		}, func(t *testing.T, db *sqlite.DB) {
			entries, err := db.Bus().Receive(t.Context(), 10)
			require.NoError(t, err)
			require.Len(t, entries, 2)
		}},
		"a report that waits, by filters": {"020_event_digests.sql", func(t *testing.T, db *sqlite.DB) error {
			return db.Reports().Save(t.Context(), report.Report{ID: "r", Tenant: "42", State: report.Waiting,
				Format: report.CSV, CreatedAt: at, Filters: []filter.Filter{{ID: "domain", Operator: "eq",
					Values: []filter.Value{"shop.example.com"}}}}, nil)
		}, func(t *testing.T, db *sqlite.DB) {
			waiting, err := db.Reports().Waiting(t.Context(), 10)
			require.NoError(t, err)
			require.Len(t, waiting, 1)
			require.Len(t, waiting[0].Filters, 1)
		}},
		"how long a tenant chose to keep events": {"023_retention.sql", func(t *testing.T, db *sqlite.DB) error {
			return db.Reports().SaveSettings(t.Context(), report.Settings{Tenant: "42", Revision: 1,
				Retention: retention.Setting{Events: 14, Deliveries: 7, Changed: at}}, enginetest.Entry("42"))
		}, func(t *testing.T, db *sqlite.DB) {
			chosen, err := db.Reports().Retentions(t.Context())
			require.NoError(t, err)
			require.Len(t, chosen, 1)
			require.Equal(t, retention.Days{Events: 14, Deliveries: 7}, chosen["42"].Days())
		}},
		"which event of an object was told last": {"024_last_told.sql", func(t *testing.T, db *sqlite.DB) error {
			_, err := db.References().Swap(t.Context(), delivery.Lane{Tenant: "42", Integration: "i"}, "vuln:1", 0,
				reference.Reference{Last: reference.Told{At: at}, Expires: time.Now().Add(time.Hour)})
			return err
		}, func(t *testing.T, db *sqlite.DB) {
			r, _, err := db.References().Reference(t.Context(), delivery.Lane{Tenant: "42", Integration: "i"}, "vuln:1")
			require.NoError(t, err)
			require.Equal(t, at, r.Last.At)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{Share: 1})
			require.NoError(t, err)
			require.NoError(t, c.write(t, db))
			require.NoError(t, db.Close())
			known := slices.Index(steps, filepath.Join("db", "schema", c.since))
			require.Positive(t, known)
			_, err = sqlite.Open(t.Context(), path, sqlite.Options{Steps: known})
			require.ErrorContains(t, err, "newer release")
			db, err = sqlite.Open(t.Context(), path, sqlite.Options{})
			require.NoError(t, err)
			defer db.Close()
			c.reads(t, db)
		})
	}
}
