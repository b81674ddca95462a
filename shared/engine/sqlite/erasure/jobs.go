package erasure

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/erasure"
)

// Jobs keeps erasures that the API was asked for (erasure.Jobs).
type Jobs struct{ DB *db.File }

var _ erasure.Jobs = Jobs{}

func (s Jobs) query(ctx context.Context, where string, bind func(*driver.Stmt)) (out []erasure.Job, err error) {
	err = s.DB.Query(ctx, "SELECT body FROM erasures WHERE "+where, bind, func(q *driver.Stmt) error {
		var j erasure.Job
		err := json.Unmarshal(db.Blob(q, 0), &j)
		out = append(out, j)
		return err
	})
	return out, err
}

// Job reads one.
func (s Jobs) Job(ctx context.Context, key string) (erasure.Job, error) {
	found, err := s.query(ctx, "tenant = ?", func(q *driver.Stmt) { q.BindText(1, key) })
	if err == nil && len(found) == 0 {
		err = erasure.ErrNotFound
	}
	if err != nil {
		return erasure.Job{}, fmt.Errorf("read the erasure of tenant %s: %w", key, err)
	}
	return found[0], nil
}

// SaveJob replaces one, with the entries of it.
func (s Jobs) SaveJob(ctx context.Context, j erasure.Job, entries ...activity.Entry) error {
	body, err := json.Marshal(j)
	if err != nil {
		return err
	}
	save := func() error {
		return s.DB.Write(ctx, func(w *db.Writer) error { return write(w, j, body, entries) })
	}
	if j.Pseudonym != "" { // until it is over it names the person
		err = s.DB.Overwriting(ctx, save)
	} else {
		err = save()
	}
	if err != nil {
		return fmt.Errorf("save the erasure of tenant %s: %w", j.Key(), err)
	}
	return nil
}

func write(w *db.Writer, j erasure.Job, body []byte, entries []activity.Entry) error {
	if err := w.Do(`INSERT INTO erasures (tenant, revision, due, forget, body) SELECT ?1, ?2, ?3, ?4, ?5
			WHERE ?2 = 1 + coalesce((SELECT revision FROM erasures WHERE tenant = ?1), 0)
			ON CONFLICT DO UPDATE SET revision = excluded.revision, due = excluded.due, forget = excluded.forget,
				body = excluded.body`, func(q *driver.Stmt) {
		q.BindText(1, j.Key())
		q.BindInt64(2, j.Revision)
		q.BindNull(3)
		q.BindNull(4)
		if !j.Due.IsZero() {
			q.BindInt64(3, j.Due.UnixNano())
		}
		if at := j.Forget(); !at.IsZero() {
			q.BindInt64(4, at.Unix())
		}
		q.BindBytes(5, body)
	}); err != nil {
		return err
	}
	if w.Conn.Changes() == 0 {
		return erasure.ErrConflict
	}
	return activitylog.PutAll(w, entries)
}

// DueJobs lists those that are due.
func (s Jobs) DueJobs(ctx context.Context, now time.Time, limit int) ([]erasure.Job, error) {
	return s.query(ctx, "due <= ? ORDER BY due LIMIT ?", func(q *driver.Stmt) {
		q.BindInt64(1, now.UnixNano())
		q.BindInt64(2, int64(limit))
	})
}

// Prune forgets those that have been over for long.
func (s Jobs) Prune(ctx context.Context, now time.Time) (int, error) {
	return s.DB.Chunks(ctx, "DELETE FROM erasures WHERE tenant IN "+
		"(SELECT tenant FROM erasures WHERE forget <= ? LIMIT ?)",
		func(q *driver.Stmt) {
			q.BindInt64(1, now.Unix())
			q.BindInt64(2, db.Chunk)
		})
}
