package ijson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"tocsin/shared/ijson"
)

// strict reads JSON with a parser that is not ours and holds to RFC 7493: it refuses names that stand twice, what is no
// UTF-8 and half surrogates. Numbers, depth and characters are judged here.
func strict(t testing.TB, raw []byte) {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, "%s", raw)
		require.LessOrEqual(t, dec.StackDepth(), ijson.MaxDepth)
		switch token.Kind() {
		case '0':
			_, err := strconv.ParseFloat(token.String(), 64)
			require.NoError(t, err, "beyond the range of a double: %s", token)
			if exact, ok := new(big.Int).SetString(token.String(), 10); ok {
				require.LessOrEqual(t, exact.CmpAbs(big.NewInt(1<<53-1)), 0, token.String())
			}
			require.LessOrEqual(t, len(token.String()), 24)
		case '"':
			for _, r := range token.String() {
				require.NotZero(t, r)
				require.NotEqual(t, rune(0xfffe), r&0xfffe, "a noncharacter")
			}
		}
	}
}

func TestH10WhatLeavesIsReadableEverywhere(t *testing.T) {
	deep := strings.Repeat(`[`, 19) + `{"a":[{"b":1},"x",null,true,1.5,{}]}` + strings.Repeat(`]`, 19)
	for name, c := range map[string]struct{ in, want string }{
		"a high surrogate alone":       {`["\ud800"]`, `["` + "\ufffd" + `"]`},
		"a low one":                    {`["a\udfffb"]`, `["a` + "\ufffd" + `b"]`},
		"the two in the wrong order":   {`["\udc00\ud800"]`, `["` + "\ufffd\ufffd" + `"]`},
		"a half before another escape": {`["\ud800\u0041"]`, `["` + "\ufffd" + `A"]`},
		"in a name":                    {`{"\ud800x":1}`, `{"` + "\ufffd" + `x":1}`},
		"a pair stays":                 {`["\ud83d\ude80"]`, `["\ud83d\ude80"]`},
		"not UTF-8":                    {"[\"a\xff\xc0b\"]", `["a` + "\ufffd\ufffd" + `b"]`},
		"a surrogate in UTF-8":         {"[\"\xed\xa0\x80\"]", `["` + "\ufffd\ufffd\ufffd" + `"]`},
		"NUL":                          {`["a\u0000b"]`, `["a␀b"]`},
		"noncharacters": {"[\"\\uffff\\ufffe\ufdd0\U0001fffe\\ud83f\\udfff\"]", `["` +
			strings.Repeat("\ufffd", 5) + `"]`},
		"separators of lines":                {"[\"\u2028\u2029\u0085\"]", `["\u2028\u2029\u0085"]`},
		"control characters as escapes stay": {`["\u0001\u001b\n\t\u202e"]`, `["\u0001\u001b\n\t\u202e"]`},
		"a name twice: the last counts":      {`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		"a name twice, once escaped":         {`{"a":1,"\u0061":3}`, `{"a":3}`},
		"a name twice, deeper":               {`[{"x":{"a":1,"a":{"c":2}}},{"a":1}]`, `[{"x":{"a":{"c":2}}},{"a":1}]`},
		"names that become the same":         {`{"\ud800":1,"\udc00":2}`, `{"` + "\ufffd" + `":2}`},
		"the same name in two objects":       {`{"a":{"a":1},"b":{"a":1}}`, `{"a":{"a":1},"b":{"a":1}}`},
		"beyond the range of a double":       {`[1e400,-1E+999,1e99999999999]`, `["1e400","-1E+999","1e99999999999"]`},
		"below it": {`[1e-400,-1e-99999999999999999999,0e9,0.0000000000000000000000000]`,
			`[0,-0,0e9,0]`},
		"60 digits": {`[` + strings.Repeat("9", 60) + `]`, `["` + strings.Repeat("9", 60) +
			`"]`},
		"60 digits after the point": {`[3.` + strings.Repeat("1", 60) + `]`, `[3.111111111111111]`},
		"beyond 2^53": {
			`[9007199254740991,9007199254740992,-9007199254740993,18446744073709551615]`,
			`[9007199254740991,"9007199254740992","-9007199254740993","18446744073709551615"]`},
		"what a double holds stays": {
			`[0,-0,-0.0,2.50,1E5,1e+5,0.1,1.7976931348623157e308,5e-324,-2147483648]`,
			`[0,-0,-0.0,2.50,1E5,1e+5,0.1,1.7976931348623157e308,5e-324,-2147483648]`},
		"deeper than the bound": {`[` + deep + `]`, `[` + strings.Repeat(`[`, 19) +
			`"{\"a\":[{\"b\":1},\"x\",null,true,1.5,{}]}"` + strings.Repeat(`]`, 20)},
		"as deep as the bound": {strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20),
			strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20)},
		"line breaks between the tokens": {"{\r\n \"a\" : [ 1 ,\n2 ] }", `{"a":[1,2]}`},
		"everything is fine, nothing changes": {`{"a": "日本語 🚀 \" \\ \/ <&>", "b":[null,true,false,{}]}`,
			`{"a": "日本語 🚀 \" \\ \/ <&>", "b":[null,true,false,{}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ijson.Mended([]byte(c.in))
			require.Equal(t, c.want, string(got))
			strict(t, got)
			require.Equal(t, string(got), string(ijson.Mended(got)), "what is mended stays")
		})
	}
}

func TestMapChangesTextsAlone(t *testing.T) {
	require.Equal(t, `{"AB":["X",1.50,null,{"C":"D"}]}`,
		string(ijson.Map([]byte(`{"ab": ["x", 1.50, null, {"c":"d"}]}`), strings.ToUpper)))
}

func TestDeepJSONIsNoTrouble(t *testing.T) {
	strict(t, ijson.Mended([]byte(strings.Repeat(`{"a":[`, 4000)+`"\ud800"`+strings.Repeat(`]}`, 4000))))
	strict(t, ijson.Mended([]byte(strings.Repeat(`[`, 9000)+strings.Repeat(`]`, 9000))))
	wide := `{"x":0` + strings.Repeat(`,"aaaaaaaaaaaaaaaa":{"b":[1,2]}`, 500) + `}`
	require.JSONEq(t, `{"x":0,"aaaaaaaaaaaaaaaa":{"b":[1,2]}}`, string(ijson.Mended([]byte(wide))))
}

func TestTheWatchSeesTheNamesOfTwoLevels(t *testing.T) {
	var seen []string
	require.True(t, ijson.Clean([]byte(`{"a":{"b":{"c":1}},"d":["e",{"f":1}]}`), 0, func(level int, name []byte) bool {
		seen = append(seen, strings.Repeat(">", level)+string(name))
		return false
	}))
	require.Equal(t, []string{">a", ">>b", ">d"}, seen)
	require.False(t, ijson.Clean([]byte(`{"a":{"b":1}}`), 0,
		func(_ int, name []byte) bool { return string(name) == "b" }))
	require.False(t, ijson.Clean([]byte(`{"a":[1]}`), ijson.MaxDepth-1, nil), "the depth around the value counts")
	value := []byte(`{"a":{"b":[1.5,"x"]}}`)
	require.Zero(t, testing.AllocsPerRun(100, func() { ijson.Clean(value, 0, nil) }))
}

func FuzzMended(f *testing.F) {
	for _, s := range []string{
		`{"a":"\ud800","\ud800":1,"a":2}`, `[1e400,-0,0.1234567890123456789,9007199254740993]`, "\"\xff\"",
		`"\u0000\uffff"`, strings.Repeat("[", 30) + strings.Repeat("]", 30),
		strings.Repeat(`{"a":`, 30) + `[1,"\ud800",{"b":[]}]` + strings.Repeat("}", 30), `{"":{"":[]},"":1}`,
		`[[],{},[{}],""]`, "{\"a\" :\n1}", `"\ud83d\ude80\ud83d"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) {
			return
		}
		got := ijson.Mended([]byte(s))
		strict(t, got)
		require.False(t, bytes.ContainsAny(got, "\n\r"), "NDJSON")
		require.Equal(t, string(got), string(ijson.Mended(got)), "what is mended stays")
		if ijson.Clean([]byte(s), 0, nil) {
			strict(t, []byte(s))
			require.Equal(t, s, string(got))
		}
	})
}

func BenchmarkClean(b *testing.B) {
	raw := []byte(
		`{"hit":{"domain":"shop.example.com","heur_distance":0.5,"method":"POST","parameter":"POST_comment_value","path":"/orders/1","payloads":["' or 1=1--"],"point":["post","comment"],"probability":0.5,"remote_country":"NL","remote_port":40112,"remote_addr4":"203.0.113.7","remote_addr6":"","tor":"none","request_time":1677628800,"create_time":1677628802,"response_len":345,"response_status":404,"response_time":120,"stamps":[2042],"regex":[],"stamps_hash":-730112,"regex_hash":-2147483648,"type":"sqli","block_status":"monitored","id":["hits_production_42_202303_v_1","k3Zr0a1xQmS8T2bW5cYd"],"object_type":"hit","anomaly":0.98}}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if !ijson.Clean(raw, 0, nil) {
			b.Fatal("it is clean")
		}
	}
}
