package tree

import (
	"cmp"
	"slices"
)

// Filled reports whether variables were put into a value.
func (v Value) Filled() bool {
	return v.Written != "" || slices.ContainsFunc(v.Items, Value.Filled) ||
		slices.ContainsFunc(v.Members, func(m Member) bool { return m.Value.Filled() })
}

// Shown is a value for a person, "" for none: as it was before variables were put in.
func (v Value) Shown() string {
	if v.Kind == Null {
		return ""
	}
	return Short(string(v.before().JSON()))
}

// before is the value before variables were put in.
func (v Value) before() Value {
	v.Items, v.Members = slices.Clone(v.Items), slices.Clone(v.Members)
	v.Text = cmp.Or(v.Written, v.Text)
	for n := range v.Items {
		v.Items[n] = v.Items[n].before()
	}
	for n := range v.Members {
		v.Members[n].Value = v.Members[n].Value.before()
	}
	return v
}
