package accounts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/token"
)

// Tokens keeps API tokens (token.Store).
type Tokens struct{ db *db.File }

// NewTokens returns the tokens of a state file.
func NewTokens(file *db.File) *Tokens { return &Tokens{file} }

var _ token.Store = (*Tokens)(nil)

// nanoseconds are Unix ones, 0 for no time.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// write binds what is written of a token, with the entries of it where it is done.
func (s *Tokens) write(ctx context.Context, sql string, t token.Token, entries []activity.Entry) (done bool,
	err error) {
	used := t.LastUsedAt
	t.LastUsedAt = time.Time{}
	body, err := json.Marshal(t)
	if err != nil {
		return false, err
	}
	err = s.db.Write(ctx, func(w *db.Writer) error {
		err := w.Do(sql, func(q *driver.Stmt) {
			q.BindBytes(1, t.Digest)
			q.BindText(2, t.Tenant)
			q.BindText(3, t.ID)
			q.BindInt64(4, t.Revision)
			q.BindInt64(5, nanoseconds(t.ExpiresAt))
			q.BindBool(6, t.Quiet())
			q.BindInt64(7, nanoseconds(t.Forget()))
			q.BindBytes(8, body)
			if q.BindParamCount() > 8 {
				q.BindInt64(9, nanoseconds(used))
			}
		})
		if done = err == nil && w.Conn.Changes() > 0; !done {
			return err
		}
		return activitylog.PutAll(w, entries)
	})
	return done, err
}

// Create adds a token, with the entries of it.
func (s *Tokens) Create(ctx context.Context, t token.Token, entries ...activity.Entry) error {
	_, err := s.write(ctx, "INSERT INTO tokens (digest, tenant, id, revision, expires, quiet, forget, body, used) "+
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", t, entries)
	if err != nil {
		return fmt.Errorf("keep API token %s of tenant %s: %w", t.ID, t.Tenant, err)
	}
	return nil
}

// Save replaces a token, with the entries of it.
func (s *Tokens) Save(ctx context.Context, t token.Token, entries ...activity.Entry) error {
	done, err := s.write(ctx, "UPDATE tokens SET revision = ?4, expires = ?5, quiet = ?6, forget = ?7, body = ?8 "+
		"WHERE digest = ?1 AND tenant = ?2 AND id = ?3 AND revision = ?4 - 1", t, entries)
	if err == nil && !done {
		err = token.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save API token %s of tenant %s: %w", t.ID, t.Tenant, err)
	}
	return nil
}

func (s *Tokens) query(ctx context.Context, where string, bind func(*driver.Stmt)) (out []token.Token, err error) {
	err = s.db.Query(ctx, "SELECT used, body FROM tokens WHERE "+where, bind, func(q *driver.Stmt) error {
		var t token.Token
		err := json.Unmarshal(db.Blob(q, 1), &t)
		t.LastUsedAt = moment(q.ColumnInt64(0))
		out = append(out, t)
		return err
	})
	return out, err
}

func only(found []token.Token, err error) (token.Token, error) {
	if err == nil && len(found) == 0 {
		err = token.ErrNotFound
	}
	if err != nil {
		return token.Token{}, fmt.Errorf("read an API token: %w", err)
	}
	return found[0], nil
}

// ByDigest finds the token of a digest.
func (s *Tokens) ByDigest(ctx context.Context, digest []byte) (token.Token, error) {
	return only(s.query(ctx, "digest = ?", func(q *driver.Stmt) { q.BindBytes(1, digest) }))
}

// Get reads one token.
func (s *Tokens) Get(ctx context.Context, tenant, id string) (token.Token, error) {
	return only(s.query(ctx, "tenant = ? AND id = ?", func(q *driver.Stmt) {
		q.BindText(1, tenant)
		q.BindText(2, id)
	}))
}

// List reads a page of a tenant's tokens.
func (s *Tokens) List(ctx context.Context, tenant, before string, limit int) ([]token.Token, error) {
	out, err := s.query(ctx, "tenant = ?1 AND (?2 = '' OR id < ?2) ORDER BY id DESC LIMIT ?3", func(q *driver.Stmt) {
		q.BindText(1, tenant)
		q.BindText(2, before)
		q.BindInt64(3, int64(limit))
	})
	if err != nil {
		return nil, fmt.Errorf("list the API tokens of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Used notes a use.
func (s *Tokens) Used(ctx context.Context, t token.Token, at time.Time) error {
	return s.db.Write(ctx, func(w *db.Writer) error {
		return w.Do("UPDATE tokens SET used = max(used, ?2) WHERE digest = ?1", func(q *driver.Stmt) {
			q.BindBytes(1, t.Digest)
			q.BindInt64(2, at.UnixNano())
		})
	})
}

// Expiring reads the tokens whose people are to be told.
func (s *Tokens) Expiring(ctx context.Context, until time.Time, limit int) ([]token.Token, error) {
	out, err := s.query(ctx, "expires > 0 AND quiet = 0 AND expires <= ?1 ORDER BY expires, id LIMIT ?2",
		func(q *driver.Stmt) {
			q.BindInt64(1, until.UnixNano())
			q.BindInt64(2, int64(limit))
		})
	if err != nil {
		return nil, fmt.Errorf("list the API tokens that expire: %w", err)
	}
	return out, nil
}

// Prune removes tokens that ended long ago, and returns how many.
func (s *Tokens) Prune(ctx context.Context, now time.Time) (removed int, err error) {
	err = s.db.Write(ctx, func(w *db.Writer) error {
		err := w.Do("DELETE FROM tokens WHERE forget > 0 AND forget <= ?1",
			func(q *driver.Stmt) { q.BindInt64(1, now.UnixNano()) })
		removed = w.Conn.Changes()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove API tokens that ended: %w", err)
	}
	return removed, nil
}
