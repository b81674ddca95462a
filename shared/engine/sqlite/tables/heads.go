package tables

import (
	"sync"

	"tocsin/shared/delivery"
)

// Heads remembers down from where the list of each integration has to be looked at: no delivery of it has an id above
// its head. So a page of thousands of lists is read from those that have something on it. What is not remembered is
// found out when the list is read next. An integration that is gone stays until the program ends: some 200 bytes.
type Heads struct {
	mu sync.Mutex
	of map[listKey]head
}

type listKey struct{ tenant, integration string }

// head is the greatest id that a list has, or had: what is pruned does not lower it. Until known is set, it is that of
// what came in since the start alone.
type head struct {
	id    string
	known bool
}

// Head is the id above which a list has nothing, "" of one that has nothing at all. ok is false where it is not known.
func (h *Heads) Head(tenant, integration string) (id string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.of[listKey{tenant, integration}]
	return found.id, found.known
}

// Raise notes a new delivery. It has to be called before the write of it is committed: whoever reads the delivery
// knows its id then.
func (h *Heads) Raise(tenant, integration, id string) { h.note(tenant, integration, id, false) }

// read notes what a list has, of one that was read from its head.
func (h *Heads) read(q delivery.Query, rows []delivery.Delivery) {
	id := ""
	if len(rows) > 0 {
		id = rows[0].ID
	}
	h.note(q.Tenant, q.Integration, id, true)
}

func (h *Heads) note(tenant, integration, id string, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[listKey]head{}
	}
	k := listKey{tenant, integration}
	was := h.of[k]
	h.of[k] = head{max(was.id, id), was.known || known}
}

// whole reports whether a query is of a list from its head, and leaves nothing out.
func whole(q delivery.Query) bool {
	return q.From.IsZero() && q.To.IsZero() && q.Before == "" && statesOf(q.States) == 1<<len(States)-1
}
