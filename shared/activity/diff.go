package activity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Diff lists the fields in which two values differ, in the order of their names. A value is taken as its JSON: an
// object's member is a field, a list of plain values is one value, and a place in any other list is a field. nil has no
// field. It knows nothing of secrets: give it none.
func Diff(before, after any) []Change {
	was, is := fields(before), fields(after)
	names := maps.Clone(was)
	maps.Copy(names, is)
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != is[name] {
			out = append(out, Change{Field: name, Before: was[name], After: is[name]})
		}
	}
	return out
}

func fields(v any) map[string]string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("the fields of a %T: %v", v, err)) // what is kept can be encoded
	}
	out := map[string]string{}
	flatten(out, "", raw)
	return out
}

// flatten adds the values below a path.
func flatten(out map[string]string, path string, raw json.RawMessage) {
	below := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	var members map[string]json.RawMessage
	var list []json.RawMessage
	var s string
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &members) == nil:
		for name, v := range members {
			flatten(out, below(name), v)
		}
	case json.Unmarshal(raw, &list) == nil && slices.ContainsFunc(list, compound):
		for n, v := range list {
			flatten(out, below(strconv.Itoa(n)), v)
		}
	case string(raw) == "[]":
	case json.Unmarshal(raw, &s) == nil:
		out[path] = s
	default: // a number, a truth, or a list of plain values
		out[path] = string(raw)
	}
}

// compound reports whether a value has parts.
func compound(raw json.RawMessage) bool { return len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') }
