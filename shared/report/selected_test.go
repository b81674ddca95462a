package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/wording"
)

// bySQLi selects two types of attacks that do not come from Germany.
var bySQLi = []filter.Filter{
	{ID: filter.ByType, Operator: filter.Equal, Values: []filter.Value{"sqli", "ptrav"}},
	{ID: filter.ByCountry, Operator: filter.NotEqual, Values: []filter.Value{"DE"}},
}

// order orders a report by filters on a day and makes it.
func (r *rig) order(d calendar.Day, f report.Format, filters ...filter.Filter) report.Report {
	r.t.Helper()
	r.service.Events, r.service.EventsKept = fanout.Events{Log: r.db.Deliveries()}, 30*24*time.Hour
	p, err := calendar.NewPeriod(d, d, "UTC")
	require.NoError(r.t, err)
	ordered, err := r.service.Order(r.t.Context(), activity.Actor{Tenant: "42", Email: "ada@example.com"},
		report.Request{Period: p, Format: f, Filters: filters, Recipients: []string{"ada@example.com"}})
	require.NoError(r.t, err)
	require.NoError(r.t, r.service.MakeOrdered(r.t.Context(), ordered))
	got, err := r.service.Get(r.t.Context(), "42", ordered.ID)
	require.NoError(r.t, err)
	return got
}

func TestAReportSaysByWhichFiltersItWasMade(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	day := instant(t, "2023-03-01T10:00:00Z")
	r.publish(r.hit(day, "sqli", "shop", "/a", "203.0.113.7", "blocked"),
		r.hit(day, "xss", "shop", "/a", "203.0.113.7", "blocked"))
	r.now = instant(t, "2023-03-02T12:00:00Z")
	made := r.order("2023-03-01", report.CSV, bySQLi...)
	require.Equal(t, report.Comparison{Now: report.Headline{Hits: 1, Blocked: 1, Attacks: 1}, Alone: true},
		made.Headline)
	file, err := r.service.File(t.Context(), "42", made.ID, "filters-2023-03-01--2023-03-01.txt")
	require.NoError(t, err)
	const english = "Only events that all filters select are in it. " +
		"Filters: Attack type is SQLi, Path traversal; Source country is not DE"
	require.Contains(t, string(file.Data), english)
	const japanese = "すべてのフィルターに一致するイベントだけを対象としています。" +
		"フィルター：攻撃の種類が SQLi、パストラバーサル、かつ送信元の国が DE 以外"
	messages := report.Messages{Store: r.db.Reports(), Platform: notification.Platform{Name: "Tocsin"}}
	e := r.events()[0]
	for l, want := range map[wording.Language]string{wording.English: english, wording.Japanese: japanese} {
		m, err := messages.Report(t.Context(), e, l)
		require.NoError(t, err)
		text := m.Text(notification.Around{})
		require.Contains(t, text, want)
		require.Contains(t, m.HTML(notification.Around{}), want)
		require.Contains(t, m.Caption, want)
		for _, not := range []string{"none before", "no change", "against", "比較", "増減"} {
			require.NotContains(t, text, not, "it is compared with nothing")
			require.NotContains(t, m.HTML(notification.Around{}), not)
		}
	}
	r.order("2023-03-01", report.CSV,
		filter.Filter{ID: filter.ByDomain, Operator: filter.Equal, Values: []filter.Value{"other.example"}})
	m, err := messages.Report(t.Context(), r.events()[1], wording.English)
	require.NoError(t, err)
	require.Contains(t, m.Text(notification.Around{}), "Nothing that the filters select was recorded in this period.")
}

func TestOfManyValuesAReportNamesSome(t *testing.T) {
	f := filter.Filter{ID: filter.ByIP, Operator: filter.Equal}
	for n := range 12 {
		f.Values = append(f.Values, filter.Value(fmt.Sprintf("203.0.113.%d", n)))
	}
	require.Equal(t, []string{"IP is 203.0.113.0, 203.0.113.1, 203.0.113.2, 203.0.113.3, 203.0.113.4, 203.0.113.5, " +
		"203.0.113.6, 203.0.113.7, 203.0.113.8, 203.0.113.9 and 2 more"},
		filter.Words([]filter.Filter{f}, filter.ReportRules(), wording.English))
}

func TestAReportOfDaysBeforeTheDailyTotalsIsRefused(t *testing.T) {
	r := start(t, "2023-03-31T12:00:00Z")
	for from, right := range map[calendar.Day]bool{"2019-01-01": false, "2022-03-03": false, "2022-03-04": true,
		"2023-03-01": true} {
		_, err := r.service.Order(t.Context(), activity.Actor{Tenant: "42"},
			report.Request{Period: calendar.Containing(calendar.Daily, from, "UTC"), Format: report.PDF})
		if right {
			require.NoError(t, err, from)
			continue
		}
		require.Equal(t, destination.InvalidParameters{{Field: "from",
			Reason: "must be 2022-03-04 or later: daily totals are kept for 13 months"}}, err, from)
	}
}

func TestAReportByFiltersGoesBackAsFarAsEventsAreKept(t *testing.T) {
	r := start(t, "2023-03-31T12:00:00Z")
	r.service.EventsKept = 30 * 24 * time.Hour
	since := func(zone string) calendar.Day { return r.service.Since(report.Settings{Zone: zone}) }
	require.Equal(t, calendar.Day("2023-03-02"), since("UTC"), "of the first of March some is gone")
	require.Equal(t, calendar.Day("2023-03-03"), since("Pacific/Kiritimati"), "it is the second there")
	order := func(from calendar.Day, filters ...filter.Filter) error {
		p, err := calendar.NewPeriod(from, "2023-03-20", "UTC")
		require.NoError(t, err)
		_, err = r.service.Order(t.Context(), activity.Actor{Tenant: "42"},
			report.Request{Period: p, Format: report.PDF, Filters: filters})
		return err
	}
	require.NoError(t, order("2023-03-01"), "the daily totals know it")
	require.NoError(t, order("2023-03-02", bySQLi...))
	require.Equal(t, destination.InvalidParameters{{Field: "from", Reason: "must be 2023-03-02 or later: a report by " +
		"filters is made of the events, which are kept for 30 days"}}, order("2023-03-01", bySQLi...))
	for field, f := range map[string]filter.Filter{
		"filters.0.id":       {ID: filter.ByRole, Operator: filter.Equal, Values: []filter.Value{"admin"}},
		"filters.0.values.0": {ID: filter.ByKind, Operator: filter.Equal, Values: []filter.Value{"create_user"}},
		"filters.0.operator": {ID: filter.ByType, Operator: "gt", Values: []filter.Value{"sqli"}},
	} {
		var wrong destination.InvalidParameters
		require.ErrorAs(t, order("2023-03-02", f), &wrong)
		require.Equal(t, field, wrong[0].Field)
	}
	expression := filter.Filter{ID: filter.ByURL, Operator: filter.Equal, Values: []filter.Value{"~a+b"}}
	require.ErrorContains(t, order("2023-03-02", expression), "must not be a regular expression here")
}

// endless has more events than are looked at.
type endless struct{ looked int }

func (e *endless) Each(_ context.Context, _ string, _, _ time.Time, visit func(event.Event) error) error {
	for ; ; e.looked++ {
		if err := visit(event.Event{Kind: event.CreateUser}); err != nil {
			return err
		}
	}
}

func TestAReportOfTooManyEventsSaysWhatToDo(t *testing.T) {
	r := start(t, "2023-03-31T12:00:00Z")
	all := &endless{}
	r.service.EventsKept = 30 * 24 * time.Hour
	p, err := calendar.NewPeriod("2023-03-20", "2023-03-20", "UTC")
	require.NoError(t, err)
	ordered, err := r.service.Order(t.Context(), activity.Actor{Tenant: "42"},
		report.Request{Period: p, Format: report.PDF, Filters: bySQLi})
	require.NoError(t, err)
	r.service.Events = all
	require.NoError(t, r.service.MakeOrdered(t.Context(), ordered))
	got, err := r.service.Get(t.Context(), "42", ordered.ID)
	require.NoError(t, err)
	require.Equal(t, report.Failed, got.State)
	require.Equal(t, "more than 1,000,000 events arrived in the period and the day after it: order the report on "+
		"fewer days", got.Reason)
	require.Equal(t, 1_000_000, all.looked)
	require.True(t, strings.HasPrefix(wording.In(wording.Japanese, got.Reason), "この期間とその翌日"))
}
