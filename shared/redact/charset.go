package redact

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// longestStyled is the most digits of an escape of CSS.
const longestStyled = 6

// styled reads the escapes of style sheets (CSS Syntax 3, 4.3.7), which end with a space where a digit would follow.
func styled(l layer) (layer, bool) {
	return decode(l, '\\', func(b []byte) (string, int) {
		n := 1
		for n < len(b) && n <= longestStyled && isHex(b[n]) {
			n++
		}
		v, ok := number(b, 1, n-1, 16)
		if !ok || n == 1 {
			return "", 0
		}
		if n < len(b) && (b[n] == ' ' || b[n] == '\t' || b[n] == '\n') {
			n++
		}
		return string(v), n
	})
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// lowFirst and highFirst read UTF-16, of which every text for machines has zero bytes.
func lowFirst(l layer) (layer, bool) {
	return wide(l, binary.LittleEndian, bytes.IndexByte(l.b, 0)+1)
}

func highFirst(l layer) (layer, bool) {
	return wide(l, binary.BigEndian, bytes.IndexByte(l.b, 0))
}

// wide reads UTF-16 in step with one character, which is where the first zero byte tells; -1 and less = there is none.
func wide(l layer, order binary.ByteOrder, at int) (layer, bool) {
	if bytes.IndexByte(l.b, 0) < 0 {
		return l, false
	}
	w := write(l)
	from := at % 2
	w.put(string(l.b[:from]), 0, max(from, 1))
	for i := from; i+1 < len(l.b); i += 2 {
		r := rune(order.Uint16(l.b[i:]))
		if utf16.IsSurrogate(r) && i+3 < len(l.b) {
			if whole := utf16.DecodeRune(r, rune(order.Uint16(l.b[i+2:]))); whole != utf8.RuneError {
				w.put(string(whole), i, i+4)
				i += 2
				continue
			}
		}
		w.put(string(r), i, i+2)
	}
	return w.out, true
}

// wideForms are a text in UTF-16, in both orders of bytes.
func wideForms(s string) []string {
	var low, high []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		low = binary.LittleEndian.AppendUint16(low, unit)
		high = binary.BigEndian.AppendUint16(high, unit)
	}
	return []string{string(low), string(high)}
}

// wideTexts are the readable texts that bytes are in UTF-16.
func wideTexts(raw []byte) (out []string) {
	if len(raw)%2 != 0 {
		return nil
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = order.Uint16(raw[2*i:])
		}
		if text := strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff"); printable([]byte(text)) {
			out = append(out, text)
		}
	}
	return out
}

// windows1252 is what this charset has for the bytes from 128 to 159; the others are those of ISO 8859-1.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

// misreadForms are what a text with more than ASCII becomes on the way: its bytes read as a charset of one byte a
// character; in such a charset, which is no UTF-8 (see normal); and with a question mark for what a system does not
// know. The last two are none where they say nothing.
func misreadForms(s string) (out []string) {
	known := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && !unicode.IsSpace(r) {
			return r
		}
		return -1
	}, s)
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return nil
	}
	high := []rune(windows1252)
	var latin, windows, marks strings.Builder
	for _, b := range []byte(s) {
		latin.WriteRune(rune(b))
		if r := rune(b); b >= 0x80 && b < 0xa0 {
			windows.WriteRune(high[b-0x80])
		} else {
			windows.WriteRune(r)
		}
		if b < utf8.RuneSelf {
			marks.WriteByte(b)
		} else {
			marks.WriteByte('?')
		}
	}
	out = append(out, latin.String(), windows.String())
	if len(known) < anywhere {
		return out
	}
	unknown := func(by rune) string {
		return strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return by
			}
			return r
		}, s)
	}
	return append(out, marks.String(), unknown('?'), unknown(utf8.RuneError))
}
