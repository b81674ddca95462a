package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/destination"
	"tocsin/shared/health"
)

// Counters keeps the counts of attempts (health.Counters).
type Counters struct{ db *DB }

// Counters returns the counters.
func (db *DB) Counters() *Counters { return &Counters{db} }

var _ health.Counters = (*Counters)(nil)

// addCount adds to a bucket. Batches can be written in another order than that of their attempts.
const addCount = `INSERT INTO counters
	(tenant, integration, window, bucket, attempts, failures, first_failure, last_failure, last_success, status, words)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts, failures = failures + excluded.failures,
		first_failure = CASE WHEN first_failure = 0 OR excluded.first_failure BETWEEN 1 AND first_failure
			THEN excluded.first_failure ELSE first_failure END,
		status = CASE WHEN excluded.failures > 0 AND excluded.last_failure >= last_failure THEN excluded.status ELSE status END,
		words = CASE WHEN excluded.failures > 0 AND excluded.last_failure >= last_failure THEN excluded.words ELSE words END,
		last_failure = max(last_failure, excluded.last_failure), last_success = max(last_success, excluded.last_success)`

// Add adds each count to its bucket.
func (c *Counters) Add(ctx context.Context, counts []health.Count) error {
	err := c.db.writer.write(ctx, func(w *writer) error {
		for _, n := range counts {
			if err := w.do(addCount, func(s *driver.Stmt) {
				s.BindText(1, n.Tenant)
				s.BindText(2, n.Integration)
				s.BindInt64(3, n.Window)
				s.BindInt64(4, n.At.Truncate(health.Bucket).Unix())
				s.BindInt64(5, int64(n.Attempts))
				s.BindInt64(6, int64(n.Failures))
				s.BindInt64(7, millis(n.FirstFailure))
				s.BindInt64(8, millis(n.LastFailure))
				s.BindInt64(9, millis(n.LastSuccess))
				s.BindInt64(10, int64(n.Answer.Status))
				s.BindText(11, n.Answer.Words)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add %d counts: %w", len(counts), err)
	}
	return nil
}

// millis is a time as the counters keep it, 0 for the zero time.
func millis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

func atMillis(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

const series = `SELECT bucket, attempts, failures, first_failure, last_failure, last_success, status, words FROM counters
	WHERE tenant = ? AND integration = ? AND window = ? AND bucket >= ? ORDER BY bucket`

// Series lists buckets.
func (c *Counters) Series(ctx context.Context, tenant, integration string, window int64,
	since time.Time) (points []health.Point, err error) {
	err = c.db.query(ctx, series, func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, integration)
		s.BindInt64(3, window)
		s.BindInt64(4, since.Unix())
	}, func(s *driver.Stmt) error {
		points = append(points, health.Point{
			At:           time.Unix(s.ColumnInt64(0), 0).UTC(),
			Tally:        health.Tally{Attempts: s.ColumnInt(1), Failures: s.ColumnInt(2)},
			FirstFailure: atMillis(s.ColumnInt64(3)), LastFailure: atMillis(s.ColumnInt64(4)),
			LastSuccess: atMillis(s.ColumnInt64(5)),
			Answer:      health.Answer{Status: s.ColumnInt(6), Words: s.ColumnText(7)},
		})
		return nil
	})
	return points, err
}

// MailLog keeps the mails of a machine without a mail server.
type MailLog struct{ db *DB }

// MailLog returns the outbox.
func (db *DB) MailLog() *MailLog { return &MailLog{db} }

// KeptMail is a mail of the outbox.
type KeptMail struct {
	ID   string
	At   time.Time
	Mail destination.Mail // its attachments without their bytes: the files of a report are kept with it
}

// maxMails is how many mails of each tenant the outbox keeps, the newest.
const maxMails = 1000

// Keep stores a mail.
func (o *MailLog) Keep(ctx context.Context, m destination.Mail, at time.Time) error {
	m.Attachments = slices.Clone(m.Attachments)
	for i := range m.Attachments {
		m.Attachments[i].Data = nil
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("keep mail %s: %w", m.ID, err)
	}
	err = o.db.writer.write(ctx, func(w *writer) error {
		if err := w.do("INSERT INTO mails (at, body, tenant) VALUES (?, ?, ?)", func(s *driver.Stmt) {
			s.BindInt64(1, at.UnixNano())
			s.BindBytes(2, body)
			s.BindText(3, m.Tenant)
		}); err != nil {
			return err
		}
		sql := "DELETE FROM mails WHERE tenant = ?1 AND seq <= (SELECT seq FROM mails WHERE tenant = ?1 ORDER BY seq " +
			"DESC LIMIT 1 OFFSET ?2)"
		return w.do(sql, func(s *driver.Stmt) {
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
func (o *MailLog) Mails(ctx context.Context, tenant, before string, limit int) ([]KeptMail, error) {
	last := int64(1<<63 - 1)
	if before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil {
			return nil, nil // no id of ours: nothing comes before it
		}
		last = n
	}
	var out []KeptMail
	err := o.db.query(ctx,
		"SELECT seq, at, body FROM mails WHERE tenant = ? AND tenant <> '' AND seq < ? ORDER BY seq DESC LIMIT ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindInt64(2, last)
			s.BindInt64(3, int64(limit))
		}, func(s *driver.Stmt) error {
			m := KeptMail{ID: strconv.FormatInt(s.ColumnInt64(0), 10), At: time.Unix(0, s.ColumnInt64(1)).UTC()}
			err := json.Unmarshal(blob(s, 2), &m.Mail)
			out = append(out, m)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	return out, nil
}
