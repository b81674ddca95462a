// Package parts reads and removes what a tenant has in maps and lists.
package parts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"tocsin/shared/erasure"
)

// Part is one of an engine's collections.
type Part struct {
	Name   string
	Rows   func(tenant string) []any
	Remove func(tenant string) int
	// change has each row of a tenant, with its key, replaced by what it returns; without keep it is removed.
	change func(tenant string, to func(key, row any) (is any, keep bool))
}

// Map is a map; of says whose an entry is.
func Map[K comparable, V any](name string, m map[K]V, of func(K, V) string) Part {
	change := func(tenant string, to func(key, row any) (any, bool)) {
		for k, v := range m {
			if of(k, v) != tenant {
				continue
			}
			if is, keep := to(k, v); keep {
				m[k] = is.(V)
			} else {
				delete(m, k)
			}
		}
	}
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
	}, change}
}

// List is a list.
func List[V any](name string, l *[]V, of func(V) string) Part {
	change := func(tenant string, to func(key, row any) (any, bool)) {
		var left []V
		for _, v := range *l {
			if of(v) != tenant {
				left = append(left, v)
			} else if is, keep := to(nil, v); keep {
				left = append(left, is.(V))
			}
		}
		*l = left
	}
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
	}, change}
}

// Locked is a part under a lock of its own.
func (p Part) Locked(l sync.Locker) Part {
	return Part{p.Name, func(tenant string) []any {
		l.Lock()
		defer l.Unlock()
		return p.Rows(tenant)
	}, func(tenant string) int {
		l.Lock()
		defer l.Unlock()
		return p.Remove(tenant)
	}, func(tenant string, to func(key, row any) (any, bool)) {
		l.Lock()
		defer l.Unlock()
		p.change(tenant, to)
	}}
}

// Page reads one of the parts; shown is a row as it is exported.
func Page(all []Part, tenant, after string, shown func(any) any) (rows []erasure.Row, next string, err error) {
	n, err := strconv.Atoi(cmp.Or(after, "0"))
	if err != nil || n < 0 || n >= len(all) {
		return nil, "", fmt.Errorf("%q is no place in an export", after)
	}
	for _, v := range all[n].Rows(tenant) {
		body, err := json.Marshal(shown(v))
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, erasure.Row{Table: all[n].Name, Body: body})
	}
	if n++; n < len(all) {
		next = strconv.Itoa(n)
	}
	return rows, next, nil
}
