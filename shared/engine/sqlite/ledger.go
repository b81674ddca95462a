package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/report"
)

// DailyTotals reads the record for reports (report.Ledger). Accept writes it.
type DailyTotals struct{ db *DB }

// DailyTotals returns the record.
func (db *DB) DailyTotals() *DailyTotals { return &DailyTotals{db} }

var _ report.DailyTotals = (*DailyTotals)(nil)

// addRecord adds one record, on the writer.
func (w *writer) addRecord(r report.DayEntry) error {
	grown := map[report.Dimension]int64{}
	for _, c := range r.Counts {
		inserted, err := w.addCount(r.Tenant, r.Day, c)
		if err != nil {
			return err
		}
		if inserted {
			grown[c.Dimension]++
		}
	}
	for dimension, n := range grown {
		if err := w.boundValues(r.Tenant, r.Day, dimension, n); err != nil {
			return err
		}
	}
	if err := w.addAttacks(r); err != nil {
		return err
	}
	for _, i := range r.Incidents {
		if err := w.addFinding("report_incidents", report.DroppedIncidents, r, i.ID, i); err != nil {
			return err
		}
	}
	for _, v := range r.Vulnerabilities {
		if err := w.addFinding("report_vulnerabilities", report.DroppedVulns, r, v.ID, v); err != nil {
			return err
		}
	}
	return nil
}

func dayKey(tenant string, day report.Day) func(*driver.Stmt) {
	return func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, string(day))
	}
}

func (w *writer) addCount(tenant string, day report.Day, c report.Count) (inserted bool, err error) {
	bind := func(s *driver.Stmt) {
		dayKey(tenant, day)(s)
		s.BindText(3, string(c.Dimension))
		s.BindText(4, c.Value)
		s.BindInt64(5, c.N)
	}
	err = w.do("UPDATE report_counts SET n = n + ?5 WHERE tenant = ?1 AND day = ?2 AND dimension = ?3 AND value = ?4",
		bind)
	if err != nil || w.conn.Changes() > 0 {
		return false, err
	}
	return true, w.do("INSERT INTO report_counts (tenant, day, dimension, value, n) VALUES (?1, ?2, ?3, ?4, ?5)", bind)
}

// grow counts new rows of a part of a day and returns how many it has.
func (w *writer) grow(tenant string, day report.Day, part string, by int64) (n int64, err error) {
	err = each(w.conn, `INSERT INTO report_sizes (tenant, day, part, n) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT DO UPDATE SET n = n + excluded.n RETURNING n`, func(s *driver.Stmt) {
		dayKey(tenant, day)(s)
		s.BindText(3, part)
		s.BindInt64(4, by)
	}, func(s *driver.Stmt) error {
		n = s.ColumnInt64(0)
		return nil
	})
	return n, err
}

// boundValues lets the smallest values of a dimension go when it has twice as many as are kept.
func (w *writer) boundValues(tenant string, day report.Day, dimension report.Dimension, grown int64) error {
	n, err := w.grow(tenant, day, string(dimension), grown)
	if err != nil || n <= 2*report.MaxValues {
		return err
	}
	gone, hits := int64(0), int64(0)
	if err := each(w.conn, `DELETE FROM report_counts WHERE tenant = ?1 AND day = ?2 AND dimension = ?3 AND value IN (
		SELECT value FROM report_counts WHERE tenant = ?1 AND day = ?2 AND dimension = ?3 AND value NOT IN ('', ?4) ORDER BY n DESC, value LIMIT -1 OFFSET ?5) RETURNING n`,
		func(s *driver.Stmt) {
			dayKey(tenant, day)(s)
			s.BindText(3, string(dimension))
			s.BindText(4, report.Other)
			s.BindInt64(5, report.MaxValues)
		}, func(s *driver.Stmt) error {
			gone++
			hits += s.ColumnInt64(0)
			return nil
		}); err != nil {
		return err
	}
	if _, err := w.grow(tenant, day, string(dimension), -gone); err != nil {
		return err
	}
	_, err = w.addCount(tenant, day, report.Count{Dimension: dimension, Value: report.Other, N: hits})
	return err
}

func (w *writer) addAttacks(r report.DayEntry) error {
	inserted := int64(0)
	for _, a := range r.Attacks {
		known, err := w.attack(r, a.Key)
		if err != nil {
			return err
		}
		if known == nil {
			inserted++
		} else {
			known.Add(a)
			known.Key = a.Key // it is not in the body
			a = *known
		}
		body, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if err := w.do("INSERT OR REPLACE INTO report_attacks (tenant, day, key, hits, body) VALUES (?1, ?2, ?3, ?4, "+
			"?5)", func(s *driver.Stmt) {
			dayKey(r.Tenant, r.Day)(s)
			s.BindBytes(3, a.Key[:])
			s.BindInt64(4, a.Hits())
			s.BindBytes(5, body)
		}); err != nil {
			return err
		}
	}
	if inserted == 0 {
		return nil
	}
	return w.boundAttacks(r, inserted)
}

func (w *writer) attack(r report.DayEntry, key report.AttackKey) (a *report.Attack, err error) {
	err = each(w.conn, "SELECT body FROM report_attacks WHERE tenant = ?1 AND day = ?2 AND key = ?3",
		func(s *driver.Stmt) {
			dayKey(r.Tenant, r.Day)(s)
			s.BindBytes(3, key[:])
		}, func(s *driver.Stmt) error {
			a = &report.Attack{}
			return json.Unmarshal(blob(s, 0), a)
		})
	return a, err
}

func (w *writer) boundAttacks(r report.DayEntry, grown int64) error {
	n, err := w.grow(r.Tenant, r.Day, "attacks", grown)
	if err != nil || n <= 2*report.MaxAttacks {
		return err
	}
	if err := w.do(`DELETE FROM report_attacks WHERE tenant = ?1 AND day = ?2 AND key IN (
		SELECT key FROM report_attacks WHERE tenant = ?1 AND day = ?2 ORDER BY hits DESC, key LIMIT -1 OFFSET ?3)`, func(s *driver.Stmt) {
		dayKey(r.Tenant, r.Day)(s)
		s.BindInt64(3, report.MaxAttacks)
	}); err != nil {
		return err
	}
	gone := int64(w.conn.Changes())
	if _, err := w.grow(r.Tenant, r.Day, "attacks", -gone); err != nil {
		return err
	}
	_, err = w.addCount(r.Tenant, r.Day, report.Count{Dimension: report.Dropped, Value: report.DroppedAttacks, N: gone})
	return err
}

// addFinding inserts or replaces an incident or a vulnerability. Beyond the limit a new one is counted only.
func (w *writer) addFinding(table, what string, r report.DayEntry, id string, v any) error {
	known := false
	key := func(s *driver.Stmt) {
		dayKey(r.Tenant, r.Day)(s)
		s.BindText(3, id)
	}
	if err := each(w.conn, "SELECT 1 FROM "+table+" WHERE tenant = ?1 AND day = ?2 AND id = ?3", key,
		func(*driver.Stmt) error {
			known = true
			return nil
		}); err != nil {
		return err
	}
	if !known {
		n, err := w.grow(r.Tenant, r.Day, what, 1)
		if err != nil {
			return err
		}
		if n > report.MaxFindings {
			_, err := w.addCount(r.Tenant, r.Day, report.Count{Dimension: report.Dropped, Value: what, N: 1})
			return err
		}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.do("INSERT OR REPLACE INTO "+table+" (tenant, day, id, body) VALUES (?1, ?2, ?3, ?4)",
		func(s *driver.Stmt) {
			key(s)
			s.BindBytes(4, body)
		})
}

// days visits the rows of a range of days.
func (l *DailyTotals) days(ctx context.Context, what, columns, table, tenant string, first, last report.Day,
	row func(*driver.Stmt) error) error {
	err := l.db.query(ctx, "SELECT "+columns+" FROM "+table+" WHERE tenant = ? AND day BETWEEN ? AND ?",
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
func (l *DailyTotals) Counts(ctx context.Context, tenant string, first, last report.Day,
	visit func(report.Day, report.Count) error) error {
	return l.days(ctx, "counts", "day, dimension, value, n", "report_counts", tenant, first, last,
		func(s *driver.Stmt) error {
			return visit(report.Day(s.ColumnText(0)),
				report.Count{Dimension: report.Dimension(s.ColumnText(1)), Value: s.ColumnText(2), N: s.ColumnInt64(3)})
		})
}

// Attacks visits attacks.
func (l *DailyTotals) Attacks(ctx context.Context, tenant string, first, last report.Day,
	visit func(report.Day, report.Attack) error) error {
	return l.days(ctx, "attacks", "day, key, body", "report_attacks", tenant, first, last, func(s *driver.Stmt) error {
		var a report.Attack
		if err := json.Unmarshal(blob(s, 2), &a); err != nil {
			return err
		}
		copy(a.Key[:], blob(s, 1))
		return visit(report.Day(s.ColumnText(0)), a)
	})
}

// Incidents visits incidents.
func (l *DailyTotals) Incidents(ctx context.Context, tenant string, first, last report.Day,
	visit func(report.Incident) error) error {
	return l.days(ctx, "incidents", "body", "report_incidents", tenant, first, last, func(s *driver.Stmt) error {
		var i report.Incident
		if err := json.Unmarshal(blob(s, 0), &i); err != nil {
			return err
		}
		return visit(i)
	})
}

// Vulnerabilities visits vulnerabilities.
func (l *DailyTotals) Vulnerabilities(ctx context.Context, tenant string, first, last report.Day,
	visit func(report.Vulnerability) error) error {
	return l.days(ctx, "vulnerabilities", "body", "report_vulnerabilities", tenant, first, last,
		func(s *driver.Stmt) error {
			var v report.Vulnerability
			if err := json.Unmarshal(blob(s, 0), &v); err != nil {
				return err
			}
			return visit(v)
		})
}
