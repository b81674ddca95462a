package sqlite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/activitytest"
	"tocsin/shared/engine/enginetest/reporttest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

func TestDailyTotals(t *testing.T) {
	reporttest.DailyTotals(t, func(t *testing.T) reporttest.DailyTotalsEngine {
		db := open(t)
		return reporttest.DailyTotalsEngine{Log: enginetest.Polled(db.Deliveries(), db.Bus()), Totals: db.DailyTotals()}
	})
}

func TestReports(t *testing.T) {
	reporttest.Reports(t, func(t *testing.T) (report.Store, integration.Store, profile.Store) {
		db := open(t)
		return db.Reports(), db.Integrations(), db.People()
	})
}

func TestPeople(t *testing.T) {
	settingstest.People(t, func(t *testing.T) profile.Store { return open(t).People() })
}

func TestSuppressionList(t *testing.T) {
	settingstest.SuppressionList(t, func(t *testing.T) mail.SuppressionList { return open(t).SuppressionList() })
}

func TestOldReportsGoAndTheLastThreeStay(t *testing.T) {
	db := open(t)
	now := time.Date(2023, 3, 31, 0, 0, 0, 0, time.UTC)
	for n := range 6 {
		r := report.Report{ID: fmt.Sprint("r", n), Tenant: "42", State: report.Ready,
			CreatedAt: now.AddDate(0, 0, -40+n)}
		require.NoError(t, db.Reports().Save(t.Context(), r, []report.File{{Name: "f", Data: []byte{1}}}))
	}
	waiting := report.Report{ID: "w", Tenant: "42", State: report.Waiting, CreatedAt: now.AddDate(0, 0, -50)}
	require.NoError(t, db.Reports().Save(t.Context(), waiting, nil))
	_, err := db.Prune(t.Context(), now, 30*24*time.Hour)
	require.NoError(t, err)
	left, err := db.Reports().Recent(t.Context(), "42", 10)
	require.NoError(t, err)
	require.Len(t, left, 4, "the newest three, and one that waits")
	_, err = db.Reports().File(t.Context(), "42", "r5", "f")
	require.NoError(t, err)
	_, err = db.Reports().File(t.Context(), "42", "r0", "f")
	require.ErrorIs(t, err, report.ErrNotFound)
}

func TestTheRecordIsKeptFor13Months(t *testing.T) {
	db := open(t)
	require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(1)}))
	entries, err := db.Bus().Receive(t.Context(), 1)
	require.NoError(t, err)
	e, err := event.Parse(entries[0].DetailType, entries[0].Detail)
	require.NoError(t, err)
	in := fanout.Intake{Accepted: []fanout.Accepted{{Entry: entries[0], Event: e}}}
	for _, day := range []calendar.Day{"2022-02-27", "2022-03-01"} {
		in.Records = append(in.Records, daily.Entry{Tenant: "42", Day: day,
			Counts: []daily.Count{{Dimension: daily.Total, N: 1}}, Attacks: []daily.Attack{{Type: "sqli", Seen: 1}}})
	}
	require.NoError(t, db.Deliveries().Accept(t.Context(), in))
	_, err = db.Prune(t.Context(), time.Date(2023, 3, 28, 0, 0, 0, 0, time.UTC), 30*24*time.Hour)
	require.NoError(t, err)
	var days []calendar.Day
	require.NoError(t, db.DailyTotals().Attacks(t.Context(), "42", "2000-01-01", "2099-01-01",
		func(d calendar.Day, _ daily.Attack) error {
			days = append(days, d)
			return nil
		}))
	require.Equal(t, []calendar.Day{"2022-03-01"}, days)
}

// A file of the release before is brought up to date: its integrations are on the schedule.
func TestAFileOfTheFirstSchemaGetsItsSchedule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	first, err := os.ReadFile("db/schema/001_schema.sql")
	require.NoError(t, err)
	conn, err := driver.OpenConn(path, driver.OpenReadWrite|driver.OpenCreate)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(conn, string(first)+
		"; PRAGMA application_id = 0x546f6373; PRAGMA user_version = 1;", nil))
	for id, sub := range map[string]event.Type{"a": event.ReportWeekly, "b": event.System} {
		body, err := json.Marshal(integration.Integration{ID: id, Tenant: "42", System: "email", Revision: 1,
			Subscriptions: []integration.Subscription{{Event: sub}}})
		require.NoError(t, err)
		require.NoError(t, sqlitex.Execute(conn,
			"INSERT INTO integrations (tenant, id, revision, body) VALUES ('42', ?, 1, ?)",
			&sqlitex.ExecOptions{Args: []any{id, body}}))
	}
	require.NoError(t, conn.Close())
	due, err := reopen(t, path).Reports().Due(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, []report.Subscription{{Tenant: "42", Receiver: "a", Frequency: calendar.Weekly}}, due)
}

func TestActivity(t *testing.T) {
	settingstest.Activity(t, func(t *testing.T) activity.Store { return open(t).ActivityLog() })
}

func TestWhatIsOlderThanThirteenMonthsIsForgotten(t *testing.T) {
	db := open(t)
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for id, at := range map[string]time.Time{"old": now.AddDate(0, -13, 0).Add(-time.Nanosecond),
		"kept": now.AddDate(0, -13, 0)} {
		e := activity.Entry{ID: id, At: at, Actor: activity.System("42")}
		require.NoError(t, db.ActivityLog().Append(t.Context(), e))
	}
	_, err := db.Prune(t.Context(), now, time.Hour)
	require.NoError(t, err)
	page, err := db.ActivityLog().List(t.Context(), activity.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	require.Equal(t, "kept", page.Entries[0].ID)
}

func TestActivityOfEveryStore(t *testing.T) {
	activitytest.Activity(t, func(t *testing.T) activitytest.Engine {
		db := open(t)
		return activitytest.Engine{Log: db.ActivityLog(), Integrations: db.Integrations(), Triggers: db.Triggers(),
			Reports: db.Reports(), People: db.People(), Suppressions: db.SuppressionList(), Tokens: db.Tokens(),
			Tenants: db.Tenants(), Accounts: db.Accounts()}
	})
}
