package wording

import (
	"strconv"
	"strings"
	"time"
)

// value writes the value of a place for its reader.
func value(l Locale, kind, v string) string {
	if l.asWritten() {
		return v
	}
	switch kind {
	case "text", "clause", "sure":
		return l.Say(v)
	case "list":
		values := strings.Split(v, ", ")
		for i := range values {
			values[i] = l.Say(values[i])
		}
		return List(l.Language, values)
	case "dates":
		return dates(l.Language, v)
	case "duration":
		if d, err := time.ParseDuration(v); err == nil {
			return Duration(l.Language, d)
		}
	case "time":
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return l.Time(at)
		}
	}
	return v
}

// List joins values as a sentence does.
func List(l Language, values []string) string {
	if l == Japanese {
		return strings.Join(values, "、")
	}
	return strings.Join(values, ", ")
}

// Time is a date and a time of day to the minute, with the zone of the time: 27 November 2026, 09:05 UTC;
// 2026年11月27日 9:05 UTC.
func Time(l Language, at time.Time) string {
	if l != Japanese {
		return Date(l, at) + at.Format(", 15:04 ") + zone(at)
	}
	return Date(l, at) + " " + strconv.Itoa(at.Hour()) + at.Format(":04 ") + zone(at)
}

// zone names the zone of a time: by its abbreviation where it has one, else by its offset.
func zone(at time.Time) string {
	name, offset := at.Zone()
	switch {
	case offset == 0 && (name == "" || name == "UTC"):
		return "UTC"
	case name == "" || strings.ContainsAny(name[:1], "+-"):
		return "UTC" + at.Format("-07:00")
	}
	return name
}

// dates words days, or what is said about them.
func dates(l Language, english string) string {
	if t, ok := Read(english); ok {
		return t.In(l)
	}
	days := strings.Split(english, ", ")
	for i, day := range days {
		if at, err := time.Parse(dateLayout, day); err == nil {
			days[i] = Date(l, at)
		}
	}
	return List(l, days)
}

const dateLayout = "2 January 2006"

// Date is a day.
func Date(l Language, day time.Time) string {
	if l == Japanese {
		return day.Format("2006年1月2日")
	}
	return day.Format(dateLayout)
}

// Duration is a time span in the largest units that it is made of: 1m30s, 1 分 30 秒.
func Duration(l Language, d time.Duration) string {
	if l != Japanese {
		return d.String()
	}
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ミリ秒"
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "日"}, {time.Hour, "時間"}, {time.Minute, "分"}, {time.Second, "秒"}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+" "+u.name)
			d -= n * u.size
		}
	}
	return strings.Join(parts, " ")
}
