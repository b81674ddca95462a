package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
)

// madeAt is the time that a delivery's id begins with.
func madeAt(id string) time.Time {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(u.Time())).UTC()
}

// firstID sorts before every id of the time or later.
func firstID(at time.Time) string {
	if at.IsZero() || at.UnixMilli() < 0 {
		return ""
	}
	var u ulid.ULID
	if u.SetTime(uint64(at.UnixMilli())) != nil {
		return lastID
	}
	return u.String()
}

// lastID sorts after every id.
const lastID = "~"

func (db *DB) ref(tenant, integration string) (int64, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	ref, ok := db.lanes.ref[laneKey{tenant, integration}]
	return ref, ok
}

// Get looks for the delivery in all its possible places.
func (d *Deliveries) Get(ctx context.Context, tenant, integration, id string) (delivery.Delivery, error) {
	v := delivery.Delivery{Tenant: tenant, Integration: integration}
	ref, ok := d.db.ref(tenant, integration)
	if !ok {
		return v, fmt.Errorf("get delivery %s: %w", id, delivery.ErrNotFound)
	}
	found := false
	err := d.db.reading(ctx, func(conn *driver.Conn) error {
		return each(conn, `SELECT 0 AS at, 0 AS due, body FROM pending WHERE ref = ?1 AND id = ?2
			UNION ALL SELECT 0, due, body FROM gathering WHERE ref = ?1 AND id = ?2
			UNION ALL SELECT 1, due, body FROM retrying WHERE ref = ?1 AND id = ?2
			UNION ALL SELECT 2 + dead, 0, body FROM finished WHERE ref = ?1 AND id = ?2`, func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, id)
		}, func(s *driver.Stmt) error {
			found = true
			v.State, v.Due = places[s.ColumnInt(0)], dueAt(s.ColumnInt64(1))
			return d.fill(conn, id, blob(s, 2), &v)
		})
	})
	if err == nil && !found {
		err = delivery.ErrNotFound
	}
	if err != nil {
		return v, fmt.Errorf("get delivery %s: %w", id, err)
	}
	return v, nil
}

// places numbers the states as the queries of this file do.
var places = [...]delivery.State{delivery.Pending, delivery.Retrying, delivery.Delivered, delivery.Dead}

func dueAt(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// sources are one query for each state; the parameters are ref, the first id and the id after the last.
var sources = map[delivery.State]string{
	delivery.Pending: `SELECT id, 0, body FROM pending WHERE ref = ?1 AND id >= ?2 AND id < ?3
		UNION ALL SELECT id, due, body FROM gathering WHERE ref = ?1 AND id >= ?2 AND id < ?3 ORDER BY 1 DESC LIMIT ?4`,
	delivery.Retrying: "SELECT id, due, body FROM retrying WHERE ref = ? AND id >= ? AND id < ? ORDER BY id DESC " +
		"LIMIT ?",
	delivery.Delivered: "SELECT id, 0, body FROM finished WHERE ref = ? AND id >= ? AND id < ? AND dead = 0 ORDER BY " +
		"id DESC LIMIT ?",
	delivery.Dead: "SELECT id, 0, body FROM finished WHERE ref = ? AND id >= ? AND id < ? AND dead = 1 ORDER BY " +
		"id DESC LIMIT ?",
}

// List merges the newest of each state.
func (d *Deliveries) List(ctx context.Context, q delivery.Query) ([]delivery.Delivery, error) {
	ref, ok := d.db.ref(q.Tenant, q.Integration)
	if !ok {
		return nil, nil
	}
	states := q.States
	if len(states) == 0 {
		states = delivery.States()
	}
	before := lastID
	if !q.To.IsZero() {
		before = firstID(q.To)
	}
	if q.Before != "" {
		before = min(before, q.Before)
	}
	var out []delivery.Delivery
	err := d.db.reading(ctx, func(conn *driver.Conn) error {
		for _, state := range states {
			err := each(conn, sources[state], func(s *driver.Stmt) {
				s.BindInt64(1, ref)
				s.BindText(2, firstID(q.From))
				s.BindText(3, before)
				s.BindInt64(4, int64(q.Limit))
			}, func(s *driver.Stmt) error {
				v := delivery.Delivery{ID: s.ColumnText(0), Tenant: q.Tenant, Integration: q.Integration, State: state,
					Due: dueAt(s.ColumnInt64(1))}
				v.CreatedAt = madeAt(v.ID)
				_, err := decode(blob(s, 2), &v)
				out = append(out, v)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries of integration %s: %w", q.Integration, err)
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return strings.Compare(b.ID, a.ID) })
	return out[:min(len(out), q.Limit)], nil
}

// Replay moves ended deliveries back to pending.
func (d *Deliveries) Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error) {
	ref, ok := d.db.ref(r.Tenant, r.Integration)
	if !ok {
		if r.ID != "" {
			return 0, "", fmt.Errorf("replay delivery %s: %w", r.ID, delivery.ErrNotFound)
		}
		return 0, "", nil
	}
	if r.ID != "" {
		return d.replayOne(ctx, ref, r)
	}
	ids, err := d.ended(ctx, ref, r)
	if err != nil {
		return 0, "", fmt.Errorf("replay deliveries of integration %s: %w", r.Integration, err)
	}
	if count, err = d.replay(ctx, ref, ids); err != nil {
		return 0, "", fmt.Errorf("replay deliveries of integration %s: %w", r.Integration, err)
	}
	if len(ids) == r.Limit {
		after = ids[len(ids)-1]
	}
	return count, after, nil
}

func (d *Deliveries) replayOne(ctx context.Context, ref int64, r delivery.Replay) (int, string, error) {
	v, err := d.Get(ctx, r.Tenant, r.Integration, r.ID)
	if err != nil {
		return 0, "", err
	}
	if v.State != delivery.Dead && v.State != delivery.Delivered {
		return 0, "", nil // it is on its way already
	}
	count, err := d.replay(ctx, ref, []string{r.ID})
	if err != nil {
		return 0, "", fmt.Errorf("replay delivery %s: %w", r.ID, err)
	}
	return count, "", nil
}

// ended lists the ids of a range, oldest first.
func (d *Deliveries) ended(ctx context.Context, ref int64, r delivery.Replay) (ids []string, err error) {
	dead, delivered := len(r.States) == 0 || slices.Contains(r.States, delivery.Dead),
		slices.Contains(r.States, delivery.Delivered)
	sql := "SELECT id FROM finished WHERE ref = ? AND id >= ? AND id > ? AND id < ?"
	if !delivered {
		sql += " AND dead = 1"
	} else if !dead {
		sql += " AND dead = 0"
	}
	to := lastID
	if !r.To.IsZero() {
		to = firstID(r.To)
	}
	err = d.db.query(ctx, sql+" ORDER BY id LIMIT ?", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, firstID(r.From))
		s.BindText(3, r.After)
		s.BindText(4, to)
		s.BindInt64(5, int64(r.Limit))
	}, func(s *driver.Stmt) error {
		ids = append(ids, s.ColumnText(0))
		return nil
	})
	return ids, err
}

func (d *Deliveries) replay(ctx context.Context, ref int64, ids []string) (count int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	err = d.db.writer.write(ctx, func(w *writer) error {
		count = 0
		for _, id := range ids {
			moved, err := restart(w, ref, id)
			if err != nil {
				return fmt.Errorf("delivery %s: %w", id, err)
			}
			if moved {
				count++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	for _, id := range ids {
		d.db.leases.arrived(ref, id)
	}
	return count, nil
}

// restart begins a new run of one ended delivery under its old id. Its parts and attempts say what arrived.
func restart(w *writer, ref int64, id string) (moved bool, err error) {
	v := delivery.Delivery{ID: id}
	var seqs []int64
	err = each(w.conn, removals["finished"], func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		moved = true
		var err error
		seqs, err = decode(blob(s, 0), &v)
		return err
	})
	if err != nil || !moved {
		return false, err
	}
	v.Failures, v.Reason = 0, ""
	return true, insertPending(w, ref, v, seqs)
}

// DeadLetters lists rejected entries.
func (d *Deliveries) DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error) {
	last := int64(1<<63 - 1)
	if before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil {
			return nil, nil // no id of ours: nothing comes before it
		}
		last = n
	}
	sql := "SELECT seq, tenant, kind, detail, at, reason, (SELECT r.at FROM dead_letters_resent r WHERE r.seq = " +
		"dead_letters.seq) FROM dead_letters WHERE seq < ?1 AND tenant = ?3 ORDER BY seq DESC LIMIT ?2"
	if tenant == "*" {
		sql = "SELECT seq, tenant, kind, detail, at, reason, (SELECT r.at FROM dead_letters_resent r WHERE r.seq = " +
			"dead_letters.seq) FROM dead_letters WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"
	}
	var out []delivery.DeadLetter
	err := d.db.query(ctx, sql, func(s *driver.Stmt) {
		s.BindInt64(1, last)
		s.BindInt64(2, int64(limit))
		if tenant != "*" {
			s.BindText(3, tenant)
		}
	}, func(s *driver.Stmt) error {
		out = append(out, delivery.DeadLetter{
			ID: strconv.FormatInt(s.ColumnInt64(0), 10), Tenant: s.ColumnText(1), DetailType: s.ColumnText(2),
			Detail: blob(s, 3),
			At:     time.Unix(0, s.ColumnInt64(4)).UTC(), Reason: s.ColumnText(5), ReplayedAt: dueAt(s.ColumnInt64(6)),
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return out, nil
}

// Resend puts a rejected entry on the bus anew.
func (d *Deliveries) Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error) {
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return false, fmt.Errorf("send dead letter %q again: %w", id, delivery.ErrNotFound)
	}
	err = d.db.writer.write(ctx, func(w *writer) error {
		found := false
		var e delivery.Entry
		sent = false
		if err := each(w.conn, "SELECT tenant, kind, detail, EXISTS (SELECT 1 FROM dead_letters_resent r WHERE r.seq "+
			"= dead_letters.seq) FROM dead_letters WHERE seq = ?", func(s *driver.Stmt) { s.BindInt64(1, seq) },
			func(s *driver.Stmt) error {
				found = tenant == "*" || tenant == s.ColumnText(0)
				sent = s.ColumnInt64(3) == 0
				e = delivery.Entry{DetailType: s.ColumnText(1), Detail: blob(s, 2), At: at}
				return nil
			}); err != nil {
			return err
		}
		if !found {
			return delivery.ErrNotFound
		}
		if !sent {
			return nil
		}
		if err := w.put(e); err != nil {
			return err
		}
		return w.do("INSERT INTO dead_letters_resent (seq, at) VALUES (?1, ?2)", func(s *driver.Stmt) {
			s.BindInt64(1, seq)
			s.BindInt64(2, nanos(at))
		})
	})
	if err != nil {
		return false, fmt.Errorf("send dead letter %s again: %w", id, err)
	}
	if sent {
		d.db.wakeFanout()
	}
	return sent, nil
}
