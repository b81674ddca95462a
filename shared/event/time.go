package event

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"time"
)

// ParseTime reads a time of RFC 3339 as that document has it, which is more than time.Parse takes: `t` and `z` in lower
// case and a space between date and time (5.6), a fraction of any length, and leap seconds (5.7). The result is in UTC.
// A leap second is 60 at 23:59 UTC; no clock of ours has it, so that it is the last nanosecond before: the day and the
// order of what happened stay. Digits beyond nanoseconds are cut.
func ParseTime(s string) (time.Time, bool) {
	const form = "2006-01-02T15:04:05"
	if len(s) < len(form)+1 {
		return time.Time{}, false
	}
	head, rest := []byte(s[:len(form)]), s[len(form):]
	if c := head[10]; c == 't' || c == ' ' {
		head[10] = 'T'
	}
	leap := string(head[17:]) == "60"
	if leap {
		head[17], head[18] = '5', '9'
	}
	nanoseconds := 0
	if rest[0] == '.' {
		digits := 1
		for ; digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9'; digits++ {
			if digits <= 9 {
				nanoseconds = nanoseconds*10 + int(rest[digits]-'0')
			}
		}
		if digits == 1 {
			return time.Time{}, false
		}
		for n := digits; n <= 9; n++ {
			nanoseconds *= 10
		}
		rest = rest[digits:]
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(form, string(head))
	if err != nil {
		return time.Time{}, false
	}
	t = t.Add(-offset)
	if leap {
		if t.Hour() != 23 || t.Minute() != 59 {
			return time.Time{}, false
		}
		nanoseconds = 999_999_999
	}
	return t.Add(time.Duration(nanoseconds)), true
}

// parseOffset reads what stands behind the seconds: Z, or the offset to UTC.
func parseOffset(s string) (time.Duration, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, ok := twoDigits(s[1:3], 23)
	minutes, ok2 := twoDigits(s[4:6], 59)
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		d = -d
	}
	return d, ok && ok2
}

func twoDigits(s string, most int) (int, bool) {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	n := int(s[0]-'0')*10 + int(s[1]-'0')
	return n, n <= most
}

// Timestamp is a time in an event, as ParseTime reads it. Null leaves it zero.
type Timestamp struct{ time.Time }

// UnmarshalJSON reads a text.
func (t *Timestamp) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return wrong(raw, t)
	}
	var ok bool
	if t.Time, ok = ParseTime(s); !ok {
		return wrong(raw, t)
	}
	return nil
}

// Seconds are Unix seconds. Upstream's components write them as a whole number, with a fraction, or as a text of
// either; a text of RFC 3339 is taken too. The fraction is cut; null is 0.
type Seconds int64

// UnmarshalJSON reads a number or a text.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if text == "null" || text == `""` {
		return nil
	}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return wrong(raw, s)
		}
		if t, ok := ParseTime(text); ok {
			*s = Seconds(t.Unix())
			return nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) > maxSeconds {
		return wrong(raw, s)
	}
	*s = Seconds(math.Floor(f))
	return nil
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// wrong is the error of a value that is none of the type of into; the decoder adds where it stands.
func wrong(raw []byte, into any) error {
	return &json.UnmarshalTypeError{Value: clip(string(raw)), Type: reflect.TypeOf(into).Elem()}
}
