package wording

import (
	"strings"
	"time"
)

// Locale is how the reader of a text wants it.
type Locale struct {
	Language Language // "" = English
	// Zone is the reader's; nil where a text is for machines too: then English has times as RFC 3339 writes them.
	Zone *time.Location
}

// asWritten reports whether texts stay as the code writes them.
func (l Locale) asWritten() bool { return l.Language.Or(English) == English && l.Zone == nil }

// Say words an English text of ours for its reader. Words that are none of ours stay as they are.
func (l Locale) Say(english string) string {
	if english == "" || l.asWritten() || l.Language.Or(English) == English && !dated(english) {
		return english
	}
	t, ok := Read(english)
	if !ok {
		return english
	}
	return t.For(l)
}

// Time is a time for its reader, with the zone named.
func (l Locale) Time(at time.Time) string {
	if l.asWritten() {
		return at.Format(time.RFC3339)
	}
	if l.Zone != nil {
		at = at.In(l.Zone)
	}
	return Time(l.Language, at)
}

// dated reports whether there can be a time in a text: most have none, and need not be read.
func dated(s string) bool {
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	const day = len("2026-11-27")
	for at := day; at+1 < len(s); at++ {
		next := strings.IndexByte(s[at:], 'T')
		if next < 0 {
			return false
		}
		if at += next; at+1 < len(s) && digit(s[at-1]) && s[at-3] == '-' && digit(s[at+1]) {
			return true
		}
	}
	return false
}
