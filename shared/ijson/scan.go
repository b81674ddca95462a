package ijson

import (
	"math/bits"
	"unicode/utf8"
)

// Clean reports whether a valid JSON value needs no mending and has no line breaks between its tokens. It is on the way
// of every event: one pass, no memory. It may say no to what is fine, which costs a rewrite and changes nothing.
//
// depth is that of the value where it is to stand. watch, if not nil, is asked about each name at the first two levels
// of the value, as it is written; Clean ends with false when it returns true.
func Clean(value []byte, depth int, watch func(level int, name []byte) bool) bool {
	s := scanner{depth: depth, watch: watch}
	return s.scan(value)
}

const (
	slots    = 256 // for the names of a value; a power of two
	maxNames = 160 // a fuller table is slow
)

type scanner struct {
	depth   int
	watch   func(int, []byte) bool
	object  [MaxDepth + 1]uint32 // the number of each open object, 0 for an array
	level   int
	objects uint32
	names   int
	seen    [slots]uint64 // hashes of a name with the number of its object
}

func (s *scanner) scan(b []byte) bool {
	isName := false // the next string is a name
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			end, ok := text(b, i+1)
			if !ok {
				return false
			}
			if isName {
				if !s.name(b[i+1 : end]) {
					return false
				}
				isName = false
			}
			i = end + 1
			continue
		case c == '{' || c == '[':
			if s.level++; s.depth+s.level > MaxDepth {
				return false
			}
			s.object[s.level], isName = 0, c == '{'
			if isName {
				s.objects++
				s.object[s.level] = s.objects
			}
		case c == '}' || c == ']':
			if s.level--; s.level < 0 {
				return false
			}
			isName = false
		case c == ',':
			isName = s.level >= 0 && s.object[s.level] != 0
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(b) && (b[end] >= '0' && b[end] <= '9' || b[end] == '.' || b[end]|0x20 == 'e' ||
				b[end] == '-' || b[end] == '+') {
				end++
			}
			if !short(string(b[i:end])) && !fits(string(b[i:end])) {
				return false
			}
			i = end
			continue
		case c == '\n' || c == '\r':
			return false
		}
		i++
	}
	return true
}

func fits(number string) bool {
	out := appendNumber(make([]byte, 0, 32), number)
	return string(out) == number
}

// text finds the end of the string that begins at i; ok is false when it has something to mend.
func text(b []byte, i int) (end int, ok bool) {
	for i < len(b) {
		c := b[i]
		switch {
		case c < utf8.RuneSelf && plain[c]:
			i++
		case c == '"':
			return i, true
		case c == '\\':
			if i+1 >= len(b) {
				return i, false
			}
			if b[i+1] != 'u' {
				i += 2
				continue
			}
			n := escape(b[i:])
			if n == 0 {
				return i, false
			}
			i += n
		case c < utf8.RuneSelf:
			return i, false // a control character
		default:
			r, n := utf8.DecodeRune(b[i:])
			if special(r, n) {
				return i, false
			}
			i += n
		}
	}
	return i, false
}

// escape is the length of the \u escape that b begins with, both of a pair; 0 when it is to be mended.
func escape(b []byte) int {
	r := unit(b)
	switch {
	case r <= 0 || noncharacter(r) || r >= 0xdc00 && r <= 0xdfff:
		return 0
	case r < 0xd800 || r > 0xdfff:
		return 6
	}
	if len(b) < 12 {
		return 0
	}
	if low := unit(b[6:]); low < 0xdc00 || low > 0xdfff || (r<<10+low)&0xfffe == 0xfffe {
		return 0
	}
	return 12
}

// unit reads \uXXXX; -1 when it is none.
func unit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	r := rune(0)
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// name notes a name; false when the watch took it, when its object had it before, or when it can not be told: a name
// with an escape is compared by the mender.
func (s *scanner) name(n []byte) bool {
	if s.level <= 2 && s.watch != nil && s.watch(s.level, n) {
		return false
	}
	h := uint64(s.object[s.level]) * 0x9e3779b97f4a7c15
	for _, c := range n {
		if c == '\\' {
			return false
		}
		h = (bits.RotateLeft64(h, 5) ^ uint64(c)) * 0x9e3779b97f4a7c15
	}
	h |= 1 // 0 is an empty slot
	if s.names++; s.names > maxNames {
		return false
	}
	for at := h >> 32; ; at++ {
		switch slot := &s.seen[at%slots]; *slot {
		case 0:
			*slot = h
			return true
		case h:
			return false
		}
	}
}
