package dailytotals

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// DailyTotals reads what reports are made of (report.DailyTotals). Add writes it.
type DailyTotals struct{ db *db.File }

// New returns the daily totals of a state file.
func New(file *db.File) *DailyTotals { return &DailyTotals{file} }

var _ report.DailyTotals = (*DailyTotals)(nil)

// days visits the rows of a range of days.
func (l *DailyTotals) days(ctx context.Context, what, columns, table, tenant string, first, last calendar.Day,
	row func(*driver.Stmt) error) error {
	err := l.db.Query(ctx, "SELECT "+columns+" FROM "+table+" WHERE tenant = ? AND day BETWEEN ? AND ?",
		func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, string(first))
			s.BindText(3, string(last))
		}, row)
	if err != nil {
		return fmt.Errorf("read the %s of tenant %s from %s to %s: %w", what, tenant, first, last, err)
	}
	return nil
}

// Counts visits counts.
func (l *DailyTotals) Counts(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Count) error) error {
	return l.days(ctx, "counts", "day, dimension, value, n", "report_counts", tenant, first, last,
		func(s *driver.Stmt) error {
			return visit(calendar.Day(s.ColumnText(0)),
				daily.Count{Dimension: daily.Dimension(s.ColumnText(1)), Value: s.ColumnText(2), N: s.ColumnInt64(3)})
		})
}

// Attacks visits attacks.
func (l *DailyTotals) Attacks(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Attack) error) error {
	return l.days(ctx, "attacks", "day, key, body", "report_attacks", tenant, first, last, func(s *driver.Stmt) error {
		var a daily.Attack
		if err := json.Unmarshal(db.Blob(s, 2), &a); err != nil {
			return err
		}
		copy(a.Key[:], db.Blob(s, 1))
		return visit(calendar.Day(s.ColumnText(0)), a)
	})
}

// Incidents visits incidents.
func (l *DailyTotals) Incidents(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(daily.Incident) error) error {
	return l.days(ctx, "incidents", "body", "report_incidents", tenant, first, last, func(s *driver.Stmt) error {
		var i daily.Incident
		if err := json.Unmarshal(db.Blob(s, 0), &i); err != nil {
			return err
		}
		return visit(i)
	})
}

// Vulnerabilities visits vulnerabilities.
func (l *DailyTotals) Vulnerabilities(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(daily.Vulnerability) error) error {
	return l.days(ctx, "vulnerabilities", "body", "report_vulnerabilities", tenant, first, last,
		func(s *driver.Stmt) error {
			var v daily.Vulnerability
			if err := json.Unmarshal(db.Blob(s, 0), &v); err != nil {
				return err
			}
			return visit(v)
		})
}
