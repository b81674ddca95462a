package accounts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/account"
	"tocsin/shared/engine/sqlite/db"
)

// Links keeps the sign-in links of the embedded mode (account.LinkStore).
type Links struct{ db *db.File }

// NewLinks returns the sign-in links of a state file.
func NewLinks(file *db.File) *Links { return &Links{file} }

var _ account.LinkStore = (*Links)(nil)

// Keep stores a link.
func (l *Links) Keep(ctx context.Context, link account.Link, before time.Time) error {
	return l.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("DELETE FROM sign_in_links WHERE expires < ?", func(s *driver.Stmt) {
			s.BindInt64(1, db.Nanos(before))
		}); err != nil {
			return err
		}
		return w.Do("INSERT INTO sign_in_links (digest, tenant, address, expires, used) VALUES (?, ?, ?, ?, 0)",
			func(s *driver.Stmt) {
				s.BindBytes(1, link.Digest[:])
				s.BindText(2, link.Tenant)
				s.BindText(3, link.Address)
				s.BindInt64(4, db.Nanos(link.Expires))
			})
	})
}

// Get reads one link.
func (l *Links) Get(ctx context.Context, digest [sha256.Size]byte) (link account.Link, err error) {
	err = l.db.Reading(ctx, func(conn *driver.Conn) error {
		link, err = readLink(conn, digest)
		return err
	})
	return link, err
}

// Use marks a link as used.
func (l *Links) Use(ctx context.Context, digest [sha256.Size]byte, at time.Time) (link account.Link, err error) {
	err = l.db.Write(ctx, func(w *db.Writer) error {
		if link, err = readLink(w.Conn, digest); err != nil {
			return err
		}
		return w.Do("UPDATE sign_in_links SET used = ?2 WHERE digest = ?1 AND used = 0", func(s *driver.Stmt) {
			s.BindBytes(1, digest[:])
			s.BindInt64(2, db.Nanos(at))
		})
	})
	return link, err
}

func readLink(conn *driver.Conn, digest [sha256.Size]byte) (link account.Link, err error) {
	found := false
	err = db.Each(conn, "SELECT tenant, address, expires, used FROM sign_in_links WHERE digest = ?",
		func(s *driver.Stmt) { s.BindBytes(1, digest[:]) }, func(s *driver.Stmt) error {
			found = true
			link = account.Link{Digest: digest, Tenant: s.ColumnText(0), Address: s.ColumnText(1),
				Expires: db.Time(s.ColumnInt64(2)), Used: db.Time(s.ColumnInt64(3))}
			return nil
		})
	if err != nil {
		return link, fmt.Errorf("read a sign-in link: %w", err)
	}
	if !found {
		return link, account.ErrNoLink
	}
	return link, nil
}

// Drop forgets the links of a person.
func (l *Links) Drop(ctx context.Context, tenant, address string) error {
	return l.db.Write(ctx, func(w *db.Writer) error {
		return w.Do("DELETE FROM sign_in_links WHERE tenant = ? AND address = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, address)
		})
	})
}
