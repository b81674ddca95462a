// Package pseudonym puts a pseudonym in the place of what names a person, in what is kept of a tenant.
//
// A person who is erased is not erased from what a customer has to account for: that somebody changed an integration is
// evidence, and stays in the activity log. Who it was does not: each text that names them becomes one pseudonym, the
// same in all that is kept of the tenant, so that what one person did can still be told to be one person's.
package pseudonym

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names are the texts by which what is kept names a person, in lower case: addresses and ids.
type Names []string

// NamesOf are names as they are written, addresses as a URL has them too.
func NamesOf(written []string) (n Names) {
	for _, name := range written {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
			continue
		}
		n = append(n, name)
		if local, domain, ok := strings.Cut(name, "@"); ok {
			n = append(n, local+"%40"+domain)
		}
	}
	return n
}

// Is reports whether a text is one of the names, and nothing else.
func (n Names) Is(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	for _, name := range n {
		if text == name {
			return true
		}
	}
	return false
}

// In reports whether one of them stands in a text of a value of JSON, or in the name of a member. Texts hold JSON too:
// there an address stands as it is.
func (n Names) In(v any) bool {
	switch v := v.(type) {
	case string:
		v = strings.ToLower(v)
		for _, name := range n {
			if find(v, name) >= 0 {
				return true
			}
		}
	case []any:
		for _, one := range v {
			if n.In(one) {
				return true
			}
		}
	case map[string]any:
		for name, one := range v {
			if n.In(name) || n.In(one) {
				return true
			}
		}
	}
	return false
}

// find is where a name stands in a text by itself, both in lower case; -1 = nowhere.
func find(text, name string) int {
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	for at := 0; ; {
		n := strings.Index(text[at:], name)
		if n < 0 {
			return -1
		}
		if n += at; begins(text[:n], first) && ends(text[n+len(name):], last) {
			return n
		}
		at = n + 1
	}
}

// lowered is a text in lower case, and where each of its bytes was: a letter can be longer in the other case.
func lowered(text string) (lower string, was []int) {
	var b strings.Builder
	for at, r := range text {
		n := b.Len()
		if r == utf8.RuneError {
			b.WriteByte(text[at]) // also of what is no UTF-8
			if _, size := utf8.DecodeRuneInString(text[at:]); size > 1 {
				b.WriteString(text[at+1 : at+size])
			}
		} else {
			b.WriteRune(unicode.ToLower(r))
		}
		for range b.Len() - n {
			was = append(was, at)
		}
	}
	return b.String(), append(was, len(text))
}
