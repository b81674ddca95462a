package tree

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Short is the start of a text from a file, for a message.
func Short(s string) string {
	if utf8.RuneCountInString(s) <= 80 {
		return s
	}
	return string([]rune(s)[:80]) + "…"
}

// Problem is one thing that is wrong with a document.
type Problem struct {
	Line int    // 0 = of the file as a whole
	At   string // the object and its member
	Text string
}

func (p Problem) String() string {
	var out strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&out, "line %d: ", p.Line)
	}
	if p.At != "" {
		out.WriteString(p.At + ": ")
	}
	return out.String() + p.Text
}

// Problems are what is wrong with a document, in the order of its lines.
type Problems []Problem

// maxProblems bounds what is told at once.
const maxProblems = 20

func (p Problems) Error() string {
	var lines []string
	for n, one := range p {
		if n == maxProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(p)-n))
			break
		}
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "\n")
}

// Add notes one.
func (p *Problems) Add(line int, at, format string, args ...any) {
	*p = append(*p, Problem{line, at, fmt.Sprintf(format, args...)})
}

// Fault is one problem, as an error.
func Fault(line int, format string, args ...any) error {
	var p Problems
	p.Add(line, "", format, args...)
	return p
}

// Err is the problems in the order of their lines; nil where there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return p
}
