package sqlite_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/health"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// unpack writes a state file of testdata.
func unpack(t *testing.T, name string) (path string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	raw, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "state.db")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

// state-8.db.gz was written by the release whose schema was 8, before the migrations were zombiezen's.
func TestAStateFileOfAnEarlierReleaseOpensWithAllThatItHolds(t *testing.T) {
	db := reopen(t, unpack(t, "state-8.db.gz"))
	i, err := db.Integrations().Get(t.Context(), "42", "i")
	require.NoError(t, err)
	require.Equal(t, "Hook", i.Name)
	require.NotNil(t, i.Failing)
	triggers, seeded, err := db.Triggers().List(t.Context(), "42")
	require.NoError(t, err)
	require.True(t, seeded)
	require.Len(t, triggers, 2)
	_, err = db.People().Get(t.Context(), "42", "p")
	require.NoError(t, err)
	_, suppressed, err := db.SuppressionList().Blocked(t.Context(), "42", "any", "b@example.com")
	require.NoError(t, err)
	require.True(t, suppressed)
	mails, err := db.MailLog().Mails(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, mails, 1)
	at := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	points, err := db.Counters().Series(t.Context(), "42", "i", 1, at)
	require.NoError(t, err)
	require.Equal(t, health.Tally{Attempts: 3, Failures: 1}, points[0].Tally)
	_, err = db.Reports().File(t.Context(), "42", "r", "f.pdf")
	require.NoError(t, err)
	due, err := db.Reports().Due(t.Context(), at, 10)
	require.NoError(t, err)
	require.Len(t, due, 1, "the integration's")
	commands, err := db.Commands().List(t.Context(), command.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	require.Len(t, commands, 1)
	require.NoError(t, db.DailyTotals().Counts(t.Context(), "42", "2023-03-01", "2023-03-01",
		func(_ calendar.Day, c daily.Count) error {
			require.EqualValues(t, 4, c.N)
			return nil
		}))
	olderDeliveries(t, db, at)
}

func TestAStartSaysThatAFileGetsANewLayout(t *testing.T) {
	open := func(path string) string {
		var said bytes.Buffer
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
		require.NoError(t, err)
		require.NoError(t, db.Close())
		return said.String()
	}
	older := unpack(t, "state-8.db.gz")
	knows, err := sqlite.Layout()
	require.NoError(t, err)
	said := open(older)
	require.Contains(t, said, "releases that know less can not open it any more")
	require.Contains(t, said, fmt.Sprintf("has this release's layout now\" path=%s from=8 to=%d", older, knows))
	require.NotContains(t, open(older), "layout", "it has it")
	require.NotContains(t, open(filepath.Join(t.TempDir(), "new.db")), "layout")
}

func olderDeliveries(t *testing.T, db *sqlite.DB, at time.Time) {
	t.Helper()
	all, err := db.Deliveries().List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	var states []delivery.State
	for _, d := range all {
		states = append(states, d.State)
	}
	require.Equal(t, []delivery.State{delivery.Pending, delivery.Pending, delivery.Retrying, delivery.Delivered},
		states)
	lane := delivery.Lane{Tenant: "42", Integration: "i"}
	leased, err := db.Deliveries().Lease(t.Context(), lane, 10, at, at, at.Add(2*time.Hour))
	require.NoError(t, err)
	require.Len(t, leased, 1, "the other waits for its batch window")
	require.Len(t, leased[0].Events, 1)
	later, err := db.Deliveries().Lease(t.Context(), lane, 10, at, at.Add(time.Hour), at.Add(2*time.Hour))
	require.NoError(t, err)
	require.Len(t, later, 1, "the window is closed")
	require.NotEqual(t, leased[0].ID, later[0].ID)
	waiting, err := db.Bus().Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, waiting, 1, "what fan-out had not passed")
	letters, err := db.Deliveries().AllDeadLetters(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
}

// Every schema that was released is brought up to date by the steps after it.
func TestAStateFileOfEverySchemaIsBroughtUpToDate(t *testing.T) {
	steps, err := filepath.Glob("db/schema/*.sql")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(steps), 8)
	for n := range steps {
		t.Run(fmt.Sprint("schema ", n+1), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			conn, err := driver.OpenConn(path, driver.OpenReadWrite|driver.OpenCreate|driver.OpenWAL)
			require.NoError(t, err)
			for _, step := range steps[:n+1] {
				sql, err := os.ReadFile(step)
				require.NoError(t, err)
				require.NoError(t, sqlitex.ExecuteScript(conn, string(sql), nil))
			}
			require.NoError(t, sqlitex.ExecuteScript(conn, fmt.Sprintf(
				"PRAGMA application_id = 0x546f6373; PRAGMA user_version = %d;", n+1), nil))
			require.NoError(t, conn.Close())
			for range 2 {
				db := reopen(t, path)
				require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(1)}))
				require.NoError(t, db.Close())
			}
		})
	}
}
