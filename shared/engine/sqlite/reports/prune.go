package reports

import (
	"context"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
)

// Prune removes reports that are kept no longer: all but the newest of each tenant, after some time.
func (r *Reports) Prune(ctx context.Context, now time.Time) (removed int, err error) {
	err = r.db.Write(ctx, func(w *db.Writer) error {
		removed = 0
		if err := w.Do(`DELETE FROM reports WHERE at < ?1 AND state <> 'waiting' AND (tenant, id) NOT IN (
			SELECT tenant, id FROM (
				SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY at DESC, id DESC) AS place
				FROM reports)
			WHERE place <= ?2)`, func(s *driver.Stmt) {
			s.BindInt64(1, now.Add(-daily.KeepFiles).UnixNano())
			s.BindInt64(2, report.Kept)
		}); err != nil {
			return err
		}
		removed = w.Conn.Changes()
		return w.Do("DELETE FROM report_files WHERE (tenant, report) NOT IN (SELECT tenant, id FROM reports)", nil)
	})
	return removed, err
}
