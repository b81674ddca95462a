package deliveries

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/retained"
	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trace"
)

var _ fanout.EventLog = (*Deliveries)(nil)

// arrivedScan is how many events of all tenants one call of Arrived reads at most.
const arrivedScan = 5000

// Arrived reads the events in the order in which the bus took them. Those of other tenants are read too: one machine
// has few tenants, and an index over them would cost each event a write.
func (d *Deliveries) Arrived(ctx context.Context, tenant string, from, to time.Time, after string,
	limit int) (out []fanout.Accepted, next string, err error) {
	err = d.db.Reading(ctx, func(conn *driver.Conn) error {
		last, err := position(conn, from, after)
		if err != nil {
			return err
		}
		for len(out) == 0 {
			read, err := d.arrived(conn, tenant, &last, from, to, limit, &out)
			if err != nil {
				return err
			}
			if read < arrivedScan && len(out) < limit {
				return nil // the end
			}
		}
		next = strconv.FormatInt(last, 10)
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("list the events of tenant %s: %w", tenant, err)
	}
	return out, next, nil
}

// arrived reads on from a place and moves it; read is less than arrivedScan at the end of the range.
func (d *Deliveries) arrived(conn *driver.Conn, tenant string, last *int64, from, to time.Time, limit int,
	out *[]fanout.Accepted) (read int, err error) {
	err = db.Each(conn, `SELECT seq, at, kind, detail, trace FROM events
		WHERE seq > ? AND seq <= (SELECT value FROM progress WHERE name = 'fanout')
		ORDER BY seq LIMIT ?`, func(s *driver.Stmt) {
		s.BindInt64(1, *last)
		s.BindInt64(2, arrivedScan)
	}, func(s *driver.Stmt) error {
		at := time.Unix(0, s.ColumnInt64(1)).UTC()
		if !at.Before(to) {
			return blocks.ErrEnough
		}
		read++
		*last = s.ColumnInt64(0)
		if at.Before(from) {
			return nil // the clock had gone back
		}
		detail := db.Blob(s, 3)
		if !retained.CanBeOf(detail, tenant) {
			return nil
		}
		e, err := event.Decode(s.ColumnText(2), detail)
		if err != nil || e.Tenant != tenant {
			return nil // a dead letter, or another tenant's
		}
		// A repeat and what was refused are here too, and do not count.
		accepted, err := d.ids.Counts(conn, eventids.Of(e.Tenant, e.ID, *last))
		if err != nil || !accepted {
			return err
		}
		e.Trace = trace.Parent(s.ColumnText(4))
		*out = append(*out, fanout.Accepted{Event: e, Entry: delivery.Entry{
			Receipt: strconv.FormatInt(*last, 10), DetailType: string(e.Kind), At: at,
		}})
		if len(*out) == limit {
			return blocks.ErrEnough
		}
		return nil
	})
	if errors.Is(err, blocks.ErrEnough) {
		err = nil
	}
	return read, err
}

// position is the number before the first event that arrived at the time or later, by halving: numbers are given in the
// order of arrival.
func position(conn *driver.Conn, from time.Time, after string) (int64, error) {
	if after != "" {
		seq, err := strconv.ParseInt(after, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("the place %q is not of this engine: %w", after, err)
		}
		return seq, nil
	}
	low, err := db.Number(conn, "SELECT ifnull(min(seq), 1) - 1 FROM events")
	if err != nil {
		return 0, err
	}
	high, err := db.Number(conn, "SELECT ifnull(max(seq), 0) FROM events")
	if err != nil {
		return 0, err
	}
	for low < high { // every event up to low arrived before; the first that did not is at high+1 at most
		middle := low + (high-low+1)/2
		before := true
		if err := db.Each(conn, "SELECT at FROM events WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
			func(s *driver.Stmt) { s.BindInt64(1, middle) }, func(s *driver.Stmt) error {
				before = s.ColumnInt64(0) < from.UnixNano()
				return nil
			}); err != nil {
			return 0, err
		}
		if before {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

const carrying = `SELECT body FROM pending WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT body FROM gathering WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT body FROM retrying WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT body FROM finished WHERE ref = ?1 AND id >= ?2 AND id < ?3
	UNION ALL SELECT body FROM merged WHERE ref = ?1 AND id >= ?2 AND id < ?3`

// Carried reads the deliveries that can carry the events.
func (d *Deliveries) Carried(ctx context.Context, tenant, integration string, events []fanout.Accepted) ([]bool,
	error) {
	out := make([]bool, len(events))
	ref, ok := d.ref(tenant, integration)
	if !ok || len(events) == 0 {
		return out, nil
	}
	place := make(map[int64]int, len(events))
	first, last := events[0].Entry.At, events[0].Entry.At
	for n, a := range events {
		seq, err := eventbus.Seq(a.Entry)
		if err != nil {
			return nil, err
		}
		place[seq] = n
		if a.Entry.At.Before(first) {
			first = a.Entry.At
		}
		if a.Entry.At.After(last) {
			last = a.Entry.At
		}
	}
	carry := func(seqs []int64) {
		for _, seq := range seqs {
			if n, ok := place[seq]; ok {
				out[n] = true
			}
		}
	}
	within := blocks.Range{From: delivery.FirstID(first.Add(-fanout.CarriedWithin)),
		Before: delivery.FirstID(last.Add(time.Millisecond))}
	err := d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
		if err := db.Each(conn, carrying, func(s *driver.Stmt) {
			s.BindInt64(1, ref)
			s.BindText(2, within.From)
			s.BindText(3, within.Before)
		}, func(s *driver.Stmt) error {
			seqs, err := packed.Decode(db.Blob(s, 0), new(delivery.Delivery))
			carry(seqs)
			return err
		}); err != nil {
			return err
		}
		return blocks.Oldest(conn, ref, within, func(b *blocks.Block, index int) error {
			carry(b.Items[index].Seqs)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look for the deliveries of %d events to integration %s: %w", len(events), integration,
			err)
	}
	return out, nil
}

const exists = `SELECT 1 FROM pending WHERE ref = ?1 AND id = ?2
	UNION ALL SELECT 1 FROM gathering WHERE ref = ?1 AND id = ?2
	UNION ALL SELECT 1 FROM retrying WHERE ref = ?1 AND id = ?2
	UNION ALL SELECT 1 FROM finished WHERE ref = ?1 AND id = ?2
	UNION ALL SELECT 1 FROM merged WHERE ref = ?1 AND id = ?2`

// Recover makes deliveries of events that are stored.
func (d *Deliveries) Recover(ctx context.Context, deliveries []delivery.Delivery, events []fanout.Accepted) (made int,
	err error) {
	i := intake{Intake: fanout.Intake{Deliveries: deliveries, Accepted: events}, numbers: make([]int64, len(events))}
	for n, a := range events {
		if i.numbers[n], err = eventbus.Seq(a.Entry); err != nil {
			return 0, err
		}
	}
	err = d.db.Write(ctx, func(w *db.Writer) error {
		i.refs, i.made, i.windows = map[laneKey]int64{}, i.made[:0], waiting.Windows{}
		for _, v := range deliveries {
			if err := d.enqueueNew(w, &i, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("write %d deliveries: %w", len(deliveries), err)
	}
	d.accepted(i)
	return len(i.made), nil
}

// enqueueNew writes a delivery of an intake unless its id is known.
func (d *Deliveries) enqueueNew(w *db.Writer, i *intake, v delivery.Delivery) error {
	ref, err := d.lane(w, i, laneKey{v.Tenant, v.Integration})
	if err != nil {
		return err
	}
	known := false
	if err := db.Each(w.Conn, exists, func(s *driver.Stmt) {
		s.BindInt64(1, ref)
		s.BindText(2, v.ID)
	}, func(*driver.Stmt) error {
		known = true
		return nil
	}); err != nil || known {
		return err
	}
	if _, _, known, err = blocks.Find(w.Conn, ref, v.ID); err != nil || known {
		return err
	}
	return d.enqueue(w, i, v)
}
