package commandline

import (
	"strconv"
	"strings"
)

// Clean writes what a terminal would take for a command as what it is. Lines stay lines.
func Clean(s string) string {
	var out strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) || r == '\n' {
			out.WriteRune(r)
		} else {
			out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return out.String()
}
