// Package jsonscan reads the JSON that every event passes through: objects of a known form, without reflection and with
// next to no allocation, some ten times as fast as encoding/json. It gives up at whatever is unusual (a fault, a
// name that encoding/json would fold, a number where a text belongs), and its caller asks encoding/json then. What it
// does not give up at it reads as encoding/json does; the fuzz tests of its callers hold it to that.
package jsonscan

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep a value may be nested before the scanner gives up.
const maxDepth = 64

// Scanner reads one JSON value from its beginning. Texts that it returns share the memory of Text.
type Scanner struct {
	Text string
	at   int
	// fresh: an object or an array was entered, and none of its members was read.
	fresh bool
	bad   bool
}

// GiveUp says that the caller can not go on.
func (s *Scanner) GiveUp() { s.bad = true }

// End reports that the whole text was read, and nothing of it was unusual.
func (s *Scanner) End() bool {
	s.space()
	return !s.bad && s.at == len(s.Text)
}

func (s *Scanner) space() {
	for s.at < len(s.Text) {
		switch s.Text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take reads one byte if it is the next one.
func (s *Scanner) take(c byte) bool {
	if s.bad || s.at >= len(s.Text) || s.Text[s.at] != c {
		return false
	}
	s.at++
	return true
}

// need reads one byte that has to be there.
func (s *Scanner) need(c byte) {
	if !s.take(c) {
		s.bad = true
	}
}

// Enter begins an object or an array, which begins with open. Null is none: it is read, and Enter is false.
func (s *Scanner) Enter(open byte) bool {
	if s.Null() {
		return false
	}
	s.need(open)
	s.fresh = true
	return !s.bad
}

// more moves to the next member of an object or an array; false behind the last one.
func (s *Scanner) more(end byte) bool {
	s.space()
	if s.take(end) {
		s.fresh = false
		return false
	}
	if !s.fresh {
		s.need(',')
		s.space()
	}
	s.fresh = false
	return !s.bad
}

// Name moves to the next member of an object and returns its name; ok is false behind the last one.
func (s *Scanner) Name() (name string, ok bool) {
	if !s.more('}') {
		return "", false
	}
	name, plain := s.quoted()
	if !plain {
		s.bad = true
	}
	s.space()
	s.need(':')
	return name, !s.bad
}

// Once gives up at a member that is there a second time: encoding/json lets the later one change the earlier one. The
// bits of seen are the members that were there.
func (s *Scanner) Once(seen *uint32, member uint) {
	if *seen&(1<<member) != 0 {
		s.bad = true
	}
	*seen |= 1 << member
}

// Other skips the member of a name that the caller does not know, unless encoding/json could take it for one that it
// does: it folds the case of names. The names that the caller knows are in lower case.
func (s *Scanner) Other(name string) {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			s.bad = true
			return
		}
	}
	s.Skip()
}

// Item moves to the next value of an array; false behind the last one.
func (s *Scanner) Item() bool { return s.more(']') }

// Null reads null if that is the next value.
func (s *Scanner) Null() bool {
	s.space()
	if !strings.HasPrefix(s.Text[s.at:], "null") {
		return false
	}
	s.at += len("null")
	return true
}

// Bool reads true or false; null is false.
func (s *Scanner) Bool() bool {
	s.space()
	switch rest := s.Text[s.at:]; {
	case strings.HasPrefix(rest, "true"):
		s.at += len("true")
		return true
	case strings.HasPrefix(rest, "false"):
		s.at += len("false")
	case !s.Null():
		s.bad = true
	}
	return false
}

// maxDigits fit into an int64, and into a float64 without loss.
const maxDigits = 15

// Int reads a whole number of at most 15 digits; null is 0.
func (s *Scanner) Int() int64 {
	if s.Null() {
		return 0
	}
	start := s.at
	negative := s.take('-')
	first := s.at
	n := int64(0)
	for s.at < len(s.Text) && s.Text[s.at] >= '0' && s.Text[s.at] <= '9' && s.at-first < maxDigits {
		n = n*10 + int64(s.Text[s.at]-'0')
		s.at++
	}
	switch digits := s.at - first; {
	case digits == 0, digits > 1 && s.Text[first] == '0':
		s.bad = true
	case s.at < len(s.Text) && strings.IndexByte("0123456789.eE", s.Text[s.at]) >= 0:
		s.at, s.bad = start, true
	}
	if negative {
		return -n
	}
	return n
}

// String reads a text; null is "".
func (s *Scanner) String() string {
	if s.Null() {
		return ""
	}
	start := s.at
	text, plain := s.quoted()
	if plain || s.bad {
		return text
	}
	return s.unquote(s.Text[start:s.at])
}

// Pointer reads a text; null is nil.
func (s *Scanner) Pointer() *string {
	if s.Null() {
		return nil
	}
	text := s.String()
	return &text
}

// Strings reads a list of texts; null is none.
func (s *Scanner) Strings() []string {
	if !s.Enter('[') {
		return nil
	}
	out := []string{}
	for s.Item() {
		out = append(out, s.String())
	}
	return out
}

// Span skips a value and returns where in Text it stands.
func (s *Scanner) Span() (from, to int) {
	s.space()
	from = s.at
	s.Skip()
	return from, s.at
}

// verbatim are the characters of a text that stand for themselves and need no look at those beside them.
var verbatim = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// verbatimPrefix is how many characters a text begins with that are verbatim. It looks at eight at a time: of each, by
// arithmetic on all of them at once, whether it is none.
func verbatimPrefix(text string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(text)-n >= 8; n += 8 {
		t := text[n : n+8]
		x := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 | uint64(t[4])<<32 |
			uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		quote, slash := x^ones*'"', x^ones*'\\'
		control := (x - ones*' ') &^ x
		if (x|control|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break
		}
	}
	for n < len(text) && verbatim[text[n]] {
		n++
	}
	return n
}

// quoted reads a text between quotes; plain says that it stands for itself. One that does not is checked, and returned
// as it is written.
func (s *Scanner) quoted() (text string, plain bool) {
	s.need('"')
	if s.bad {
		return "", false
	}
	start, ascii, escapes := s.at, true, false
	for {
		if s.at += verbatimPrefix(s.Text[s.at:]); s.at == len(s.Text) {
			break
		}
		c := s.Text[s.at]
		s.at++
		switch {
		case c == '"':
			text = s.Text[start : s.at-1]
			return text, !escapes && (ascii || utf8.ValidString(text))
		case c == '\\':
			escapes = true
			s.escape()
		case c < ' ':
			s.bad = true
			return "", false
		default:
			ascii = false
		}
	}
	s.bad = true
	return "", false
}

// escape reads what follows a backslash.
func (s *Scanner) escape() {
	if s.at >= len(s.Text) {
		s.bad = true
		return
	}
	c := s.Text[s.at]
	s.at++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
	case 'u':
		for range 4 {
			if s.at >= len(s.Text) || !hex(s.Text[s.at]) {
				s.bad = true
				return
			}
			s.at++
		}
	default:
		s.bad = true
	}
}

func hex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// simple are the escapes of one character.
var simple = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquote is the text of a checked literal, its quotes included.
func (s *Scanner) unquote(literal string) string {
	if strings.Contains(literal, `\u`) || !utf8.ValidString(literal) {
		var text string
		if err := json.Unmarshal([]byte(literal), &text); err != nil {
			s.bad = true
		}
		return text
	}
	rest := literal[1 : len(literal)-1]
	var b strings.Builder
	b.Grow(len(rest))
	for {
		n := strings.IndexByte(rest, '\\')
		if n < 0 {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString(rest[:n])
		b.WriteByte(simple[rest[n+1]])
		rest = rest[n+2:]
	}
}

// Skip reads one value of any kind.
func (s *Scanner) Skip() { s.skip(0) }

func (s *Scanner) skip(depth int) {
	s.space()
	if s.bad || s.at >= len(s.Text) || depth > maxDepth {
		s.bad = true
		return
	}
	switch c := s.Text[s.at]; c {
	case '{':
		for s.Enter('{'); s.more('}'); {
			s.quoted()
			s.space()
			s.need(':')
			s.skip(depth + 1)
		}
	case '[':
		for s.Enter('['); s.Item(); {
			s.skip(depth + 1)
		}
	case '"':
		s.quoted()
	case 't', 'f', 'n':
		s.Bool()
	default:
		s.number()
	}
}

// number reads a number of JSON's grammar.
func (s *Scanner) number() {
	s.take('-')
	if !s.take('0') {
		s.digits()
	}
	if s.take('.') {
		s.digits()
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		s.digits()
	}
}

// digits reads at least one digit.
func (s *Scanner) digits() {
	first := s.at
	for s.at < len(s.Text) && s.Text[s.at] >= '0' && s.Text[s.at] <= '9' {
		s.at++
	}
	if s.at == first {
		s.bad = true
	}
}
