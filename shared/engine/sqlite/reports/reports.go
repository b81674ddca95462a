package reports

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/report"
	"tocsin/shared/retention"
)

// Reports keeps reports, their files, settings and the schedule (report.Store).
type Reports struct{ db *db.File }

// New returns the reports of a state file.
func New(file *db.File) *Reports { return &Reports{file} }

var _ report.Store = (*Reports)(nil)

// Settings reads a tenant's settings.
func (r *Reports) Settings(ctx context.Context, tenant string) (report.Settings, error) {
	out := report.Settings{Tenant: tenant}
	err := r.db.Query(ctx, "SELECT body FROM report_settings WHERE tenant = ?",
		func(s *driver.Stmt) { s.BindText(1, tenant) }, func(s *driver.Stmt) error {
			return json.Unmarshal(db.Blob(s, 0), &out)
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

const retained = `SELECT body FROM report_settings INDEXED BY report_settings_retention
	WHERE json_extract(CAST(body AS TEXT), '$.retention') IS NOT NULL`

// Retentions reads what tenants chose of how long their events are kept: those that did.
func (r *Reports) Retentions(ctx context.Context) (map[string]retention.Setting, error) {
	out := map[string]retention.Setting{}
	err := r.db.Query(ctx, retained, nil, func(s *driver.Stmt) error {
		var v report.Settings
		if err := json.Unmarshal(db.Blob(s, 0), &v); err != nil {
			return err
		}
		if v.Retention.Days() != (retention.Days{}) {
			out[v.Tenant] = v.Retention
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read how long the events of tenants are kept: %w", err)
	}
	return out, nil
}

// SaveSettings replaces them and schedules the tenant's reports anew.
func (r *Reports) SaveSettings(ctx context.Context, v report.Settings, e activity.Entry) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := r.db.Write(ctx, func(w *db.Writer) error {
		var old report.Settings
		if err := db.Each(w.Conn, "SELECT body FROM report_settings WHERE tenant = ?",
			func(s *driver.Stmt) { s.BindText(1, v.Tenant) },
			func(s *driver.Stmt) error { return json.Unmarshal(db.Blob(s, 0), &old) }); err != nil {
			return err
		}
		if v.Revision > 0 && old.Revision != v.Revision-1 {
			return report.ErrConflict
		}
		if err := w.Do("INSERT OR REPLACE INTO report_settings (tenant, body) VALUES (?, ?)", func(s *driver.Stmt) {
			s.BindText(1, v.Tenant)
			s.BindBytes(2, body)
		}); err != nil {
			return err
		}
		if err := w.Do("UPDATE report_due SET due = 0 WHERE tenant = ?",
			func(s *driver.Stmt) { s.BindText(1, v.Tenant) }); err != nil {
			return err
		}
		return activitylog.Put(w, e)
	}); err != nil {
		return fmt.Errorf("save the report settings of tenant %s: %w", v.Tenant, err)
	}
	return nil
}

// Save inserts or replaces a report.
func (r *Reports) Save(ctx context.Context, v report.Report, files []report.File,
	entries ...activity.Entry) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := r.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("INSERT OR REPLACE INTO reports (tenant, id, at, state, body) VALUES (?, ?, ?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindText(1, v.Tenant)
				s.BindText(2, v.ID)
				s.BindInt64(3, v.CreatedAt.UnixNano())
				s.BindText(4, string(v.State))
				s.BindBytes(5, body)
			}); err != nil {
			return err
		}
		for _, e := range entries {
			if err := activitylog.Put(w, e); err != nil {
				return err
			}
		}
		if len(files) == 0 {
			return nil
		}
		if err := w.Do("DELETE FROM report_files WHERE tenant = ? AND report = ?", func(s *driver.Stmt) {
			s.BindText(1, v.Tenant)
			s.BindText(2, v.ID)
		}); err != nil {
			return err
		}
		for _, f := range files {
			if err := w.Do("INSERT INTO report_files (tenant, report, name, type, data) VALUES (?, ?, ?, ?, ?)",
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
	err = r.db.Query(ctx, "SELECT body FROM reports WHERE "+where, bind, func(s *driver.Stmt) error {
		var v report.Report
		err := json.Unmarshal(db.Blob(s, 0), &v)
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
	err := r.db.Query(ctx, "SELECT type, data FROM report_files WHERE tenant = ? AND report = ? AND name = ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
			s.BindText(3, name)
		}, func(s *driver.Stmt) error {
			found, f.Type, f.Data = true, s.ColumnText(0), db.Blob(s, 1)
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
