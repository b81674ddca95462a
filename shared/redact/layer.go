package redact

import (
	"bytes"
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// layer is a text with what each of its bytes stands for in the text that it was decoded from.
type layer struct {
	b    []byte
	from []int32 // nil: the text itself
	to   []int32
}

func newLayer(s string) layer { return layer{b: []byte(s)} }

// source is where the bytes between two places come from.
func (l layer) source(from, to int) span {
	if l.from == nil {
		return span{from, to}
	}
	return span{int(l.from[from]), int(l.to[to-1])}
}

// writer makes a layer of another one.
type writer struct {
	of  layer
	out layer
}

func write(of layer) *writer {
	return &writer{of, layer{make([]byte, 0, len(of.b)), make([]int32, 0, len(of.b)), make([]int32, 0, len(of.b))}}
}

// put writes text for the bytes between two places of the layer below.
func (w *writer) put(text string, from, to int) {
	s := w.of.source(from, to)
	for i := range len(text) {
		w.out.b = append(w.out.b, text[i])
		w.out.from = append(w.out.from, int32(s.from))
		w.out.to = append(w.out.to, int32(s.to))
	}
}

// normal is a layer as it is compared: in lower case, each run of spaces and control characters one space. A plus is a
// space, as forms write one. Each run of what is no UTF-8 is one unknown character: see misreadForms.
func (l layer) normal() layer {
	w := write(l)
	last := rune(0)
	for i := 0; i < len(l.b); {
		r, n := utf8.DecodeRune(l.b[i:])
		if r = narrow(r); r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) {
			r = ' '
		}
		if r == last && (r == ' ' || r == utf8.RuneError) {
			end := int32(l.source(i, i+n).to)
			for at := len(w.out.b) - utf8.RuneLen(r); at < len(w.out.b); at++ {
				w.out.to[at] = end
			}
		} else {
			w.put(string(unicode.ToLower(r)), i, i+n)
		}
		last = r
		i += n
	}
	return w.out
}

// narrow is the ASCII character that a full-width one stands for (Unicode, FF01 to FF5E).
func narrow(r rune) rune {
	if r >= 0xFF01 && r <= 0xFF5E {
		return r - 0xFF01 + '!'
	}
	return r
}

// decoders take one encoding off a text: of each escape in it, wherever it stands. changed is false when there was
// none.
var decoders = []func(l layer) (decoded layer, changed bool){percent, backslash, entities, quotedPrintable, unfolded,
	visible, styled, lowFirst, highFirst}

// decode copies a layer and has escape read what begins with the character; n = 0 is none.
func decode(l layer, begin byte, escape func(rest []byte) (text string, n int)) (layer, bool) {
	if bytes.IndexByte(l.b, begin) < 0 {
		return l, false
	}
	w, changed := write(l), false
	for i := 0; i < len(l.b); {
		text, n := "", 0
		if l.b[i] == begin {
			text, n = escape(l.b[i:])
		}
		if n == 0 {
			w.put(string(l.b[i:i+1]), i, i+1)
			i++
			continue
		}
		changed = true
		w.put(text, i, i+n)
		i += n
	}
	return w.out, changed
}

// number reads digits of a base at a place.
func number(b []byte, from, digits, base int) (rune, bool) {
	if from+digits > len(b) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[from:from+digits]), base, 32)
	return rune(v), err == nil
}

// percent is that of addresses and forms (RFC 3986, 2.1), in any case, and of each byte that a sender may choose to
// write so.
func percent(l layer) (layer, bool) {
	return decode(l, '%', func(b []byte) (string, int) {
		if v, ok := number(b, 1, 2, 16); ok {
			return string([]byte{byte(v)}), 3
		}
		if len(b) > 1 && (b[1] == 'u' || b[1] == 'U') { // of escape() in JavaScript
			if v, ok := number(b, 2, 4, 16); ok {
				return string(v), 6
			}
		}
		return "", 0
	})
}

var controls = map[byte]string{'n': "\n", 'r': "\r", 't': "\t", 'b': "\b", 'f': "\f", 'v': "\v", 'a': "\a", '0': "\x00"}

// backslash is that of JSON (RFC 8259, 7), JavaScript, Go, Python and shells.
func backslash(l layer) (layer, bool) {
	return decode(l, '\\', func(b []byte) (string, int) {
		if len(b) < 2 {
			return "", 0
		}
		switch b[1] {
		case 'u':
			if end := bytes.IndexByte(b[:min(len(b), 10)], '}'); end > 3 && b[2] == '{' { // of JavaScript and Rust
				v, ok := number(b, 3, end-3, 16)
				if ok {
					return string(v), end + 1
				}
			}
			v, ok := number(b, 2, 4, 16)
			if !ok {
				return "", 0
			}
			if utf16.IsSurrogate(v) && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
				if low, ok := number(b, 8, 4, 16); ok {
					return string(utf16.DecodeRune(v, low)), 12
				}
			}
			return string(v), 6
		case 'U':
			if v, ok := number(b, 2, 8, 16); ok {
				return string(v), 10
			}
		case 'x':
			if v, ok := number(b, 2, 2, 16); ok {
				return string([]byte{byte(v)}), 4
			}
		}
		if v, ok := number(b, 1, 3, 8); ok && v < 256 {
			return string([]byte{byte(v)}), 4
		}
		if text, ok := controls[b[1]]; ok {
			return text, 2
		}
		if b[1] < utf8.RuneSelf && !unicode.IsLetter(rune(b[1])) && !unicode.IsDigit(rune(b[1])) {
			return string(b[1:2]), 2
		}
		return "", 0
	})
}

// longestEntity is in bytes, & and ; included: HTML's longest name has 31 letters.
const longestEntity = 34

// entities are those of HTML and XML, with and without a name.
func entities(l layer) (layer, bool) {
	return decode(l, '&', func(b []byte) (string, int) {
		rest := string(b[:min(len(b), longestEntity)])
		end := strings.IndexByte(rest, ';') + 1
		if end == 0 { // a few may leave it out
			for end = 1; end < len(rest) && (rest[end] == '#' || wordy(rune(rest[end]))); end++ {
			}
		}
		if text := html.UnescapeString(rest[:end]); text != rest[:end] && end > 2 {
			return text, end
		}
		return "", 0
	})
}

// quotedPrintable is that of mails (RFC 2045, 6.7).
func quotedPrintable(l layer) (layer, bool) {
	return decode(l, '=', func(b []byte) (string, int) {
		if v, ok := number(b, 1, 2, 16); ok {
			return string([]byte{byte(v)}), 3
		}
		if strings.HasPrefix(string(b[1:min(3, len(b))]), "\r\n") {
			return "", 3
		}
		if len(b) > 1 && b[1] == '\n' {
			return "", 2
		}
		return "", 0
	})
}

// unfolded takes the line breaks out: base64 is written on several lines.
func unfolded(l layer) (layer, bool) {
	w, changed := write(l), false
	for i := range l.b {
		if l.b[i] == '\n' || l.b[i] == '\r' {
			changed = true
			continue
		}
		w.put(string(l.b[i:i+1]), i, i+1)
	}
	return w.out, changed
}

// breaks are the tags with which pages let long words break, in lower case.
var breaks = []string{"<wbr>", "<wbr/>", "<wbr />"}

// visible takes out what nobody sees: zero bytes, and characters of no width and tags with which pages let long words
// break.
func visible(l layer) (layer, bool) {
	w, changed := write(l), false
	for i := 0; i < len(l.b); {
		r, n := utf8.DecodeRune(l.b[i:])
		if r == '<' {
			for _, tag := range breaks {
				if end := i + len(tag); end <= len(l.b) && strings.EqualFold(string(l.b[i:end]), tag) {
					r, n = 0, len(tag)
				}
			}
		}
		if r == 0 || unicode.Is(unicode.Cf, r) {
			changed = true
		} else {
			w.put(string(l.b[i:i+n]), i, i+n)
		}
		i += n
	}
	if !changed {
		return l, false
	}
	return w.out, true
}
