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
	ahead   *delivery.Delivery // was returned to see whether there is one, and is the next row again
}

// list is one integration's.
type list struct {
	query delivery.Query
	rows  []delivery.Delivery
	// reached is down to where the list was looked through; "" = to its end.
	reached string
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
	for _, i := range to {
		m.lists = append(m.lists, &list{query: delivery.Query{
			Tenant: q.Tenant, Integration: i.ID, States: q.States, From: q.From, To: q.To, Before: q.Before,
			Limit: share,
		}})
	}
	return m
}

// next returns the next row; ok is false at the end, and when enough was scanned (see stopped).
func (m *merge) next(ctx context.Context) (d delivery.Delivery, ok bool, err error) {
	if !m.begun {
		m.begun = true
		if err := m.fill(ctx, m.lists...); err != nil {
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

// fill reads the next piece of each list.
func (m *merge) fill(ctx context.Context, which ...*list) error {
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
