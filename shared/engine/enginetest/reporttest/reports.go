package reporttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/retention"
)

func aReport(id string, minutes int) report.Report {
	return report.Report{
		ID: id, Tenant: "42", Client: "Acme 注文",
		Period: calendar.Containing(calendar.Weekly, "2023-03-01", "Europe/Berlin"), Format: report.PDF,
		State:     report.Ready,
		CreatedAt: at.Add(time.Duration(minutes) * time.Minute), CreatedBy: "ada@example.com",
		Recipients: []string{"grace@example.com"},
		Headline:   report.Comparison{Now: report.Headline{Hits: 7, Blocked: 3}},
		Files:      []report.FileInfo{{Name: "r.pdf", Type: "application/pdf", Size: 3}},
		Missing: []report.Missing{{What: daily.DroppedAttacks, Listed: 50, Recorded: 2000, Of: 3417,
			Days: []calendar.Day{"2023-03-01"}}},
	}
}

// OpenReports opens an engine: the reports, beside the stores whose writes keep their schedule.
type OpenReports func(t *testing.T) (report.Store, integration.Store, profile.Store)

// Reports is the suite of report.Store.
func Reports(t *testing.T, open OpenReports) {
	run := enginetest.Parallel(t, open)
	run("a report is read back whole, with its files", reportIsReadWhole)
	run("another tenant finds nothing", anotherTenantFindsNoReport)
	run("the newest come first", newestReportsComeFirst)
	run("what waits is handed out until it is saved otherwise", waitingIsHandedOut)
	run("settings", settingsAreKept)
	t.Run("the schedule", func(t *testing.T) { schedule(t, open) })
}

func reportIsReadWhole(t *testing.T, open OpenReports) {
	s, _, _ := open(t)
	want := aReport("a", 0)
	large := []byte(strings.Repeat("x", 3<<20)) // CSV of 10,000 rows; more than an item of DynamoDB holds
	require.NoError(t, s.Save(t.Context(), want,
		[]report.File{{Name: "r.pdf", Type: "application/pdf", Data: []byte{0, 1, 255}},
			{Name: "large.csv", Type: "text/csv", Data: large}}))
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	f, err := s.File(t.Context(), "42", "a", "r.pdf")
	require.NoError(t, err)
	require.Equal(t, report.File{Name: "r.pdf", Type: "application/pdf", Data: []byte{0, 1, 255}}, f)
	f, err = s.File(t.Context(), "42", "a", "large.csv")
	require.NoError(t, err)
	require.Equal(t, large, f.Data)
	want.State = report.Failed
	require.NoError(t, s.Save(t.Context(), want, nil))
	_, err = s.File(t.Context(), "42", "a", "r.pdf")
	require.NoError(t, err, "without files the old ones stay")
	require.NoError(t, s.Save(t.Context(), want,
		[]report.File{{Name: "new.pdf", Type: "application/pdf", Data: []byte{1}}}))
	_, err = s.File(t.Context(), "42", "a", "r.pdf")
	require.ErrorIs(t, err, report.ErrNotFound, "new files replace them")
}

func anotherTenantFindsNoReport(t *testing.T, open OpenReports) {
	s, _, _ := open(t)
	require.NoError(t, s.Save(t.Context(), aReport("a", 0),
		[]report.File{{Name: "r.pdf", Type: "application/pdf", Data: []byte{1}}}))
	_, err := s.Get(t.Context(), "43", "a")
	require.ErrorIs(t, err, report.ErrNotFound)
	_, err = s.File(t.Context(), "43", "a", "r.pdf")
	require.ErrorIs(t, err, report.ErrNotFound)
	recent, err := s.Recent(t.Context(), "43", 3)
	require.NoError(t, err)
	require.Empty(t, recent)
}

func newestReportsComeFirst(t *testing.T, open OpenReports) {
	s, _, _ := open(t)
	for n, id := range []string{"b", "d", "a", "c"} {
		require.NoError(t, s.Save(t.Context(), aReport(id, n), nil))
	}
	got, err := s.Recent(t.Context(), "42", 3)
	require.NoError(t, err)
	var ids []string
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	require.Equal(t, []string{"c", "a", "d"}, ids)
}

func waitingIsHandedOut(t *testing.T, open OpenReports) {
	s, _, _ := open(t)
	r := aReport("w", 0)
	r.State = report.Waiting
	require.NoError(t, s.Save(t.Context(), r, nil))
	require.NoError(t, s.Save(t.Context(), aReport("ready", 1), nil))
	got, err := s.Waiting(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []report.Report{r}, got)
	r.State = report.Ready
	require.NoError(t, s.Save(t.Context(), r, nil))
	got, err = s.Waiting(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, got)
}

// tokyo are settings with all that there is to set; their hour is midnight, which is no missing one.
var tokyo = report.Settings{Tenant: "42", Zone: "Asia/Tokyo", Hour: new(int), Language: "ja",
	Retention: retention.Setting{Events: 14, Deliveries: 7, Changed: at, Shortest: 14, Until: at.Add(time.Hour)},
	Hold: hold.Rules{Then: hold.Digest, Pass: []string{},
		Quiet: []hold.Quiet{{Days: []hold.Day{"sat"}, Zone: "UTC"}}}}

func settingsAreKept(t *testing.T, open OpenReports) {
	s, _, _ := open(t)
	got, err := s.Settings(t.Context(), "42")
	require.NoError(t, err)
	require.Equal(t, report.Settings{Tenant: "42"}, got)
	require.NoError(t, s.SaveSettings(t.Context(), tokyo, enginetest.Entry("42")))
	got, err = s.Settings(t.Context(), "42")
	require.NoError(t, err)
	require.Equal(t, tokyo, got)
	settingsAreReplacedByTheirNextRevisionAlone(t, s)
	all, err := s.SettingsOf(t.Context(), []string{"43", "42"})
	require.NoError(t, err)
	require.Equal(t, map[string]report.Settings{"42": tokyo, "43": {Tenant: "43"}}, all)
	none, err := s.SettingsOf(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

// settingsAreReplacedByTheirNextRevisionAlone for a tenant of its own.
func settingsAreReplacedByTheirNextRevisionAlone(t *testing.T, s report.Store) {
	t.Helper()
	save := func(zone string, revision int64) error {
		return s.SaveSettings(t.Context(), report.Settings{Tenant: "44", Zone: zone, Revision: revision},
			enginetest.Entry("44"))
	}
	require.ErrorIs(t, save("Asia/Tokyo", 2), report.ErrConflict)
	require.NoError(t, save("Asia/Tokyo", 1))
	require.ErrorIs(t, save("Europe/Berlin", 1), report.ErrConflict)
	require.ErrorIs(t, save("Europe/Berlin", 3), report.ErrConflict)
	require.NoError(t, save("Europe/Berlin", 2))
	got, err := s.Settings(t.Context(), "44")
	require.NoError(t, err)
	require.Equal(t, report.Settings{Tenant: "44", Zone: "Europe/Berlin", Revision: 2}, got)
	require.NoError(t, save("UTC", 0), "settings without a revision replace any, as an older release does")
	require.NoError(t, save("Asia/Tokyo", 1))
}

func dueNow(t *testing.T, s report.Store, now time.Time) []string {
	t.Helper()
	got, err := s.Due(t.Context(), now, 100)
	require.NoError(t, err)
	out := []string{}
	for _, d := range got {
		out = append(out, d.Receiver+" "+string(d.Frequency))
	}
	return out
}

func reporting(id string, revision int64, types ...event.Type) integration.Integration {
	i := enginetest.Sample("42", id)
	i.System, i.Revision, i.Subscriptions = "email", revision, []integration.Subscription{{Event: event.System}}
	for _, t := range types {
		i.Subscriptions = append(i.Subscriptions, integration.Subscription{Event: t})
	}
	return i
}

func schedule(t *testing.T, open OpenReports) {
	run := enginetest.Parallel(t, open)
	run("follows integrations", followsIntegrations)
	run("follows people", followsPeople)
	run("follows digests", followsDigests)
	run("hands out what is due, and once", handsOutWhatIsDueOnce)
	run("TestH21: when it was subscribed and what it got stay, whatever is set meanwhile", keepsSinceAndDone)
	run("has pages", hasPages)
}

func followsIntegrations(t *testing.T, open OpenReports) {
	s, is, _ := open(t)
	require.NoError(t, is.Create(t.Context(), enginetest.Sample("42", "none"),
		enginetest.Record("42", event.CreateIntegration)))
	require.NoError(t, is.Create(t.Context(), reporting("a", 1, event.ReportDaily, event.ReportWeekly),
		enginetest.Record("42", event.CreateIntegration)))
	off := reporting("off", 1, event.ReportDaily)
	off.Off = &integration.Off{By: integration.ByPerson, At: at}
	require.NoError(t, is.Create(t.Context(), off, enginetest.Record("42", event.CreateIntegration)))
	require.ElementsMatch(t, []string{"a daily", "a weekly"}, dueNow(t, s, at),
		"never scheduled: handed out at once")
	require.NoError(t, is.Update(t.Context(), reporting("a", 2, event.ReportMonthly),
		enginetest.Record("42", event.UpdateIntegration)))
	require.Equal(t, []string{"a monthly"}, dueNow(t, s, at))
	require.NoError(t, is.Update(t.Context(), reporting("off", 2, event.ReportDaily),
		enginetest.Record("42", event.EnableIntegration)))
	require.ElementsMatch(t, []string{"a monthly", "off daily"}, dueNow(t, s, at))
	require.Error(t, is.Update(t.Context(), reporting("a", 2, event.ReportDaily),
		enginetest.Record("42", event.UpdateIntegration)))
	require.NotContains(t, dueNow(t, s, at), "a daily", "a change that was refused changes nothing")
	require.NoError(t, is.Delete(t.Context(), "42", "a", 2, enginetest.Record("42", event.DeleteIntegration)))
	require.Equal(t, []string{"off daily"}, dueNow(t, s, at))
}

// followsDigests holds an integration with each digest to a row of each, and an hour to be kept as it was done.
func followsDigests(t *testing.T, open OpenReports) {
	s, is, _ := open(t)
	require.NoError(t, is.Create(t.Context(), reporting("a", 1, event.Digests()...),
		enginetest.Record("42", event.CreateIntegration)))
	require.ElementsMatch(t, []string{"a issues_daily", "a critical_daily", "a surface_weekly", "a api_hourly",
		"a api_daily"}, dueNow(t, s, at))
	due, err := s.Due(t.Context(), at, 10)
	require.NoError(t, err)
	for _, v := range due {
		v.Done = "2023-03-01T11"
		require.NoError(t, s.Reschedule(t.Context(), []report.Move{{Subscription: v, Next: at.Add(time.Hour)}}))
	}
	due, err = s.Due(t.Context(), at.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, due, 5)
	for _, v := range due {
		require.EqualValues(t, "2023-03-01T11", v.Done)
	}
	require.NoError(t, is.Update(t.Context(), reporting("a", 2, event.APIHourly),
		enginetest.Record("42", event.UpdateIntegration)))
	due, err = s.Due(t.Context(), at.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.Equal(t, calendar.APIHourly, due[0].Frequency)
}

func followsPeople(t *testing.T, open OpenReports) {
	s, _, people := open(t)
	p := enginetest.Person("42", "person.a", 1)
	require.NoError(t, people.Save(t.Context(), p))
	require.ElementsMatch(t, []string{"person.a critical_daily", "person.a issues_daily", "person.a monthly",
		"person.a surface_weekly", "person.a weekly"}, dueNow(t, s, at))
	p.Revision, p.Choices = 2, profile.Choices{ReportDaily: true}
	require.NoError(t, people.Save(t.Context(), p))
	require.Equal(t, []string{"person.a daily"}, dueNow(t, s, at))
	require.NoError(t, people.Delete(t.Context(), "42", "person.a"))
	require.Empty(t, dueNow(t, s, at))
}

func handsOutWhatIsDueOnce(t *testing.T, open OpenReports) {
	s, is, _ := open(t)
	require.NoError(t, is.Create(t.Context(), reporting("a", 1, event.ReportDaily),
		enginetest.Record("42", event.CreateIntegration)))
	first, err := s.Due(t.Context(), at, 10)
	require.NoError(t, err)
	require.Len(t, first, 1)
	require.True(t, first[0].Due.IsZero())
	tomorrow := at.Add(24 * time.Hour)
	require.NoError(t, s.Reschedule(t.Context(), []report.Move{{Subscription: first[0], Next: tomorrow}}))
	require.NoError(t, s.Reschedule(t.Context(), []report.Move{{Subscription: first[0], Next: at}}),
		"one that was moved meanwhile stays where it is")
	require.Empty(t, dueNow(t, s, tomorrow.Add(-time.Second)))
	later, err := s.Due(t.Context(), tomorrow, 10)
	require.NoError(t, err)
	require.Len(t, later, 1)
	require.True(t, tomorrow.Equal(later[0].Due))
	require.NoError(t, is.Update(t.Context(), reporting("a", 2, event.ReportDaily, event.Scope),
		enginetest.Record("42", event.UpdateIntegration)))
	require.Empty(t, dueNow(t, s, at), "a change of something else leaves the time as it is")
	gone := report.Subscription{Tenant: "42", Receiver: "gone", Frequency: calendar.Daily}
	require.NoError(t, s.Reschedule(t.Context(), []report.Move{{Subscription: gone, Next: at}}),
		"nothing happens to one that has gone")
	require.NoError(t, s.SaveSettings(t.Context(), tokyo, enginetest.Entry("42")))
	require.Equal(t, []string{"a daily"}, dueNow(t, s, at), "a change of the zone schedules anew")
}

func keepsSinceAndDone(t *testing.T, open OpenReports) {
	s, is, people := open(t)
	i := reporting("a", 1, event.ReportDaily)
	i.UpdatedAt = at
	require.NoError(t, is.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	require.NoError(t, people.Save(t.Context(), enginetest.Person("42", "person.a", 1)))
	first, err := s.Due(t.Context(), at, 10)
	require.NoError(t, err)
	require.Len(t, first, 6)
	for _, v := range first {
		require.True(t, at.Equal(v.Since), v.Receiver)
		require.Empty(t, v.Done)
		v.Done = "2023-02-28"
		require.NoError(t, s.Reschedule(t.Context(), []report.Move{{Subscription: v, Next: at.Add(time.Hour)}}))
	}
	i.Revision, i.UpdatedAt = 2, at.Add(time.Minute)
	require.NoError(t, is.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	require.NoError(t, s.SaveSettings(t.Context(), tokyo, enginetest.Entry("42")))
	again, err := s.Due(t.Context(), at, 10)
	require.NoError(t, err)
	require.Len(t, again, 6, "all are looked at anew")
	for _, v := range again {
		require.True(t, v.Due.IsZero())
		require.True(t, at.Equal(v.Since), v.Receiver)
		require.Equal(t, calendar.Day("2023-02-28"), v.Done)
	}
	i.Subscriptions, i.Revision = i.Subscriptions[:1], 3
	require.NoError(t, is.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	i = reporting("a", 4, event.ReportDaily)
	i.UpdatedAt = at.Add(2 * time.Hour)
	require.NoError(t, is.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	anew, err := s.Due(t.Context(), at, 10)
	require.NoError(t, err)
	for _, v := range anew {
		if v.Receiver == "a" {
			require.True(t, i.UpdatedAt.Equal(v.Since), "one who comes back begins anew")
			require.Empty(t, v.Done)
		}
	}
}

func hasPages(t *testing.T, open OpenReports) {
	s, is, _ := open(t)
	for n := range 5 {
		require.NoError(t, is.Create(t.Context(), reporting(fmt.Sprint("i", n), 1, event.ReportDaily),
			enginetest.Record("42", event.CreateIntegration)))
	}
	seen := map[string]bool{}
	for range 3 {
		page, err := s.Due(t.Context(), at, 2)
		require.NoError(t, err)
		var moves []report.Move
		for _, d := range page {
			seen[d.Receiver] = true
			moves = append(moves, report.Move{Subscription: d, Next: at.Add(time.Hour)})
		}
		require.NoError(t, s.Reschedule(t.Context(), moves))
	}
	require.Len(t, seen, 5)
}
