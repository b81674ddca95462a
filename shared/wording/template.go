package wording

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// template is a message in one language.
type template struct {
	code, source string
	pieces       []piece
}

// piece is fixed words, or a place.
type piece struct{ fixed, name, kind string }

var place = regexp.MustCompile(`\{(\w+)(?::(\w+))?\}`)

func parse(code, source string) template {
	t := template{code: code, source: source}
	at := 0
	for _, m := range place.FindAllStringSubmatchIndex(source, -1) {
		if m[0] > at {
			t.pieces = append(t.pieces, piece{fixed: source[at:m[0]]})
		}
		p := piece{name: source[m[2]:m[3]]}
		if m[4] >= 0 {
			p.kind = source[m[4]:m[5]]
		}
		t.pieces = append(t.pieces, p)
		at = m[1]
	}
	if at < len(source) || at == 0 {
		t.pieces = append(t.pieces, piece{fixed: source[at:]})
	}
	return t
}

// fixed reports whether the message has no places.
func (t template) fixed() bool { return len(t.pieces) == 1 && t.pieces[0].name == "" }

// weight is how many bytes of the message are fixed; a kind that takes little counts a bit.
func (t template) weight() (n int) {
	for _, p := range t.pieces {
		n += 8 * len(p.fixed)
		if p.kind != "" {
			n++
		}
	}
	return n
}

func (t template) kind(name string) string {
	for _, p := range t.pieces {
		if p.name == name {
			return p.kind
		}
	}
	return ""
}

// match finds the values of the places; ok is false when the text is not this message. known says whether words are a
// message of their own.
func (t template) match(s string, known func(string) bool) (map[string]string, bool) {
	first, last := t.pieces[0], t.pieces[len(t.pieces)-1]
	if !strings.HasPrefix(s, first.fixed) || !strings.HasSuffix(s, last.fixed) {
		return nil, false
	}
	values := map[string]string{}
	if !match(t.pieces, s, known, values) {
		return nil, false
	}
	return values, true
}

// match fills the places of the pieces from the text. A place ends at the first occurrence of the words behind it that
// lets the rest match; one that holds a message ends where a message ends, if there is such a place.
func match(pieces []piece, s string, known func(string) bool, values map[string]string) bool {
	if len(pieces) == 0 {
		return s == ""
	}
	p, rest := pieces[0], pieces[1:]
	if p.name == "" {
		after, ok := strings.CutPrefix(s, p.fixed)
		return ok && match(rest, after, known, values)
	}
	take := func(value, after string, sure bool) bool {
		if !p.takes(value, known, sure) || !match(rest, after, known, values) {
			return false
		}
		values[p.name] = value
		return true
	}
	if len(rest) == 0 {
		return take(s, "", false)
	}
	if p.kind == "text" || p.kind == "clause" {
		for _, at := range ends(s, rest[0].fixed) {
			if take(s[:at], s[at:], true) {
				return true
			}
		}
	}
	for _, at := range ends(s, rest[0].fixed) {
		if take(s[:at], s[at:], false) {
			return true
		}
	}
	return false
}

// ends are where a place can end: where the words begin that stand behind it.
func ends(s, behind string) (out []int) {
	for at := 0; ; {
		n := strings.Index(s[at:], behind)
		if n < 0 || behind == "" {
			return out
		}
		if at+n > 0 {
			out = append(out, at+n)
		}
		at += n + 1
	}
}

var number = regexp.MustCompile(`^-?\d{1,3}(,\d{3})+$|^-?\d+(\.\d+)?$`)

// status reports whether a value is an HTTP status, alone or with its name.
func status(value string) bool {
	digits, name, named := strings.Cut(value, " ")
	n, err := strconv.Atoi(digits)
	return err == nil && n >= 100 && n <= 599 && (!named || name == http.StatusText(n))
}

// takes reports whether a value fits the place; sure asks for a message of ours.
func (p piece) takes(value string, known func(string) bool, sure bool) bool {
	if value == "" {
		return false
	}
	if sure {
		return known(value)
	}
	switch p.kind {
	case "sure":
		return known(value)
	case "clause":
		return !strings.Contains(value, "; ") || known(value)
	case "number":
		return number.MatchString(value)
	case "word":
		return !strings.ContainsAny(value, " \n\t")
	case "status":
		return status(value)
	case "duration":
		_, err := time.ParseDuration(value)
		return err == nil
	case "time":
		_, err := time.Parse(time.RFC3339, value)
		return err == nil
	}
	return true
}
