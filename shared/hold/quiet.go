package hold

import (
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // zones are the same wherever we run; a Lambda function's image has none
)

// Quiet are quiet hours: on days of the week, on dates, or on days of the week between dates.
type Quiet struct {
	// Days are those on which they begin; none = on every day.
	Days []Day `json:"days,omitempty"`
	// First and Last are the dates of the first and the last day on which they begin, such as 2026-12-24; "" = they
	// come every week.
	First string `json:"first,omitempty"`
	Last  string `json:"last,omitempty"`
	// From and To are times of the day, such as 22:00; To may be 24:00, and one that is not after From is of the day
	// after. Both are "" for whole days.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Zone is the time zone of all of these, such as Europe/Berlin.
	Zone string `json:"zone"`
}

// Day is a day of the week.
type Day string

// Days are those of a week, in their order.
func Days() []Day { return []Day{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

func dayOf(d time.Weekday) Day { return Days()[(int(d)+6)%7] }

// quietUntil is the latest end of those quiet hours that the moment is in; zero when it is in none.
func (r *Rules) quietUntil(t time.Time) (end time.Time, zone string) {
	for _, q := range r.Quiet {
		if e := q.until(t); e.After(end) {
			end, zone = e, q.Zone
		}
	}
	return end, zone
}

// until is the end of the quiet hours that the moment is in; zero when it is in none.
func (q Quiet) until(t time.Time) (end time.Time) {
	z := location(q.Zone)
	y, m, d := t.In(z).Date()
	for back := range 4 { // those that began two days ago last into a day that a zone skips
		from, to := q.on(z, time.Date(y, m, d+1-back, 0, 0, 0, 0, time.UTC))
		if !from.After(t) && to.After(t) && to.After(end) {
			end = to
		}
	}
	return end
}

const dateForm = "2006-01-02"

// on are the quiet hours that begin on a date, which is written as its midnight in UTC; from is not before to when none
// do.
func (q Quiet) on(z *time.Location, date time.Time) (from, to time.Time) {
	if len(q.Days) > 0 && !slices.Contains(q.Days, dayOf(date.Weekday())) {
		return from, to
	}
	if day := date.Format(dateForm); q.First != "" && (day < q.First || day > q.Last) {
		return from, to
	}
	begin, end := q.hours()
	return first(z, date.Add(begin)), last(z, date.Add(end))
}

const wholeDay = 24 * time.Hour

// hours are when they begin and end, from the midnight before their beginning.
func (q Quiet) hours() (from, to time.Duration) {
	from, _ = clock(q.From)
	if to, _ = clock(q.To); q.To == "" {
		to = wholeDay
	}
	if to <= from {
		to += wholeDay
	}
	return from, to
}

// clock reads a time of the day.
func clock(s string) (time.Duration, bool) {
	if s == "24:00" {
		return wholeDay, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}

// far is more than any clock of a zone is away from UTC.
const far = 26 * time.Hour

// first is the first moment at which a clock of the zone shows a time or later. The time is written as if it were UTC.
func first(z *time.Location, wall time.Time) time.Time {
	for t := wall.Add(-far); ; {
		in := t.In(z)
		_, offset := in.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if at.Before(t) {
			at = t
		}
		_, end := in.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return at.UTC()
		}
		t = end
	}
}

// last is the moment from which on a clock of the zone shows a time or later.
func last(z *time.Location, wall time.Time) time.Time {
	for t := wall.Add(far); ; {
		in := t.In(z)
		_, offset := in.Zone()
		start, end := in.ZoneBounds()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if !end.IsZero() && at.After(end) {
			at = end
		}
		if start.IsZero() || at.After(start) {
			return at.UTC()
		}
		t = start.Add(-1)
	}
}

var locations sync.Map // name to *time.Location, which is read from a file of zones: as many as there are zones

// location opens a zone that was checked when it was saved.
func location(name string) *time.Location {
	if l, ok := locations.Load(name); ok {
		return l.(*time.Location)
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	locations.Store(name, l)
	return l
}
