// Package brief shortens what a trigger copies of an event, and says what it left out.
package brief

import (
	"encoding/json"
	"slices"
	"strings"

	"tocsin/shared/cut"
)

// Member is where the copy says it.
const Member = "left_out"

// Omission is a member of an event that is not whole in a copy of it.
type Omission struct {
	Member string `json:"member"`
	// More is how many elements of a list are missing. 0 = the rest of a text, or all of the member.
	More int `json:"more,omitempty"`
}

// Shorten leaves out what is longer than most bytes: lists keep their first elements, texts their beginning. Addresses
// of pages and objects go as a whole, because a part of them is of no use.
func Shorten(data map[string]json.RawMessage, most int) {
	delete(data, Member)
	var left []Omission
	for name, value := range data {
		if len(value) <= most {
			continue
		}
		o := Omission{Member: cut.Runes(name, 100)}
		delete(data, name)
		var list []json.RawMessage
		var text string
		switch {
		case json.Unmarshal(value, &list) == nil:
			kept := first(list, most)
			o.More = len(list) - len(kept)
			put(data, name, kept)
		case json.Unmarshal(value, &text) == nil && !strings.HasSuffix(name, "url") && name != "link":
			put(data, name, cut.Bytes(text, most))
		}
		left = append(left, o)
	}
	if len(left) > 0 {
		slices.SortFunc(left, func(a, b Omission) int { return strings.Compare(a.Member, b.Member) })
		put(data, Member, left)
	}
}

// first are the elements that have room.
func first(list []json.RawMessage, most int) []json.RawMessage {
	size, n := 0, 0
	for ; n < len(list) && size+len(list[n]) <= most; n++ {
		size += len(list[n])
	}
	return list[:n]
}

func put(data map[string]json.RawMessage, name string, v any) {
	if raw, err := json.Marshal(v); err == nil { // texts, numbers and what was JSON always encode
		data[name] = raw
	}
}

// LeftOut reads what a copy says; none of what is no copy.
func LeftOut(data json.RawMessage) []Omission {
	var d struct {
		Left []Omission `json:"left_out"`
	}
	if json.Unmarshal(data, &d) != nil {
		return nil
	}
	return d.Left
}
