// Package parts reads and removes what a tenant has in maps and lists.
package parts

import "slices"

// Part is one of an engine's collections.
type Part struct {
	Name   string
	Rows   func(tenant string) []any
	Remove func(tenant string) int
}

// Map is a map; of says whose an entry is.
func Map[K comparable, V any](name string, m map[K]V, of func(K, V) string) Part {
	return Part{name, func(tenant string) (out []any) {
		for k, v := range m {
			if of(k, v) == tenant {
				out = append(out, v)
			}
		}
		return out
	}, func(tenant string) (n int) {
		for k, v := range m {
			if of(k, v) == tenant {
				delete(m, k)
				n++
			}
		}
		return n
	}}
}

// List is a list.
func List[V any](name string, l *[]V, of func(V) string) Part {
	return Part{name, func(tenant string) (out []any) {
		for _, v := range *l {
			if of(v) == tenant {
				out = append(out, v)
			}
		}
		return out
	}, func(tenant string) int {
		before := len(*l)
		*l = slices.DeleteFunc(*l, func(v V) bool { return of(v) == tenant })
		return before - len(*l)
	}}
}
