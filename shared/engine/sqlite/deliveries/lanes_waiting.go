package deliveries

import (
	"context"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/metrics"
)

// Lanes counts what waits, integration by integration.
func (d *Deliveries) Lanes(ctx context.Context, visit func(metrics.Lane) error) error {
	refs, err := waiting.Refs(ctx, d.db)
	if err != nil {
		return fmt.Errorf("look for what waits: %w", err)
	}
	for _, ref := range refs {
		k := d.laneOf(ref, false)
		l := metrics.Lane{Tenant: k.Tenant, Integration: k.Integration}
		if err := waiting.CountLane(ctx, d.db, ref, &l); err != nil {
			return fmt.Errorf("count what waits for integration %s: %w", k.Integration, err)
		}
		if l.Waiting+l.Held == 0 {
			continue // it was sent meanwhile
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

const inbox = `SELECT (SELECT max(seq) FROM events) - ?1, (SELECT at FROM events WHERE seq > ?1 ORDER BY seq LIMIT 1)`

// Inbox counts by the numbers of the entries, which have no gaps behind the last that fan-out passed.
func (d *Deliveries) Inbox(ctx context.Context) (count int, oldest time.Time, err error) {
	passed := d.bus.Passed()
	err = d.db.Query(ctx, inbox, func(s *driver.Stmt) { s.BindInt64(1, passed) }, func(s *driver.Stmt) error {
		count, oldest = max(0, s.ColumnInt(0)), db.Time(s.ColumnInt64(1))
		return nil
	})
	deferred, first := 0, time.Time{}
	if err == nil {
		deferred, first, err = d.bus.Deferred(ctx)
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count the events that wait for fan-out: %w", err)
	}
	if oldest.IsZero() || !first.IsZero() && first.Before(oldest) {
		oldest = first
	}
	return count + deferred, oldest, nil
}
