package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/event"
	"tocsin/shared/report"
)

// Reports keeps reports, their files, settings and the schedule (report.Store).
type Reports struct{ db *DB }

// Reports returns the reports.
func (db *DB) Reports() *Reports { return &Reports{db} }

var _ report.Store = (*Reports)(nil)

// Settings reads a tenant's settings.
func (r *Reports) Settings(ctx context.Context, tenant string) (report.Settings, error) {
	out := report.Settings{Tenant: tenant}
	err := r.db.query(ctx, "SELECT body FROM report_settings WHERE tenant = ?",
		func(s *driver.Stmt) { s.BindText(1, tenant) }, func(s *driver.Stmt) error {
			return json.Unmarshal(blob(s, 0), &out)
		})
	if err != nil {
		return out, fmt.Errorf("read the report settings of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// SettingsOf reads the settings of tenants.
func (r *Reports) SettingsOf(ctx context.Context, tenants []string) (map[string]report.Settings, error) {
	out := make(map[string]report.Settings, len(tenants))
	for _, tenant := range tenants {
		var err error
		if out[tenant], err = r.Settings(ctx, tenant); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SaveSettings replaces them and schedules the tenant's reports anew.
func (r *Reports) SaveSettings(ctx context.Context, v report.Settings) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := r.db.writer.write(ctx, func(w *writer) error {
		if err := w.do("INSERT OR REPLACE INTO report_settings (tenant, body) VALUES (?, ?)", func(s *driver.Stmt) {
			s.BindText(1, v.Tenant)
			s.BindBytes(2, body)
		}); err != nil {
			return err
		}
		return w.do("UPDATE report_due SET due = 0 WHERE tenant = ?", func(s *driver.Stmt) { s.BindText(1, v.Tenant) })
	}); err != nil {
		return fmt.Errorf("save the report settings of tenant %s: %w", v.Tenant, err)
	}
	return nil
}

// Save inserts or replaces a report.
func (r *Reports) Save(ctx context.Context, v report.Report, files []report.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := r.db.writer.write(ctx, func(w *writer) error {
		if err := w.do("INSERT OR REPLACE INTO reports (tenant, id, at, state, body) VALUES (?, ?, ?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindText(1, v.Tenant)
				s.BindText(2, v.ID)
				s.BindInt64(3, v.CreatedAt.UnixNano())
				s.BindText(4, string(v.State))
				s.BindBytes(5, body)
			}); err != nil || len(files) == 0 {
			return err
		}
		if err := w.do("DELETE FROM report_files WHERE tenant = ? AND report = ?", func(s *driver.Stmt) {
			s.BindText(1, v.Tenant)
			s.BindText(2, v.ID)
		}); err != nil {
			return err
		}
		for _, f := range files {
			if err := w.do("INSERT INTO report_files (tenant, report, name, type, data) VALUES (?, ?, ?, ?, ?)",
				func(s *driver.Stmt) {
					s.BindText(1, v.Tenant)
					s.BindText(2, v.ID)
					s.BindText(3, f.Name)
					s.BindText(4, f.Type)
					s.BindBytes(5, f.Data)
				}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("save report %s of tenant %s: %w", v.ID, v.Tenant, err)
	}
	return nil
}

func (r *Reports) read(ctx context.Context, where string, bind func(*driver.Stmt)) (out []report.Report, err error) {
	err = r.db.query(ctx, "SELECT body FROM reports WHERE "+where, bind, func(s *driver.Stmt) error {
		var v report.Report
		err := json.Unmarshal(blob(s, 0), &v)
		out = append(out, v)
		return err
	})
	return out, err
}

// Get reads one report.
func (r *Reports) Get(ctx context.Context, tenant, id string) (report.Report, error) {
	found, err := r.read(ctx, "tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	})
	if err == nil && len(found) == 0 {
		err = report.ErrNotFound
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read report %s of tenant %s: %w", id, tenant, err)
	}
	return found[0], nil
}

// Recent lists the newest reports.
func (r *Reports) Recent(ctx context.Context, tenant string, limit int) ([]report.Report, error) {
	found, err := r.read(ctx, "tenant = ? ORDER BY at DESC, id DESC LIMIT ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindInt64(2, int64(limit))
	})
	if err != nil {
		return nil, fmt.Errorf("list the reports of tenant %s: %w", tenant, err)
	}
	return found, nil
}

// Waiting lists the reports that are to be made.
func (r *Reports) Waiting(ctx context.Context, limit int) ([]report.Report, error) {
	found, err := r.read(ctx, "state = 'waiting' ORDER BY at LIMIT ?",
		func(s *driver.Stmt) { s.BindInt64(1, int64(limit)) })
	if err != nil {
		return nil, fmt.Errorf("list the reports that wait: %w", err)
	}
	return found, nil
}

// File reads a file of a report.
func (r *Reports) File(ctx context.Context, tenant, id, name string) (report.File, error) {
	f, found := report.File{Name: name}, false
	err := r.db.query(ctx, "SELECT type, data FROM report_files WHERE tenant = ? AND report = ? AND name = ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
			s.BindText(3, name)
		}, func(s *driver.Stmt) error {
			found, f.Type, f.Data = true, s.ColumnText(0), blob(s, 1)
			return nil
		})
	if err == nil && !found {
		err = report.ErrNotFound
	}
	if err != nil {
		return f, fmt.Errorf("read file %s of report %s of tenant %s: %w", name, id, tenant, err)
	}
	return f, nil
}

// Due lists subscriptions whose time has come.
func (r *Reports) Due(ctx context.Context, now time.Time, limit int) ([]report.Subscription, error) {
	var out []report.Subscription
	err := r.db.query(ctx, "SELECT tenant, receiver, frequency, due, since, done FROM report_due WHERE due <= ? "+
		"ORDER BY due, tenant, receiver, frequency LIMIT ?", func(s *driver.Stmt) {
		s.BindInt64(1, now.UnixNano())
		s.BindInt64(2, int64(limit))
	}, func(s *driver.Stmt) error {
		v := report.Subscription{Tenant: s.ColumnText(0), Receiver: s.ColumnText(1),
			Frequency: report.Frequency(s.ColumnText(2))}
		v.Due, v.Since, v.Done = dueAt(s.ColumnInt64(3)), dueAt(s.ColumnInt64(4)), report.Day(s.ColumnText(5))
		out = append(out, v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list due reports: %w", err)
	}
	return out, nil
}

// nanos is the reverse of dueAt.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Reschedule moves subscriptions on.
func (r *Reports) Reschedule(ctx context.Context, moves []report.Move) error {
	if err := r.db.writer.write(ctx, func(w *writer) error {
		for _, v := range moves {
			if err := w.do("UPDATE report_due SET due = ?1, done = ?6, since = ?7 WHERE tenant = ?2 AND receiver = "+
				"?3 AND frequency = ?4 AND due = ?5", func(s *driver.Stmt) {
				s.BindInt64(1, v.Next.UnixNano())
				s.BindText(2, v.Tenant)
				s.BindText(3, v.Receiver)
				s.BindText(4, string(v.Frequency))
				s.BindInt64(5, nanos(v.Due))
				s.BindText(6, string(v.Done))
				s.BindInt64(7, nanos(v.Since))
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

var reportTypes = map[report.Frequency]event.Type{report.Daily: event.ReportDaily, report.Weekly: event.ReportWeekly,
	report.Monthly: event.ReportMonthly}

// subscribe makes a receiver's rows of the schedule those of the frequencies given: what stays keeps its time, what is
// new is subscribed since the time given.
func (w *writer) subscribe(tenant, receiver string, since time.Time, frequencies []report.Frequency) error {
	wanted := map[report.Frequency]bool{}
	for _, f := range frequencies {
		wanted[f] = true
	}
	for _, f := range report.Frequencies() {
		sql := "DELETE FROM report_due WHERE tenant = ? AND receiver = ? AND frequency = ?"
		if wanted[f] {
			sql = "INSERT OR IGNORE INTO report_due (tenant, receiver, frequency, due, since) VALUES (?, ?, ?, 0, ?)"
		}
		if err := w.do(sql, func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, receiver)
			s.BindText(3, string(f))
			if wanted[f] {
				s.BindInt64(4, nanos(since))
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// pruneReports removes what the record and the reports keep no longer.
func (db *DB) pruneReports(ctx context.Context, now time.Time) (removed int, err error) {
	for _, t := range []struct{ table, key string }{
		{"report_counts", "tenant, day, dimension, value"}, {"report_sizes", "tenant, day, part"},
		{"report_attacks", "tenant, day, key"},
		{"report_incidents", "tenant, day, id"}, {"report_vulnerabilities", "tenant, day, id"},
	} {
		n, err := db.chunks(ctx,
			fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE day < ? LIMIT ?)", t.table,
				t.key), func(s *driver.Stmt) {
				s.BindText(1, string(report.DayOf(now.AddDate(0, -report.KeepMonths, 0), time.UTC)))
				s.BindInt64(2, pruneChunk)
			})
		if removed += n; err != nil {
			return removed, err
		}
	}
	old := func(s *driver.Stmt) {
		s.BindInt64(1, now.Add(-report.KeepFiles).UnixNano())
		s.BindInt64(2, report.Kept)
	}
	err = db.writer.write(ctx, func(w *writer) error {
		if err := w.do(`DELETE FROM reports WHERE at < ?1 AND state <> 'waiting' AND (tenant, id) NOT IN (
			SELECT tenant, id FROM (SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY at DESC, id DESC) AS place FROM reports) WHERE place <= ?2)`, old); err != nil {
			return err
		}
		removed += w.conn.Changes()
		return w.do("DELETE FROM report_files WHERE (tenant, report) NOT IN (SELECT tenant, id FROM reports)", nil)
	})
	return removed, err
}
