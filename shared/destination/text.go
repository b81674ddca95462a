package destination

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"tocsin/shared/plaintext"
)

// Mark stands where a text was cut.
const Mark = "…"

// Cut shortens s to at most limit runes; a cut text ends in Mark.
func Cut(s string, limit int) string {
	return cut(s, limit, func(rune) int { return 1 })
}

// CutUTF16 is Cut for systems that count UTF-16 units.
func CutUTF16(s string, limit int) string {
	return cut(s, limit, func(r rune) int { return max(1, utf16.RuneLen(r)) })
}

// CutBytes is Cut for systems that count bytes of UTF-8.
func CutBytes(s string, limit int) string {
	return cut(s, limit, utf8.RuneLen)
}

// CutSized is Cut for systems that count in their own way: size is what a character takes.
func CutSized(s string, limit int, size func(rune) int) string { return cut(s, limit, size) }

// cut keeps the longest prefix of whole runes that fits with the mark.
func cut(s string, limit int, size func(rune) int) string {
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

// Printable is a text as people may see it (package plaintext), its lines kept. It is never empty: messengers refuse an
// empty text as they refuse a control character.
func Printable(s string) string {
	if s = plaintext.Lines(s); strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

// UnitsUTF16 is the length of a text in UTF-16 units.
func UnitsUTF16(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// Digest stands for a key that is too long for a system: 64 characters that are as unique.
func Digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
