package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// row is a delivery as a table holds it.
type row struct {
	id   string
	due  time.Time
	body []byte
}

// Waiting lists the lanes with work: one look into an index for each.
func (d *Deliveries) Waiting(ctx context.Context, now time.Time) (lanes []delivery.Lane, next time.Time, err error) {
	ripe, next := d.db.gathered(now)
	for _, ref := range ripe {
		lanes = append(lanes, d.laneOf(ref, false))
	}
	soonest := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	err = d.db.reading(ctx, func(conn *driver.Conn) error {
		for _, ref := range ripe {
			later, err := nextGathering(conn, ref, now)
			if err != nil {
				return err
			}
			soonest(later)
		}
		pending, err := refs(conn, "SELECT ref FROM pending WHERE ref > ? ORDER BY ref LIMIT 1")
		if err != nil {
			return err
		}
		for _, ref := range pending {
			if !slices.Contains(ripe, ref) {
				lanes = append(lanes, d.laneOf(ref, false))
			}
		}
		retrying, err := refs(conn, "SELECT ref FROM retrying WHERE ref > ? ORDER BY ref LIMIT 1")
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

// nextGathering is when an integration has gathered the next delivery after now.
func nextGathering(conn *driver.Conn, ref int64, now time.Time) (due time.Time, err error) {
	err = each(conn, "SELECT due FROM gathering WHERE ref = ? AND due > ? ORDER BY due LIMIT 1", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, now.UnixNano())
	}, func(s *driver.Stmt) error {
		due = time.Unix(0, s.ColumnInt64(0))
		return nil
	})
	return due, err
}

// refs hops from one integration to the next through the table's key.
func refs(conn *driver.Conn, sql string) (out []int64, err error) {
	for last := int64(-1); ; {
		found := false
		err := each(conn, sql, func(s *driver.Stmt) { s.BindInt64(1, last) }, func(s *driver.Stmt) error {
			last, found = s.ColumnInt64(0), true
			return nil
		})
		if err != nil || !found {
			return out, err
		}
		out = append(out, last)
	}
}

// dues says whether a retry of the integration is due at now, and when the next one after now is.
func dues(conn *driver.Conn, ref int64, now time.Time) (due bool, later time.Time, err error) {
	bind := func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindInt64(2, now.UnixNano())
	}
	err = each(conn, "SELECT 1 FROM retrying WHERE ref = ? AND due <= ? LIMIT 1", bind, func(*driver.Stmt) error {
		due = true
		return nil
	})
	if err != nil {
		return
	}
	err = each(conn, "SELECT due FROM retrying WHERE ref = ? AND due > ? ORDER BY due LIMIT 1", bind,
		func(s *driver.Stmt) error {
			later = time.Unix(0, s.ColumnInt64(0))
			return nil
		})
	return
}

func (d *Deliveries) laneOf(ref int64, retry bool) delivery.Lane {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	k := d.db.lanes.key[ref]
	return delivery.Lane{Tenant: k.tenant, Integration: k.integration, Retry: retry}
}

// Lease hands out the oldest deliveries of a lane that are not leased.
func (d *Deliveries) Lease(ctx context.Context, lane delivery.Lane, limit int, due, now,
	until time.Time) ([]delivery.Delivery, error) {
	d.db.mu.Lock()
	ref, ok := d.db.lanes.ref[laneKey{lane.Tenant, lane.Integration}]
	d.db.mu.Unlock()
	if !ok {
		return nil, nil
	}
	if !lane.Retry {
		if err := d.join(ctx, ref, now); err != nil {
			return nil, fmt.Errorf("lease deliveries of integration %s: %w", lane.Integration, err)
		}
	}
	var out []delivery.Delivery
	err := d.db.reading(ctx, func(conn *driver.Conn) error {
		rows, err := d.claim(conn, ref, lane.Retry, limit, due, now, until)
		if err != nil {
			return err
		}
		out = make([]delivery.Delivery, 0, len(rows))
		for _, r := range rows {
			v := delivery.Delivery{Tenant: lane.Tenant, Integration: lane.Integration, State: state(lane.Retry),
				Due: r.due}
			if err := d.fill(conn, r.id, r.body, &v); err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lease deliveries of integration %s: %w", lane.Integration, err)
	}
	return out, nil
}

func state(retry bool) delivery.State {
	if retry {
		return delivery.Retrying
	}
	return delivery.Pending
}

// claim finds rows and leases them. The lock is held over the search: two searches of one lane must not find the
// same rows.
func (d *Deliveries) claim(conn *driver.Conn, ref int64, retry bool, limit int, due, now, until time.Time) ([]row,
	error) {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	rows, err := d.search(conn, ref, retry, limit, due, now)
	if err == nil && len(rows) == 0 && d.db.leases.expire(ref, now) {
		rows, err = d.search(conn, ref, retry, limit, due, now)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		d.db.leases.take(ref, r.id, until)
	}
	if n := len(rows); n > 0 && !retry {
		d.db.leases.next[ref] = rows[n-1].id
	}
	return rows, nil
}

// errEnough ends a search early.
var errEnough = errors.New("enough")

func (d *Deliveries) search(conn *driver.Conn, ref int64, retry bool, limit int, due, now time.Time) (rows []row,
	err error) {
	sql, after := "SELECT id, body FROM pending WHERE ref = ? AND id > ? ORDER BY id", d.db.leases.next[ref]
	if retry {
		sql = "SELECT id, body, due FROM retrying WHERE ref = ? AND due <= ? ORDER BY due, id"
	}
	err = each(conn, sql, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		if retry {
			s.BindInt64(2, due.UnixNano())
		} else {
			s.BindText(2, after)
		}
	}, func(s *driver.Stmt) error {
		id := s.ColumnText(0)
		if d.db.leases.held(ref, id, now) {
			return nil
		}
		r := row{id: id, body: blob(s, 1)}
		if retry {
			r.due = time.Unix(0, s.ColumnInt64(2)).UTC()
		}
		if rows = append(rows, r); len(rows) == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return rows, err
}

// fill decodes a row's body and loads its events.
func (d *Deliveries) fill(conn *driver.Conn, id string, body []byte, v *delivery.Delivery) error {
	v.ID = id
	v.CreatedAt = madeAt(id)
	seqs, err := decode(body, v)
	if err != nil {
		return fmt.Errorf("delivery %s: %w", id, err)
	}
	v.Events = make([]event.Event, 0, len(seqs))
	for _, seq := range seqs {
		e, ok, err := d.event(conn, seq)
		if err != nil {
			return fmt.Errorf("delivery %s: %w", id, err)
		}
		if ok {
			v.Events = append(v.Events, e)
		}
	}
	return nil
}

// event reads one event; ok is false when it was pruned.
func (d *Deliveries) event(conn *driver.Conn, seq int64) (e event.Event, ok bool, err error) {
	d.db.mu.Lock()
	e, ok = d.db.events.by[seq]
	d.db.mu.Unlock()
	if ok {
		return e, true, nil
	}
	err = each(conn, "SELECT kind, detail FROM events WHERE seq = ?", func(s *driver.Stmt) { s.BindInt64(1, seq) },
		func(s *driver.Stmt) error {
			ok = true
			var err error
			e, err = event.Decode(s.ColumnText(0), blob(s, 1))
			return err
		})
	return e, ok, err
}

// Release ends leases without a change.
func (d *Deliveries) Release(_ context.Context, deliveries []delivery.Delivery) error {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	for _, v := range deliveries {
		if ref, ok := d.db.lanes.ref[laneKey{v.Tenant, v.Integration}]; ok {
			d.db.leases.end(ref, v.ID, v.State == delivery.Pending)
		}
	}
	return nil
}

// Settle moves deliveries to where their new state belongs.
func (d *Deliveries) Settle(ctx context.Context, deliveries []delivery.Delivery) error {
	refs := make([]int64, len(deliveries))
	d.db.mu.Lock()
	for i, v := range deliveries {
		refs[i] = d.db.lanes.ref[laneKey{v.Tenant, v.Integration}]
	}
	d.db.mu.Unlock()
	var ended []string // before
	err := d.db.writer.write(ctx, func(w *writer) error {
		ended = nil
		for i, v := range deliveries {
			err := settle(w, refs[i], v)
			if errors.Is(err, delivery.ErrNotFound) {
				ended, err = append(ended, v.ID), nil
			}
			if err != nil {
				return fmt.Errorf("delivery %s: %w", v.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), err)
	}
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	for i, v := range deliveries {
		d.db.leases.end(refs[i], v.ID, v.State == delivery.Pending)
	}
	if len(ended) > 0 {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), &delivery.NotWaitingError{IDs: ended})
	}
	return nil
}

func settle(w *writer, ref int64, v delivery.Delivery) error {
	key := func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, v.ID)
	}
	seqs, err := remove(w, "pending", key)
	if err != nil {
		return err
	}
	if seqs == nil {
		if seqs, err = remove(w, "retrying", key); err != nil {
			return err
		}
	}
	if seqs == nil {
		return delivery.ErrNotFound
	}
	body := encode(v, seqs)
	switch v.State {
	case delivery.Pending:
		return insertPending(w, ref, v, seqs)
	case delivery.Retrying:
		return w.do("INSERT INTO retrying (ref, id, due, body) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
			key(s)
			s.BindInt64(3, v.Due.UnixNano())
			s.BindBytes(4, body)
		})
	default:
		return w.do("INSERT OR REPLACE INTO finished (ref, id, dead, body) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
			key(s)
			s.BindBool(3, v.State == delivery.Dead)
			s.BindBytes(4, body)
		})
	}
}

// removals are the statements of remove, made once: they are the writer's most frequent.
var removals = map[string]string{
	"pending":  "DELETE FROM pending WHERE ref = ? AND id = ? RETURNING body",
	"retrying": "DELETE FROM retrying WHERE ref = ? AND id = ? RETURNING body",
	"finished": "DELETE FROM finished WHERE ref = ? AND id = ? RETURNING body",
}

// remove takes a row out of a table and returns its events' numbers, nil when it is not there.
func remove(w *writer, table string, key func(*driver.Stmt)) (seqs []int64, err error) {
	err = each(w.conn, removals[table], key, func(s *driver.Stmt) error {
		var was delivery.Delivery
		var err error
		seqs, err = decode(blob(s, 0), &was)
		return err
	})
	return seqs, err
}
