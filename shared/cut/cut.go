// Package cut shortens texts. It cuts between characters, never inside one, and puts Mark where it cut. The functions
// differ in what a system counts: characters, UTF-16 units, bytes, or a size of its own.
package cut

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Mark stands where a text was cut.
const Mark = "…"

// Runes shortens s to at most limit characters (Unicode code points), Mark included.
func Runes(s string, limit int) string {
	return Sized(s, limit, func(rune) int { return 1 })
}

// UTF16 shortens s to at most limit UTF-16 units, Mark included. Systems written in Java or C# count them.
func UTF16(s string, limit int) string { return Sized(s, limit, units) }

// Bytes shortens s to at most limit bytes of UTF-8, Mark included. Beyond ASCII s must be valid UTF-8.
func Bytes(s string, limit int) string { return Sized(s, limit, utf8.RuneLen) }

// Sized shortens s to at most limit, Mark included, for systems that count in their own way: size is what a character
// takes, and never less than 1.
func Sized(s string, limit int, size func(rune) int) string {
	mark, _ := utf8.DecodeRuneInString(Mark)
	room := limit - size(mark)
	used, keep := 0, 0
	for i, r := range s {
		n := max(1, size(r))
		if used <= room {
			keep = i
		}
		used += n
		if used > limit {
			if room < 0 {
				return ""
			}
			return s[:keep] + Mark
		}
	}
	return s
}

// Keep keeps the first n bytes of s, less a character that they would tear, and adds Mark to them: the result takes up
// to n + 3 bytes. It serves texts that Tocsin stores. A stored text can be a key (a value that daily totals count), so
// that one value must be cut alike in every version.
func Keep(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + Mark
}

// LenUTF16 is the length of s in UTF-16 units.
func LenUTF16(s string) int {
	n := 0
	for _, r := range s {
		n += units(r)
	}
	return n
}

func units(r rune) int { return max(1, utf16.RuneLen(r)) }
