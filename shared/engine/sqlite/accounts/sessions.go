package accounts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/session"
)

// Sessions keeps who is signed in (session.Store), and what was used that is good once (session.Once).
type Sessions struct{ db *db.File }

// NewSessions returns the sessions of a state file.
func NewSessions(file *db.File) *Sessions { return &Sessions{file} }

var (
	_ session.Store = (*Sessions)(nil)
	_ session.Once  = (*Sessions)(nil)
)

// Create keeps a session.
func (s *Sessions) Create(ctx context.Context, v session.Session) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("INSERT INTO sessions (digest, tenant, person, idle_end, ends, body) VALUES (?, ?, ?, ?, ?, ?)",
			func(q *driver.Stmt) {
				q.BindText(1, v.Digest)
				q.BindText(2, v.Tenant)
				q.BindText(3, v.Person())
				q.BindInt64(4, v.IdleEnd.UnixNano())
				q.BindInt64(5, v.End.UnixNano())
				q.BindBytes(6, body)
			}); err != nil {
			return err
		}
		for _, logout := range v.Logouts() {
			if err := w.Do("INSERT INTO session_logouts (logout, digest) VALUES (?, ?)", func(q *driver.Stmt) {
				q.BindText(1, logout)
				q.BindText(2, v.Digest)
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Get reads a session.
func (s *Sessions) Get(ctx context.Context, digest string) (v session.Session, err error) {
	found := false
	err = s.db.Query(ctx, "SELECT idle_end, body FROM sessions WHERE digest = ?", func(q *driver.Stmt) {
		q.BindText(1, digest)
	}, func(q *driver.Stmt) error {
		found = true
		err := json.Unmarshal(db.Blob(q, 1), &v)
		v.IdleEnd = time.Unix(0, q.ColumnInt64(0)).UTC()
		return err
	})
	if err == nil && !found {
		err = session.ErrNotFound
	}
	return v, err
}

// Extend moves the idle end of a session on.
func (s *Sessions) Extend(ctx context.Context, digest string, idleEnd time.Time) error {
	return s.db.Write(ctx, func(w *db.Writer) error {
		return w.Do("UPDATE sessions SET idle_end = max(idle_end, ?2) WHERE digest = ?1", func(q *driver.Stmt) {
			q.BindText(1, digest)
			q.BindInt64(2, idleEnd.UnixNano())
		})
	})
}

// Delete ends a session.
func (s *Sessions) Delete(ctx context.Context, digest string) error {
	return s.db.Write(ctx, func(w *db.Writer) error {
		return w.Do("DELETE FROM sessions WHERE digest = ?", func(q *driver.Stmt) { q.BindText(1, digest) })
	})
}

// DeleteOf ends all sessions of a person.
func (s *Sessions) DeleteOf(ctx context.Context, tenant, person string) (n int, err error) {
	err = s.db.Write(ctx, func(w *db.Writer) error {
		err := w.Do("DELETE FROM sessions WHERE tenant = ? AND person = ?", func(q *driver.Stmt) {
			q.BindText(1, tenant)
			q.BindText(2, person)
		})
		n = w.Conn.Changes()
		return err
	})
	return n, err
}

// DeleteBy ends all that the identity provider names.
func (s *Sessions) DeleteBy(ctx context.Context, logout string) (ended []session.Session, err error) {
	err = s.db.Write(ctx, func(w *db.Writer) error {
		ended = nil
		const those = "digest IN (SELECT digest FROM session_logouts WHERE logout = ?)"
		bind := func(q *driver.Stmt) { q.BindText(1, logout) }
		if err := db.Each(w.Conn, "SELECT body FROM sessions WHERE "+those, bind, func(q *driver.Stmt) error {
			var v session.Session
			err := json.Unmarshal(db.Blob(q, 0), &v)
			ended = append(ended, v)
			return err
		}); err != nil {
			return err
		}
		return w.Do("DELETE FROM sessions WHERE "+those, bind)
	})
	return ended, err
}

// Use notes that something was used which is good once, and reports whether this was the first time.
func (s *Sessions) Use(ctx context.Context, digest string, until time.Time) (first bool, err error) {
	err = s.db.Write(ctx, func(w *db.Writer) error {
		err := w.Do("INSERT OR IGNORE INTO used_once (digest, until) VALUES (?, ?)", func(q *driver.Stmt) {
			q.BindText(1, digest)
			q.BindInt64(2, until.UnixNano())
		})
		first = w.Conn.Changes() > 0
		return err
	})
	return first && err == nil, err
}

// Prune removes what has ended, and returns how many rows.
func (s *Sessions) Prune(ctx context.Context, now time.Time) (removed int, err error) {
	for _, sql := range []string{
		"DELETE FROM sessions WHERE idle_end <= ?1 OR ends <= ?1", "DELETE FROM used_once WHERE until <= ?1",
	} {
		if err := s.db.Write(ctx, func(w *db.Writer) error {
			err := w.Do(sql, func(q *driver.Stmt) { q.BindInt64(1, now.UnixNano()) })
			removed += w.Conn.Changes()
			return err
		}); err != nil {
			return removed, fmt.Errorf("remove sessions that have ended: %w", err)
		}
	}
	return removed, nil
}
