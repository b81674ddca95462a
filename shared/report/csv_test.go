package report_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// written is the path as the CSV has it, in its bytes and as a reader of RFC 4180 reads it.
func written(t *testing.T, path string) (raw, cell string) {
	t.Helper()
	s := &report.Summary{
		Client: "Acme", Period: calendar.Containing(calendar.Daily, "2023-03-01", "UTC"),
		Made: time.Date(2023, 3, 2, 0, 0, 0, 0, time.UTC),
		Attacks: []daily.Attack{{Type: "sqli", Host: "shop.example.com", Path: path, Method: "POST", Seen: 3,
			Sources: []string{"203.0.113.7", "2001:db8::1"}}},
	}
	files, err := s.Files("https://console.example.com")
	require.NoError(t, err)
	data := bytes.TrimPrefix(files[0].Data, []byte("\ufeff"))
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "3", rows[1][5])
	lines := strings.Split(string(data), "\r\n")
	require.Len(t, lines, 3, "a row is a line")
	for _, l := range lines[:2] {
		require.True(t, strings.HasPrefix(l, `"`) && strings.HasSuffix(l, `"`), "every cell is quoted")
	}
	return lines[1], rows[1][2]
}

func TestH16ACellIsNoFormulaForAnySeparator(t *testing.T) {
	for in, want := range map[string]string{
		"/a;=HYPERLINK(\"http://evil\")": `/a;'=HYPERLINK("http://evil")`, "=1+1": "'=1+1", "＝1＋1": "'＝1＋1",
		"＋1": "'＋1", "－1": "'－1", "＠x": "'＠x", "@SUM(1)": "'@SUM(1)",
		"-2+3": "'-2+3", "\t=1": "'=1", "\r=1": "'=1", "\n=1": "'=1", "  =1": "'=1", "\ufeff=1": "'=1",
		"\u200b=1": "'=1", "\u202e=1": "'=1", "a\n=1": "a ⏎ '=1", "a\t=1": "a '=1", "a|+1": "a|'+1",
		"a,-1": "a,'-1", "a:@x": "a:'@x", "a; \" =1": `a; " '=1`, "a =cmd|' /C calc'!A0": "a '=cmd|' /C calc'!A0",
		`"=1`: `"'=1`, "a - b": "a - b", "a-b=c@d+e": "a-b=c@d+e", "/orders/1?a=1&b=2": "/orders/1?a=1&b=2",
		"a -b": "a '-b",
		"日本語":  "日本語", "": "", "a;\u00a0=1": "a;\u00a0'=1",
	} {
		_, cell := written(t, in)
		require.Equal(t, want, cell, "%q", in)
	}
}

func TestTheHeadingsOfAFileAreInTheLanguageOfItsReport(t *testing.T) {
	s := &report.Summary{Period: calendar.Containing(calendar.Daily, "2023-03-01", "UTC"), Language: wording.Japanese}
	files, err := s.Files("")
	require.NoError(t, err)
	for _, f := range files {
		require.NotRegexp(t, `[a-z_]{3}`, string(f.Data), f.Name)
		require.Contains(t, string(f.Data), `"ホスト","パス"`)
	}
	s.Language = ""
	files, err = s.Files("")
	require.NoError(t, err)
	require.Contains(t, string(files[0].Data), `"type","host","path","method","parameter","hits","blocked","first_seen"`)
}

// parted reads a line as a spreadsheet does that parts cells at another separator: quotes count only where a cell
// begins.
func parted(line string, separator rune) (cells []string) {
	var cell strings.Builder
	begin, quoted := true, false
	for _, r := range line {
		switch {
		case quoted && r == '"':
			quoted = false
		case !quoted && begin && r == '"':
			quoted, begin = true, false
		case !quoted && r == separator:
			cells = append(cells, cell.String())
			cell.Reset()
			begin = true
		default:
			cell.WriteRune(r)
			begin = false
		}
	}
	return append(cells, cell.String())
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"/a;=1", "a\t=1", "\"=1", "a;\"\"=1", "＝1", " \u200b=1", "a|\r\n@x", "a : -1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		line, _ := written(t, path)
		for _, separator := range ",;|\t:" {
			for _, c := range append(parted(line, separator), strings.Split(line, string(separator))...) {
				c = strings.TrimLeft(c, "\" \u00a0\u3000")
				require.NotRegexp(t, "^[=+@＝＋－＠\t\r-]", c, "%q parted at %q", line, separator)
			}
		}
	})
}
