package ijson_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/ijson"
)

func TestFit(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		value string
		limit int
		want  string
	}{
		"what fits is left as it is": {` {"a" : 1.50}`, 100, ` {"a" : 1.50}`},
		"the long string is cut, the short stays": {`{"a":"` + long + `","b":"short","c":null,"d":true,"e":1.50}`, 160,
			`{"a":"` + strings.Repeat("x", 77) + `…","b":"short","c":null,"d":true,"e":1.50}`},
		"the tail of an array is counted": {`[` + strings.Repeat(`"entry",`, 99) + `"entry"]`, 60,
			`["entry","entry","entry","entry","… 96 more"]`},
		"a string is never torn inside a rune": {`"日本語日本語日本語"`, 24, `"日本語…"`},
		"a number of many digits is no number": {`[` + strings.Repeat("9", 500) + `]`, 200, `["` +
			strings.Repeat("9", 61) + `…"]`},
		"what can not be cut is replaced": {`{"a":1,"b":2}`, 6, `"…"`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, string(ijson.Fit([]byte(c.value), c.limit)))
		})
	}
}

func FuzzFit(f *testing.F) {
	f.Add(`{"a":["x","y",{"b":"`+strings.Repeat("<", 300)+`"}],"c":1e400,"d":"\ud800"}`, 100)
	f.Add(strings.Repeat(`[`, 500)+strings.Repeat(`]`, 500), 200)
	f.Add(`{"":"","":[]}`, 10)
	f.Add(strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100), 50)
	f.Fuzz(func(t *testing.T, value string, limit int) {
		if limit < 5 || !json.Valid([]byte(value)) {
			return
		}
		got := ijson.Fit([]byte(value), limit)
		require.True(t, json.Valid(got), "%s", got)
		require.LessOrEqual(t, len(got), limit)
	})
}

func TestMembersKeepTheirOrderAndTheLastOfTwo(t *testing.T) {
	got := ijson.Members([]byte(`{"b":1,"a":{"x":[1,2]},"b":"2"}`))
	require.Equal(t, `{"b":"2","a":{"x":[1,2]}}`, string(ijson.JoinObject(got)))
	require.Empty(t, ijson.Members([]byte(`[1]`)))
	require.Empty(t, ijson.Members(nil))
}

func TestGzipIsRepeatable(t *testing.T) {
	body := []byte(strings.Repeat("hello ", 1000))
	got := destination.Gzip(body)
	require.Equal(t, got, destination.Gzip(body))
	require.Less(t, len(got), len(body)/10)
	z, err := gzip.NewReader(bytes.NewReader(got))
	require.NoError(t, err)
	back, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, body, back)
}

func TestSaid(t *testing.T) {
	require.Equal(t, "first; second line", destination.Said(" first ", "", "second\r\n\x00line"))
	require.Equal(t, 300, len([]rune(destination.Said(strings.Repeat("日", 1000)))))
	v := destination.JudgeSaid(destination.Response{Status: 400}, map[int]string{400: "it could not read this"},
		"bad key")
	require.Equal(t, "answered 400 Bad Request: it could not read this (it says: bad key)", v.Reason)
	require.True(t, destination.JudgeSaid(destination.Response{Status: 202}, nil, "thanks").Delivered)
}

func TestWebLink(t *testing.T) {
	for link, want := range map[string]bool{
		"https://console.example.com/object/555": true, "http://localhost:8080/x?a=b#c": true, "": false,
		"javascript:alert(1)":          false,
		"https://a.example/with space": false, "https://a.example/<b>": false, "https://a.example/日": false,
		"https://a.example/" + strings.Repeat("x", 90): false,
	} {
		require.Equal(t, want, destination.WebLink(link, 64) == link && link != "", link)
	}
}
