package eventbus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/trace"
)

// Fairness between tenants. Events stand in one line, by their numbers, and fan-out passes it from the front: that is
// one number to keep, and all that is kept of events is in that order. A tenant that publishes faster than fan-out
// works would make all others wait behind it. So no tenant has more than share events in the line. What it publishes
// beyond that is as durable, and stands apart until there is room: before each batch those whose turn it is move up,
// and have arrived then. While a tenant has something deferred, all that it publishes is: its events keep their order.
// Where no other tenant has an integration nobody waits behind it, and nothing is deferred: it would be written twice.
//
// Who stands in the line is reckoned in memory: it decides how soon an event has its turn, and never whether.

// DefaultShare is how many events of one tenant may stand in the line: some hundredths of a second of fan-out.
const DefaultShare = 256

// stretch is a run of events in the line that one tenant published together.
type stretch struct {
	first, last int64
	tenant      string
}

// turns knows who stands in the line, and who has something deferred.
type turns struct {
	share int

	mu       sync.Mutex
	line     []stretch      // not passed, in their order; those that came in since the start
	standing map[string]int // events in line, by tenant
	total    int            // events in line
	deferred []string       // tenants that have something deferred, in the order of their turns
}

// place is where an event goes.
type place int

const (
	inLine place = iota
	full         // the tenant has its share in the line
	apart        // with what is deferred
)

// place says where a tenant's next event goes.
func (t *turns) place(tenant string) place {
	if tenant == "" {
		return inLine // it is ours: fan-out and administrators make it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case slices.Contains(t.deferred, tenant):
		return apart
	case t.standing[tenant] < t.share:
		return inLine
	}
	return full
}

// putOff notes that a tenant has something deferred.
func (t *turns) putOff(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deferred = append(t.deferred, strings.Clone(tenant))
}

// stand notes an event in the line.
func (t *turns) stand(tenant string, seq int64) {
	if tenant == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.line); n > 0 && t.line[n-1].tenant == tenant && t.line[n-1].last == seq-1 {
		t.line[n-1].last = seq
	} else {
		t.line = append(t.line, stretch{seq, seq, strings.Clone(tenant)})
	}
	if t.standing == nil {
		t.standing = map[string]int{}
	}
	t.standing[tenant]++
	t.total++
}

// passed takes those out of the line that fan-out passed.
func (t *turns) passed(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.line) > 0 && t.line[0].first <= seq {
		s := &t.line[0]
		gone := min(s.last, seq) - s.first + 1
		t.leave(s.tenant, gone)
		if s.first += gone; s.first > s.last {
			t.line = t.line[1:]
		}
	}
}

// undone takes those out of the line that were not kept: all after the newest event.
func (t *turns) undone(newest int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := len(t.line) - 1; n >= 0 && t.line[n].last > newest; n-- {
		s := &t.line[n]
		from := max(s.first, newest+1)
		t.leave(s.tenant, s.last-from+1)
		if s.last = from - 1; s.last < s.first {
			t.line = t.line[:n]
		}
	}
}

// leave uncounts events of a tenant; the lock is held.
func (t *turns) leave(tenant string, events int64) {
	t.total -= int(events)
	if t.standing[tenant] -= int(events); t.standing[tenant] <= 0 {
		delete(t.standing, tenant)
	}
}

// recount forgets who stands in the line, which is empty, and says whether anybody waits beside it.
func (t *turns) recount() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line, t.standing, t.total = nil, nil, 0
	return len(t.deferred) > 0
}

// move is how many deferred events of a tenant may move up.
type move struct {
	tenant string
	events int
}

// room says who moves up before a batch of so many entries: each a like part of what the line lacks of a batch, and of
// its share.
func (t *turns) room(limit int) (out []move) {
	t.mu.Lock()
	defer t.mu.Unlock()
	free := limit - t.total
	if free <= 0 || len(t.deferred) == 0 {
		return nil
	}
	each := max(1, free/len(t.deferred))
	for _, tenant := range t.deferred {
		if n := min(each, t.share-t.standing[tenant], free); n > 0 {
			out = append(out, move{tenant, n})
			free -= n
		}
	}
	return out
}

// turned notes that tenants had their turn: they are the last now, and those are gone that have nothing deferred.
func (t *turns) turned(had []move, gone []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range had {
		if at := slices.Index(t.deferred, m.tenant); at >= 0 {
			t.deferred = slices.Delete(t.deferred, at, at+1)
			if !slices.Contains(gone, m.tenant) {
				t.deferred = append(t.deferred, m.tenant)
			}
		}
	}
}

// order is whose turn is when.
func (t *turns) order() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.deferred)
}

// restore gives tenants the turns back that they had in an order, because their moves were undone. Who was put off
// since comes behind them.
func (t *turns) restore(order []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := func(tenant string) int {
		if at := slices.Index(order, tenant); at >= 0 {
			return at
		}
		return len(order)
	}
	slices.SortStableFunc(t.deferred, func(a, b string) int { return cmp.Compare(before(a), before(b)) })
}

// load reads which tenants have something deferred. Those that were known keep their turns.
func (t *turns) load(w *db.Writer) error {
	var found []string
	// From one tenant to the next; none is called "".
	for last := ""; ; last = found[len(found)-1] {
		some := false
		err := db.Each(w.Conn, "SELECT min(tenant) FROM deferred WHERE tenant > ?",
			func(s *driver.Stmt) { s.BindText(1, last) }, func(s *driver.Stmt) error {
				if some = s.ColumnType(0) != driver.TypeNull; some {
					found = append(found, s.ColumnText(0))
				}
				return nil
			})
		if err != nil {
			return fmt.Errorf("find whose events are deferred: %w", err)
		}
		if !some {
			break
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deferred = slices.DeleteFunc(t.deferred, func(tenant string) bool { return !slices.Contains(found, tenant) })
	for _, tenant := range found {
		if !slices.Contains(t.deferred, tenant) {
			t.deferred = append(t.deferred, tenant)
		}
	}
	return nil
}

// put appends what others published, each where its tenant's turn is. shared keeps, for one call, who shares the
// installation.
func (b *Bus) put(w *db.Writer, e delivery.Entry, shared map[string]bool) error {
	at := b.turns.place(e.Tenant)
	if at == full {
		known, err := b.shares(w, e.Tenant, shared)
		switch {
		case err != nil:
			return err
		case known:
			b.turns.putOff(e.Tenant)
			at = apart
		}
	}
	if at != apart {
		return b.Append(w, e)
	}
	return w.Do("INSERT INTO deferred (tenant, at, kind, detail, trace) VALUES (?, ?, ?, ?, ?)", func(s *driver.Stmt) {
		s.BindText(1, e.Tenant)
		bind(s, e)
	})
}

// shares says whether another tenant than this one has an integration.
func (b *Bus) shares(w *db.Writer, tenant string, known map[string]bool) (bool, error) {
	if yes, ok := known[tenant]; ok {
		return yes, nil
	}
	n, err := db.Number(w.Conn, "SELECT (SELECT min(tenant) FROM integrations) IS NOT (SELECT max(tenant) FROM "+
		"integrations)")
	if err == nil && n == 0 { // one tenant has integrations, or none has
		err = db.Each(w.Conn, "SELECT tenant <> ? FROM integrations LIMIT 1",
			func(s *driver.Stmt) { s.BindText(1, tenant) }, func(s *driver.Stmt) error {
				n = s.ColumnInt64(0)
				return nil
			})
	}
	if err != nil {
		return false, fmt.Errorf("look who shares the installation: %w", err)
	}
	known[tenant] = n != 0
	return n != 0, nil
}

// moveUp has deferred events stand in the line, as far as there is room.
func (b *Bus) moveUp(ctx context.Context, limit int) error {
	moves := b.turns.room(limit)
	if len(moves) == 0 {
		return nil
	}
	order := b.turns.order()
	err := b.db.WriteRepeatable(ctx, func(w *db.Writer) error {
		var gone []string
		for _, m := range moves {
			left, err := b.moveOne(w, m)
			if err != nil {
				return err
			}
			if !left {
				gone = append(gone, m.tenant)
			}
		}
		b.turns.turned(moves, gone)
		return nil
	})
	if err != nil {
		b.turns.restore(order)
		return fmt.Errorf("have the events of %d tenants move up: %w", len(moves), err)
	}
	return nil
}

// moveOne moves events of one tenant up; left says that it has more.
func (b *Bus) moveOne(w *db.Writer, m move) (left bool, err error) {
	through := int64(0)
	var moved []delivery.Entry
	err = db.Each(w.Conn, "SELECT n, at, kind, detail, trace FROM deferred WHERE tenant = ? ORDER BY n LIMIT ?",
		func(s *driver.Stmt) {
			s.BindText(1, m.tenant)
			s.BindInt64(2, int64(m.events))
		}, func(s *driver.Stmt) error {
			through = s.ColumnInt64(0)
			e := entry(s)
			e.Receipt, e.Tenant = "", m.tenant
			moved = append(moved, e)
			return nil
		})
	if err != nil {
		return false, err
	}
	for _, e := range moved {
		// The numbers are in the order of arrival: what looks for a time relies on it.
		e.At = time.Unix(0, max(e.At.UnixNano(), b.newest)).UTC()
		if err := b.Append(w, e); err != nil {
			return false, err
		}
	}
	of := func(s *driver.Stmt) {
		s.BindText(1, m.tenant)
		s.BindInt64(2, through)
	}
	if err := w.Do("DELETE FROM deferred WHERE tenant = ? AND n <= ?", of); err != nil {
		return false, err
	}
	err = db.Each(w.Conn, "SELECT 1 FROM deferred WHERE tenant = ? AND n > ? LIMIT 1", of, func(*driver.Stmt) error {
		left = true
		return nil
	})
	return left, err
}

// Deferred counts the events that do not stand in the line yet, and says when the oldest came.
func (b *Bus) Deferred(ctx context.Context) (count int, oldest time.Time, err error) {
	err = b.db.Query(ctx, "SELECT (SELECT count(*) FROM deferred), (SELECT at FROM deferred ORDER BY n LIMIT 1)", nil,
		func(s *driver.Stmt) error {
			count, oldest = s.ColumnInt(0), db.Time(s.ColumnInt64(1))
			return nil
		})
	return count, oldest, err
}

// bind gives a statement what is kept of an entry, from its second parameter on.
func bind(s *driver.Stmt, e delivery.Entry) {
	s.BindInt64(2, e.At.UnixNano())
	s.BindText(3, e.DetailType)
	s.BindBytes(4, e.Detail)
	if e.Trace == "" {
		s.BindNull(5)
	} else {
		s.BindText(5, string(e.Trace))
	}
}

// entry reads a row: its number, and what is kept of an entry.
func entry(s *driver.Stmt) delivery.Entry {
	return delivery.Entry{
		Receipt: s.ColumnText(0), At: time.Unix(0, s.ColumnInt64(1)).UTC(), DetailType: s.ColumnText(2),
		Detail: db.Blob(s, 3), Trace: trace.Parent(s.ColumnText(4)),
	}
}
