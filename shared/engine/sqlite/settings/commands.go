package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
)

// Commands keeps what triggers ask of the platform (command.Store).
type Commands struct{ db *db.File }

// NewCommands returns the commands of a state file.
func NewCommands(file *db.File) *Commands { return &Commands{file} }

var _ command.Store = (*Commands)(nil)

// PutCommand keeps a command, in the transaction of its batch; one that is there stays as it is.
func PutCommand(w *db.Writer, c command.Command) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.Do("INSERT OR IGNORE INTO commands (tenant, id, place, trigger_id, acknowledged, body) VALUES (?, ?, ?, "+
		"?, 0, ?)", func(s *driver.Stmt) {
		s.BindText(1, c.Tenant)
		s.BindText(2, c.ID)
		s.BindText(3, c.Place())
		s.BindText(4, c.Data.TriggerID)
		s.BindBytes(5, body)
	})
}

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
		sql += " AND acknowledged = ?3"
	}
	if q.Trigger != "" {
		sql += " AND trigger_id = ?4"
	}
	var out []command.Command
	err := c.db.Query(ctx, sql+" ORDER BY place DESC LIMIT ?5", func(s *driver.Stmt) {
		s.BindText(1, q.Tenant)
		s.BindText(2, before)
		if q.State != "" {
			s.BindBool(3, q.State == command.Acknowledged)
		}
		if q.Trigger != "" {
			s.BindText(4, q.Trigger)
		}
		s.BindInt64(5, int64(q.Limit))
	}, func(s *driver.Stmt) error {
		var v command.Command
		err := json.Unmarshal(db.Blob(s, 0), &v)
		out = append(out, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the commands of tenant %s: %w", q.Tenant, err)
	}
	return out, nil
}

// Acknowledge notes that a command was taken.
func (c *Commands) Acknowledge(ctx context.Context, id string, e activity.Entry) (out command.Command, err error) {
	tenant := e.Tenant
	err = c.db.Write(ctx, func(w *db.Writer) error {
		found := false
		if err := db.Each(w.Conn, "SELECT body FROM commands WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		}, func(s *driver.Stmt) error {
			found, out = true, command.Command{}
			return json.Unmarshal(db.Blob(s, 0), &out)
		}); err != nil {
			return err
		}
		switch {
		case !found:
			return command.ErrNotFound
		case out.State() == command.Acknowledged:
			return nil
		}
		out.AcknowledgedAt, out.AcknowledgedBy = e.At.UTC(), e.Who()
		body, err := json.Marshal(out)
		if err != nil {
			return err
		}
		if err := w.Do("UPDATE commands SET acknowledged = 1, body = ?3 WHERE tenant = ?1 AND id = ?2",
			func(s *driver.Stmt) {
				s.BindText(1, tenant)
				s.BindText(2, id)
				s.BindBytes(3, body)
			}); err != nil {
			return err
		}
		return activitylog.Put(w, e)
	})
	if err != nil {
		return command.Command{}, fmt.Errorf("acknowledge command %s: %w", id, err)
	}
	return out, nil
}

// Prune removes commands that were asked for before a time.
func (c *Commands) Prune(ctx context.Context, before time.Time) (int, error) {
	return c.db.Chunks(ctx,
		"DELETE FROM commands WHERE (tenant, id) IN (SELECT tenant, id FROM commands WHERE place < ? LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindText(1, command.Command{At: before}.Place())
			s.BindInt64(2, db.Chunk)
		})
}
