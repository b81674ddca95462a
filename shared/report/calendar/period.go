// Package calendar knows the days, hours and periods of reports in the time zone of a tenant (product facts, 5.1): how
// often a report comes, what it is about, and when it is due.
package calendar

import (
	"errors"
	"fmt"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/timezone"
	"tocsin/shared/wording"
)

// Frequency is how often a scheduled report comes, or which digest it is that comes.
type Frequency string

// The frequencies of the product facts, 5.1, and that of a report on demand.
const (
	Daily   Frequency = "daily"
	Weekly  Frequency = "weekly"
	Monthly Frequency = "monthly"
	Once    Frequency = "once"
)

// The digests of the product facts, 5.3.
const (
	IssuesDaily   Frequency = "issues_daily"
	CriticalDaily Frequency = "critical_daily"
	SurfaceWeekly Frequency = "surface_weekly"
	APIHourly     Frequency = "api_hourly"
	APIDaily      Frequency = "api_daily"
)

// types are the event types that a receiver of each of the schedule subscribes to.
var types = []struct {
	Frequency
	event.Type
}{
	{Daily, event.ReportDaily}, {Weekly, event.ReportWeekly}, {Monthly, event.ReportMonthly},
	{IssuesDaily, event.IssuesDaily}, {CriticalDaily, event.CriticalDaily}, {SurfaceWeekly, event.SurfaceWeekly},
	{APIHourly, event.APIHourly}, {APIDaily, event.APIDaily},
}

// Frequencies lists those of the schedule.
func Frequencies() []Frequency {
	out := make([]Frequency, len(types))
	for n, t := range types {
		out[n] = t.Frequency
	}
	return out
}

// FrequenciesOf are those of the schedule that a receiver subscribes to who has the event types that has tells.
func FrequenciesOf(has func(event.Type) bool) (out []Frequency) {
	for _, t := range types {
		if has(t.Type) {
			out = append(out, t.Frequency)
		}
	}
	return out
}

// Type is the event type that a receiver subscribes to, "" of a report on demand.
func (f Frequency) Type() event.Type {
	for _, t := range types {
		if t.Frequency == f {
			return t.Type
		}
	}
	return ""
}

// Digest reports whether it is a digest.
func (f Frequency) Digest() bool { return f.Type().Digest() }

// Grain is the frequency of reports whose periods are as long.
func (f Frequency) Grain() Frequency {
	switch f {
	case IssuesDaily, CriticalDaily, APIDaily:
		return Daily
	case SurfaceWeekly:
		return Weekly
	}
	return f
}

// DefaultHour is the hour of the day, in the tenant's zone, at which the reports of a tenant go out that has chosen
// none. The product facts are silent; the night's last events have arrived by then.
const DefaultHour = 6

// settled is how long after the end of a period its last events have arrived. It matters to reports at midnight.
const settled = 10 * time.Minute

// Day is a day of a tenant's calendar, as 2006-01-02; of an hourly digest it is an hour in UTC, as 2006-01-02T15. Days
// compare as texts, and so do hours.
type Day string

const (
	dayLayout  = time.DateOnly
	hourLayout = "2006-01-02T15"
)

// HourOf is the hour of an instant.
func HourOf(t time.Time) Day { return Day(t.UTC().Format(hourLayout)) }

// Begins is when an hour does.
func (d Day) Begins() time.Time {
	t, err := time.Parse(hourLayout, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Hours is the hour n hours later.
func (d Day) Hours(n int) Day { return HourOf(d.Begins().Add(time.Duration(n) * time.Hour)) }

// DayOf is the day of an instant in a zone.
func DayOf(t time.Time, zone *time.Location) Day { return Day(t.In(zone).Format(dayLayout)) }

// Date is noon of the day in UTC: arithmetic on it meets no change of clocks.
func (d Day) Date() time.Time {
	t, err := time.Parse(dayLayout, string(d))
	if err != nil {
		return time.Time{}
	}
	return t.Add(12 * time.Hour)
}

// Valid reports whether the day is one of the calendar.
func (d Day) Valid() bool {
	t, err := time.Parse(dayLayout, string(d))
	return err == nil && t.Year() >= 1970
}

// Add is the day n days later.
func (d Day) Add(n int) Day { return Day(d.Date().AddDate(0, 0, n).Format(dayLayout)) }

// Short is the day for an axis: 5 Mar.
func (d Day) Short() string { return d.Date().Format("2 Jan") }

// ShortIn is the day for an axis in a language: 5 Mar, 3/5.
func (d Day) ShortIn(l wording.Language) string {
	if l == wording.Japanese {
		return d.Date().Format("1/2")
	}
	return d.Short()
}

// Long is the day for a person: Sunday, 5 March 2023.
func (d Day) Long() string { return d.Date().Format("Monday, 2 January 2006") }

// at is when the clocks of a zone first show an hour of the day, or a later time: an hour that a change of clocks
// leaves out is that change, and of an hour that there is twice it is the first.
func (d Day) at(hour int, zone *time.Location) time.Time {
	wall := d.Date().Add(time.Duration(hour-12) * time.Hour)
	for from := wall.Add(-26 * time.Hour).In(zone); ; { // no clock is so far ahead
		_, offset := from.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		_, end := from.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return later(at, from)
		}
		from = end
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Period is a range of whole days of a tenant's calendar.
type Period struct {
	Frequency Frequency `json:"frequency"`
	From      Day       `json:"from"`
	To        Day       `json:"to"` // included
	Zone      string    `json:"zone"`
}

// maxDays bounds a period on demand: the counts of a year and a leap day.
const maxDays = 366

// ErrPeriod: the period can not be reported on. The error says why.
var ErrPeriod = errors.New("period not valid")

// NewPeriod is a period on demand.
func NewPeriod(from, to Day, zone string) (Period, error) {
	p := Period{Frequency: Once, From: from, To: to, Zone: zone}
	switch {
	case !from.Valid() || !to.Valid():
		return p, fmt.Errorf("%w: days are written as 2006-01-02", ErrPeriod)
	case to < from:
		return p, fmt.Errorf("%w: it ends before it begins", ErrPeriod)
	case p.Days() > maxDays:
		return p, fmt.Errorf("%w: it has %d days, at most %d can be reported on", ErrPeriod, p.Days(), maxDays)
	}
	return p, nil
}

// Containing is the period of a frequency that a day lies in: the day, its ISO week (Monday to Sunday), its month.
func Containing(f Frequency, d Day, zone string) Period {
	t := d.Date()
	p := Period{Frequency: f, From: d, To: d, Zone: zone}
	switch f.Grain() {
	case Weekly:
		p.From = d.Add(-(int(t.Weekday()) + 6) % 7)
		p.To = p.From.Add(6)
	case Monthly:
		first := time.Date(t.Year(), t.Month(), 1, 12, 0, 0, 0, time.UTC)
		p.From, p.To = Day(first.Format(dayLayout)), Day(first.AddDate(0, 1, -1).Format(dayLayout))
	}
	return p
}

// Last is the newest period of a frequency whose report is due at now: over, and the hour of the next day has come.
func Last(f Frequency, now time.Time, zone string, hour int) Period {
	p := Containing(f, DayOf(now, timezone.Open(zone)), zone)
	if f == APIHourly {
		p.From, p.To = HourOf(now), HourOf(now)
	}
	for now.Before(p.Due(hour)) {
		p = p.Previous()
	}
	return p
}

// Due is when the period's report goes out: at the hour of the day after, that of an hour when its last events have
// arrived.
func (p Period) Due(hour int) time.Time {
	if p.Frequency == APIHourly {
		return p.To.Hours(1).Begins().Add(settled)
	}
	zone, next := timezone.Open(p.Zone), p.To.Add(1)
	return later(next.at(hour, zone), next.at(0, zone).Add(settled))
}

// Next is the period after.
func (p Period) Next() Period {
	switch p.Frequency {
	case Once:
		return Period{Once, p.To.Add(1), p.To.Add(p.Days()), p.Zone}
	case APIHourly:
		return Period{APIHourly, p.To.Hours(1), p.To.Hours(1), p.Zone}
	}
	return Containing(p.Frequency, p.To.Add(1), p.Zone)
}

// Previous is the period before: what the headline numbers are compared with.
func (p Period) Previous() Period {
	switch p.Frequency {
	case Once:
		return Period{Once, p.From.Add(-p.Days()), p.From.Add(-1), p.Zone}
	case APIHourly:
		return Period{APIHourly, p.From.Hours(-1), p.From.Hours(-1), p.Zone}
	}
	return Containing(p.Frequency, p.From.Add(-1), p.Zone)
}

// Span is when the first day of the period begins and when its last one ends.
func (p Period) Span() (from, to time.Time) {
	zone := timezone.Open(p.Zone)
	return p.From.at(0, zone), p.To.Add(1).at(0, zone)
}

// Days is how many days the period has.
func (p Period) Days() int { return int(p.To.Date().Sub(p.From.Date())/(24*time.Hour)) + 1 }

// Each lists the days.
func (p Period) Each() []Day {
	days := make([]Day, 0, max(p.Days(), 0))
	for d := p.From; d <= p.To; d = d.Add(1) {
		days = append(days, d)
	}
	return days
}

// Key names the period among those of its tenant and frequency: 2023-03-05, 2023-W09, 2023-03, or two days.
func (p Period) Key() string {
	if p != p.Next().Previous() { // several in one, or of no calendar
		return string(p.From) + "--" + string(p.To)
	}
	switch p.Frequency.Grain() {
	case Daily, APIHourly:
		return string(p.From)
	case Weekly:
		year, week := p.From.Date().ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week)
	case Monthly:
		return string(p.From[:7])
	}
	return string(p.From) + "--" + string(p.To)
}

// Title is the period for a person.
func (p Period) Title() string {
	switch p.Frequency {
	case Daily:
		return p.From.Long()
	case Weekly:
		_, week := p.From.Date().ISOWeek()
		return fmt.Sprintf("Week %d, %s", week, p.span())
	case Monthly:
		return p.From.Date().Format("January 2006")
	}
	return p.span()
}

// TitleIn is the period for a person in a language.
func (p Period) TitleIn(l wording.Language) string {
	if l != wording.Japanese {
		return p.Title()
	}
	from, to := p.From.Date(), p.To.Date()
	days := wording.Date(l, from)
	switch {
	case p.From == p.To:
	case from.Year() == to.Year():
		days += "～" + to.Format("1月2日")
	default:
		days += "～" + wording.Date(l, to)
	}
	switch p.Frequency {
	case Weekly:
		year, week := from.ISOWeek()
		return fmt.Sprintf("%d年第%d週（%s）", year, week, days)
	case Monthly:
		return from.Format("2006年1月")
	}
	return days
}

func (p Period) span() string {
	from, to := p.From.Date(), p.To.Date()
	layout := "2 January 2006"
	switch {
	case p.From == p.To:
		return p.From.Long()
	case from.Year() == to.Year() && from.Month() == to.Month():
		layout = "2"
	case from.Year() == to.Year():
		layout = "2 January"
	}
	return from.Format(layout) + " – " + to.Format("2 January 2006")
}

// Adjective is the frequency for a title.
func (f Frequency) Adjective() string {
	switch f {
	case Daily:
		return "Daily"
	case Weekly:
		return "Weekly"
	case Monthly:
		return "Monthly"
	}
	return "Security"
}

// Before is what a headline compares with, in words.
func (f Frequency) Before() string {
	switch f {
	case Daily:
		return "the day before"
	case Weekly:
		return "the week before"
	case Monthly:
		return "the month before"
	}
	return "the same number of days before"
}

// ErrHour: the hour is none of a day.
var ErrHour = errors.New("must be an hour from 0 to 23")

// CheckHour says whether a day has the hour. Error: ErrHour.
func CheckHour(hour int) error {
	if hour < 0 || hour >= 24 {
		return ErrHour
	}
	return nil
}
