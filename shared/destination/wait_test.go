package destination_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
)

// answered is when the answers of these tests came, by our own clock.
var answered = time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)

const most = 24 * time.Hour

func wait(status int, h http.Header, body string) time.Duration {
	return destination.JudgeStatus(destination.Response{Status: status, Header: h, Body: []byte(body), At: answered},
		nil).RetryAfter
}

// H17: Retry-After in every form of RFC 9110, and in those that servers send beside it.
func TestH17RetryAfterInEveryForm(t *testing.T) {
	for value, want := range map[string]time.Duration{
		// Seconds.
		"": 0, "0": 0, "1": time.Second, "120": 2 * time.Minute, "00120": 2 * time.Minute, "+30": 30 * time.Second,
		"-5": 0, "-5.5": 0, "-99999999999999999999": 0,
		"299.997": 5 * time.Minute, "0.2": time.Second, ".5": time.Second, "3.": 3 * time.Second,
		"3.0000": 3 * time.Second, "1e2": 100 * time.Second, "  7 ": 7 * time.Second, "\t7": 7 * time.Second,
		`"120"`: 2 * time.Minute, "'120'": 2 * time.Minute, "120s": 2 * time.Minute, "120 s": 2 * time.Minute,
		"120 seconds": 2 * time.Minute, "2 Minutes": 2 * time.Minute, "2min": 2 * time.Minute, "1h": time.Hour,
		"1500ms": 2 * time.Second, "1m30s": 90 * time.Second, "PT30S": 30 * time.Second, "PT1M30S": 90 * time.Second,
		"00:02:00": 2 * time.Minute,
		// Too large is the cap, and nothing overflows.
		"86400": most, "90000": most, "2147483648": most, "4294967296": most, "9223372036854775807": most,
		"9223372036854775808": most, "18446744073709551616": most, "99999999999999": most, "1e300": most, "1e999": most,
		// A Unix time, in seconds and finer.
		fmt.Sprint(answered.Unix() + 90): 90 * time.Second, fmt.Sprintf("%d.5", answered.Unix()+90): 91 * time.Second,
		fmt.Sprint(answered.UnixMilli() + 90_000):     90 * time.Second,
		fmt.Sprint(answered.UnixMicro() + 90_000_000): 90 * time.Second, fmt.Sprint(answered.Unix() - 90): 0,
		// Dates: the three of the RFC, and what is met beside them.
		"Wed, 01 Mar 2023 00:01:30 GMT": 90 * time.Second, "Wednesday, 01-Mar-23 00:01:30 GMT": 90 * time.Second,
		"Wed Mar  1 00:01:30 2023":      90 * time.Second,
		"wed, 01 mar 2023 00:01:30 gmt": 90 * time.Second, "WED, 01 MAR 2023 00:01:30 GMT": 90 * time.Second,
		"Wed, 1 Mar 2023 00:01:30 GMT": 90 * time.Second, "Wed, 01 Mar 2023 00:01:30 UTC": 90 * time.Second,
		"Wed, 01 Mar 2023 01:01:30 +0100": 90 * time.Second, "01 Mar 2023 00:01:30 GMT": 90 * time.Second,
		"Wed, 01-Mar-2023 00:01:30 GMT": 90 * time.Second,
		"2023-03-01T00:01:30Z":          90 * time.Second, "2023-03-01T00:01:29.25Z": 90 * time.Second,
		"2023-03-01T01:01:30+01:00": 90 * time.Second, "2023-03-01T00:01:30": 90 * time.Second,
		"2023-03-01 00:01:30":           90 * time.Second,
		"Tue, 28 Feb 2023 00:01:30 GMT": 0, "Fri, 01 Mar 2080 00:00:00 GMT": most, "Wed, 01 Mar 2023 00:01:30 PST": 0,
		// What can not be read asks for nothing.
		"soon": 0, "NaN": 0, "Inf": 0, "-Inf": 0, "0x10": 0, "1 fortnight": 0, "12:99:99": 0, "١٢٠": 0,
		"Wed, 99 Mar 2023 00:01:30 GMT": 0, "\x00": 0, "--5": 0, "5-": 0,
		// Several values that a proxy joined: the longest holds.
		"120, 30": 2 * time.Minute, "30, soon": 30 * time.Second,
	} {
		require.Equal(t, want, wait(429, http.Header{"Retry-After": {value}}, ""), "Retry-After: %q", value)
	}
	require.Equal(t, 2*time.Minute, wait(503, http.Header{"Retry-After": {"5", "120", "soon"}}, ""), "several headers")
	require.Equal(t, time.Minute, wait(301, http.Header{"Retry-After": {"60"}}, ""), "at any status (RFC 9110, 10.2.3)")
}

func TestH17ADateIsMeasuredByTheServersClockAndElseByOurs(t *testing.T) {
	after := func(date time.Time, retry time.Time) time.Duration {
		h := http.Header{"Retry-After": {retry.Format(http.TimeFormat)}}
		if !date.IsZero() {
			h.Set("Date", date.Format(http.TimeFormat))
		}
		return wait(429, h, "")
	}
	require.Equal(t, 90*time.Second, after(time.Time{}, answered.Add(90*time.Second)), "no Date: our own clock")
	skewed := answered.Add(10 * time.Minute)
	require.Equal(t, 90*time.Second, after(skewed, skewed.Add(90*time.Second)),
		"a server whose clock is ahead means its own clock")
	require.Equal(t, 90*time.Second, after(skewed, answered.Add(90*time.Second)),
		"a date that is over by Date, and to come by our clock")
	years := answered.AddDate(-3, 0, 0)
	require.Equal(t, 90*time.Second, after(years, years.Add(90*time.Second)), "a clock that nobody set")
	require.Equal(t, 90*time.Second, after(years, answered.Add(90*time.Second)), "a Date that can not be true")
	require.Equal(t, time.Duration(0), after(answered, answered.Add(-time.Hour)))
	v := destination.JudgeStatus(destination.Response{Status: 429,
		Header: http.Header{"Retry-After": {"Wed, 01 Mar 2023 00:01:30 GMT"}}}, nil)
	require.Zero(t, v.RetryAfter, "no clock at all")
}

func TestH17OtherWordsForTheSame(t *testing.T) {
	for _, c := range []struct {
		header, value, body string
		want                time.Duration
	}{
		{"X-RateLimit-Reset", "7", "", 7 * time.Second},
		{"X-RateLimit-Reset", fmt.Sprint(answered.Unix() + 40), "", 40 * time.Second},
		{"X-RateLimit-Reset", "2023-03-01T00:00:40Z", "", 40 * time.Second},
		{"RateLimit-Reset", "2", "", 2 * time.Second}, {"X-RateLimit-Reset-After", "0.65", "", time.Second},
		{"X-Rate-Limit-Reset", "9", "", 9 * time.Second},
		{"Retry-After-Ms", "1500", "", 2 * time.Second}, {"X-Ms-Retry-After-Ms", "20", "", time.Second},
		{"X-RateLimit-Period-In-Sec", "60", "", time.Minute},
		{"RateLimit", `"default";r=0;t=30`, "", 30 * time.Second},
		{"RateLimit", "limit=100, remaining=0, reset=50", "", 50 * time.Second},
		{"", "", `{"ok":false,"error_code":429,"parameters":{"retry_after":35}}`, 35 * time.Second},
		{"", "", `{"message":"You are being rate limited.","retry_after":0.65,"global":false}`, time.Second},
		{"", "", `{"retryAfter":"12"}`, 12 * time.Second},
		{"", "", `{"error":{"retry_after_ms":2500}}`, 3 * time.Second}, {"", "", `{"retry_after":-3}`, 0},
		{"", "", `{"retry_after":1e99}`, most}, {"", "", `{"retry_after":null}`, 0}, {"", "", `{"retry_after":`, 0},
		{"X-RateLimit-Reset", "never", `{"retry_after":8}`, 8 * time.Second},
	} {
		h := http.Header{}
		if c.header != "" {
			h.Set(c.header, c.value)
		}
		require.Equal(t, c.want, wait(429, h, c.body), "%s: %s %s", c.header, c.value, c.body)
		require.Zero(t, wait(500, h, c.body), "only where the answer asks to slow down")
		h.Set("Retry-After", "1")
		require.Equal(t, time.Second, wait(429, h, c.body), "Retry-After goes before")
	}
}

func TestPaceIsAskedFor(t *testing.T) {
	pace := func(status int, h http.Header) bool {
		return destination.JudgeStatus(destination.Response{Status: status, Header: h, At: answered}, nil).Pace
	}
	later := http.Header{"Retry-After": {"0"}}
	require.True(t, pace(429, nil))
	require.True(t, pace(503, later), "0 seconds are words too")
	require.False(t, pace(503, nil), "down, or busy: nobody can tell")
	require.False(t, pace(500, later))
	require.False(t, pace(413, later))
	require.False(t, pace(200, later))
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("299.997", "", "")
	f.Add("Wed, 01 Mar 2023 00:01:30 GMT", "Wed, 01 Mar 2023 00:00:00 GMT", `{"retry_after":3}`)
	f.Add("1e999", "x", `{"a":{"retry_after_ms":1}}`)
	f.Fuzz(func(t *testing.T, value, date, body string) {
		for _, name := range []string{"Retry-After", "X-Ratelimit-Reset", "Ratelimit", "X"} {
			for _, at := range []time.Time{answered, {}} {
				r := destination.Response{Status: 429, Header: http.Header{name: {value}, "Date": {date}},
					Body: []byte(body), At: at}
				got := destination.JudgeStatus(r, nil).RetryAfter
				require.GreaterOrEqual(t, got, time.Duration(0))
				require.LessOrEqual(t, got, most)
				require.Zero(t, got%time.Second)
			}
		}
	})
}
