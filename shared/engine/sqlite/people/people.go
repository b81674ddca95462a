package people

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/reports"
	"tocsin/shared/profile"
)

// People keeps people's own notifications (profile.Store).
type People struct{ db *db.File }

// New returns the people of a state file.
func New(file *db.File) *People { return &People{file} }

var _ profile.Store = (*People)(nil)

// Get reads one person.
func (p *People) Get(ctx context.Context, tenant, id string) (v profile.Profile, err error) {
	found := false
	err = p.db.Query(ctx, "SELECT body FROM people WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		found = true
		return json.Unmarshal(db.Blob(s, 0), &v)
	})
	if err == nil && !found {
		err = profile.ErrNotFound
	}
	if err != nil {
		return v, fmt.Errorf("read person %s of tenant %s: %w", id, tenant, err)
	}
	return v, nil
}

// Several reads people.
func (p *People) Several(ctx context.Context, keys []profile.Key) (out []profile.Profile, err error) {
	for _, k := range keys {
		v, err := p.Get(ctx, k.Tenant, k.ID)
		switch {
		case err == nil:
			out = append(out, v)
		case !errors.Is(err, profile.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}

// Save writes one person and the subscriptions.
func (p *People) Save(ctx context.Context, v profile.Profile, entries ...activity.Entry) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := p.db.Write(ctx, func(w *db.Writer) error {
		sql := "UPDATE people SET revision = ?3, body = ?4 WHERE tenant = ?1 AND id = ?2 AND revision = ?3 - 1"
		if v.Revision == 1 {
			sql = "INSERT OR IGNORE INTO people (tenant, id, revision, body) VALUES (?1, ?2, ?3, ?4)"
		}
		if err := w.Do(sql, func(s *driver.Stmt) {
			s.BindText(1, v.Tenant)
			s.BindText(2, v.ID)
			s.BindInt64(3, v.Revision)
			s.BindBytes(4, body)
		}); err != nil {
			return err
		}
		if w.Conn.Changes() == 0 {
			return profile.ErrConflict
		}
		for _, e := range entries {
			if err := activitylog.Put(w, e); err != nil {
				return err
			}
		}
		return reports.Subscribe(w, v.Tenant, v.ID, v.UpdatedAt, v.Told().Reports())
	}); err != nil {
		return fmt.Errorf("save person %s of tenant %s: %w", v.ID, v.Tenant, err)
	}
	return nil
}

// Delete forgets one person.
func (p *People) Delete(ctx context.Context, tenant, id string) error {
	if err := p.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("DELETE FROM people WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		}); err != nil {
			return err
		}
		return reports.Subscribe(w, tenant, id, time.Time{}, nil)
	}); err != nil {
		return fmt.Errorf("forget person %s of tenant %s: %w", id, tenant, err)
	}
	return nil
}

// List reads a page of people.
func (p *People) List(ctx context.Context, tenant, after string, limit int) (out []profile.Profile, err error) {
	err = p.db.Query(ctx, "SELECT body FROM people WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, after)
			s.BindInt64(3, int64(limit))
		}, func(s *driver.Stmt) error {
			var v profile.Profile
			err := json.Unmarshal(db.Blob(s, 0), &v)
			out = append(out, v)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list the people of tenant %s: %w", tenant, err)
	}
	return out, nil
}
