package erasure

import (
	"context"
	"encoding/json"
	"strings"
)

// Person are the texts by which what is kept names a person: the address first, how else it is written, and the id.
// None is nobody in particular.
type Person []string

// Of are the rows of a source that name the person.
func (p Person) Of(source Source) Source {
	if len(p) == 0 {
		return source
	}
	var lower texts
	for _, name := range p {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			lower = append(lower, name)
		}
	}
	return naming{source, lower}
}

// naming are the rows of a source that hold one of some texts.
type naming struct {
	source Source
	names  texts
}

// Page reads a page, which may be empty although others follow.
func (s naming) Page(ctx context.Context, tenant, after string) ([]Row, string, error) {
	rows, next, err := s.source.Page(ctx, tenant, after)
	if err != nil {
		return nil, "", err
	}
	var named []Row
	for _, r := range rows {
		var v any
		if err := json.Unmarshal(r.Body, &v); err != nil {
			return nil, "", err
		}
		if s.names.in(v) {
			named = append(named, r)
		}
	}
	return named, next, nil
}

// texts are in lower case.
type texts []string

// in reports whether one of them stands in a text of a value of JSON, or in the name of a member. Texts hold JSON too:
// there an address stands as it is.
func (t texts) in(v any) bool {
	switch v := v.(type) {
	case string:
		v = strings.ToLower(v)
		for _, name := range t {
			if stands(v, name) {
				return true
			}
		}
	case []any:
		for _, one := range v {
			if t.in(one) {
				return true
			}
		}
	case map[string]any:
		for name, one := range v {
			if t.in(name) || t.in(one) {
				return true
			}
		}
	}
	return false
}

// stands reports whether a name stands in a text by itself: ada@example.com does not in dada@example.com, nor in
// ada@example.com.au.
func stands(text, name string) bool {
	for at := 0; ; {
		n := strings.Index(text[at:], name)
		if n < 0 {
			return false
		}
		before, after := text[:at+n], text[at+n+len(name):]
		after = strings.TrimPrefix(after, ".") // that of a sentence, or of a longer domain
		if (before == "" || !local(before[len(before)-1])) && (after == "" || !domain(after[0])) {
			return true
		}
		at += n + 1
	}
}

// domain reports whether a byte can be in a domain's labels, or in an id.
func domain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c >= 0x80
}

// local reports whether a byte can be before an @, of what addresses have as a rule.
func local(c byte) bool { return domain(c) || strings.IndexByte("._%+", c) >= 0 }
