package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/mail"
	"tocsin/shared/profile"
)

// People keeps people's own notifications (profile.Store).
type People struct{ db *DB }

// People returns the people.
func (db *DB) People() *People { return &People{db} }

// SuppressionList keeps addresses that nothing is sent to (mail.Blocks).
type SuppressionList struct{ db *DB }

// SuppressionList returns them.
func (db *DB) SuppressionList() *SuppressionList { return &SuppressionList{db} }

var (
	_ profile.Store        = (*People)(nil)
	_ mail.SuppressionList = (*SuppressionList)(nil)
)

// Get reads one person.
func (p *People) Get(ctx context.Context, tenant, id string) (v profile.Profile, err error) {
	found := false
	err = p.db.query(ctx, "SELECT body FROM people WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	}, func(s *driver.Stmt) error {
		found = true
		return json.Unmarshal(blob(s, 0), &v)
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
func (p *People) Save(ctx context.Context, v profile.Profile) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := p.db.writer.write(ctx, func(w *writer) error {
		sql := "UPDATE people SET revision = ?3, body = ?4 WHERE tenant = ?1 AND id = ?2 AND revision = ?3 - 1"
		if v.Revision == 1 {
			sql = "INSERT OR IGNORE INTO people (tenant, id, revision, body) VALUES (?1, ?2, ?3, ?4)"
		}
		if err := w.do(sql, func(s *driver.Stmt) {
			s.BindText(1, v.Tenant)
			s.BindText(2, v.ID)
			s.BindInt64(3, v.Revision)
			s.BindBytes(4, body)
		}); err != nil {
			return err
		}
		if w.conn.Changes() == 0 {
			return profile.ErrConflict
		}
		return w.subscribe(v.Tenant, v.ID, v.UpdatedAt, v.Told().Reports())
	}); err != nil {
		return fmt.Errorf("save person %s of tenant %s: %w", v.ID, v.Tenant, err)
	}
	return nil
}

// Delete forgets one person.
func (p *People) Delete(ctx context.Context, tenant, id string) error {
	if err := p.db.writer.write(ctx, func(w *writer) error {
		if err := w.do("DELETE FROM people WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		}); err != nil {
			return err
		}
		return w.subscribe(tenant, id, time.Time{}, nil)
	}); err != nil {
		return fmt.Errorf("forget person %s of tenant %s: %w", id, tenant, err)
	}
	return nil
}

// List reads a page of people.
func (p *People) List(ctx context.Context, tenant, after string, limit int) (out []profile.Profile, err error) {
	err = p.db.query(ctx, "SELECT body FROM people WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, after)
			s.BindInt64(3, int64(limit))
		}, func(s *driver.Stmt) error {
			var v profile.Profile
			err := json.Unmarshal(blob(s, 0), &v)
			out = append(out, v)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list the people of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Block adds one.
func (b *SuppressionList) Suppress(ctx context.Context, v mail.Suppression) (added bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	if err := b.db.writer.write(ctx, func(w *writer) error {
		err := w.do("INSERT OR IGNORE INTO mail_blocks (tenant, address, integration, body) VALUES (?, ?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindText(1, v.Tenant)
				s.BindText(2, v.Address)
				s.BindText(3, v.Integration)
				s.BindBytes(4, body)
			})
		added = w.conn.Changes() > 0
		return err
	}); err != nil {
		return false, fmt.Errorf("block an address of tenant %s: %w", v.Tenant, err)
	}
	return added, nil
}

// Blocked looks for a block that holds.
func (b *SuppressionList) Blocked(ctx context.Context, tenant, integration, address string) (v mail.Suppression,
	ok bool, err error) {
	err = b.db.query(ctx, "SELECT body FROM mail_blocks WHERE tenant = ? AND address = ? AND integration IN ('', ?) "+
		"ORDER BY integration LIMIT 1", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, address)
		s.BindText(3, integration)
	}, func(s *driver.Stmt) error {
		ok = true
		return json.Unmarshal(blob(s, 0), &v)
	})
	if err != nil {
		return v, false, fmt.Errorf("look for a block of tenant %s: %w", tenant, err)
	}
	return v, ok, nil
}

// List reads a page of blocks: all of an address are on one page.
func (b *SuppressionList) List(ctx context.Context, tenant, after string, limit int) (out []mail.Suppression,
	err error) {
	err = b.db.query(ctx, `SELECT body FROM mail_blocks WHERE tenant = ?1 AND address IN (
		SELECT DISTINCT address FROM mail_blocks WHERE tenant = ?1 AND address > ?2 ORDER BY address LIMIT ?3) ORDER BY address, integration`, func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, after)
		s.BindInt64(3, int64(limit))
	}, func(s *driver.Stmt) error {
		var v mail.Suppression
		err := json.Unmarshal(blob(s, 0), &v)
		out = append(out, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the blocked addresses of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Allow removes the blocks of an address.
func (b *SuppressionList) Allow(ctx context.Context, tenant, address string) error {
	if err := b.db.writer.write(ctx, func(w *writer) error {
		return w.do("DELETE FROM mail_blocks WHERE tenant = ? AND address = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, address)
		})
	}); err != nil {
		return fmt.Errorf("allow an address of tenant %s: %w", tenant, err)
	}
	return nil
}
