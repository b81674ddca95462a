package pseudonym

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Where a name stands in a text is told by what stands beside it, as a person would: ada@example.com does not stand in
// dada@example.com, nor in ada@example.com.au, but in （ada@example.com）, 担当はada@example.comです and _ada@example.com_.
// Where it can not be told, it stands there: nobody who is erased is to be left.

// none is beside a name that nothing goes on into.
const none = rune(-1)

// begins reports whether a name with this first letter begins behind a text. All is in lower case.
func begins(before string, first rune) bool {
	r, before := lastOf(before)
	for r != none && strings.ContainsRune("._%+-", r) { // no address begins with one: it is a list, or emphasis
		r, before = lastOf(before)
	}
	return !joins(r, first)
}

// ends reports whether a name with this last letter ends before a text.
func ends(after string, last rune) bool {
	after = strings.TrimPrefix(after, ".") // that of a sentence, or of a longer domain
	r, size := utf8.DecodeRuneInString(strings.TrimLeft(after, "-"))
	return size == 0 || !joins(r, last)
}

// lastOf is the last character of a text and what stands before it. What a URL or JSON escapes is one: texts are cut
// off, and are no JSON any more then.
func lastOf(text string) (r rune, rest string) {
	if text == "" {
		return none, ""
	}
	for _, escape := range []struct {
		mark   string
		digits int
	}{{"%", 2}, {`\u`, 4}} {
		at := len(text) - len(escape.mark) - escape.digits
		if at < 0 || !strings.HasPrefix(text[at:], escape.mark) {
			continue
		}
		code, err := strconv.ParseUint(text[at+len(escape.mark):], 16, 16)
		switch {
		case err != nil:
		case escape.digits == 2 && code >= utf8.RuneSelf: // a part of a character: of none that goes on into ASCII
			return none, text[:at]
		default:
			return unicode.ToLower(rune(code)), text[:at]
		}
	}
	if n := len(text) - 2; n >= 0 && text[n] == '\\' && strings.IndexByte("nrtbf", text[n+1]) >= 0 {
		return ' ', text[:n]
	}
	r, size := utf8.DecodeLastRuneInString(text)
	if r == utf8.RuneError {
		return none, ""
	}
	return r, text[:len(text)-size]
}

// joins reports whether a character beside one of a name is of the same word: a letter or a digit of ASCII, or a letter
// of the name's own script. No domain and hardly an address mixes scripts.
func joins(r, name rune) bool {
	switch {
	case r == none || r == utf8.RuneError:
		return false
	case r < utf8.RuneSelf:
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
	case unicode.IsMark(r):
		return true
	}
	return unicode.IsLetter(r) && script(r) == script(name)
}

// unspaced are scripts whose words, or whose particles, have no space before or behind them.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai,
	unicode.Lao, unicode.Khmer, unicode.Myanmar}

// script names the script of a letter, "Latin" of a digit. Japanese is written in three that are one here.
func script(r rune) string {
	if r < utf8.RuneSelf {
		return "Latin"
	}
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) {
		return "Japanese"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

// within reports whether a word goes on between two characters of a text, one of them of what somebody is called.
func within(beside, name rune) bool {
	if beside == '_' {
		return true
	}
	return !unicode.In(name, unspaced...) && joins(unicode.ToLower(beside), unicode.ToLower(name))
}

// full reports whether a name can be looked for in texts: one of several words, or, where words have no spaces, one of
// three characters or more. Another may be any word.
func full(name string) bool {
	if len(strings.Fields(name)) > 1 {
		return true
	}
	n := 0
	for _, r := range name {
		if !unicode.In(r, unspaced...) {
			return false
		}
		n++
	}
	return n > 2
}
