package worker

import (
	"container/heap"
	"context"
	"slices"
	"sync"
)

// places bound how many requests of all lanes are in flight together. One that is free goes to the tenant that has
// fewest of those that wait, and of several to the one that has waited longest; the last eighth goes to tenants that
// have few. Else a tenant would stand in line with each of the integrations of others that hang: beside 2,000 of one
// tenant the first event of another took 55 s, and beside 10,000 of five tenants twenty, one after the other, took more
// than four minutes (make limits ARGS="-only silence"). More than an eighth is not set aside, for most installations
// have one busy tenant.
type places struct {
	most int

	mu      sync.Mutex
	taken   int
	tenants map[string]*holder // those that have places, or wait for one
	waiting holders
	came    uint64 // how many have waited
}

// holder is a tenant.
type holder struct {
	tenant string
	taken  int
	line   []turn // its requests that wait
	place  int    // in places.waiting
}

// turn is that of a request that waits.
type turn struct {
	come   chan struct{} // closed when it has come
	number uint64        // who has a lower one has waited longer
}

func newPlaces(most int) *places { return &places{most: most, tenants: map[string]*holder{}} }

// few is how many places of a tenant are so few that it may have one of the last eighth; mu is held.
func (p *places) few() int { return max(1, p.most/64) }

// may reports whether a tenant may have one more; mu is held.
func (p *places) may(h *holder) bool {
	free := p.most - p.taken
	return free > p.most/8 || free > 0 && h.taken < p.few()
}

// enter takes a place for a request of the tenant, which leave gives back; false when the context has ended before.
func (p *places) enter(ctx context.Context, tenant string) bool {
	if ctx.Err() != nil {
		return false
	}
	p.mu.Lock()
	h := p.tenants[tenant]
	if h == nil {
		h = &holder{tenant: tenant}
		p.tenants[tenant] = h
	}
	if len(h.line) == 0 && p.may(h) {
		h.taken++
		p.taken++
		p.mu.Unlock()
		return true
	}
	p.came++
	own := turn{make(chan struct{}), p.came}
	if h.line = append(h.line, own); len(h.line) == 1 {
		heap.Push(&p.waiting, h)
	}
	p.mu.Unlock()
	select {
	case <-own.come:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	n := slices.Index(h.line, own)
	if n >= 0 {
		if len(h.line) == 1 {
			heap.Remove(&p.waiting, h.place)
		}
		if h.line = slices.Delete(h.line, n, n+1); len(h.line) > 0 {
			heap.Fix(&p.waiting, h.place)
		}
		p.forget(h)
	}
	p.mu.Unlock()
	if n < 0 { // its turn came meanwhile
		p.leave(tenant)
	}
	return false
}

// leave gives a place back.
func (p *places) leave(tenant string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.tenants[tenant]
	h.taken--
	p.taken--
	if len(h.line) > 0 {
		heap.Fix(&p.waiting, h.place)
	}
	for len(p.waiting) > 0 && p.may(p.waiting[0]) {
		p.next()
	}
	p.forget(h)
}

// next gives a place to the first that waits; mu is held.
func (p *places) next() {
	h := p.waiting[0]
	close(h.line[0].come)
	h.taken++
	p.taken++
	if len(h.line) == 1 {
		heap.Pop(&p.waiting)
	}
	if h.line = slices.Delete(h.line, 0, 1); len(h.line) > 0 {
		heap.Fix(&p.waiting, 0)
	}
}

// forget drops a tenant that has nothing here; mu is held.
func (p *places) forget(h *holder) {
	if h.taken == 0 && len(h.line) == 0 {
		delete(p.tenants, h.tenant)
	}
}

// inFlight is how many places are taken.
func (p *places) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// holders is a heap: the tenant that has fewest places comes first, and of those the one that has waited longest.
type holders []*holder

func (h holders) Len() int { return len(h) }
func (h holders) Less(i, j int) bool {
	if h[i].taken != h[j].taken {
		return h[i].taken < h[j].taken
	}
	return h[i].line[0].number < h[j].line[0].number
}

func (h holders) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *holders) Push(x any) {
	one, _ := x.(*holder)
	one.place = len(*h)
	*h = append(*h, one)
}

func (h *holders) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
