package tables

import (
	"errors"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
)

// MadeAt is the time of an id that was read from the file; zero for one that is none.
func MadeAt(id string) time.Time {
	at, _ := delivery.MadeAt(id)
	return at
}

// States numbers the states as the queries of this engine do.
var States = [...]delivery.State{delivery.Pending, delivery.Retrying, delivery.Delivered, delivery.Dead}

// ownStatements are the queries for deliveries that have rows of their own, by their states (see statesOf), and whether
// all of them ended. The parameters are the ref, the first id, the id after the last, and how many.
var ownStatements = func() (out [1 << len(States)][2]string) {
	for states := range out {
		for ended := range 2 {
			if parts := tablesOf(states, ended == 1); len(parts) > 0 {
				out[states][ended] = strings.Join(parts, " UNION ALL ") + " ORDER BY 1 DESC LIMIT ?4"
			}
		}
	}
	return out
}()

// statesOf has a bit for each state, by its place in States.
func statesOf(list []delivery.State) (out int) {
	for n, s := range States {
		if len(list) == 0 || slices.Contains(list, s) {
			out |= 1 << n
		}
	}
	return out
}

// tablesOf are the parts of such a query.
func tablesOf(states int, ended bool) (parts []string) {
	in := func(s delivery.State) bool { return states&(1<<slices.Index(States[:], s)) != 0 }
	const within = "WHERE ref = ?1 AND id >= ?2 AND id < ?3"
	if in(delivery.Pending) && !ended {
		parts = append(parts, "SELECT id, 0, 0, body FROM pending "+within,
			"SELECT id, 0, due, body FROM gathering "+within)
	}
	if in(delivery.Retrying) && !ended {
		parts = append(parts, "SELECT id, 1, due, body FROM retrying "+within)
	}
	switch dead, delivered := in(delivery.Dead), in(delivery.Delivered); {
	case dead && delivered:
		parts = append(parts, "SELECT id, 2 + dead, 0, body FROM finished "+within)
	case dead:
		parts = append(parts, "SELECT id, 3, 0, body FROM finished "+within+" AND dead = 1")
	case delivered:
		parts = append(parts, "SELECT id, 2, 0, body FROM finished "+within+" AND dead = 0")
	}
	return parts
}

// Newest reads the newest deliveries of an integration that a query selects: those with rows of their own, of which
// SQLite merges the tables by their keys, and those of blocks.
func Newest(conn *driver.Conn, ref int64, q delivery.Query) ([]delivery.Delivery, error) {
	return newest(conn, ref, q, false)
}

// newest is Newest. ended says that none with a row of its own waits.
func newest(conn *driver.Conn, ref int64, q delivery.Query, ended bool) (out []delivery.Delivery, err error) {
	before := delivery.GreatestID
	if !q.To.IsZero() {
		before = delivery.FirstID(q.To)
	}
	if q.Before != "" {
		before = min(before, q.Before)
	}
	own := &ownRows{q: q}
	defer own.close()
	if err := own.open(conn, ref, before, ended); err != nil {
		return nil, err
	}
	in := func(s delivery.State) bool { return len(q.States) == 0 || slices.Contains(q.States, s) }
	if in(delivery.Pending) || in(delivery.Delivered) {
		within := blocks.Range{From: delivery.FirstID(q.From), Before: before, Waiting: !in(delivery.Delivered),
			Enter: func(last string) error { return own.take(&out, last) }}
		err = blocks.Newest(conn, ref, within, func(b *blocks.Block, index int) error {
			if err := own.take(&out, b.Items[index].ID); err != nil {
				return err
			}
			if s, _ := b.State(index); in(s) {
				v := delivery.Delivery{Tenant: q.Tenant, Integration: q.Integration}
				b.Fill(index, &v)
				v.CreatedAt = MadeAt(v.ID)
				out = append(out, v)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := own.take(&out, ""); err != nil && !errors.Is(err, blocks.ErrEnough) {
		return nil, err
	}
	return out, nil
}

// ownRows are the deliveries of a query that have rows of their own, read one by one, beside those of blocks: of
// either there may be many in a page, or none.
type ownRows struct {
	q    delivery.Query
	rows *driver.Stmt
	next delivery.Delivery // of no id at the end
}

func (o *ownRows) open(conn *driver.Conn, ref int64, before string, ended bool) (err error) {
	of := 0
	if ended {
		of = 1
	}
	sql := ownStatements[statesOf(o.q.States)][of]
	if sql == "" {
		return nil // those that were asked for wait
	}
	if o.rows, err = conn.Prepare(sql); err != nil {
		return err
	}
	o.rows.BindInt64(1, ref)
	o.rows.BindText(2, delivery.FirstID(o.q.From))
	o.rows.BindText(3, before)
	o.rows.BindInt64(4, int64(o.q.Limit))
	return o.step()
}

func (o *ownRows) close() {
	if o.rows != nil {
		_ = o.rows.Reset() // repeats the error of Step
	}
}

func (o *ownRows) step() error {
	o.next = delivery.Delivery{}
	more, err := o.rows.Step()
	if err != nil || !more {
		return err
	}
	v := delivery.Delivery{ID: o.rows.ColumnText(0), Tenant: o.q.Tenant, Integration: o.q.Integration,
		State: States[o.rows.ColumnInt(1)], Due: db.Time(o.rows.ColumnInt64(2))}
	v.CreatedAt = MadeAt(v.ID)
	_, err = packed.Decode(db.Blob(o.rows, 3), &v)
	o.next = v
	return err
}

// take appends those that are newer than an id. Error: blocks.ErrEnough when the page is full.
func (o *ownRows) take(out *[]delivery.Delivery, than string) error {
	for len(*out) < o.q.Limit && o.next.ID > than {
		*out = append(*out, o.next)
		if err := o.step(); err != nil {
			return err
		}
	}
	if len(*out) >= o.q.Limit {
		return blocks.ErrEnough
	}
	return nil
}

// carryingOne lists the deliveries within a range of ids, each with the one that its events are in.
const carryingOne = `SELECT id, id, body FROM pending WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, id, body FROM gathering WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, id, body FROM retrying WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, id, body FROM finished WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT id, into_id, body FROM merged WHERE ref = ?1 AND id >= ?2 AND id < ?3`

// Candidate is a delivery that can carry an event: Carrier is the one that does, "" when it does not.
type Candidate struct{ ID, Carrier string }

// Candidates lists the newest in a range: those with rows of their own, and those of blocks, each up to one that
// carries the event, or to a number of them.
func Candidates(conn *driver.Conn, ref int64, within blocks.Range, seq int64, most int) ([]Candidate, error) {
	var own, shared []Candidate
	err := db.Each(conn, carryingOne+" ORDER BY 1 DESC LIMIT ?4", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, within.From)
		s.BindText(3, within.Before)
		s.BindInt64(4, int64(most))
	}, func(s *driver.Stmt) error {
		c := Candidate{ID: s.ColumnText(0)}
		seqs, err := packed.Decode(db.Blob(s, 2), new(delivery.Delivery))
		if err == nil && slices.Contains(seqs, seq) {
			c.Carrier, err = s.ColumnText(1), blocks.ErrEnough
		}
		own = append(own, c)
		return err
	})
	if err != nil && !errors.Is(err, blocks.ErrEnough) {
		return nil, err
	}
	err = blocks.Newest(conn, ref, within, func(b *blocks.Block, index int) error {
		c := Candidate{ID: b.Items[index].ID}
		if slices.Contains(b.Items[index].Seqs, seq) {
			c.Carrier = c.ID
		}
		if shared = append(shared, c); c.Carrier != "" || len(shared) == most {
			return blocks.ErrEnough
		}
		return nil
	})
	all := append(own, shared...)
	slices.SortFunc(all, func(a, b Candidate) int { return strings.Compare(b.ID, a.ID) })
	return all, err
}

// before is the id before which a range ends.
func before(r delivery.Replay) string {
	if r.To.IsZero() {
		return delivery.GreatestID
	}
	return delivery.FirstID(r.To)
}

// Ended lists the ids of ended deliveries that a replay selects, oldest first.
func Ended(conn *driver.Conn, ref int64, r delivery.Replay) (ids []string, err error) {
	own, err := endedOwn(conn, ref, r)
	if err != nil {
		return nil, err
	}
	shared, err := endedShared(conn, ref, r)
	if err != nil {
		return nil, err
	}
	ids = append(own, shared...)
	slices.Sort(ids)
	return ids[:min(r.Limit, len(ids))], nil
}

// endedShared lists those that have no rows of their own.
func endedShared(conn *driver.Conn, ref int64, r delivery.Replay) (ids []string, err error) {
	if !slices.Contains(r.States, delivery.Delivered) {
		return nil, nil
	}
	within := blocks.Range{From: max(delivery.FirstID(r.From), r.After), Before: before(r)}
	err = blocks.Oldest(conn, ref, within, func(b *blocks.Block, index int) error {
		if id := b.Items[index].ID; id > r.After && b.Ends[index] != nil {
			ids = append(ids, id)
		}
		if len(ids) == r.Limit {
			return blocks.ErrEnough
		}
		return nil
	})
	return ids, err
}

// endedOwn lists those that have rows of their own.
func endedOwn(conn *driver.Conn, ref int64, r delivery.Replay) (ids []string, err error) {
	dead, delivered := len(r.States) == 0 || slices.Contains(r.States, delivery.Dead),
		slices.Contains(r.States, delivery.Delivered)
	sql := "SELECT id FROM finished WHERE ref = ? AND id >= ? AND id > ? AND id < ?"
	if !delivered {
		sql += " AND dead = 1"
	} else if !dead {
		sql += " AND dead = 0"
	}
	err = db.Each(conn, sql+" ORDER BY id LIMIT ?", func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, delivery.FirstID(r.From))
		s.BindText(3, r.After)
		s.BindText(4, before(r))
		s.BindInt64(5, int64(r.Limit))
	}, func(s *driver.Stmt) error {
		ids = append(ids, s.ColumnText(0))
		return nil
	})
	return ids, err
}
