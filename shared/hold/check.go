package hold

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/plaintext"
	"tocsin/shared/timezone"
)

// Limits of rules. The product facts know no quiet hours.
const (
	MaxQuiet = 20
	// LongestMute bounds a mute: what nobody wants for longer is disabled.
	LongestMute = 30 * 24 * time.Hour
	// Longest bounds quiet hours that follow one another without a gap.
	Longest = 31 * 24 * time.Hour
	// Free is how much of every week quiet hours that come every week leave.
	Free = time.Hour
	// MaxReason is the length of a mute's reason in characters.
	MaxReason = 200
)

// Check says what is wrong with rules that are saved now, as fields below the field of that name: nothing when nothing
// is. Their Mute is not looked at: it is made by CheckMute. people is for rules of an integration whose system people
// read, or of a tenant.
func Check(r Rules, field string, people bool, now time.Time) destination.InvalidParameters {
	v := validation{field: field}
	if len(r.Quiet) > MaxQuiet {
		v.Addf(field+".quiet", "must be at most %d, are %d", MaxQuiet, len(r.Quiet))
		return v.InvalidParameters
	}
	for n, q := range r.Quiet {
		v.quiet(fmt.Sprintf("%s.quiet.%d", field, n), q)
	}
	v.then(field+".then", r.Then, people)
	v.pass(r.Pass)
	if len(v.InvalidParameters) == 0 {
		v.gaps(r, now)
	}
	return v.InvalidParameters
}

// CheckMute says what is wrong with a mute of some hours.
func CheckMute(hours int, reason string, then Then, people bool) destination.InvalidParameters {
	var v validation
	if most := int(LongestMute / time.Hour); hours < 1 || hours > most {
		v.Addf("hours", "must be from 1 to %d", most)
	}
	switch n := utf8.RuneCountInString(reason); {
	case strings.TrimSpace(plaintext.Line(reason)) == "":
		v.Addf("reason", "is required")
	case n > MaxReason:
		v.Addf("reason", "must have at most %d characters, has %d", MaxReason, n)
	case strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r == utf8.RuneError }):
		v.Addf("reason", "must not hold control characters")
	}
	v.then("then", then, people)
	return v.InvalidParameters
}

type validation struct {
	destination.InvalidParameters
	field string
}

func (v *validation) then(field string, t Then, people bool) {
	switch t {
	case "", Send, Drop:
	case Digest:
		if !people {
			v.Addf(field, "must be send or drop: a digest is for systems that people read")
		}
	default:
		v.Addf(field, "must be send, digest or drop")
	}
}

func (v *validation) pass(names []string) {
	for n, name := range names {
		field := fmt.Sprintf("%s.pass.%d", v.field, n)
		switch {
		case !Passing(name):
			v.Addf(field, "is neither an event type nor a notification_type that can be held")
		case slices.Contains(names[:n], name):
			v.Addf(field, "is listed twice")
		}
	}
}

// Passing reports whether the name is that of a kind or a type of events that rules hold: see Never.
func Passing(name string) bool {
	k, t := event.Kind(name), event.Type(name)
	if t == event.Command || t.Report() || t.Digest() || t == event.ReportOnce || t == event.TokenExpiry {
		return false
	}
	return k.Known() && !Never(k) || t.Valid()
}

func (v *validation) quiet(field string, q Quiet) {
	for n, d := range q.Days {
		at := fmt.Sprintf("%s.days.%d", field, n)
		switch {
		case !slices.Contains(Days(), d):
			v.Addf(at, "must be mon, tue, wed, thu, fri, sat or sun")
		case slices.Contains(q.Days[:n], d):
			v.Addf(at, "is listed twice")
		}
	}
	v.dates(field, q)
	v.hours(field, q)
	if err := timezone.Check(q.Zone); err != nil {
		v.Addf(field+".zone", "%v", err)
	}
}

func (v *validation) dates(field string, q Quiet) {
	if q.First == "" && q.Last == "" {
		return
	}
	begin, ok := date(q.First)
	if !ok {
		v.Addf(field+".first", "must be a date such as 2026-12-24")
	}
	end, valid := date(q.Last)
	switch {
	case !valid:
		v.Addf(field+".last", "must be a date such as 2026-12-24")
	case ok && end.Before(begin):
		v.Addf(field+".last", "must not be before first")
	case ok && q.From == "" && end.Sub(begin) >= Longest:
		v.Addf(field+".last", "must be at most %d days after first where whole days are quiet", int(Longest/wholeDay)-1)
	case ok && len(q.Days) > 0 && !q.comes(begin, end):
		v.Addf(field+".days", "must have a day that comes between first and last")
	}
}

// comes reports whether one of the days is from begin to end.
func (q Quiet) comes(begin, end time.Time) bool {
	for day := begin; !day.After(end); day = day.Add(wholeDay) {
		if slices.Contains(q.Days, dayOf(day.Weekday())) || day.Sub(begin) >= 7*wholeDay {
			return true
		}
	}
	return false
}

// date reads one of the years in which a clock of ours may be.
func date(s string) (time.Time, bool) {
	t, err := time.Parse(dateForm, s)
	return t, err == nil && t.Year() >= 2000 && t.Year() < 3000
}

func (v *validation) hours(field string, q Quiet) {
	if q.From == "" && q.To == "" {
		return
	}
	from, ok := clock(q.From)
	if !ok || from == wholeDay {
		v.Addf(field+".from", "must be a time from 00:00 to 23:59")
	}
	to, valid := clock(q.To)
	switch {
	case !valid:
		v.Addf(field+".to", "must be a time from 00:00 to 24:00")
	case ok && from == to:
		v.Addf(field+".to", "must not be from: leave both out for whole days")
	}
}

// gaps refuses rules that hold for too long. It looks at the year to come.
func (v *validation) gaps(r Rules, now time.Time) {
	weekly := Rules{Quiet: slices.DeleteFunc(slices.Clone(r.Quiet), func(q Quiet) bool { return q.First != "" })}
	for week := range 53 {
		if from := now.Add(time.Duration(week) * 7 * wholeDay); weekly.free(from, from.Add(7*wholeDay)) < Free {
			v.Addf(v.field+".quiet", "must leave at least an hour of every week free")
			return
		}
	}
	if until := r.stretch(now, now.AddDate(1, 0, 0)); !until.IsZero() {
		v.Addf(v.field+".quiet", "must not follow one another for more than %d days without a gap: disable the "+
			"integration instead, or mute it (the last of them would end on %s)", int(Longest/wholeDay),
			until.Format(dateForm))
	}
}

// free is how much of a time is not quiet, or more than Free.
func (r *Rules) free(from, to time.Time) (out time.Duration) {
	for t := from; t.Before(to) && out < Free; {
		if end, _ := r.quietUntil(t); end.After(t) {
			t = end
			continue
		}
		begin := r.next(t, to)
		out += begin.Sub(t)
		t = begin
	}
	return out
}

// next is when quiet hours begin next, to when none do before.
func (r *Rules) next(t, to time.Time) time.Time {
	for _, q := range r.Quiet {
		z := location(q.Zone)
		y, m, d := t.In(z.Location).Date()
		day := time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC)
		if begin, ok := date(q.First); ok && begin.After(day) {
			day = begin
		}
		for ; !day.Add(-far).After(to) && (q.Last == "" || day.Format(dateForm) <= q.Last); day = day.Add(wholeDay) {
			if from, end := q.on(z, day); from.After(t) && end.After(from) {
				if from.Before(to) {
					to = from
				}
				break
			}
		}
	}
	return to
}

// stretch is the end of the first quiet hours that follow one another for more than Longest; zero when none do.
func (r *Rules) stretch(t, to time.Time) time.Time {
	for t.Before(to) {
		begin := t
		for t.Sub(begin) <= Longest {
			end, _ := r.quietUntil(t)
			if !end.After(t) {
				break
			}
			t = end
		}
		if t.Sub(begin) > Longest {
			return t
		}
		t = r.next(t, to)
	}
	return time.Time{}
}
