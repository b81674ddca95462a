package sqlite

import (
	"context"
	"errors"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/ready"
)

// roomNeeded is how many pages must be free for the file to count as writable: a call of ten events of 256 KB.
const roomNeeded = 640

// Writable makes a write that changes nothing anybody reads, and looks whether there is room for a call of events. Its
// error is for strangers; the log has the cause.
func (s *DB) Writable(ctx context.Context) error {
	full := false
	err := s.file.Write(ctx, func(w *db.Writer) error {
		pages, err := db.Number(w.Conn, "PRAGMA page_count")
		if err != nil {
			return err
		}
		most, err := db.Number(w.Conn, "PRAGMA max_page_count")
		if err != nil {
			return err
		}
		free, err := db.Number(w.Conn, "PRAGMA freelist_count")
		if err != nil {
			return err
		}
		full = most-pages+free < roomNeeded && most < 1<<30
		return w.Do("INSERT INTO progress (name, value) VALUES ('probe', ?1) ON CONFLICT (name) DO UPDATE SET value "+
			"= ?1", func(q *driver.Stmt) {
			q.BindInt64(1, time.Now().UnixNano())
		})
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the state file did not take a write in time")
	case err != nil:
		s.file.Log().Error("the state file can not be written", "error", err.Error())
		return ready.ErrNoRoom
	case full:
		return errors.New("the state file has no room for more events")
	}
	return nil
}

// Moving checks that fan-out takes events up.
func (s *DB) Moving(ctx context.Context, now time.Time) error { return s.bus.Moving(ctx, now) }
