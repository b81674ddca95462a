package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/event"
)

// Commands keeps what triggers ask of the platform (command.Store).
type Commands struct {
	db  *db.File
	bus *eventbus.Bus
}

// NewCommands returns the commands of a state file.
func NewCommands(file *db.File, bus *eventbus.Bus) *Commands { return &Commands{file, bus} }

var _ command.Store = (*Commands)(nil)

// PutCommand keeps a command, in the transaction of its batch; one that is there stays as it is.
func PutCommand(w *db.Writer, c command.Command) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.Do("INSERT OR IGNORE INTO commands (tenant, id, place, trigger_id, state, body) VALUES (?, ?, ?, "+
		"?, 0, ?)", func(s *driver.Stmt) {
		s.BindText(1, c.Tenant)
		s.BindText(2, c.ID)
		s.BindText(3, c.Place())
		s.BindText(4, c.Data.TriggerID)
		s.BindBytes(5, body)
	})
}

// states are the values of the column, in their order.
var states = []command.State{command.Pending, command.Acknowledged, command.Failed, command.Lifted}

// lastPlace sorts after every place.
const lastPlace = "~"

// List answers a query.
func (c *Commands) List(ctx context.Context, q command.Query) ([]command.Command, error) {
	before := lastPlace
	if q.Before != "" {
		before = q.Before
	}
	sql := "SELECT body FROM commands WHERE tenant = ?1 AND place < ?2"
	if q.State != "" {
		sql += " AND state = ?3"
	}
	if q.Trigger != "" {
		sql += " AND trigger_id = ?4"
	}
	out, err := c.read(ctx, sql+" ORDER BY place DESC LIMIT ?5", func(s *driver.Stmt) {
		s.BindText(1, q.Tenant)
		s.BindText(2, before)
		if q.State != "" {
			s.BindInt64(3, int64(slices.Index(states, q.State)))
		}
		if q.Trigger != "" {
			s.BindText(4, q.Trigger)
		}
		s.BindInt64(5, int64(q.Limit))
	})
	if err != nil {
		return nil, fmt.Errorf("list the commands of tenant %s: %w", q.Tenant, err)
	}
	return out, nil
}

// read reads the bodies that a query finds.
func (c *Commands) read(ctx context.Context, sql string, bind func(*driver.Stmt)) (out []command.Command, err error) {
	err = c.db.Query(ctx, sql, bind, func(s *driver.Stmt) error {
		var v command.Command
		err := json.Unmarshal(db.Blob(s, 0), &v)
		out = append(out, v)
		return err
	})
	return out, err
}

// Several returns those that are there.
func (c *Commands) Several(ctx context.Context, tenant string, ids []string) ([]command.Command, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	out, err := c.read(ctx, "SELECT body FROM commands WHERE tenant = ? AND id IN (SELECT value FROM json_each(?))",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, string(list))
		})
	if err != nil {
		return nil, fmt.Errorf("read %d commands of tenant %s: %w", len(ids), tenant, err)
	}
	return out, nil
}

// Acknowledge notes what became of a command.
func (c *Commands) Acknowledge(ctx context.Context, id string, o command.Outcome, e activity.Entry) (
	out command.Command, err error) {
	err = c.db.Write(ctx, func(w *db.Writer) error {
		before, err := stored(w, e.Tenant, id)
		if err != nil {
			return err
		}
		var changed bool
		if out, changed, err = before.Next(o, e.Who(), e.At); err != nil || !changed {
			return err
		}
		if err := rewrite(w, out, 0); err != nil {
			return err
		}
		if o.Taken() {
			if err := w.Do("DELETE FROM commands_untaken WHERE tenant = ? AND kind = ?", func(s *driver.Stmt) {
				s.BindText(1, out.Tenant)
				s.BindText(2, string(out.Kind))
			}); err != nil {
				return err
			}
		}
		e.Changes = o.Changes(before)
		return activitylog.Put(w, e.Bounded())
	})
	if err != nil {
		return command.Command{}, fmt.Errorf("acknowledge command %s: %w", id, err)
	}
	return out, nil
}

// stored reads a command in a transaction. Error: command.ErrNotFound.
func stored(w *db.Writer, tenant, id string) (c command.Command, err error) {
	found := false
	err = db.Each(w.Conn, "SELECT body FROM commands WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		found = true
		return json.Unmarshal(db.Blob(s, 0), &c)
	})
	if err == nil && !found {
		err = command.ErrNotFound
	}
	return c, err
}

// rewrite writes a command anew; overdue = 1 marks it.
func rewrite(w *db.Writer, c command.Command, overdue int64) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.Do("UPDATE commands SET state = ?3, body = ?4, overdue = max(overdue, ?5) WHERE tenant = ?1 AND id = ?2",
		func(s *driver.Stmt) {
			s.BindText(1, c.Tenant)
			s.BindText(2, c.ID)
			s.BindInt64(3, int64(slices.Index(states, c.State())))
			s.BindBytes(4, body)
			s.BindInt64(5, overdue)
		})
}

// Overdue lists pending commands that are not marked.
func (c *Commands) Overdue(ctx context.Context, until time.Time, limit int) ([]command.Command, error) {
	out, err := c.read(ctx, "SELECT body FROM commands WHERE state = 0 AND overdue = 0 AND place < ? ORDER BY place "+
		"LIMIT ?", func(s *driver.Stmt) {
		s.BindText(1, command.Command{At: until.Add(1)}.Place())
		s.BindInt64(2, int64(limit))
	})
	if err != nil {
		return nil, fmt.Errorf("list the commands that nobody took: %w", err)
	}
	return out, nil
}

// MarkOverdue marks a command, and publishes the notice where it is the first of its kind.
func (c *Commands) MarkOverdue(ctx context.Context, v command.Command, notice event.Event, until time.Time) (told bool,
	err error) {
	note, err := eventbus.Entry(notice)
	if err != nil {
		return false, err
	}
	err = c.db.Write(ctx, func(w *db.Writer) error {
		told = false
		now, err := stored(w, v.Tenant, v.ID)
		if errors.Is(err, command.ErrNotFound) || err == nil && (now.State() != command.Pending ||
			!now.OverdueAt.IsZero()) {
			return nil
		}
		if err != nil {
			return err
		}
		now.OverdueAt = v.OverdueAt
		if err := rewrite(w, now, 1); err != nil {
			return err
		}
		if told, err = c.first(w, now, until); err != nil || !told {
			return err
		}
		return c.bus.Append(w, note)
	})
	if err != nil {
		return false, fmt.Errorf("mark command %s as overdue: %w", v.ID, err)
	}
	if told {
		c.bus.Wake()
	}
	return told, nil
}

// first notes that the tenant is told of a kind, unless it was before.
func (c *Commands) first(w *db.Writer, v command.Command, until time.Time) (bool, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	err = w.Do("INSERT INTO commands_untaken (tenant, kind, until, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO "+
		"UPDATE SET until = ?3, body = ?4 WHERE until <= ?5", func(s *driver.Stmt) {
		s.BindText(1, v.Tenant)
		s.BindText(2, string(v.Kind))
		s.BindInt64(3, until.UnixNano())
		s.BindBytes(4, body)
		s.BindInt64(5, v.OverdueAt.UnixNano())
	})
	return w.Conn.Changes() == 1, err
}

// Untaken lists what the tenant was told of.
func (c *Commands) Untaken(ctx context.Context, tenant string, now time.Time) ([]command.Command, error) {
	out, err := c.read(ctx, "SELECT body FROM commands_untaken WHERE tenant = ? AND until > ? ORDER BY kind",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindInt64(2, now.UnixNano())
		})
	if err != nil {
		return nil, fmt.Errorf("list which commands of tenant %s nobody takes: %w", tenant, err)
	}
	return out, nil
}

// Prune removes commands that were asked for before a time, and what is not listed as untaken any more at now.
func (c *Commands) Prune(ctx context.Context, before, now time.Time) (int, error) {
	if err := c.db.Write(ctx, func(w *db.Writer) error {
		return w.Do("DELETE FROM commands_untaken WHERE until <= ?",
			func(s *driver.Stmt) { s.BindInt64(1, now.UnixNano()) })
	}); err != nil {
		return 0, err
	}
	return c.db.Chunks(ctx,
		"DELETE FROM commands WHERE (tenant, id) IN (SELECT tenant, id FROM commands WHERE place < ? LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindText(1, command.Command{At: before}.Place())
			s.BindInt64(2, db.Chunk)
		})
}
