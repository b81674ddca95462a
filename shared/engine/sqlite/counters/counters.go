package counters

import (
	"context"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/health"
)

// Counters keeps the counts of attempts (health.Counters).
type Counters struct{ db *db.File }

// New returns the counters of a state file.
func New(file *db.File) *Counters { return &Counters{file} }

var _ health.Counters = (*Counters)(nil)

// addCount adds to a bucket. Batches can be written in another order than that of their attempts.
const addCount = `INSERT INTO counters
	(tenant, integration, window, bucket, attempts, failures, first_failure, last_failure, last_success, status, words,
		delivered, dead, l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts, failures = failures + excluded.failures,
		first_failure = CASE WHEN first_failure = 0 OR excluded.first_failure BETWEEN 1 AND first_failure
			THEN excluded.first_failure ELSE first_failure END,
		status = CASE WHEN excluded.failures > 0 AND excluded.last_failure >= last_failure
			THEN excluded.status ELSE status END,
		words = CASE WHEN excluded.failures > 0 AND excluded.last_failure >= last_failure
			THEN excluded.words ELSE words END,
		last_failure = max(last_failure, excluded.last_failure),
		last_success = max(last_success, excluded.last_success),
		delivered = delivered + excluded.delivered, dead = dead + excluded.dead,
		l0 = l0 + excluded.l0, l1 = l1 + excluded.l1, l2 = l2 + excluded.l2, l3 = l3 + excluded.l3,
		l4 = l4 + excluded.l4, l5 = l5 + excluded.l5, l6 = l6 + excluded.l6, l7 = l7 + excluded.l7,
		l8 = l8 + excluded.l8, l9 = l9 + excluded.l9, l10 = l10 + excluded.l10, l11 = l11 + excluded.l11,
		l12 = l12 + excluded.l12`

// Add adds each count to its bucket.
func (c *Counters) Add(ctx context.Context, counts []health.Count) error {
	err := c.db.WriteRepeatable(ctx, func(w *db.Writer) error {
		for _, n := range counts {
			if err := Put(w, n); err != nil {
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

// Put adds a count to its bucket, on the writer.
func Put(w *db.Writer, n health.Count) error {
	return w.Do(addCount, func(s *driver.Stmt) {
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
		s.BindInt64(12, int64(n.Delivered))
		s.BindInt64(13, int64(n.Dead))
		for class, l := range n.Latencies {
			s.BindInt64(14+class, int64(l))
		}
	})
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

// counted are the columns of point.
const counted = `attempts, failures, first_failure, last_failure, last_success, status, words,
	delivered, dead, l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12`

// point reads a bucket from a column on.
func point(s *driver.Stmt, at time.Time, from int) health.Point {
	ended := health.Ended{Delivered: s.ColumnInt(from + 7), Dead: s.ColumnInt(from + 8)}
	for class := range ended.Latencies {
		ended.Latencies[class] = s.ColumnInt(from + 9 + class)
	}
	return health.Point{
		Ended:        ended,
		At:           at,
		Tally:        health.Tally{Attempts: s.ColumnInt(from), Failures: s.ColumnInt(from + 1)},
		FirstFailure: atMillis(s.ColumnInt64(from + 2)), LastFailure: atMillis(s.ColumnInt64(from + 3)),
		LastSuccess: atMillis(s.ColumnInt64(from + 4)),
		Answer:      health.Answer{Status: s.ColumnInt(from + 5), Words: s.ColumnText(from + 6)},
	}
}

const series = `SELECT bucket, ` + counted + `
	FROM counters WHERE tenant = ? AND integration = ? AND window = ? AND bucket >= ? ORDER BY bucket`

// Series lists buckets.
func (c *Counters) Series(ctx context.Context, tenant, integration string, window int64,
	since time.Time) (points []health.Point, err error) {
	err = c.db.Query(ctx, series, func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, integration)
		s.BindInt64(3, window)
		s.BindInt64(4, since.Unix())
	}, func(s *driver.Stmt) error {
		points = append(points, point(s, time.Unix(s.ColumnInt64(0), 0).UTC(), 1))
		return nil
	})
	return points, err
}

// several is how many buckets of a tenant one reading reads: some milliseconds.
const several = 2000

const seriesOf = `SELECT integration, window, bucket, ` + counted + ` FROM counters
	WHERE tenant = ? AND (integration, window, bucket) > (?, ?, ?) ORDER BY integration, window, bucket LIMIT ?`

// Several reads all buckets of the tenant, in which those of most series lie that are asked for: a tenant without any
// costs one look, however many integrations it has.
func (c *Counters) Several(ctx context.Context, tenant string, of []health.SeriesKey, since time.Time,
	visit func(n int, p health.Point)) error {
	place := make(map[health.SeriesKey]int, len(of))
	for n, k := range of {
		place[k] = n
	}
	var last health.SeriesKey
	var bucket int64
	wanted, ok := place[last]
	for read := several; read == several; {
		read = 0
		if err := c.db.Query(ctx, seriesOf, func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, last.Integration)
			s.BindInt64(3, last.Window)
			s.BindInt64(4, bucket)
			s.BindInt64(5, several)
		}, func(s *driver.Stmt) error {
			read++
			k := health.SeriesKey{Integration: s.ColumnText(0), Window: s.ColumnInt64(1)}
			if bucket = s.ColumnInt64(2); k != last {
				last = k
				wanted, ok = place[k]
			}
			if ok && bucket >= since.Unix() {
				visit(wanted, point(s, time.Unix(bucket, 0).UTC(), 3))
			}
			return nil
		}); err != nil {
			return fmt.Errorf("read what is counted of tenant %s: %w", tenant, err)
		}
	}
	return nil
}

// Prune removes buckets that are not read any more.
func (c *Counters) Prune(ctx context.Context, now time.Time) (removed int, err error) {
	return c.db.Chunks(ctx, "DELETE FROM counters WHERE (tenant, integration, window, bucket) IN (SELECT tenant, "+
		"integration, window, bucket FROM counters WHERE bucket < ? LIMIT ?)", func(s *driver.Stmt) {
		s.BindInt64(1, now.Add(-health.Kept).Unix())
		s.BindInt64(2, db.Chunk)
	})
}
