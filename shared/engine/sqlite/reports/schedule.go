package reports

import (
	"context"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
)

// Due lists subscriptions whose time has come.
func (r *Reports) Due(ctx context.Context, now time.Time, limit int) ([]report.Subscription, error) {
	var out []report.Subscription
	err := r.db.Query(ctx, "SELECT tenant, receiver, frequency, due, since, done FROM report_due WHERE due <= ? "+
		"ORDER BY due, tenant, receiver, frequency LIMIT ?", func(s *driver.Stmt) {
		s.BindInt64(1, now.UnixNano())
		s.BindInt64(2, int64(limit))
	}, func(s *driver.Stmt) error {
		v := report.Subscription{Tenant: s.ColumnText(0), Receiver: s.ColumnText(1),
			Frequency: calendar.Frequency(s.ColumnText(2))}
		v.Due, v.Since, v.Done = db.Time(s.ColumnInt64(3)), db.Time(s.ColumnInt64(4)), calendar.Day(s.ColumnText(5))
		out = append(out, v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list due reports: %w", err)
	}
	return out, nil
}

// Reschedule moves subscriptions on.
func (r *Reports) Reschedule(ctx context.Context, moves []report.Move) error {
	if err := r.db.Write(ctx, func(w *db.Writer) error {
		for _, v := range moves {
			if err := w.Do("UPDATE report_due SET due = ?1, done = ?6, since = ?7 WHERE tenant = ?2 AND receiver = "+
				"?3 AND frequency = ?4 AND due = ?5", func(s *driver.Stmt) {
				s.BindInt64(1, v.Next.UnixNano())
				s.BindText(2, v.Tenant)
				s.BindText(3, v.Receiver)
				s.BindText(4, string(v.Frequency))
				s.BindInt64(5, db.Nanos(v.Due))
				s.BindText(6, string(v.Done))
				s.BindInt64(7, db.Nanos(v.Since))
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("schedule the reports of %d subscriptions: %w", len(moves), err)
	}
	return nil
}

// Subscribe makes a receiver's rows of the schedule those of the frequencies given: what stays keeps its time, what is
// new is subscribed since the time given.
func Subscribe(w *db.Writer, tenant, receiver string, since time.Time, frequencies []calendar.Frequency) error {
	wanted := map[calendar.Frequency]bool{}
	for _, f := range frequencies {
		wanted[f] = true
	}
	for _, f := range calendar.Frequencies() {
		sql := "DELETE FROM report_due WHERE tenant = ? AND receiver = ? AND frequency = ?"
		if wanted[f] {
			sql = "INSERT OR IGNORE INTO report_due (tenant, receiver, frequency, due, since) VALUES (?, ?, ?, 0, ?)"
		}
		if err := w.Do(sql, func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, receiver)
			s.BindText(3, string(f))
			if wanted[f] {
				s.BindInt64(4, db.Nanos(since))
			}
		}); err != nil {
			return err
		}
	}
	return nil
}
