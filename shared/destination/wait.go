package destination

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"tocsin/shared/ijson"
)

// mostWait bounds what an answer can ask for, so that no number overflows. Retry cycles cap a wait far below it
// (retry.MaxRetryAfter).
const mostWait = 24 * time.Hour

// resets are headers that say when a limit ends, for answers that hold no Retry-After. There is no standard yet (IETF,
// draft-ietf-httpapi-ratelimit-headers): what is in use are seconds from now (Datadog, "Rate limits"; PagerDuty;
// Opsgenie's period), milliseconds (Azure), an epoch (Okta, GitHub) and a date (Jira).
var resets = []struct {
	name string
	unit time.Duration
}{
	{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"X-Retry-After", time.Second},
	{"Ratelimit-Reset", time.Second}, {"X-Ratelimit-Reset-After", time.Second}, {"X-Ratelimit-Reset", time.Second},
	{"X-Rate-Limit-Reset", time.Second}, {"X-Ratelimit-Period-In-Sec", time.Second},
}

// structured finds the end of a limit in the one header of the newer drafts: `"default";r=0;t=30`, `limit=9, reset=30`.
var structured = regexp.MustCompile(`(?i)(?:^|[;,\s])(?:t|reset)=([0-9]+)`)

// retryAfter is how long a system asked to be left alone: by Retry-After (RFC 9110, 10.2.3: seconds, or a date in any
// of three forms) at any status; where the answer asks to slow down and has none, by the end of a limit, or in its
// JSON. What servers send beside the RFC is read too: fractions, units, quotes, epochs, ISO 8601, several values (the
// longest holds). It is in whole seconds, rounded up, from 0 to mostWait; what can not be read is 0.
func retryAfter(r Response) time.Duration {
	if given := r.Header.Values("Retry-After"); len(given) > 0 {
		wait, _ := longest(r, given, time.Second)
		return wait
	}
	if r.Status != http.StatusTooManyRequests && r.Status != http.StatusServiceUnavailable {
		return 0
	}
	for _, h := range resets {
		if wait, ok := longest(r, r.Header.Values(h.name), h.unit); ok {
			return wait
		}
	}
	for _, v := range r.Header.Values("Ratelimit") {
		if m := structured.FindStringSubmatch(v); m != nil {
			wait, _ := waitOf(r, m[1], time.Second)
			return wait
		}
	}
	return waitInBody(r)
}

// WaitOf reads a number of seconds that a system names in words of its own, 0 when it can not be read.
func WaitOf(r Response, seconds string) time.Duration {
	wait, _ := waitOf(r, seconds, time.Second)
	return wait
}

// waitInBody finds the wait in a JSON answer: retry_after, in seconds (Telegram, Discord), retryAfter, retry_after_ms.
func waitInBody(r Response) time.Duration {
	for path, value := range ijson.Fields(r.Body) {
		name := strings.NewReplacer("_", "", "-", "").Replace(path[strings.LastIndexByte(path, '.')+1:])
		unit := time.Second
		switch name {
		case "retryafter", "retryafterseconds", "retryafterinseconds", "retryaftersec":
		case "retryafterms", "retryaftermillis", "retryaftermilliseconds":
			unit = time.Millisecond
		default:
			continue
		}
		if wait, ok := waitOf(r, value, unit); ok {
			return wait
		}
	}
	return 0
}

func longest(r Response, values []string, unit time.Duration) (most time.Duration, found bool) {
	for _, v := range values {
		wait, ok := waitOf(r, v, unit)
		if !ok && strings.Contains(v, ",") { // several headers that a proxy joined; a date has a comma of its own
			wait, ok = longest(r, strings.Split(v, ","), unit)
		}
		if ok {
			most, found = max(most, wait), true
		}
	}
	return most, found
}

var (
	quantity = regexp.MustCompile(`^([+-]?)([0-9]+(?:\.[0-9]*)?(?:e\+?[0-9]+)?|\.[0-9]+)\s*([a-z]*)\.?$`)
	clock    = regexp.MustCompile(`^([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])(?:\.[0-9]+)?$`)
)

// units of a quantity, as people and servers write them.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "msec": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
}

// waitOf reads one value. ok is false when it can not be read.
func waitOf(r Response, v string, unit time.Duration) (wait time.Duration, ok bool) {
	v = strings.ToLower(strings.Trim(v, " \t\r\n\"'`"))
	if m := quantity.FindStringSubmatch(v); m != nil {
		if m[3] != "" {
			if unit, ok = units[m[3]]; !ok {
				return 0, false
			}
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if math.IsInf(n, 1) {
			n, err = math.MaxFloat64, nil
		}
		switch {
		case err != nil:
			return 0, false
		case m[1] == "-":
			return 0, true
		case m[3] == "" && n >= epochLeast:
			return fromEpoch(r, n), true
		}
		return bounded(n * float64(unit)), true
	}
	if m := clock.FindStringSubmatch(v); m != nil { // three numbers that always parse
		h, _ := strconv.Atoi(m[1])
		minutes, _ := strconv.Atoi(m[2])
		seconds, _ := strconv.Atoi(m[3])
		return bounded(float64(time.Duration(h)*time.Hour + time.Duration(minutes)*time.Minute +
			time.Duration(seconds)*time.Second)), true
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(v, "pt")); err == nil { // 1m30s, and ISO 8601's PT1M30S
		return bounded(float64(d)), true
	}
	if at, ok := dateOf(v); ok {
		return until(r, at), true
	}
	return 0, false
}

// epochLeast is where a number is no count of seconds any more, but a time: 2001.
const epochLeast = 1e9

// fromEpoch reads a Unix time in seconds, or finer where it is that large. A time that is not within a year is no time,
// but a very large number.
func fromEpoch(r Response, n float64) time.Duration {
	for n >= 1e11 && n < 1e20 {
		n /= 1000
	}
	if n > 1e11 {
		return mostWait
	}
	at := time.UnixMilli(int64(n * 1000))
	now := r.At
	if date, ok := dateOf(strings.ToLower(r.Header.Get("Date"))); ok && now.IsZero() {
		now = date
	}
	const year = 366 * 24 * time.Hour
	if away := at.Sub(now); now.IsZero() || away > year || away < -year {
		return mostWait
	}
	return until(r, at)
}

// until is the time from the answer to at. The server's own clock says it best, and the answer's Date tells it; our own
// serves where there is no Date, or where the two can not be of one day: then the sooner of both is taken that is still
// to come.
func until(r Response, at time.Time) time.Duration {
	date, told := dateOf(strings.ToLower(r.Header.Get("Date")))
	theirs, ours := time.Duration(0), time.Duration(0)
	if told {
		theirs = max(0, at.Sub(date))
	}
	if !r.At.IsZero() {
		ours = max(0, at.Sub(r.At))
	}
	wait := theirs
	skew := date.Sub(r.At)
	apart := told && !r.At.IsZero() && (skew > mostWait || skew < -mostWait)
	if theirs == 0 || apart && ours > 0 && ours < theirs {
		wait = ours
	}
	return bounded(float64(wait))
}

// bounded rounds up to whole seconds, within the bounds.
func bounded(nanoseconds float64) time.Duration {
	seconds := math.Ceil(nanoseconds / float64(time.Second))
	return time.Duration(min(max(seconds, 0), mostWait.Seconds())) * time.Second
}

// dates are the forms of a time. Names of days and months may be in any case (time.Parse). RFC 9110, 5.6.7: the first
// is to be sent, the next two are to be understood; the rest is what is met.
var dates = []string{
	"Mon, 2 Jan 2006 15:04:05 MST", "Monday, 2-Jan-06 15:04:05 MST", "Mon Jan _2 15:04:05 2006",
	"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700",
	"Mon, 2-Jan-2006 15:04:05 MST", "Mon, 2-Jan-06 15:04:05 MST",
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05", "2006-01-02 15:04:05 MST",
}

// dateOf reads a time. One without a zone is in UTC; one in a zone that only has a name can not be known, but for those
// of UTC.
func dateOf(v string) (time.Time, bool) {
	if v == "" {
		return time.Time{}, false
	}
	v = strings.ToUpper(strings.Join(strings.Fields(v), " "))
	for _, layout := range dates {
		at, err := time.Parse(layout, v)
		if err != nil {
			continue
		}
		if zone, offset := at.Zone(); offset == 0 && zone != "" && zone != "UTC" && zone != "GMT" && zone != "Z" &&
			zone != "UT" {
			return time.Time{}, false
		}
		return at, true
	}
	return time.Time{}, false
}
