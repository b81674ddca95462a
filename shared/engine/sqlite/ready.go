package sqlite

import (
	"context"
	"errors"
	"time"

	driver "zombiezen.com/go/sqlite"
)

const (
	// roomNeeded is how many pages must be free for the file to count as writable: a call of ten events of 256 KB.
	roomNeeded = 640
	// stuckAfter is how long the oldest event may wait for fan-out.
	stuckAfter = 2 * time.Minute
)

// Writable makes a write that changes nothing anybody reads, and looks whether there is room for a call of events. Its
// error is for strangers; the log has the cause.
func (db *DB) Writable(ctx context.Context) error {
	full := false
	err := db.writer.write(ctx, func(w *writer) error {
		pages, err := number(w.conn, "PRAGMA page_count")
		if err != nil {
			return err
		}
		most, err := number(w.conn, "PRAGMA max_page_count")
		if err != nil {
			return err
		}
		free, err := number(w.conn, "PRAGMA freelist_count")
		if err != nil {
			return err
		}
		full = most-pages+free < roomNeeded && most < 1<<30
		return w.do("INSERT INTO progress (name, value) VALUES ('probe', ?1) ON CONFLICT (name) DO UPDATE SET value "+
			"= ?1", func(s *driver.Stmt) {
			s.BindInt64(1, time.Now().UnixNano())
		})
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the state file did not take a write in time")
	case err != nil:
		db.log.Error("the state file can not be written", "error", err.Error())
		return errors.New("the state file can not be written: the disk may be full")
	case full:
		return errors.New("the state file has no room for more events")
	}
	return nil
}

// Moving checks that fan-out takes events up.
func (db *DB) Moving(ctx context.Context, now time.Time) error {
	db.mu.Lock()
	passed := db.fanout
	db.mu.Unlock()
	stuck := false
	err := db.query(ctx, "SELECT at FROM events WHERE seq > ? ORDER BY seq LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, passed) }, func(s *driver.Stmt) error {
			stuck = now.Sub(time.Unix(0, s.ColumnInt64(0))) > stuckAfter
			return nil
		})
	if err != nil {
		db.log.Error("look at the oldest event", "error", err.Error())
		return errors.New("the state file can not be read")
	}
	if stuck {
		return errors.New("events wait longer than they should to be taken up")
	}
	return nil
}
