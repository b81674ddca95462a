package destination

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf16"

	"tocsin/shared/cut"
	"tocsin/shared/plaintext"
)

// Printable is a text as people may see it (package plaintext), its lines kept. It is never empty: messengers refuse an
// empty text as they refuse a control character.
func Printable(s string) string {
	if s = plaintext.Lines(s); strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

// Digest stands for a key that is too long for a system: 64 characters that are as unique.
func Digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// OneLine is Printable on one line, words parted by one space.
func OneLine(s string) string { return strings.Join(strings.Fields(Printable(s)), " ") }

// escaper is that of HTML for text. Slack ("Formatting text for app surfaces"), Telegram (Bot API, "HTML style") and
// Opsgenie ("Alerts and Alert Fields") read these three, and no other, as markup.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Escaped is a Printable text for systems that read HTML's markup. It is cut so that it keeps to limit UTF-16 units as
// it is written, and no entity is torn.
func Escaped(s string, limit int) string {
	return escaper.Replace(cut.Sized(Printable(s), limit, EscapedUnits))
}

// EscapedUnits is the length of a character as Escaped writes it, in UTF-16 units.
func EscapedUnits(r rune) int {
	switch r {
	case '&':
		return len("&amp;")
	case '<', '>':
		return len("&lt;")
	}
	return utf16.RuneLen(r)
}
