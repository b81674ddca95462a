// Package deadletters keeps the entries of the bus that could not be read, in the state file.
package deadletters

import (
	"context"
	"fmt"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
)

// Letters are the dead letters.
type Letters struct {
	db  *db.File
	bus *eventbus.Bus // takes those that are sent again
}

// New returns those of a state file.
func New(file *db.File, bus *eventbus.Bus) *Letters { return &Letters{file, bus} }

// DeadLetters lists a tenant's rejected entries.
func (d *Letters) DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error) {
	return d.deadLetters(ctx, "tenant = ?3", before, limit, func(s *driver.Stmt) { s.BindText(3, tenant) })
}

// AllDeadLetters lists those of all tenants.
func (d *Letters) AllDeadLetters(ctx context.Context, before string, limit int) ([]delivery.DeadLetter, error) {
	return d.deadLetters(ctx, "TRUE", before, limit, func(*driver.Stmt) {})
}

// deadLetters lists those of which a condition holds.
func (d *Letters) deadLetters(
	ctx context.Context, condition, before string, limit int, bind func(*driver.Stmt),
) ([]delivery.DeadLetter, error) {
	last := int64(1<<63 - 1)
	if before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil {
			return nil, nil // no id of ours: nothing comes before it
		}
		last = n
	}
	sql := "SELECT seq, tenant, kind, detail, at, reason, (SELECT r.at FROM dead_letters_resent r WHERE r.seq = " +
		"dead_letters.seq) FROM dead_letters WHERE seq < ?1 AND " + condition + " ORDER BY seq DESC LIMIT ?2"
	var out []delivery.DeadLetter
	err := d.db.Query(ctx, sql, func(s *driver.Stmt) {
		s.BindInt64(1, last)
		s.BindInt64(2, int64(limit))
		bind(s)
	}, func(s *driver.Stmt) error {
		out = append(out, delivery.DeadLetter{
			ID: strconv.FormatInt(s.ColumnInt64(0), 10), Tenant: s.ColumnText(1), DetailType: s.ColumnText(2),
			Detail: db.Blob(s, 3),
			At:     time.Unix(0, s.ColumnInt64(4)).UTC(), Reason: s.ColumnText(5),
			ReplayedAt: db.Time(s.ColumnInt64(6)),
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return out, nil
}

// Resend puts a tenant's rejected entry on the bus anew.
func (d *Letters) Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error) {
	return d.resend(ctx, id, at, func(owner string) bool { return owner == tenant })
}

// ResendOfAny does so with one of any tenant.
func (d *Letters) ResendOfAny(ctx context.Context, id string, at time.Time) (sent bool, err error) {
	return d.resend(ctx, id, at, func(string) bool { return true })
}

// resend puts a rejected entry on the bus anew if its owner is right.
func (d *Letters) resend(
	ctx context.Context, id string, at time.Time, right func(owner string) bool,
) (sent bool, err error) {
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return false, fmt.Errorf("send dead letter %q again: %w", id, delivery.ErrNotFound)
	}
	err = d.db.Write(ctx, func(w *db.Writer) error {
		found := false
		var e delivery.Entry
		sent = false
		if err := db.Each(w.Conn,
			"SELECT tenant, kind, detail, EXISTS (SELECT 1 FROM dead_letters_resent r WHERE r.seq "+
				"= dead_letters.seq) FROM dead_letters WHERE seq = ?", func(s *driver.Stmt) { s.BindInt64(1, seq) },
			func(s *driver.Stmt) error {
				found = right(s.ColumnText(0))
				sent = s.ColumnInt64(3) == 0
				e = delivery.Entry{DetailType: s.ColumnText(1), Detail: db.Blob(s, 2), At: at}
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
		if err := d.bus.Append(w, e); err != nil {
			return err
		}
		return w.Do("INSERT INTO dead_letters_resent (seq, at) VALUES (?1, ?2)", func(s *driver.Stmt) {
			s.BindInt64(1, seq)
			s.BindInt64(2, db.Nanos(at))
		})
	})
	if err != nil {
		return false, fmt.Errorf("send dead letter %s again: %w", id, err)
	}
	if sent {
		d.bus.Wake()
	}
	return sent, nil
}

// PruneDeadLetters removes rejected entries that came before a time.
func (d *Letters) PruneDeadLetters(ctx context.Context, before time.Time) (removed int, err error) {
	return d.prune(ctx, "at < ?1", before, "")
}

// PruneDeadLettersOf removes those of a tenant.
func (d *Letters) PruneDeadLettersOf(ctx context.Context, tenant string, before time.Time) (removed int, err error) {
	return d.prune(ctx, "tenant = ?3 AND at < ?1", before, tenant)
}

func (d *Letters) prune(ctx context.Context, where string, before time.Time, tenant string) (removed int, err error) {
	removed, err = d.db.Chunks(ctx,
		"DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters WHERE "+where+" ORDER BY seq LIMIT ?2)",
		func(s *driver.Stmt) {
			s.BindInt64(1, before.UnixNano())
			s.BindInt64(2, db.Chunk)
			if tenant != "" {
				s.BindText(3, tenant)
			}
		})
	if err != nil || tenant != "" && removed == 0 {
		return removed, err
	}
	return removed, d.db.Write(ctx, func(w *db.Writer) error {
		return w.Do("DELETE FROM dead_letters_resent WHERE seq NOT IN (SELECT seq FROM dead_letters)", nil)
	})
}
