package deliverylog

import (
	"container/heap"
	"context"

	"tocsin/shared/delivery"
	"tocsin/shared/integration"
)

// The pieces of an integration's list: the first is what its share of a page would be, each next one is twice as large.
// Of more than manyLists few are on a page, so that one row of each tells which.
const (
	leastChunk = 4
	mostChunk  = 500
	manyLists  = 1000
)

// merge reads the lists of several integrations as one, newest first. Each list is read piece by piece: a page costs a
// look into the list of every integration, and few rows beside those that it shows.
type merge struct {
	store   Store
	lists   lists
	begun   bool
	scanned int                // rows that were returned, or left out by the store
	stopped bool               // next has ended before the end, because enough was scanned
	last    string             // the id down to which was looked
	unread  int                // how many lists of which the head alone is known are read next
	ahead   *delivery.Delivery // was returned to see whether there is one, and is the next row again
}

// list is one integration's.
type list struct {
	query delivery.Query
	rows  []delivery.Delivery
	// reached is down to where the list was looked through; "" = to its end.
	reached string
	unread  bool // nothing was looked at: reached is its head
}

// head is the id of the next row; of a list whose next rows are not read yet, what they lie below.
func (l *list) head() string {
	if len(l.rows) > 0 {
		return l.rows[0].ID
	}
	return l.reached
}

// lists is a heap: the list with the newest head comes first.
type lists []*list

func (l lists) Len() int           { return len(l) }
func (l lists) Less(i, j int) bool { return l[i].head() > l[j].head() }
func (l lists) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *lists) Push(x any)        { *l = append(*l, x.(*list)) }
func (l *lists) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

func newMerge(q Query, to []integration.Integration, store Store) *merge {
	m := &merge{store: store, last: q.Before}
	least := leastChunk
	if len(to) > manyLists {
		least = 1
	}
	share := min(mostChunk, max(least, q.Limit/max(1, len(to))+1))
	m.unread = q.Limit + 1
	heads, _ := store.(Heads)
	if len(to) <= manyLists || len(q.States) > 0 { // of some states a list can begin far below its head
		heads = nil
	}
	for _, i := range to {
		l := &list{query: delivery.Query{
			Tenant: q.Tenant, Integration: i.ID, States: q.States, From: q.From, To: q.To, Before: q.Before,
			Limit: share,
		}}
		if heads == nil || l.begin(heads) {
			m.lists = append(m.lists, l)
		}
	}
	return m
}

// begin leaves a list unread whose head lies below where the query begins; what came in since is above the head. some
// is false of a list that has nothing.
func (l *list) begin(of Heads) (some bool) {
	q := &l.query
	head, known := of.Head(q.Tenant, q.Integration)
	switch {
	case !known || q.Before != "" && head >= q.Before || !q.To.IsZero() && head >= delivery.FirstID(q.To):
		return true
	case head < delivery.FirstID(q.From):
		return false
	}
	l.unread, l.reached, q.Before = true, head, head+directlyAbove
	q.Limit = max(q.Limit, 2) // its first row is likely to be on the page: the second says where the list goes on
	return true
}

// directlyAbove makes the text that sorts next to an id.
const directlyAbove = "!"

// next returns the next row; ok is false at the end, and when enough was scanned (see stopped).
func (m *merge) next(ctx context.Context) (d delivery.Delivery, ok bool, err error) {
	if !m.begun {
		m.begun = true
		var unknown []*list
		for _, l := range m.lists {
			if !l.unread {
				unknown = append(unknown, l)
			}
		}
		if err := m.fill(ctx, unknown...); err != nil {
			return d, false, err
		}
		heap.Init(&m.lists)
	}
	if m.ahead != nil {
		d, m.ahead = *m.ahead, nil
		m.scanned++
		return d, true, nil
	}
	for len(m.lists) > 0 {
		first := m.lists[0]
		switch {
		case len(first.rows) == 0 && first.reached == "":
			heap.Pop(&m.lists)
		case m.scanned >= Scanned:
			m.stopped = true
			return d, false, nil
		case len(first.rows) > 0:
			d, first.rows = first.rows[0], first.rows[1:]
			m.last = d.ID
			m.scanned++
			heap.Fix(&m.lists, 0)
			return d, true, nil
		case first.unread:
			if err := m.open(ctx); err != nil {
				return d, false, err
			}
		default:
			m.last = first.reached // no list has a row between
			if err := m.fill(ctx, first); err != nil {
				return d, false, err
			}
			heap.Fix(&m.lists, 0)
		}
	}
	return d, false, nil
}

// open reads the lists that begin next, together: at first as many as can be on a page, then twice as many.
func (m *merge) open(ctx context.Context) error {
	var begin, others []*list
	for len(m.lists) > 0 && len(begin) < m.unread {
		l := heap.Pop(&m.lists).(*list)
		if l.unread {
			begin = append(begin, l)
		} else {
			others = append(others, l)
		}
	}
	m.unread *= 2
	if err := m.fill(ctx, begin...); err != nil {
		return err
	}
	for _, l := range append(begin, others...) {
		l.unread = false
		heap.Push(&m.lists, l)
	}
	return nil
}

// fill reads the next piece of each list.
func (m *merge) fill(ctx context.Context, which ...*list) error {
	if len(which) == 0 {
		return nil
	}
	queries := make([]delivery.Query, len(which))
	for n, l := range which {
		queries[n] = l.query
	}
	chunks, err := m.store.Newest(ctx, queries)
	if err != nil {
		return err
	}
	for n, l := range which {
		l.rows, l.reached = chunks[n].Rows, chunks[n].Reached
		if l.reached != "" {
			m.scanned += l.query.Limit - len(l.rows)
		}
		l.query.Before, l.query.Limit = l.reached, min(mostChunk, 2*l.query.Limit)
	}
	return nil
}
