package pdf

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
)

// directed is a part of a text in one font and one direction.
type directed struct {
	run
	backwards bool
}

// inVisualOrder puts the runs of a text of a left-to-right line into the order of the eye (Unicode Annex 9). The text
// has no controls of direction (package plaintext removes them), so its levels are 0, of right-to-left letters 1, and
// of the numbers between these 2.
func inVisualOrder(s string, runs []run) []directed {
	levels := levels(s)
	type part struct {
		directed
		level int
	}
	var parts []part
	at := 0
	for _, r := range runs {
		for first := 0; first < len(r.text); {
			level, last := levels[at+first], first
			for last < len(r.text) && levels[at+last] == level {
				last++
			}
			parts = append(parts, part{directed{run{r.cut, r.text[first:last]}, level == 1}, level})
			first = last
		}
		at += len(r.text)
	}
	for level := 2; level >= 1; level-- { // rule L2
		for first := 0; first < len(parts); first++ {
			last := first
			for last < len(parts) && parts[last].level >= level {
				last++
			}
			slices.Reverse(parts[first:last])
			first = max(first, last-1)
		}
	}
	out := make([]directed, len(parts))
	for i, p := range parts {
		out[i] = p.directed
	}
	return out
}

// leftToRight before a text makes its line a left-to-right one, whatever it begins with: a host's name begins on the
// left.
const leftToRight = "\u200e"

// levels are those of a text's bytes. The library tells directions only: numbers that follow right-to-left letters look
// to it like the left-to-right text after them, and stand to the left of these letters.
func levels(s string) []int {
	out := make([]int, len(s))
	var p bidi.Paragraph
	if _, err := p.SetString(leftToRight + s); err != nil {
		return out
	}
	order, err := p.Order()
	if err != nil {
		return out
	}
	at, before := 0, bidi.L
	for i := range order.NumRuns() {
		r := order.Run(i)
		text := strings.TrimPrefix(r.String(), leftToRight)
		level, numbers := 0, 0
		if r.Direction() == bidi.RightToLeft {
			level = 1
		} else if before != bidi.L {
			numbers = leadingNumbers(text, before == bidi.AL)
		}
		for k := range len(text) {
			if k < numbers {
				out[at+k] = 2
			} else {
				out[at+k] = level
			}
		}
		if level == 0 {
			arabicNumbers(text, out[at:])
		}
		at += len(text)
		before = lastLetter(text, before)
	}
	return out
}

// lastLetter is the class of the last letter of a text, or that before it where it has none. It says what digits are
// that follow (rules W2 and W7).
func lastLetter(s string, before bidi.Class) bidi.Class {
	for _, r := range s {
		switch class, _ := bidi.LookupRune(r); class.Class() {
		case bidi.L, bidi.R, bidi.AL:
			before = class.Class()
		}
	}
	return before
}

// leadingNumbers is how many bytes of a text belong to the number that it begins with: digits, one separator between
// two of them, and signs such as % beside those that are not Arabic (rules W4 and W5).
func leadingNumbers(s string, arabic bool) int {
	end, open, digits, signs := 0, 0, false, false
	for i, r := range s {
		size := utf8.RuneLen(r)
		switch class, _ := bidi.LookupRune(r); class.Class() {
		case bidi.EN:
			end, open, digits, signs = i+size, 0, true, !arabic
		case bidi.AN:
			end, open, digits, signs = i+size, 0, true, false
		case bidi.ET:
			if signs && open == 0 {
				end = i + size
			}
		case bidi.NSM, bidi.BN:
		case bidi.ES, bidi.CS:
			if open++; open > 1 || !digits {
				return end
			}
		default:
			return end
		}
	}
	return end
}

// arabicNumbers finds Arabic digits with the separators between them: they are numbers of right-to-left text wherever
// they stand (rules W4 and I1).
func arabicNumbers(s string, levels []int) {
	last, since := -1, 0 // where the last digit ended, and how many separators came since
	for i, r := range s {
		size := utf8.RuneLen(r)
		switch class, _ := bidi.LookupRune(r); class.Class() {
		case bidi.AN:
			first := i
			if last >= 0 && since == 1 {
				first = last
			}
			for k := first; k < i+size; k++ {
				levels[k] = 2
			}
			last, since = i+size, 0
		case bidi.CS:
			since++
		case bidi.NSM, bidi.BN:
		default:
			last = -1
		}
	}
}
