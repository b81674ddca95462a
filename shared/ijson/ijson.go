// Package ijson writes JSON that every reader takes, cuts it to a size and reads the JSON of others: JSON of RFC 8259
// within the bounds of RFC 7493 (I-JSON).
// Upstream's JSON is valid and still not safe to pass on: one escape that readers refuse (`\ud800`) costs all the
// events that travel with it. What is mended:
//
//   - A surrogate without its other half, a byte that is not UTF-8 and a noncharacter become U+FFFD (RFC 7493, 2.1).
//   - U+0000 becomes U+2400, its picture: PostgreSQL's jsonb refuses it, and readers written in C end the text there.
//   - U+2028, U+2029 and control characters are written as escapes: some readers part lines at them.
//   - A number that a double can not hold becomes a text of the same characters: a whole one beyond ±(2^53-1), as 2.2
//     asks, and one beyond the range. A fraction with more digits than a double has is written as that double.
//   - Of members of the same name the last stays, in the place of the first (2.3).
//   - What is nested deeper than MaxDepth becomes a text that holds its JSON.
//
// Nothing else changes: names, order, numbers and escapes stay as upstream wrote them.
package ijson

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is of arrays and objects in each other. Readers stop at 20 (Elasticsearch, index.mapping.depth.limit), 64
// (.NET's System.Text.Json) or 100 (Ruby's json). Five levels more are what is written around upstream's data.
const MaxDepth = 20

// maxSafe is the largest whole number that every reader holds exactly. RFC 7493, 2.2.
const maxSafe = 1<<53 - 1

// AppendString writes a text as JSON.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if plain[c] {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendASCII(b, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !special(r, n) {
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		b = appendSpecial(b, r)
		i += n
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// plain are the ASCII characters that stand in a string as they are.
var plain = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= ' ' && c < 0x7f && c != '"' && c != '\\'
	}
	return t
}()

func appendASCII(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case 0:
		return append(b, "␀"...)
	}
	return appendEscape(b, rune(c))
}

const digits = "0123456789abcdef"

func appendEscape(b []byte, r rune) []byte {
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// special reports whether a character of n bytes that is not ASCII is not written as it is; one of one byte is a bad
// byte.
func special(r rune, n int) bool {
	return n == 1 || r < 0xa0 || r == 0x2028 || r == 0x2029 || noncharacter(r)
}

func noncharacter(r rune) bool { return r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef }

func appendSpecial(b []byte, r rune) []byte {
	if r == utf8.RuneError || noncharacter(r) {
		return append(b, "\ufffd"...)
	}
	return appendEscape(b, r)
}

// Append appends a JSON value, mended and without space between its tokens. What is no JSON value is left out: ok is
// false, and b as it was.
func Append(b, value []byte, depth int) (out []byte, ok bool) {
	m := mender{dec: json.NewDecoder(bytes.NewReader(value)), out: b}
	m.dec.UseNumber()
	if err := m.value(depth); err != nil {
		return b, false
	}
	return m.out, true
}

// Mended is a valid JSON value as Append writes it; one that needs no mending is returned as it is.
func Mended(value []byte) []byte {
	if Clean(value, 0, nil) {
		return value
	}
	out, ok := Append(nil, value, 0)
	if !ok {
		return []byte("null")
	}
	return out
}

// Map is a valid JSON value as Append writes it, with each of its texts, names too, as change returns it.
func Map(value []byte, change func(string) string) []byte {
	m := mender{dec: json.NewDecoder(bytes.NewReader(value)), change: change}
	m.dec.UseNumber()
	if err := m.value(0); err != nil {
		return []byte("null")
	}
	return m.out
}

// mender copies one JSON value from dec to out.
type mender struct {
	dec    *json.Decoder
	out    []byte
	change func(string) string // nil: texts stay
}

func (m *mender) append(b []byte, s string) []byte {
	if m.change != nil {
		s = m.change(s)
	}
	return AppendString(b, s)
}

func (m *mender) value(depth int) error {
	token, err := m.dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if depth >= MaxDepth {
			return m.deep(v)
		}
		if v == '{' {
			return m.object(depth + 1)
		}
		return m.array(depth + 1)
	case string:
		m.out = m.append(m.out, v)
	case json.Number:
		m.out = appendNumber(m.out, v.String())
	case bool:
		m.out = strconv.AppendBool(m.out, v)
	default:
		m.out = append(m.out, "null"...)
	}
	return nil
}

func (m *mender) array(depth int) error {
	m.out = append(m.out, '[')
	for n := 0; m.dec.More(); n++ {
		if n > 0 {
			m.out = append(m.out, ',')
		}
		if err := m.value(depth); err != nil {
			return err
		}
	}
	m.out = append(m.out, ']')
	_, err := m.dec.Token()
	return err
}

// object writes each name once, in the place where it stood first. Names are compared as they are written.
func (m *mender) object(depth int) error {
	var names, values [][]byte
	at := map[string]int{}
	begin := len(m.out)
	for m.dec.More() {
		token, err := m.dec.Token()
		if err != nil {
			return err
		}
		text, _ := token.(string)
		name := m.append(nil, text)
		if err := m.value(depth); err != nil {
			return err
		}
		value := bytes.Clone(m.out[begin:])
		m.out = m.out[:begin]
		if i, ok := at[string(name)]; ok {
			values[i] = value
			continue
		}
		at[string(name)] = len(names)
		names, values = append(names, name), append(values, value)
	}
	m.out = append(m.out, '{')
	for i, name := range names {
		if i > 0 {
			m.out = append(m.out, ',')
		}
		m.out = append(append(append(m.out, name...), ':'), values[i]...)
	}
	m.out = append(m.out, '}')
	_, err := m.dec.Token()
	return err
}

// deep writes the array or object that begins with open as a text. It goes through the tokens itself: its depth has no
// bound here.
func (m *mender) deep(open json.Delim) error {
	inner := []byte{byte(open)}
	isName := []bool{open == '{'} // of each container that is open: an object, whose next token is a name
	object := []bool{open == '{'}
	first := true
	for len(object) > 0 {
		token, err := m.dec.Token()
		if err != nil {
			return err
		}
		last := len(object) - 1
		if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
			inner, first = append(inner, byte(d)), false
			isName, object = isName[:last], object[:last]
			continue
		}
		value := object[last] && !isName[last]
		if !first && !value {
			inner = append(inner, ',')
		}
		first = false
		isName[last] = object[last] && value
		switch v := token.(type) {
		case json.Delim:
			inner, first = append(inner, byte(v)), true
			isName, object = append(isName, v == '{'), append(object, v == '{')
		case string:
			if inner = m.append(inner, v); object[last] && !value {
				inner = append(inner, ':')
			}
		case json.Number:
			inner = appendNumber(inner, v.String())
		case bool:
			inner = strconv.AppendBool(inner, v)
		default:
			inner = append(inner, "null"...)
		}
	}
	m.out = AppendString(m.out, string(inner))
	return nil
}

// appendNumber writes a number, or a text where no reader can be sure to hold it.
func appendNumber(b []byte, s string) []byte {
	if short(s) {
		return append(b, s...)
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsInf(f, 0):
		return AppendString(b, s)
	case whole(s):
		if math.Abs(f) > maxSafe {
			return AppendString(b, s)
		}
		return append(b, s...)
	}
	if f != 0 && len(s) <= longest || f == 0 && zero(s) {
		return append(b, s...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// longest is a double with its sign, point and exponent, in characters.
const longest = 24

// zero reports whether a fraction is written as zero and is not just too small for a double.
func zero(s string) bool {
	if len(s) > longest {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '1' && c <= '9':
			return false
		case c|0x20 == 'e':
			return true
		}
	}
	return true
}

// short numbers need no look: they have at most 15 digits and no exponent.
func short(s string) bool {
	if len(s) > 15 {
		return false
	}
	for i := range len(s) {
		if s[i]|0x20 == 'e' {
			return false
		}
	}
	return true
}

func whole(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return true
}
