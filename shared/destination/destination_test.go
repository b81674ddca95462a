package destination_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
)

type parameters struct {
	URL     string            `json:"url" jsonschema:"required,title=URL,format=uri,minLength=1,maxLength=40" jsonschema_description:"Where to, and a comma"`
	Token   string            `json:"token" jsonschema:"required,title=Token,writeOnly=true,pattern=^t-"`
	Headers map[string]string `json:"headers,omitempty" jsonschema:"title=Headers,writeOnly=true"`
	Level   int               `json:"level" jsonschema:"title=Level,minimum=1,maximum=9,default=3"`
	Strict  bool              `json:"strict" jsonschema:"title=Strict,default=true"`
	List    []string          `json:"list,omitempty" jsonschema:"title=List,minItems=1,maxItems=2"`
}

var described = destination.ParametersOf[parameters]()

const full = `{"url":"https://a.example/","token":"t-secret","headers":{"A":"header-secret","B":"x"},"level":3,"strict":true}`

func TestDefaultsAreFilledIn(t *testing.T) {
	for _, given := range []string{`{"url":"https://a.example/","token":"t-secret"}`,
		`{"url":"https://a.example/","token":"t-secret","level":null,"strict":null,"headers":null}`} {
		got, err := described.Complete(json.RawMessage(given))
		require.NoError(t, err)
		require.JSONEq(t, `{"url":"https://a.example/","token":"t-secret","level":3,"strict":true}`, string(got))
	}
	got, err := described.Complete(json.RawMessage(`{"url":"https://a.example/","token":"t-secret","strict":false}`))
	require.NoError(t, err)
	opened, err := described.Open(got)
	require.NoError(t, err)
	require.False(t, opened.(*parameters).Strict, "what was said is not overruled by a default")
}

func TestEveryProblemIsToldAtOnceAndNoSecretWithIt(t *testing.T) {
	_, err := described.Complete(json.RawMessage(
		`{"url":"nowhere","token":"hunter2","level":10,"colour":"hunter2","list":[]}`))
	var problems destination.InvalidParameters
	require.ErrorAs(t, err, &problems)
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	slices.Sort(fields)
	require.Equal(t, []string{"parameters.colour", "parameters.level", "parameters.list", "parameters.token",
		"parameters.url"}, fields)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = described.Complete(json.RawMessage(`{"url":7,"token":{"deep":"hunter2"},"level":"3"}`))
	require.ErrorContains(t, err, "parameters.url: must be of type string")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestSecretsAreSplitOffMaskedAndKept(t *testing.T) {
	shown, secret, err := described.Split(json.RawMessage(full))
	require.NoError(t, err)
	require.JSONEq(t, `{"url":"https://a.example/","level":3,"strict":true}`, string(shown))
	masked, err := described.Masked(shown, secret)
	require.NoError(t, err)
	require.JSONEq(t,
		`{"url":"https://a.example/","level":3,"strict":true,"token":"********","headers":{"A":"********","B":"********"}}`, string(masked))
	joined, err := described.Join(shown, secret)
	require.NoError(t, err)
	require.JSONEq(t, full, string(joined))
	merged, err := described.Merge(joined, masked)
	require.NoError(t, err)
	require.JSONEq(t, full, string(merged), "the mask keeps the secret")
	require.Equal(t, []string{"header-secret", "t-secret", "x"}, described.SecretValues(json.RawMessage(full)),
		"the longest first, however short")
}

func TestMerge(t *testing.T) {
	for name, c := range map[string]struct{ patch, want, says string }{
		"one member": {`{"level":5}`,
			`{"url":"https://a.example/","token":"t-secret","headers":{"A":"header-secret","B":"x"},"level":5,"strict":true}`, ""},
		"null removes": {`{"headers":null}`,
			`{"url":"https://a.example/","token":"t-secret","level":3,"strict":true}`, ""},
		"a new secret": {`{"token":"t-new"}`,
			`{"url":"https://a.example/","token":"t-new","headers":{"A":"header-secret","B":"x"},"level":3,"strict":true}`, ""},
		"one header kept, one new": {`{"headers":{"A":"********","C":"c"}}`,
			`{"url":"https://a.example/","token":"t-secret","headers":{"A":"header-secret","C":"c"},"level":3,"strict":true}`, ""},
		"a mask that stands for nothing": {`{"headers":{"Z":"********"}}`, "", "parameters.headers: is a mask"},
		"a patch that is no object":      {`[1]`, "", "must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := described.Merge(json.RawMessage(full), json.RawMessage(c.patch))
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(got))
		})
	}
}

func FuzzComplete(f *testing.F) {
	f.Add(full)
	f.Add(`{"url":"https://a.example/","token":"t-x","headers":{"A":1}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := described.Complete(json.RawMessage(raw))
		if err != nil {
			return
		}
		_, err = described.Open(got)
		require.NoError(t, err, "what the schema accepts can be opened")
		shown, secret, err := described.Split(got)
		require.NoError(t, err)
		joined, err := described.Join(shown, secret)
		require.NoError(t, err)
		require.JSONEq(t, string(got), string(joined))
	})
}

func TestChunks(t *testing.T) {
	chunks := func(b destination.Batch, sizes ...int) (out []int) {
		var messages [][]byte
		for _, n := range sizes {
			messages = append(messages, make([]byte, n))
		}
		for part := range destination.Chunks(messages, b) {
			out = append(out, len(part))
		}
		return out
	}
	require.Empty(t, chunks(destination.Batch{Count: 2}))
	require.Equal(t, []int{2, 2, 1}, chunks(destination.Batch{Count: 2}, 1, 1, 1, 1, 1))
	require.Equal(t, []int{1, 1}, chunks(destination.Batch{}, 1, 1), "the zero value is one a request")
	require.Equal(t, []int{2, 1}, chunks(destination.Batch{Count: 9, Bytes: 22}, 10, 10, 10))
	require.Equal(t, []int{1, 1, 1}, chunks(destination.Batch{Count: 9, Bytes: 15}, 5, 100, 5),
		"one that is too large goes alone")
}

func TestJudgeStatus(t *testing.T) {
	require.True(t, destination.JudgeStatus(destination.Response{Status: 299}, nil).Delivered)
	require.Equal(t, "answered 300 Multiple Choices",
		destination.JudgeStatus(destination.Response{Status: 300}, nil).Reason)
	require.Equal(t, "answered 404 Not Found: mine",
		destination.JudgeStatus(destination.Response{Status: 404}, map[int]string{404: "mine"}).Reason)
	date := time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"99999999999999":                24 * time.Hour, // the cap
		"Wed, 01 Mar 2023 00:01:30 GMT": 90 * time.Second,
		"Tue, 28 Feb 2023 00:01:30 GMT": 0,
	} {
		v := destination.JudgeStatus(destination.Response{Status: 429,
			Header: http.Header{"Retry-After": {header}, "Date": {date.Format(http.TimeFormat)}}}, nil)
		require.Equal(t, want, v.RetryAfter, header)
	}
}

type bindable struct {
	Name string     `json:"name" jsonschema:"title=Name" jsonschema_description:"By hand."`
	Chat int64      `json:"chat,omitempty" jsonschema:"title=Chat,readOnly=true" jsonschema_description:"By us."`
	At   *time.Time `json:"at,omitempty" jsonschema:"title=At,readOnly=true,format=date-time" jsonschema_description:"By us."`
}

func TestWhatIsReadOnlyIsNotSetByHand(t *testing.T) {
	p := destination.ParametersOf[bindable]()
	require.Contains(t, string(p.Schema()), `"readOnly":true`)
	present := json.RawMessage(`{"name":"a","chat":-5,"at":"2023-03-01T00:00:00Z"}`)
	for change, says := range map[string]string{
		`{"name":"b"}`:             "",
		`{"chat": -5 ,"name":"b"}`: "",
		`{"chat":-6}`:              "parameters.chat: is read-only: it can not be set by hand",
		`{"chat":null}`:            "parameters.chat: is read-only",
		`{"chat":"-5"}`:            "parameters.chat: is read-only",
		`{"chat":1,"at":"x"}`:      "parameters.at: is read-only",
		`[]`:                       "must be an object",
	} {
		if problems := p.ByHand(present, json.RawMessage(change)); says == "" {
			require.Nil(t, problems, change)
		} else {
			require.ErrorContains(t, problems, says, change)
		}
	}
	require.Nil(t, p.ByHand(nil, json.RawMessage(`{"chat":null,"at":null}`)), "nothing is nothing")
	require.NotNil(t, p.ByHand(nil, json.RawMessage(`{"chat":0}`)))
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"a\x00\x1b[31mb": "a[31mb", "a\nb\tc": "a\nb\tc", "": "-", " \x07": "-",
		"\xff": "�", "日本": "日本"} {
		require.Equal(t, want, destination.Printable(in))
	}
}
