package filter

import (
	"slices"
	"strconv"

	"tocsin/shared/cut"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

// What Words says of one filter, at most: values, and characters of each.
const (
	saidValues = 10
	saidLength = 100
)

// Words says each filter to a person, as the rules of a form name it.
func Words(list []Filter, rules []Rule, l wording.Language) []string {
	out := make([]string, len(list))
	for n, f := range list {
		out[n] = f.words(rules, l.Or(wording.English))
	}
	return out
}

func (f Filter) words(rules []Rule, l wording.Language) string {
	rule := Rule{Title: string(f.ID)}
	if n := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == f.ID }); n >= 0 {
		rule = rules[n]
	}
	var values []string
	for _, v := range f.Values[:min(len(f.Values), saidValues)] {
		values = append(values, rule.say(string(v), l))
	}
	said := wording.List(l, values)
	if more := len(f.Values) - saidValues; more > 0 {
		said = heading("filter_more", l, map[string]string{"values": said, "n": strconv.Itoa(more)})
	}
	code := "filter_is"
	if f.Operator == NotEqual {
		code = "filter_is_not"
	}
	return heading(code, l, map[string]string{"name": wording.In(l, rule.Title), "values": said})
}

// say is a value as a person reads it.
func (r Rule) say(value string, l wording.Language) string {
	if n := slices.IndexFunc(r.Choices, func(o Option) bool { return o.Value == value }); n >= 0 {
		return wording.In(l, r.Choices[n].Title)
	}
	return cut.Runes(plaintext.Line(value), saidLength)
}

// heading words a message that is found by its code alone: most texts of the form "A is B" are none of a filter.
func heading(code string, l wording.Language, params map[string]string) string {
	return wording.Text{Code: "heading." + code, Params: params}.In(l)
}
