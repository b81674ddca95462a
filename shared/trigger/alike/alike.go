// Package alike finds the triggers that count the same events: they are asked once for all of them. An account can have
// many, such as one for each team and number of hits.
package alike

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/filter"
)

// A Trigger is what matters of one.
type Trigger struct {
	Condition string
	Counts    string    // its condition and filters as a text, where these alone say what it counts; else ""
	Paths     bool      // its filters may name paths: of one condition only the triggers with the deepest count
	Since     time.Time // it watches events that come from then on
}

// Of is what matters of a trigger; counts says that it has a threshold. What patterns of URLs take is bounded, so some
// may be left out: a trigger with one is asked by itself.
func Of(condition string, filters []filter.Filter, counts bool, since time.Time) (Trigger, error) {
	t := Trigger{Condition: condition, Since: since,
		Paths: slices.ContainsFunc(filters, func(f filter.Filter) bool { return f.ID == filter.ByURL })}
	if !counts || t.Paths {
		return t, nil
	}
	text, err := json.Marshal(filters)
	if err != nil {
		return t, fmt.Errorf("its filters as a text: %w", err)
	}
	t.Counts = condition + " " + string(text)
	return t, nil
}

// Split groups triggers, by their places in the list, in the order of the first of each group: each group is asked
// once. The first event that they are asked about came at first; zero = that is not known.
func Split[T interface{ Alike() Trigger }](all []T, first time.Time) (groups [][]int) {
	paths, known := map[string]bool{}, map[string]int{}
	for _, a := range all {
		t := a.Alike()
		paths[t.Condition] = paths[t.Condition] || t.Paths
	}
	for n, a := range all {
		t := a.Alike()
		if t.Counts == "" || paths[t.Condition] || !first.IsZero() && first.Before(t.Since) {
			groups = append(groups, []int{n})
			continue
		}
		if at, ok := known[t.Counts]; ok {
			groups[at] = append(groups[at], n)
			continue
		}
		known[t.Counts] = len(groups)
		groups = append(groups, []int{n})
	}
	return groups
}

// First is the first of the times at which something came, of those that are known.
func First[T any](all []T, came func(T) time.Time) (first time.Time) {
	for _, one := range all {
		if at := came(one); first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

// Share sorts what was found for the first of each group, and gives it to the others of the group.
func Share[T any](groups [][]int, found [][]T, compare func(a, b T) int) {
	for _, group := range groups {
		list := found[group[0]]
		if !slices.IsSortedFunc(list, compare) {
			slices.SortStableFunc(list, compare)
		}
		for _, n := range group[1:] {
			found[n] = list
		}
	}
}

// Deepest leaves, of the triggers of each condition that an event matches, those whose filters name the deepest path,
// if one of all names any (facts, 4.9).
func Deepest[T interface{ Alike() Trigger }](all []T, matched []int, depth func(T) int) []int {
	if len(matched) < 2 || !slices.ContainsFunc(matched, func(n int) bool { return all[n].Alike().Paths }) {
		return matched
	}
	most := map[string]int{}
	for _, n := range matched {
		condition := all[n].Alike().Condition
		most[condition] = max(most[condition], depth(all[n]))
	}
	return slices.DeleteFunc(matched, func(n int) bool { return depth(all[n]) < most[all[n].Alike().Condition] })
}
