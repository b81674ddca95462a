package accounts

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/tenant"
)

// Tenants keeps which tenants are linked (tenant.Store).
type Tenants struct{ db *db.File }

// NewTenants returns the links of a state file.
func NewTenants(file *db.File) *Tenants { return &Tenants{file} }

var _ tenant.Store = (*Tenants)(nil)

// Link adds or replaces a link, with the entries of it.
func (s *Tenants) Link(ctx context.Context, l tenant.Link, entries ...activity.Entry) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("INSERT OR REPLACE INTO tenant_links (technical, tenant, body) VALUES (?, ?, ?)",
			func(q *driver.Stmt) {
				q.BindText(1, l.Technical)
				q.BindText(2, l.Tenant)
				q.BindBytes(3, body)
			}); err != nil {
			return err
		}
		return activitylog.PutAll(w, entries)
	})
	if err != nil {
		return fmt.Errorf("link tenant %s to %s: %w", l.Tenant, l.Technical, err)
	}
	return nil
}

// Unlink removes a link, with the entries of it.
func (s *Tenants) Unlink(ctx context.Context, technical, linked string, entries ...activity.Entry) error {
	err := s.db.Write(ctx, func(w *db.Writer) error {
		err := w.Do("DELETE FROM tenant_links WHERE technical = ? AND tenant = ?", func(q *driver.Stmt) {
			q.BindText(1, technical)
			q.BindText(2, linked)
		})
		if err == nil && w.Conn.Changes() == 0 {
			err = tenant.ErrNotFound
		}
		if err != nil {
			return err
		}
		return activitylog.PutAll(w, entries)
	})
	if err != nil {
		return fmt.Errorf("unlink tenant %s from %s: %w", linked, technical, err)
	}
	return nil
}

func (s *Tenants) query(ctx context.Context, where string, bind func(*driver.Stmt)) (out []tenant.Link, err error) {
	err = s.db.Query(ctx, "SELECT body FROM tenant_links WHERE "+where, bind, func(q *driver.Stmt) error {
		var l tenant.Link
		err := json.Unmarshal(db.Blob(q, 0), &l)
		out = append(out, l)
		return err
	})
	return out, err
}

// Get reads one link.
func (s *Tenants) Get(ctx context.Context, technical, linked string) (tenant.Link, error) {
	found, err := s.query(ctx, "technical = ? AND tenant = ?", func(q *driver.Stmt) {
		q.BindText(1, technical)
		q.BindText(2, linked)
	})
	if err == nil && len(found) == 0 {
		err = tenant.ErrNotFound
	}
	if err != nil {
		return tenant.Link{}, fmt.Errorf("read the link of tenant %s to %s: %w", linked, technical, err)
	}
	return found[0], nil
}

// List reads a page of links.
func (s *Tenants) List(ctx context.Context, technical, after string, limit int) ([]tenant.Link, error) {
	out, err := s.query(ctx, "technical = ? AND tenant > ? ORDER BY tenant LIMIT ?", func(q *driver.Stmt) {
		q.BindText(1, technical)
		q.BindText(2, after)
		q.BindInt64(3, int64(limit))
	})
	if err != nil {
		return nil, fmt.Errorf("list the tenants that are linked to %s: %w", technical, err)
	}
	return out, nil
}
