package filter

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// Sent are events that can come to where filters stand: those of a kind.
type Sent struct {
	Kind     event.Kind
	Type     event.Type // by which they come, "" where they come by none
	Severity string     // theirs, where it is one
}

// Place is where filters stand.
type Place struct {
	Sent []Sent
	// Offered can be chosen to come as well, beside what comes.
	Offered []Sent
	// Passes: an event whose kind has nothing of what a filter looks at passes it, as Matcher.Stopped has it. Else it
	// has none of the values.
	Passes bool
}

// kindsOf are the kinds of events by the types that are subscribed to.
var kindsOf = sync.OnceValue(func() map[event.Type][]event.Kind {
	out := map[event.Type][]event.Kind{}
	for _, k := range event.Kinds() {
		for _, t := range k.Types() {
			out[t] = append(out[t], k)
		}
	}
	return out
})

// SentOf are the events of types that filters of an integration look at: reports and digests pass by them.
func SentOf(types []event.Type) (out []Sent) {
	for _, t := range types {
		if t.Report() || t.Digest() || t == event.ReportOnce {
			continue
		}
		for _, k := range kindsOf()[t] {
			out = append(out, Sent{k, t, t.Severity()})
		}
	}
	return out
}

// SentOfKinds are the events of kinds.
func SentOfKinds(kinds ...event.Kind) []Sent {
	out := make([]Sent, len(kinds))
	for n, k := range kinds {
		out[n].Kind = k
	}
	return out
}

// Check says which filters can never apply to what comes, and which leave all of it out for ever. Filters that Check of
// the package refuses are not asked about.
func (p Place) Check(list []Filter) (v destination.InvalidParameters) {
	for n, f := range list {
		if !slices.ContainsFunc(p.Sent, f.asks) {
			p.unasked(&v, fmt.Sprintf("filters.%d.id", n), f)
		}
	}
	if len(v) > 0 {
		return v
	}
	for n, f := range list {
		if !p.leavesOutAll(list[:n+1]) {
			continue
		}
		field := fmt.Sprintf("filters.%d.values", n)
		switch types := p.passing(f); {
		case !p.leavesOutAll(list[n : n+1]):
			v.Addf(field, "leaves everything out for ever: no event can pass it together with the filters before it")
		case len(types) > 0:
			v.Addf(field, "leaves everything out for ever: only events of %s can pass it, and none of these types is "+
				"chosen", types)
		default:
			v.Addf(field, "leaves everything out for ever: no event can pass it")
		}
		return v
	}
	for n, f := range list {
		others := slices.Delete(slices.Clone(list), n, n+1)
		if !slices.ContainsFunc(p.Sent, func(s Sent) bool { return f.asks(s) && !p.leavesOut(s, others) }) {
			v.Addf(fmt.Sprintf("filters.%d.id", n),
				"can never apply: the other filters leave out every event that has what it looks at")
		}
	}
	return v
}

// unasked says that nothing that comes has what a filter looks at.
func (p Place) unasked(v *destination.InvalidParameters, field string, f Filter) {
	if types := typesOf(p.Offered, f.asks); types != "" {
		v.Addf(field, "can never apply: only events of %s have what it looks at, and none of these types is chosen",
			types)
		return
	}
	v.Addf(field, "can never apply: no event that comes here has what it looks at")
}

func (f Filter) asks(s Sent) bool { return f.ID.Asks(s.Kind) }

// passing are the types that are offered and some of whose events can pass a filter.
func (p Place) passing(f Filter) string {
	return typesOf(p.Offered, func(s Sent) bool { return f.asks(s) && !p.leavesOut(s, []Filter{f}) })
}

// typesOf names the types of some events.
func typesOf(offered []Sent, which func(Sent) bool) string {
	var names []string
	for _, s := range offered {
		if name := string(s.Type); which(s) && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// leavesOutAll reports whether nothing that comes can pass filters.
func (p Place) leavesOutAll(list []Filter) bool {
	return !slices.ContainsFunc(p.Sent, func(s Sent) bool { return !p.leavesOut(s, list) })
}

// leavesOut reports whether none of these events can pass filters.
func (p Place) leavesOut(s Sent, list []Filter) bool {
	same := map[ID][]Filter{}
	for _, f := range list {
		switch {
		case f.asks(s):
			same[f.ID] = append(same[f.ID], f)
		case !p.Passes && f.absent() == (f.Operator == NotEqual):
			return true
		}
	}
	for id, filters := range same {
		if id.closed() && s.none(id, filters) {
			return true
		}
	}
	return false
}

// absent reports whether a filter finds one of its values where an event has none: the default application's.
func (f Filter) absent() bool { return f.ID == ByApplication && slices.Contains(f.Values, "-1") }

// closed reports whether an event has one value of what the filter looks at, which is found by comparing words. Of
// what has several, and of patterns, nobody tells whether two filters can both be passed.
func (id ID) closed() bool { return single[id] != nil || id == ByStatus }

// none reports whether no value passes all filters of an ID.
func (s Sent) none(id ID, filters []Filter) bool {
	left := s.known(id)
	for _, f := range filters {
		switch values := f.set(); {
		case f.Operator == NotEqual:
		case left == nil:
			left = values
		default:
			maps.DeleteFunc(left, func(v string, _ bool) bool { return !values[v] })
		}
	}
	if left == nil { // any
		return false
	}
	for _, f := range filters {
		if f.Operator == NotEqual {
			values := f.set()
			maps.DeleteFunc(left, func(v string, _ bool) bool { return values[v] })
		}
	}
	return len(left) == 0
}

// known are the only values that the events can have, nil = any.
func (s Sent) known(id ID) map[string]bool {
	switch {
	case id == ByKind:
		return map[string]bool{string(s.Kind): true}
	case id == BySeverity && s.Severity != "":
		return map[string]bool{s.Severity: true}
	}
	return nil
}

// set are the values of a filter as an event has them: a class of statuses is all that are in it.
func (f Filter) set() map[string]bool {
	out := map[string]bool{}
	for _, v := range f.Values {
		value := strings.ToLower(string(v))
		if class, ok := strings.CutSuffix(value, "xx"); ok && f.ID == ByStatus {
			for n := range 100 {
				out[class+strconv.Itoa(100 + n)[1:]] = true
			}
			continue
		}
		out[value] = true
	}
	return out
}
