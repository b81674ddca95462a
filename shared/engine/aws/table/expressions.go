package table

import (
	"maps"
	"slices"
	"strings"
)

func SortedNames(i Item) []string { return slices.Sorted(maps.Keys(i)) }

// Update is the expression that sets and removes attributes; it adds to names and values.
func Update(changes Item, names map[string]string, values Item) string {
	var set, remove []string
	for _, name := range SortedNames(changes) {
		names["#"+name] = name
		if value := changes[name]; value != nil {
			values[":n_"+name] = value
			set = append(set, "#"+name+" = :n_"+name)
		} else {
			remove = append(remove, "#"+name)
		}
	}
	expression := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		expression += " REMOVE " + strings.Join(remove, ", ")
	}
	return expression
}
