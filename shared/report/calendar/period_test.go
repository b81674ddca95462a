package calendar_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func TestADayIsThatOfTheZone(t *testing.T) {
	for name, c := range map[string]struct{ zone, at, day string }{
		"UTC":                         {"UTC", "2023-03-01T23:59:59Z", "2023-03-01"},
		"ahead of UTC":                {"Asia/Tokyo", "2023-03-01T15:00:00Z", "2023-03-02"},
		"behind UTC":                  {"America/Los_Angeles", "2023-03-01T07:59:59Z", "2023-02-28"},
		"a quarter of an hour apart":  {"Asia/Kathmandu", "2023-03-01T18:15:00Z", "2023-03-02"},
		"just before clocks go ahead": {"Europe/Berlin", "2023-03-26T00:59:59Z", "2023-03-26"},
		"the end of the short day":    {"Europe/Berlin", "2023-03-26T21:59:59Z", "2023-03-26"},
		"after the short day":         {"Europe/Berlin", "2023-03-26T22:00:00Z", "2023-03-27"},
		"the end of the long day":     {"Europe/Berlin", "2023-10-29T22:59:59Z", "2023-10-29"},
		"a day without a midnight":    {"America/Asuncion", "2023-10-01T04:00:00Z", "2023-10-01"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, calendar.Day(c.day), calendar.DayOf(instant(t, c.at), zone(t, c.zone)))
		})
	}
}

func TestPeriods(t *testing.T) {
	for name, c := range map[string]struct {
		f                    calendar.Frequency
		in                   calendar.Day
		from, to, key, title string
	}{
		"a day": {calendar.Daily, "2023-03-05", "2023-03-05", "2023-03-05", "2023-03-05",
			"Sunday, 5 March 2023"},
		"a week begins on Monday": {calendar.Weekly, "2023-03-05", "2023-02-27", "2023-03-05", "2023-W09",
			"Week 9, 27 February – 5 March 2023"},
		"Monday itself": {calendar.Weekly, "2023-02-27", "2023-02-27", "2023-03-05", "2023-W09",
			"Week 9, 27 February – 5 March 2023"},
		"the first days of a year": {calendar.Weekly, "2023-01-01", "2022-12-26", "2023-01-01", "2022-W52",
			"Week 52, 26 December 2022 – 1 January 2023"},
		"the last days of a year": {calendar.Weekly, "2024-12-31", "2024-12-30", "2025-01-05", "2025-W01",
			"Week 1, 30 December 2024 – 5 January 2025"},
		"a year of 53 weeks": {calendar.Weekly, "2020-12-31", "2020-12-28", "2021-01-03", "2020-W53",
			"Week 53, 28 December 2020 – 3 January 2021"},
		"a week with a short day": {calendar.Weekly, "2023-03-26", "2023-03-20", "2023-03-26", "2023-W12",
			"Week 12, 20 – 26 March 2023"},
		"a month": {calendar.Monthly, "2023-03-31", "2023-03-01", "2023-03-31", "2023-03",
			"March 2023"},
		"the February of a leap year": {calendar.Monthly, "2024-02-29", "2024-02-01", "2024-02-29", "2024-02",
			"February 2024"},
		"the February of a year that is none": {calendar.Monthly, "2100-02-01", "2100-02-01", "2100-02-28", "2100-02",
			"February 2100"},
	} {
		t.Run(name, func(t *testing.T) {
			p := calendar.Containing(c.f, c.in, "Europe/Berlin")
			require.Equal(t, []string{c.from, c.to, c.key, c.title},
				[]string{string(p.From), string(p.To), p.Key(), p.Title()})
			require.Equal(t, p, p.Previous().Next())
			require.Equal(t, p, p.Next().Previous())
			require.Equal(t, p.From.Add(-1), p.Previous().To)
			require.Len(t, p.Each(), p.Days())
		})
	}
}

// Every day of 30 years lies in one week and one month, and those follow each other without a gap.
func TestPeriodsCoverTheCalendar(t *testing.T) {
	for _, f := range calendar.Frequencies() {
		if f == calendar.APIHourly {
			continue // its periods are of the clock
		}
		p := calendar.Containing(f, "2000-01-01", "UTC")
		for d := calendar.Day("2000-01-01"); d < "2030-01-01"; d = d.Add(1) {
			if d > p.To {
				p = p.Next()
			}
			require.Equal(t, p, calendar.Containing(f, d, "UTC"))
			at, err := time.Parse(time.DateOnly, string(d))
			require.NoError(t, err)
			if year, week := at.ISOWeek(); f == calendar.Weekly {
				require.Equal(t, fmt.Sprintf("%d-W%02d", year, week), p.Key())
			}
		}
	}
}

func TestTheLastPeriodIsTheNewestWhoseHourHasCome(t *testing.T) {
	for name, c := range map[string]struct {
		f         calendar.Frequency
		zone, now string
		key, next string // next is when the one after is due
	}{
		"before the hour": {calendar.Daily, "Europe/Berlin", "2023-03-02T04:59:59Z", "2023-02-28",
			"2023-03-02T05:00:00Z"},
		"at the hour": {calendar.Daily, "Europe/Berlin", "2023-03-02T05:00:00Z", "2023-03-01",
			"2023-03-03T05:00:00Z"},
		"over the change to summer time": {calendar.Daily, "Europe/Berlin", "2023-03-25T12:00:00Z", "2023-03-24",
			"2023-03-26T04:00:00Z"},
		"over the change to winter time": {calendar.Daily, "Europe/Berlin", "2023-10-28T12:00:00Z", "2023-10-27",
			"2023-10-29T05:00:00Z"},
		"a week on its Monday": {calendar.Weekly, "Asia/Tokyo", "2023-03-05T21:00:00Z", "2023-W09",
			"2023-03-12T21:00:00Z"},
		"a week on its Monday, too early": {calendar.Weekly, "Asia/Tokyo", "2023-03-05T20:59:59Z", "2023-W08",
			"2023-03-05T21:00:00Z"},
		"a month on its first": {calendar.Monthly, "America/Los_Angeles", "2023-03-01T14:00:00Z", "2023-02",
			"2023-04-01T13:00:00Z"},
		"a month on its first, too early": {calendar.Monthly, "America/Los_Angeles", "2023-03-01T13:59:59Z", "2023-01",
			"2023-03-01T14:00:00Z"},
		"a month when the other day began": {calendar.Monthly, "Pacific/Auckland", "2023-02-28T17:00:00Z", "2023-02",
			"2023-03-31T17:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			p := calendar.Last(c.f, instant(t, c.now), c.zone, calendar.DefaultHour)
			require.Equal(t, c.key, p.Key())
			require.Equal(t, c.next, p.Next().Due(calendar.DefaultHour).UTC().Format(time.RFC3339))
		})
	}
}

// TestAReportIsDueWhenTheClocksFirstShowItsHour asks every minute of a random day in a random zone, among them days on
// which the clocks change: a day without the hour, a day that has it twice, and a day that a country left out.
func TestAReportIsDueWhenTheClocksFirstShowItsHour(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Asia/Kathmandu",
		"Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Niue", "Africa/Casablanca",
		"America/Sao_Paulo", "Asia/Beirut", "America/Santiago"}
	changes := []calendar.Day{"2023-03-25", "2023-10-28", "2023-03-11", "2023-11-04", "2011-12-28", "2011-12-29",
		"2011-12-30", "2018-11-03", "2023-04-01", "2023-09-30", "2022-09-10", "2024-10-05", "2023-03-24"}
	random := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		name, hour := zones[random.IntN(len(zones))], random.IntN(24)
		d := changes[random.IntN(len(changes))].Add(random.IntN(3) - 1)
		clocks := zone(t, name)
		shows := func(at time.Time) string { return at.In(clocks).Format("2006-01-02 15") }
		first := func(wanted string) time.Time {
			at, err := time.Parse("2006-01-02 15", wanted)
			require.NoError(t, err)
			for at = at.Add(-30 * time.Hour); shows(at) < wanted; at = at.Add(time.Minute) {
			}
			return at
		}
		next := string(d.Add(1))
		want := first(fmt.Sprintf("%s %02d", next, hour))
		if settled := first(next + " 00").Add(10 * time.Minute); want.Before(settled) {
			want = settled // the last events of the day have arrived
		}
		got := calendar.Containing(calendar.Daily, d, name).Due(hour)
		require.True(t, want.Equal(got), "%s at %d in %s: want %s, got %s", d, hour, name, want.In(clocks), got)
		last := calendar.Last(calendar.Daily, got, name, hour)
		require.GreaterOrEqual(t, last.To, d, "it is due then")
		require.Less(t, calendar.Last(calendar.Daily, got.Add(-time.Second), name, hour).To, d, "and not before")
	}
}

func TestPeriodsOnDemand(t *testing.T) {
	p, err := calendar.NewPeriod("2023-02-27", "2023-03-05", "UTC")
	require.NoError(t, err)
	require.Equal(t, "27 February – 5 March 2023", p.Title())
	require.Equal(t, calendar.Day("2023-02-20"), p.Previous().From)
	for _, bad := range [][2]calendar.Day{{"2023-02-30", "2023-03-01"}, {"2023-03-02", "2023-03-01"},
		{"2022-01-01", "2023-01-02"}, {"", ""}} {
		_, err := calendar.NewPeriod(bad[0], bad[1], "UTC")
		require.ErrorIs(t, err, calendar.ErrPeriod, "%v", bad)
	}
}

func TestChanges(t *testing.T) {
	for want, c := range map[string][2]int64{
		"no change": {5, 5}, "none before": {5, 0}, "+14 %": {114, 100}, "−11 %": {89, 100}, "−100 %": {0, 7},
		"×12": {120, 10}, "+under 1 %": {1001, 1000}, "−under 1 %": {999, 1000},
	} {
		require.Equal(t, want, report.Change(c[0], c[1]))
	}
	require.Equal(t, "1,048,576", report.Thousands(1048576))
	require.Equal(t, "-1,000", report.Thousands(-1000))
	require.Equal(t, "999", report.Thousands(999))
}
