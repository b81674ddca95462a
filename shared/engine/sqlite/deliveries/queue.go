package deliveries

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/tables"
	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/event"
	"tocsin/shared/trace"
)

// row is a delivery as a table holds it.
type row struct {
	id   string
	due  time.Time
	body []byte
	item packed.Item // where it has no body
	at   blocks.Place
}

// Waiting lists the lanes with work: one look into an index for each.
func (d *Deliveries) Waiting(ctx context.Context, now time.Time) (lanes []delivery.Lane, next time.Time, err error) {
	closed, next := d.closedWindows(now)
	for _, ref := range closed {
		lanes = append(lanes, d.laneOf(ref, false))
	}
	soonest := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	err = d.db.Reading(ctx, func(conn *driver.Conn) error {
		for _, ref := range closed {
			later, err := nextWindow(conn, ref, now)
			if err != nil {
				return err
			}
			soonest(later)
		}
		pending, err := pendingRefs(conn)
		if err != nil {
			return err
		}
		for _, ref := range pending {
			if !slices.Contains(closed, ref) {
				lanes = append(lanes, d.laneOf(ref, false))
			}
		}
		retrying, err := waiting.Hop(conn, "SELECT ref FROM retrying WHERE ref > ? ORDER BY ref LIMIT 1")
		if err != nil {
			return err
		}
		for _, ref := range retrying {
			due, later, err := dues(conn, ref, now)
			if err != nil {
				return err
			}
			if due {
				lanes = append(lanes, d.laneOf(ref, true))
			}
			soonest(later)
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("look for waiting deliveries: %w", err)
	}
	return lanes, next, nil
}

// nextWindow is when an integration's next batch window after now closes.
func nextWindow(conn *driver.Conn, ref int64, now time.Time) (due time.Time, err error) {
	err = db.Each(conn, "SELECT due FROM gathering WHERE ref = ? AND due > ? ORDER BY due LIMIT 1",
		func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindInt64(2, now.UnixNano())
		}, func(s *driver.Stmt) error {
			due = time.Unix(0, s.ColumnInt64(0))
			return nil
		})
	return due, err
}

// pendingRefs are the integrations with something that waits for its first request: of a block before what has rows of
// its own, because that is how a delivery can move meanwhile.
func pendingRefs(conn *driver.Conn) ([]int64, error) {
	open, err := waiting.Hop(conn, "SELECT ref FROM open_blocks WHERE ref > ? ORDER BY ref LIMIT 1")
	if err != nil {
		return nil, err
	}
	own, err := waiting.Hop(conn, "SELECT ref FROM pending WHERE ref > ? ORDER BY ref LIMIT 1")
	if err != nil {
		return nil, err
	}
	all := append(open, own...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// dues says whether a retry of the integration is due at now, and when the next one after now is.
func dues(conn *driver.Conn, ref int64, now time.Time) (due bool, later time.Time, err error) {
	bind := func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, now.UnixNano())
	}
	err = db.Each(conn, "SELECT 1 FROM retrying WHERE ref = ? AND due <= ? LIMIT 1", bind, func(*driver.Stmt) error {
		due = true
		return nil
	})
	if err != nil {
		return
	}
	err = db.Each(conn, "SELECT due FROM retrying WHERE ref = ? AND due > ? ORDER BY due LIMIT 1", bind,
		func(s *driver.Stmt) error {
			later = time.Unix(0, s.ColumnInt64(0))
			return nil
		})
	return
}

func (d *Deliveries) laneOf(ref int64, retry bool) delivery.Lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.lanes.key[ref]
	return delivery.Lane{Tenant: k.tenant, Integration: k.integration, Retry: retry}
}

// Lease hands out the oldest deliveries of a lane that are not leased.
func (d *Deliveries) Lease(ctx context.Context, lane delivery.Lane, limit int, due, now,
	until time.Time) ([]delivery.Delivery, error) {
	d.mu.Lock()
	ref, ok := d.lanes.ref[laneKey{lane.Tenant, lane.Integration}]
	d.mu.Unlock()
	if !ok {
		return nil, nil
	}
	if !lane.Retry {
		if err := d.closeWindows(ctx, ref, now); err != nil {
			return nil, leaseError(lane, err)
		}
	}
	if !lane.Retry {
		rows, ok, err := d.leaseFresh(ref, limit, now, until)
		var out []delivery.Delivery
		if err == nil && ok {
			out, err = d.fillRows(lane, ref, rows, func(use func(*driver.Conn) error) error {
				return d.db.ReadingAtOnce(context.WithoutCancel(ctx), use)
			})
		}
		if err != nil || ok {
			return out, leaseError(lane, err)
		}
	}
	var out []delivery.Delivery
	before := d.still()
	err := d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
		rows, err := d.claim(conn, ref, lane.Retry, limit, due, now, until, before)
		if err == nil {
			out, err = d.fillRows(lane, ref, rows, func(use func(*driver.Conn) error) error { return use(conn) })
		}
		return err
	})
	return out, leaseError(lane, err)
}

func leaseError(lane delivery.Lane, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lease deliveries of integration %s: %w", lane.Integration, err)
}

func state(retry bool) delivery.State {
	if retry {
		return delivery.Retrying
	}
	return delivery.Pending
}

// claim finds rows and leases them. The lock is held over the search: two searches of one lane must not find the
// same rows.
func (d *Deliveries) claim(conn *driver.Conn, ref int64, retry bool, limit int, due, now, until time.Time,
	before still) ([]row, error) {
	cold, quiet := d.db.Quiet()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leases.expire(ref, now)
	rows, err := d.search(conn, ref, retry, limit, due, now)
	if err != nil {
		return nil, err
	}
	d.leases.take(ref, rows, until)
	if retry {
		return rows, nil
	}
	if n := len(rows); n > 0 {
		d.leases.next[ref] = rows[n-1].id
	}
	if len(rows) < limit && before.quiet && quiet && before.cold == cold && before.hot == d.writes {
		d.leases.fresh.whole(ref, cold, d.leases.next[ref])
	}
	return rows, nil
}

func (d *Deliveries) search(conn *driver.Conn, ref int64, retry bool, limit int, due, now time.Time) ([]row, error) {
	own, err := d.searchOwn(conn, ref, retry, limit, due, now)
	if err != nil || retry {
		return own, err
	}
	var shared []row
	err = blocks.Waiting(conn, ref, d.leases.next[ref], func(i packed.Item, at blocks.Place) error {
		if d.leases.held(ref, i.ID, now) {
			return nil
		}
		if shared = append(shared, row{id: i.ID, item: i, at: at}); len(shared) == limit {
			return blocks.ErrEnough
		}
		return nil
	})
	if err != nil || len(own) == 0 {
		return shared, err
	}
	all := append(own, shared...)
	slices.SortFunc(all, func(a, b row) int { return strings.Compare(a.id, b.id) })
	return all[:min(limit, len(all))], nil
}

// searchOwn finds deliveries that have rows of their own.
func (d *Deliveries) searchOwn(conn *driver.Conn, ref int64, retry bool, limit int, due, now time.Time) (rows []row,
	err error) {
	sql, after := "SELECT id, body FROM pending WHERE ref = ? AND id > ? ORDER BY id", d.leases.next[ref]
	if retry {
		sql = "SELECT id, body, due FROM retrying WHERE ref = ? AND due <= ? ORDER BY due, id"
	}
	err = db.Each(conn, sql, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		if retry {
			s.BindInt64(2, due.UnixNano())
		} else {
			s.BindText(2, after)
		}
	}, func(s *driver.Stmt) error {
		id := s.ColumnText(0)
		if d.leases.held(ref, id, now) {
			return nil
		}
		r := row{id: id, body: db.Blob(s, 1)}
		if retry {
			r.due = time.Unix(0, s.ColumnInt64(2)).UTC()
		}
		if rows = append(rows, r); len(rows) == limit {
			return blocks.ErrEnough
		}
		return nil
	})
	if errors.Is(err, blocks.ErrEnough) {
		err = nil
	}
	return rows, err
}

// fillRows completes leased deliveries by their rows or items, and by their events; those that are not in memory are
// read by read.
func (d *Deliveries) fillRows(lane delivery.Lane, ref int64, rows []row, read func(func(*driver.Conn) error) error) (
	[]delivery.Delivery, error) {
	out, carried := make([]delivery.Delivery, len(rows)), make([][]int64, len(rows))
	for i, r := range rows {
		v := &out[i]
		*v = delivery.Delivery{Tenant: lane.Tenant, Integration: lane.Integration, State: state(lane.Retry), Due: r.due,
			ID: r.id, Count: r.item.Count, Kinds: r.item.Kinds}
		carried[i] = r.item.Seqs
		if r.body != nil {
			var err error
			if carried[i], err = packed.Decode(r.body, v); err != nil {
				return nil, fmt.Errorf("delivery %s: %w", r.id, err)
			}
		}
		v.CreatedAt = tables.MadeAt(v.ID)
	}
	d.mu.Lock()
	var missing []int64
	for i, seqs := range carried {
		if rows[i].body != nil {
			d.leases.carry(ref, rows[i].id, seqs)
		}
		out[i].Events, missing = d.remembered(seqs, missing)
	}
	d.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	var events map[int64]event.Event
	err := read(func(conn *driver.Conn) (err error) {
		events, err = d.readEvents(conn, missing)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Events = complete(out[i].Events, carried[i], events)
	}
	return out, nil
}

// remembered are the events in memory of these numbers, with a gap for each other, whose numbers it appends to missing.
// The lock is held.
func (d *Deliveries) remembered(seqs, missing []int64) (events []event.Event, _ []int64) {
	events = make([]event.Event, len(seqs))
	for n, seq := range seqs {
		var ok bool
		if events[n], ok = d.events.Find(seq); !ok {
			missing = append(missing, seq)
		}
	}
	return events, missing
}

// complete fills the gaps among the events of these numbers; what was pruned is left out.
func complete(events []event.Event, seqs []int64, read map[int64]event.Event) []event.Event {
	out := events[:0]
	for n, e := range events {
		if e.Kind == "" {
			e = read[seqs[n]]
		}
		if e.Kind != "" {
			out = append(out, e)
		}
	}
	return out
}

// readEvents reads events by their numbers: those that follow one another at once.
func (d *Deliveries) readEvents(conn *driver.Conn, seqs []int64) (map[int64]event.Event, error) {
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	events := make(map[int64]event.Event, len(seqs))
	for len(seqs) > 0 {
		n := 1
		for n < len(seqs) && seqs[n] == seqs[0]+int64(n) {
			n++
		}
		err := db.Each(conn, "SELECT kind, detail, trace, seq FROM events WHERE seq BETWEEN ? AND ?",
			func(s *driver.Stmt) {
				s.BindInt64(1, seqs[0])
				s.BindInt64(2, seqs[n-1])
			}, func(s *driver.Stmt) error {
				e, err := event.Decode(s.ColumnText(0), db.Blob(s, 1))
				e.Trace = trace.Parent(s.ColumnText(2))
				events[s.ColumnInt64(3)] = e
				return err
			})
		if err != nil {
			return nil, fmt.Errorf("read events %d to %d: %w", seqs[0], seqs[n-1], err)
		}
		seqs = seqs[n:]
	}
	return events, nil
}

// fill decodes a row's body and loads its events, whose numbers it returns.
func (d *Deliveries) fill(conn *driver.Conn, id string, body []byte, v *delivery.Delivery) (seqs []int64, err error) {
	v.ID = id
	if seqs, err = packed.Decode(body, v); err != nil {
		return nil, fmt.Errorf("delivery %s: %w", id, err)
	}
	return seqs, d.load(conn, seqs, v)
}

// load completes a delivery by its events, and by when it was made.
func (d *Deliveries) load(conn *driver.Conn, seqs []int64, v *delivery.Delivery) error {
	v.CreatedAt = tables.MadeAt(v.ID)
	d.mu.Lock()
	events, missing := d.remembered(seqs, nil)
	d.mu.Unlock()
	read, err := d.readEvents(conn, missing)
	if err != nil {
		return fmt.Errorf("delivery %s: %w", v.ID, err)
	}
	v.Events = complete(events, seqs, read)
	return nil
}

// Release ends leases without a change.
func (d *Deliveries) Release(_ context.Context, deliveries []delivery.Delivery) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range deliveries {
		if ref, ok := d.lanes.ref[laneKey{v.Tenant, v.Integration}]; ok {
			d.leases.end(ref, v.ID, v.State == delivery.Pending)
		}
	}
	return nil
}
