// Package references keeps what systems call the things that were made of objects, in the state file.
package references

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/sending/reference"
)

// References keeps what systems call the things that were made of objects (reference.Store).
type References struct {
	db  *db.File
	now func() time.Time
}

// New returns those of a state file.
func New(file *db.File, now func() time.Time) *References { return &References{file, now} }

var _ reference.Store = (*References)(nil)

// Reference reads one.
func (s *References) Reference(ctx context.Context, l delivery.Lane, object string) (r reference.Reference,
	version int64, err error) {
	err = s.db.Query(ctx, "SELECT version, body FROM object_references "+
		"WHERE tenant = ? AND integration = ? AND object = ? AND expires > ?", func(p *driver.Stmt) {
		bindReference(p, l, object)
		p.BindInt64(4, s.now().Unix())
	}, func(p *driver.Stmt) error {
		version = p.ColumnInt64(0)
		return json.Unmarshal(db.Blob(p, 1), &r)
	})
	if err != nil {
		return r, 0, fmt.Errorf("read what integration %s has of %s: %w", l.Integration, object, err)
	}
	return r, version, nil
}

func bindReference(p *driver.Stmt, l delivery.Lane, object string) {
	p.BindText(1, l.Tenant)
	p.BindText(2, l.Integration)
	p.BindText(3, object)
}

// Swap replaces one.
func (s *References) Swap(ctx context.Context, l delivery.Lane, object string, version int64,
	to reference.Reference) (next int64, err error) {
	body, err := json.Marshal(to)
	if err != nil {
		return 0, fmt.Errorf("encode what integration %s has of %s: %w", l.Integration, object, err)
	}
	now := s.now()
	next = max(now.UnixNano(), version+1) // never that of a row which was forgotten
	changed := false
	err = s.db.Write(ctx, func(w *db.Writer) error {
		// A row that has expired is as none: version 0.
		err := w.Do("INSERT INTO object_references (tenant, integration, object, version, expires, body) "+
			"SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 = 0 OR EXISTS (SELECT 1 FROM object_references "+
			"WHERE tenant = ?1 AND integration = ?2 AND object = ?3) "+
			"ON CONFLICT DO UPDATE SET version = excluded.version, expires = excluded.expires, body = excluded.body "+
			"WHERE CASE WHEN expires > ?8 THEN version ELSE 0 END = ?7", func(p *driver.Stmt) {
			bindReference(p, l, object)
			p.BindInt64(4, next)
			p.BindInt64(5, to.Expires.Unix())
			p.BindBytes(6, body)
			p.BindInt64(7, version)
			p.BindInt64(8, now.Unix())
		})
		changed = w.Conn.Changes() == 1
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write what integration %s has of %s: %w", l.Integration, object, err)
	}
	if !changed {
		return 0, reference.ErrChanged
	}
	return next, nil
}

// Prune removes what is over, and what is of integrations that were deleted.
func (s *References) Prune(ctx context.Context, now time.Time) (removed int, err error) {
	return s.db.Chunks(ctx, "DELETE FROM object_references WHERE (tenant, integration, object) IN (SELECT tenant, "+
		"integration, object FROM object_references r WHERE expires <= ? OR NOT EXISTS (SELECT 1 FROM integrations i "+
		"WHERE i.tenant = r.tenant AND i.id = r.integration) LIMIT ?)", func(p *driver.Stmt) {
		p.BindInt64(1, now.Unix())
		p.BindInt64(2, db.Chunk)
	})
}
