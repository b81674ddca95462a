package dailytotals

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// Add adds what a batch adds to a day, in the transaction of the batch.
func Add(w *db.Writer, r daily.Entry) error {
	grown := map[daily.Dimension]int64{}
	for _, c := range r.Counts {
		inserted, err := addCount(w, r.Tenant, r.Day, c)
		if err != nil {
			return err
		}
		if inserted {
			grown[c.Dimension]++
		}
	}
	for dimension, n := range grown {
		if err := boundValues(w, r.Tenant, r.Day, dimension, n); err != nil {
			return err
		}
	}
	if err := addAttacks(w, r); err != nil {
		return err
	}
	for _, i := range r.Incidents {
		if err := addFinding(w, "report_incidents", daily.DroppedIncidents, r, i.ID, i); err != nil {
			return err
		}
	}
	for _, v := range r.Vulnerabilities {
		if err := addFinding(w, "report_vulnerabilities", daily.DroppedVulns, r, v.ID, v); err != nil {
			return err
		}
	}
	return nil
}

func dayKey(tenant string, day calendar.Day) func(*driver.Stmt) {
	return func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, string(day))
	}
}

func addCount(w *db.Writer, tenant string, day calendar.Day, c daily.Count) (inserted bool, err error) {
	bind := func(s *driver.Stmt) {
		dayKey(tenant, day)(s)
		s.BindText(3, string(c.Dimension))
		s.BindText(4, c.Value)
		s.BindInt64(5, c.N)
	}
	err = w.Do("UPDATE report_counts SET n = n + ?5 WHERE tenant = ?1 AND day = ?2 AND dimension = ?3 AND value = ?4",
		bind)
	if err != nil || w.Conn.Changes() > 0 {
		return false, err
	}
	return true, w.Do("INSERT INTO report_counts (tenant, day, dimension, value, n) VALUES (?1, ?2, ?3, ?4, ?5)", bind)
}

// grow counts new rows of a part of a day and returns how many it has.
func grow(w *db.Writer, tenant string, day calendar.Day, part string, by int64) (n int64, err error) {
	err = db.Each(w.Conn, `INSERT INTO report_sizes (tenant, day, part, n) VALUES (?1, ?2, ?3, ?4)
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

// boundValues lets the smallest values of a dimension go when it has twice as many as are kept: the rule of
// daily.Totals in SQL.
func boundValues(w *db.Writer, tenant string, day calendar.Day, dimension daily.Dimension, grown int64) error {
	n, err := grow(w, tenant, day, string(dimension), grown)
	if err != nil || n <= 2*daily.MaxValues {
		return err
	}
	gone, hits := int64(0), int64(0)
	if err := db.Each(w.Conn, `DELETE FROM report_counts
		WHERE tenant = ?1 AND day = ?2 AND dimension = ?3 AND value IN (
			SELECT value FROM report_counts
			WHERE tenant = ?1 AND day = ?2 AND dimension = ?3 AND value NOT IN ('', ?4)
			ORDER BY n DESC, value LIMIT -1 OFFSET ?5) RETURNING n`,
		func(s *driver.Stmt) {
			dayKey(tenant, day)(s)
			s.BindText(3, string(dimension))
			s.BindText(4, daily.Other)
			s.BindInt64(5, daily.MaxValues)
		}, func(s *driver.Stmt) error {
			gone++
			hits += s.ColumnInt64(0)
			return nil
		}); err != nil {
		return err
	}
	inserted, err := addCount(w, tenant, day, daily.Count{Dimension: dimension, Value: daily.Other, N: hits})
	if err != nil {
		return err
	}
	if inserted {
		gone--
	}
	_, err = grow(w, tenant, day, string(dimension), -gone)
	return err
}

func addAttacks(w *db.Writer, r daily.Entry) error {
	inserted := int64(0)
	for _, a := range r.Attacks {
		known, err := attack(w, r, a.Key)
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
		if err := w.Do("INSERT OR REPLACE INTO report_attacks (tenant, day, key, hits, body) VALUES (?1, ?2, ?3, ?4, "+
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
	return boundAttacks(w, r, inserted)
}

func attack(w *db.Writer, r daily.Entry, key daily.AttackKey) (a *daily.Attack, err error) {
	err = db.Each(w.Conn, "SELECT body FROM report_attacks WHERE tenant = ?1 AND day = ?2 AND key = ?3",
		func(s *driver.Stmt) {
			dayKey(r.Tenant, r.Day)(s)
			s.BindBytes(3, key[:])
		}, func(s *driver.Stmt) error {
			a = &daily.Attack{}
			return json.Unmarshal(db.Blob(s, 0), a)
		})
	return a, err
}

func boundAttacks(w *db.Writer, r daily.Entry, grown int64) error {
	n, err := grow(w, r.Tenant, r.Day, "attacks", grown)
	if err != nil || n <= 2*daily.MaxAttacks {
		return err
	}
	if err := w.Do(`DELETE FROM report_attacks WHERE tenant = ?1 AND day = ?2 AND key IN (
		SELECT key FROM report_attacks WHERE tenant = ?1 AND day = ?2
		ORDER BY hits DESC, key LIMIT -1 OFFSET ?3)`, func(s *driver.Stmt) {
		dayKey(r.Tenant, r.Day)(s)
		s.BindInt64(3, daily.MaxAttacks)
	}); err != nil {
		return err
	}
	gone := int64(w.Conn.Changes())
	if _, err := grow(w, r.Tenant, r.Day, "attacks", -gone); err != nil {
		return err
	}
	_, err = addCount(w, r.Tenant, r.Day, daily.Count{Dimension: daily.Dropped, Value: daily.DroppedAttacks,
		N: gone})
	return err
}

// addFinding inserts or replaces an incident or a vulnerability. Beyond the limit a new one is counted only.
func addFinding(w *db.Writer, table, what string, r daily.Entry, id string, v any) error {
	known := false
	key := func(s *driver.Stmt) {
		dayKey(r.Tenant, r.Day)(s)
		s.BindText(3, id)
	}
	if err := db.Each(w.Conn, "SELECT 1 FROM "+table+" WHERE tenant = ?1 AND day = ?2 AND id = ?3", key,
		func(*driver.Stmt) error {
			known = true
			return nil
		}); err != nil {
		return err
	}
	if !known {
		n, err := grow(w, r.Tenant, r.Day, what, 1)
		if err != nil {
			return err
		}
		if n > daily.MaxFindings {
			_, err := addCount(w, r.Tenant, r.Day, daily.Count{Dimension: daily.Dropped, Value: what, N: 1})
			return err
		}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Do("INSERT OR REPLACE INTO "+table+" (tenant, day, id, body) VALUES (?1, ?2, ?3, ?4)",
		func(s *driver.Stmt) {
			key(s)
			s.BindBytes(4, body)
		})
}

// Prune removes days that no report is made of any more.
func (l *DailyTotals) Prune(ctx context.Context, now time.Time) (removed int, err error) {
	first := calendar.DayOf(now.AddDate(0, -daily.KeepMonths, 0), time.UTC)
	for _, t := range []struct{ table, key string }{
		{"report_counts", "tenant, day, dimension, value"}, {"report_sizes", "tenant, day, part"},
		{"report_attacks", "tenant, day, key"},
		{"report_incidents", "tenant, day, id"}, {"report_vulnerabilities", "tenant, day, id"},
	} {
		n, err := l.db.Chunks(ctx,
			fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE day < ? LIMIT ?)", t.table,
				t.key), func(s *driver.Stmt) {
				s.BindText(1, string(first))
				s.BindInt64(2, db.Chunk)
			})
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}
