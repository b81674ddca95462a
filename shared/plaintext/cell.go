package plaintext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cell is a text on one line as a cell of a CSV file that people open. No spreadsheet takes it for a formula (OWASP,
// "CSV Injection"): strangers choose what is in it. A formula begins a cell, and where cells begin is the reader's
// choice: a file with commas is parted at semicolons where that is the list separator of the system, quotes or not. So
// a mark stands before each sign that would begin one behind any separator of the import dialogs, also behind spaces
// and quotes, which readers skip. A sign alone between spaces, as in `a - b`, is none.
func Cell(s string) string {
	s = Line(s)
	if !strings.ContainsAny(s, formula) {
		return s
	}
	var out strings.Builder
	begins, space := true, false // a cell may begin here; only where spaces part cells
	for i, r := range s {
		rest := s[i+utf8.RuneLen(r):]
		if strings.ContainsRune(formula, r) && (begins || space && rest != "" && rest[0] != ' ') {
			out.WriteByte('\'')
		}
		out.WriteRune(r)
		switch {
		case strings.ContainsRune(separators, r):
			begins = true
		case r == '"', unicode.IsSpace(r):
			space = true
		default:
			begins, space = false, false
		}
	}
	return out.String()
}

// formula are the signs that begin one, in their full-width and small forms too, which spreadsheets of East Asian
// languages take for the same; separators part cells in Excel, LibreOffice, Google Sheets and the sniffer of Python's
// csv.
const (
	formula    = "=+-@＝＋－＠﹦﹢﹣﹫"
	separators = ",;|:\t"
)
