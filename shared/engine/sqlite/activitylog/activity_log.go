package activitylog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/db"
)

// Log keeps the activity log (activity.Store).
type Log struct{ db *db.File }

// New returns the activity log of a state file.
func New(file *db.File) *Log { return &Log{file} }

var _ activity.Store = (*Log)(nil)

// Put adds an entry in the transaction of the change that it tells of.
func Put(w *db.Writer, e activity.Entry) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode entry %s of the activity log: %w", e.ID, err)
	}
	return w.Do("INSERT INTO activity (tenant, place, person, object, object_id, action, source, body) "+
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?)", func(s *driver.Stmt) {
		for n, text := range []string{e.Tenant, e.Place(), e.PersonKey(), string(e.Object), e.ObjectID,
			string(e.Action), string(e.Source)} {
			s.BindText(n+1, text)
		}
		s.BindBytes(8, body)
	})
}

// PutAll adds entries likewise.
func PutAll(w *db.Writer, entries []activity.Entry) error {
	for _, e := range entries {
		if err := Put(w, e); err != nil {
			return err
		}
	}
	return nil
}

// Append adds an entry by itself.
func (l *Log) Append(ctx context.Context, e activity.Entry) error {
	return l.db.Write(ctx, func(w *db.Writer) error { return Put(w, e) })
}

// List answers a query.
func (l *Log) List(ctx context.Context, q activity.Query) (page activity.Page, err error) {
	sql, values := where(q)
	err = l.db.Query(ctx, sql, func(s *driver.Stmt) {
		for n, v := range values {
			s.BindText(n+1, v)
		}
		s.BindInt64(len(values)+1, int64(q.Limit)+1)
	}, func(s *driver.Stmt) error {
		var e activity.Entry
		err := json.Unmarshal(db.Blob(s, 0), &e)
		page.Entries = append(page.Entries, e)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("list the activity of tenant %s: %w", q.Tenant, err)
	}
	if len(page.Entries) > q.Limit {
		page.Entries = page.Entries[:q.Limit]
		page.Next = page.Entries[q.Limit-1].Place()
	}
	return page, nil
}

// where is the statement of a query, with the values of its parameters but the last, which is the limit.
func where(q activity.Query) (sql string, values []string) {
	sql = "SELECT body FROM activity WHERE tenant = ?"
	values = []string{q.Tenant}
	for _, c := range []struct{ condition, value string }{
		{"person = ?", q.Person}, {"object_id = ?", q.ObjectID}, {"object = ?", string(q.Object)},
		{"action = ?", string(q.Action)}, {"source = ?", string(q.Source)}, {"place < ?", q.Before},
		{"place >= ?", place(q.From)}, {"place < ?", place(q.To)},
	} {
		if c.value != "" {
			sql += " AND " + c.condition
			values = append(values, c.value)
		}
	}
	return sql + " ORDER BY place DESC LIMIT ?", values
}

// place is where a time begins, "" for none.
func place(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return activity.Place(at)
}

// Prune removes what is older than activity.Months.
func (l *Log) Prune(ctx context.Context, now time.Time) (int, error) {
	return l.db.Chunks(ctx,
		"DELETE FROM activity WHERE (tenant, place) IN (SELECT tenant, place FROM activity WHERE place < ? LIMIT ?)",
		func(s *driver.Stmt) {
			s.BindText(1, activity.Place(activity.Oldest(now)))
			s.BindInt64(2, db.Chunk)
		})
}
