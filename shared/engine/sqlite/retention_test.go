package sqlite_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/reporttest"
	"tocsin/shared/engine/sqlite"
)

func TestRetention(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		reporttest.Retention(t, func(t *testing.T, now func() time.Time, most time.Duration) reporttest.Retaining {
			db := open(t)
			return reporttest.Retaining{Log: enginetest.PolledBy(now, db.Deliveries(), db.Bus()),
				Events: db.Deliveries(), Settings: db.Reports(), Prune: func(t *testing.T) {
					_, err := db.Prune(t.Context(), now(), most)
					require.NoError(t, err)
				}}
		})
	})
}
