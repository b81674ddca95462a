package hold

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/shared/timezone"
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

// until is the end of the quiet hours that the moment is in; zero when it is in none. Every batch of events asks every
// integration, and nearly always in a week in which the zone's clock is not set: then a time of the day is arithmetic,
// and days are looked at when the hours fit.
func (q Quiet) until(t time.Time) (end time.Time) {
	z := location(q.Zone)
	offset, steady := z.steady(t)
	y, m, d := t.UTC().Add(offset).Date()
	begin, over := q.hours()
	for back := range 4 { // those that began two days ago last into a day that a zone skips
		date := time.Date(y, m, d+1-back, 0, 0, 0, 0, time.UTC)
		from, to := date.Add(begin-offset), date.Add(over-offset)
		if !steady {
			from, to = first(z.Location, date.Add(begin)), last(z.Location, date.Add(over))
		}
		if !from.After(t) && to.After(t) && to.After(end) && q.begins(date) {
			end = to
		}
	}
	return end
}

const dateForm = "2006-01-02"

// on are the quiet hours that begin on a date, which is written as its midnight in UTC; from is not before to when none
// do.
func (q Quiet) on(z zone, date time.Time) (from, to time.Time) {
	if !q.begins(date) {
		return from, to
	}
	begin, end := q.hours()
	return first(z.Location, date.Add(begin)), last(z.Location, date.Add(end))
}

// begins reports whether they begin on a date.
func (q Quiet) begins(date time.Time) bool {
	if len(q.Days) > 0 && !slices.Contains(q.Days, dayOf(date.Weekday())) {
		return false
	}
	if q.First == "" {
		return true
	}
	day := date.Format(dateForm)
	return day >= q.First && day <= q.Last
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
	if len(s) != len("15:04") || s[2] != ':' {
		return 0, false
	}
	h, okH := digits(s[:2], 23)
	m, okM := digits(s[3:], 59)
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, okH && okM
}

// digits reads a number of two digits.
func digits(s string, most int) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, n <= most
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

// zone is a time zone that remembers between which two times its clock was not set, of the last that it was asked for.
type zone struct {
	*time.Location
	last *atomic.Pointer[span]
}

// span is a time in which the clock of a zone is not set.
type span struct {
	start, end time.Time // zero = none
	offset     time.Duration
}

// margin is more than lies between a moment and the clock times that it is compared with.
const margin = 8 * wholeDay

// steady is how much a zone's clock is before UTC at a moment, and whether it is so for some days before and after.
func (z zone) steady(t time.Time) (offset time.Duration, ok bool) {
	s := z.last.Load()
	if s == nil || !s.has(t, 0) {
		in := t.In(z.Location)
		_, seconds := in.Zone()
		s = &span{offset: time.Duration(seconds) * time.Second}
		s.start, s.end = in.ZoneBounds()
		z.last.Store(s)
	}
	return s.offset, s.has(t, margin)
}

// has reports whether a moment is in it, and its ends are further away than some time.
func (s *span) has(t time.Time, margin time.Duration) bool {
	return (s.start.IsZero() || !t.Add(-margin).Before(s.start)) && (s.end.IsZero() || t.Add(margin).Before(s.end))
}

var locations sync.Map // name to zone, which is read from a file of zones: as many as there are zones

// location opens a zone that was checked when it was saved.
func location(name string) zone {
	if z, ok := locations.Load(name); ok {
		return z.(zone)
	}
	z, _ := locations.LoadOrStore(name, zone{timezone.Open(name), &atomic.Pointer[span]{}})
	return z.(zone)
}
