package plaintext

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Break stands where a line ended inside of a value: a reader sees that there was a break, and no new line begins.
const Break = "⏎"

// marksInARow bounds the combining marks on one character: more of them run over the lines above and below. No script
// needs as many.
const marksInARow = 6

// Line returns a text on one line, as a person is to see it. Line breaks inside of it become Break, those at its ends
// go, a tab becomes a space. What is not UTF-8 becomes U+FFFD. A text of nothing visible becomes "".
func Line(s string) string {
	if simple(s) {
		return strings.TrimSpace(s)
	}
	out := strings.TrimSpace(clean(s, false))
	for strings.HasSuffix(out, Break) && strings.ContainsFunc(s, breaks) {
		out = strings.TrimSpace(strings.TrimSuffix(out, Break))
	}
	return out
}

// Lines is Line for a text of several lines, which stay lines, each with \n at its end; a tab stays.
func Lines(s string) string {
	if simple(s) {
		return s
	}
	return clean(s, true)
}

// simple reports whether a text is printable ASCII, as most are.
func simple(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func clean(s string, lines bool) string {
	c := cleaner{lines: lines, out: make([]byte, 0, len(s))}
	for i, r := range s {
		if r == utf8.RuneError {
			r = 0xfffd // also a byte that is none
		}
		next := rune(0)
		if _, n := utf8.DecodeRuneInString(s[i:]); i+n < len(s) {
			next, _ = utf8.DecodeRuneInString(s[i+n:])
		}
		c.add(r, next)
	}
	return string(c.out)
}

type cleaner struct {
	out   []byte
	lines bool // breaks stay
	last  rune // the one written last, 0 at the beginning of a line
	marks int  // combining marks in a row
	fresh bool // nothing was written since a break
	cr    bool // the one read last was a carriage return
}

func (c *cleaner) add(r, next rune) {
	afterCR := c.cr
	c.cr = r == '\r'
	switch {
	case r == '\n' && afterCR: // of one break
	case breaks(r):
		c.breakLine()
	case r == '\t' && c.lines:
		c.put(r)
	case r == '\t':
		c.put(' ')
	case unicode.IsControl(r): // C0 and C1
	case r == 0x200c || r == 0x200d: // joiners: they shape some scripts and emoji, elsewhere they hide in a word
		if shaped(c.last) && shaped(next) {
			c.put(r)
		}
	case unicode.Is(unicode.Variation_Selector, r):
		if selects(c.last, r) {
			c.put(r)
		}
	case unseen(r):
	case noncharacter(r):
		c.put(0xfffd)
	case unicode.Is(unicode.M, r):
		c.mark(r)
	default:
		c.put(r)
	}
}

func (c *cleaner) put(r rune) {
	if r == ' ' && c.fresh {
		return
	}
	c.out = utf8.AppendRune(c.out, r)
	c.last, c.fresh = r, false
	if r != 0x200c && r != 0x200d && !unicode.Is(unicode.Variation_Selector, r) {
		c.marks = 0
	}
}

// mark writes a combining mark; one without a character to stand on gets a circle, else it would stand on ours.
func (c *cleaner) mark(r rune) {
	if c.marks++; c.marks > marksInARow {
		return
	}
	if c.last == 0 || c.last == ' ' || c.last == '\n' {
		c.out = utf8.AppendRune(c.out, '◌')
	}
	c.out = utf8.AppendRune(c.out, r)
	c.last, c.fresh = r, false
}

func (c *cleaner) breakLine() {
	c.marks = 0
	if c.lines {
		c.out, c.last = append(c.out, '\n'), 0
		return
	}
	if c.fresh {
		return // one for several
	}
	c.out = bytes.TrimRight(c.out, " ")
	if c.last = ' '; len(c.out) == 0 {
		return // none at the beginning
	}
	c.out, c.fresh = append(c.out, " "+Break+" "...), true
}

// breaks reports whether a reader of lines begins a new one here (Unicode Standard, 5.8, "Newline Guidelines").
func breaks(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// unseen reports whether nothing shows for a character, or it changes how others show: Default_Ignorable_Code_Point,
// the remaining format characters, and the tags, of which a hidden text can be written. Signs that hold a number in
// Arabic and Syriac texts are of that category and visible.
func unseen(r rune) bool {
	if r < 0xad {
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r) ||
		r >= 0xe0000 && r <= 0xe0fff
}

// shaped reports whether a joiner may stand beside a character: in the scripts that are written with it, and in emoji.
func shaped(r rune) bool {
	return r >= 0x600 && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.So, r) ||
		unicode.Is(unicode.Sk, r))
}

// selects reports whether a variation selector belongs to the character before it: one to a character, and not on a
// letter of the alphabets, where rows of them hide bytes.
func selects(last, r rune) bool {
	switch {
	case unicode.Is(unicode.Variation_Selector, last):
		return false
	case r >= 0xe0100:
		return unicode.Is(unicode.Han, last)
	case r == 0xfe0f || r == 0xfe0e:
		return last >= 0xa9 && (unicode.IsSymbol(last) || unicode.IsPunct(last)) ||
			strings.ContainsRune("#*0123456789", last) && last != 0
	}
	return last >= 0x600 // of Mongolian, Myanmar, Han and Phags-pa
}

func noncharacter(r rune) bool { return r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef }
