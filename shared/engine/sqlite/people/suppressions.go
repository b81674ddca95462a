package people

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/mail"
)

// SuppressionList keeps addresses that nothing is sent to (mail.SuppressionList).
type SuppressionList struct{ db *db.File }

// NewSuppressionList returns the addresses of a state file.
func NewSuppressionList(file *db.File) *SuppressionList { return &SuppressionList{file} }

var _ mail.SuppressionList = (*SuppressionList)(nil)

// Suppress adds one.
func (l *SuppressionList) Suppress(ctx context.Context, v mail.Suppression) (added bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	if err := l.db.Write(ctx, func(w *db.Writer) error {
		err := w.Do("INSERT OR IGNORE INTO mail_blocks (tenant, address, integration, body) VALUES (?, ?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindText(1, v.Tenant)
				s.BindText(2, v.Address)
				s.BindText(3, v.Integration)
				s.BindBytes(4, body)
			})
		if added = err == nil && w.Conn.Changes() > 0; !added {
			return err
		}
		return activitylog.Put(w, v.Entry())
	}); err != nil {
		return false, fmt.Errorf("suppress an address of tenant %s: %w", v.Tenant, err)
	}
	return added, nil
}

// Blocked looks for a suppression that holds.
func (l *SuppressionList) Blocked(ctx context.Context, tenant, integration, address string) (v mail.Suppression,
	ok bool, err error) {
	err = l.db.Query(ctx, "SELECT body FROM mail_blocks WHERE tenant = ? AND address = ? AND integration IN ('', ?) "+
		"ORDER BY integration LIMIT 1", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, address)
		s.BindText(3, integration)
	}, func(s *driver.Stmt) error {
		ok = true
		return json.Unmarshal(db.Blob(s, 0), &v)
	})
	if err != nil {
		return v, false, fmt.Errorf("look for a suppression of tenant %s: %w", tenant, err)
	}
	return v, ok, nil
}

// List reads a page of suppressions: all of an address are on one page.
func (l *SuppressionList) List(ctx context.Context, tenant, after string, limit int) (out []mail.Suppression,
	err error) {
	err = l.db.Query(ctx, `SELECT body FROM mail_blocks WHERE tenant = ?1 AND address IN (
			SELECT DISTINCT address FROM mail_blocks WHERE tenant = ?1 AND address > ?2 ORDER BY address LIMIT ?3)
		ORDER BY address, integration`, func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, after)
		s.BindInt64(3, int64(limit))
	}, func(s *driver.Stmt) error {
		var v mail.Suppression
		err := json.Unmarshal(db.Blob(s, 0), &v)
		out = append(out, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the suppressed addresses of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Allow removes the suppressions of an address.
func (l *SuppressionList) Allow(ctx context.Context, tenant, address string, e activity.Entry) error {
	if err := l.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("DELETE FROM mail_blocks WHERE tenant = ? AND address = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, address)
		}); err != nil || w.Conn.Changes() == 0 {
			return err
		}
		return activitylog.Put(w, e)
	}); err != nil {
		return fmt.Errorf("allow an address of tenant %s: %w", tenant, err)
	}
	return nil
}
