package destination

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

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
