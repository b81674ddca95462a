package event_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func TestH29TimesOfRFC3339AreTaken(t *testing.T) {
	for in, want := range map[string]string{
		"2023-03-01T00:00:00Z": "2023-03-01T00:00:00Z", "2023-03-01t00:00:00z": "2023-03-01T00:00:00Z",
		"2023-03-01 00:00:00Z":                      "2023-03-01T00:00:00Z",
		"2016-12-31T23:59:60Z":                      "2016-12-31T23:59:59.999999999Z",
		"2016-12-31T15:59:60.25-08:00":              "2016-12-31T23:59:59.999999999Z",
		"2017-01-01T05:29:60+05:30":                 "2016-12-31T23:59:59.999999999Z",
		"2023-03-01T00:00:00.5Z":                    "2023-03-01T00:00:00.5Z",
		"2023-03-01T00:00:00.123456789123456789Z":   "2023-03-01T00:00:00.123456789Z",
		"2023-03-01T00:00:00.000000000000001+00:00": "2023-03-01T00:00:00Z",
		"2023-03-01T00:00:00-00:00":                 "2023-03-01T00:00:00Z",
		"2023-03-01T14:00:00+14:00":                 "2023-03-01T00:00:00Z",
		"2023-02-28T12:01:00-11:59":                 "2023-03-01T00:00:00Z",
		"2023-03-01T23:59:00+23:59":                 "2023-03-01T00:00:00Z",
		"0000-01-01T00:00:00Z":                      "0000-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999Z":            "9999-12-31T23:59:59.999999999Z",
		"2024-02-29T00:00:00Z":                      "2024-02-29T00:00:00Z",
	} {
		got, ok := event.ParseTime(in)
		require.True(t, ok, in)
		require.Equal(t, want, got.Format(time.RFC3339Nano), in)
		require.Equal(t, time.UTC, got.Location())
	}
	for _, in := range []string{
		"", "noon", "2023-03-01", "2023-03-01T00:00:00", "2023-03-01T00:00Z", "2023-03-01T00:00:00.Z",
		"2023-03-01T00:00:00,5Z", "2023-03-01T00:00:00+0100", "2023-03-01T00:00:00+01", "2023-03-01T00:00:00+24:00",
		"2023-03-01T00:00:00+01:60",
		"2023-03-01T00:00:00 +01:00", "2023-03-01T00:00:00−01:00", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
		"2023-03-01T24:00:00Z", "2023-03-01T00:60:00Z", "2023-03-01T00:00:61Z", "2023-03-01T12:00:60Z",
		"2023-03-01T23:59:60+01:00",
		"2023-03-01_00:00:00Z", "2023-3-01T00:00:00Z", "+2023-03-01T00:00:00Z", "20230301T000000Z",
		"2023-03-01T00:00:00Zx", "2023-03-01T00:00:00.5", " 2023-03-01T00:00:00Z", "2023-03-01T 0:00:00Z",
		"٢٠٢٣-03-01T00:00:00Z",
	} {
		_, ok := event.ParseTime(in)
		require.False(t, ok, in)
	}
}

func TestH29AnEventOfALeapSecondIsAccepted(t *testing.T) {
	e, err := event.Parse("create_user", []byte(wire("time", `"2016-12-31T23:59:60Z"`)))
	require.NoError(t, err)
	require.Equal(t, "2016-12-31T23:59:59Z", e.Time.Format(time.RFC3339))
	raw, err := e.Encode()
	require.NoError(t, err)
	again, err := event.Parse("create_user", raw)
	require.NoError(t, err)
	require.Equal(t, e, again)
	_, err = event.Parse("create_user", []byte(wire("time", `"9999-12-31T23:59:59-01:00"`)))
	require.ErrorContains(t, err, "1970 to 9999")
	_, err = event.Parse("number_of_requests_per_hour",
		[]byte(wire("data", `{"requests":1,"from":"2016-12-31t23:59:60z"}`)))
	require.NoError(t, err)
	e, err = event.Parse("new_attack",
		[]byte(wire("data", `{"attack":{"id":"a","type":"xss","first_time":"2016-12-31 23:59:60Z","last_time":null}}`)))
	require.NoError(t, err)
	require.Equal(t, 2016, event.Data[event.AttackData](e).Attack.First.Year())
}

func TestSecondsOfAnyForm(t *testing.T) {
	for in, want := range map[string]event.Seconds{
		"1677628800": 1677628800, "1677628800.999": 1677628800, "1.6776288e9": 1677628800, `"1677628800"`: 1677628800,
		`"1677628800.5"`: 1677628800, "null": 0, `""`: 0, "0": 0, "-1.5": -2,
		`"2023-03-01T00:00:00Z"`: 1677628800,
	} {
		e, err := event.Parse("new_hits", []byte(wire("data", `{"hit":{"type":"xss","request_time":`+in+`}}`)))
		require.NoError(t, err, in)
		require.Equal(t, want, event.Data[event.HitData](e).Hit.RequestTime, in)
	}
}

func TestATimeThatIsNoneNamesItsField(t *testing.T) {
	for data, field := range map[string]string{
		`{"hit":{"type":"xss","request_time":"yesterday"}}`:                   "data.hit.request_time",
		`{"hit":{"type":"xss","request_time":1e300}}`:                         "data.hit.request_time",
		`{"hit":{"type":"xss","request_time":["\ud800` + "\xff" + `"]}}`:      "data.hit.request_time",
		`{"attack":{"id":"a","type":"xss","first_time":1677628800}}`:          "data.attack.first_time",
		`{"attack":{"id":"a","type":"xss","last_time":"2023-03-01 at noon"}}`: "data.attack.last_time",
	} {
		kind := "new_hits"
		if data[2] == 'a' {
			kind = "new_attack"
		}
		_, err := event.Parse(kind, []byte(wire("data", data)))
		var invalid *event.InvalidError
		require.ErrorAs(t, err, &invalid, data)
		require.Equal(t, field, invalid.Field, err.Error())
	}
}

// usual is the form that time.Parse and RFC 3339 agree on; time.Parse takes more that is none.
var usual = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2023-03-01T00:00:00Z", "2016-12-31T23:59:60.5+00:00", "2023-03-01t00:00:00.123-11:59",
		"9999-12-31 23:59:59z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := event.ParseTime(s)
		if want, err := time.Parse(time.RFC3339Nano, s); err == nil && usual.MatchString(s) {
			require.True(t, ok, "what Go takes: %q", s)
			require.True(t, want.Equal(got), "%q", s)
		}
		if ok {
			again, ok := event.ParseTime(got.Format(time.RFC3339Nano))
			require.True(t, ok || got.Year() < 0 || got.Year() > 9999)
			require.True(t, !ok || again.Equal(got))
		}
		var seconds event.Seconds
		if err := json.Unmarshal([]byte(s), &seconds); err != nil {
			var syntax *json.SyntaxError
			var kind *json.UnmarshalTypeError
			require.True(t, errors.As(err, &syntax) || errors.As(err, &kind), "%v", err)
		}
	})
}
