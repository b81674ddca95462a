package people

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/destination"
	"tocsin/shared/engine/sqlite/db"
)

// MailLog keeps the mails of a machine without a mail server.
type MailLog struct{ db *db.File }

// NewMailLog returns the mail log of a state file.
func NewMailLog(file *db.File) *MailLog { return &MailLog{file} }

// KeptMail is a mail of the mail log.
type KeptMail struct {
	ID   string
	At   time.Time
	Mail destination.Mail // its attachments without their bytes: the files of a report are kept with it
}

// maxMails is how many mails of each tenant the mail log keeps, the newest.
const maxMails = 1000

// Keep stores a mail.
func (l *MailLog) Keep(ctx context.Context, m destination.Mail, at time.Time) error {
	m.Attachments = slices.Clone(m.Attachments)
	for i := range m.Attachments {
		m.Attachments[i].Data = nil
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("keep mail %s: %w", m.ID, err)
	}
	err = l.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("INSERT INTO mails (at, body, tenant) VALUES (?, ?, ?)", func(s *driver.Stmt) {
			s.BindInt64(1, at.UnixNano())
			s.BindBytes(2, body)
			s.BindText(3, m.Tenant)
		}); err != nil {
			return err
		}
		sql := "DELETE FROM mails WHERE tenant = ?1 AND seq <= (SELECT seq FROM mails WHERE tenant = ?1 ORDER BY seq " +
			"DESC LIMIT 1 OFFSET ?2)"
		return w.Do(sql, func(s *driver.Stmt) {
			s.BindText(1, m.Tenant)
			s.BindInt64(2, maxMails)
		})
	})
	if err != nil {
		return fmt.Errorf("keep mail %s: %w", m.ID, err)
	}
	return nil
}

// Mails lists the mails of one tenant, newest first; before is the id to go on from, "" at first. A mail that names no
// tenant is in no list.
func (l *MailLog) Mails(ctx context.Context, tenant, before string, limit int) ([]KeptMail, error) {
	last := int64(1<<63 - 1)
	if before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil {
			return nil, nil // no id of ours: nothing comes before it
		}
		last = n
	}
	var out []KeptMail
	err := l.db.Query(ctx,
		"SELECT seq, at, body FROM mails WHERE tenant = ? AND tenant <> '' AND seq < ? ORDER BY seq DESC LIMIT ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindInt64(2, last)
			s.BindInt64(3, int64(limit))
		}, func(s *driver.Stmt) error {
			m := KeptMail{ID: strconv.FormatInt(s.ColumnInt64(0), 10), At: time.Unix(0, s.ColumnInt64(1)).UTC()}
			err := json.Unmarshal(db.Blob(s, 2), &m.Mail)
			out = append(out, m)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	return out, nil
}
