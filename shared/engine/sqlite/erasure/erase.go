package erasure

import (
	"context"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/deliveries"
	"tocsin/shared/engine/sqlite/settings"
	"tocsin/shared/erasure"
	"tocsin/shared/event"
)

// Tenants erases tenants (erasure.Store).
type Tenants struct {
	DB           *db.File
	Deliveries   *deliveries.Deliveries
	Integrations *settings.Integrations
	Triggers     *settings.Triggers
}

var (
	_ erasure.Store   = (*Tenants)(nil)
	_ erasure.Source  = (*Tenants)(nil)
	_ erasure.Clearer = (*Tenants)(nil)
)

// Clear rewrites the file, where it is not too large.
func (e *Tenants) Clear(ctx context.Context) (todo string) { return e.DB.Clear(ctx) }

// Erase makes a whole pass, in transactions of a thousand rows, so that others get their turn in between: first what
// people set, from which more would come; then deliveries and their events; the activity log at the end.
func (e *Tenants) Erase(ctx context.Context, tenant, _ string) (counts erasure.Counts, next string, err error) {
	counts = erasure.Counts{}
	err = e.DB.Overwriting(ctx, func() error { return e.erase(ctx, tenant, counts) })
	return counts, "", err
}

func (e *Tenants) erase(ctx context.Context, tenant string, counts erasure.Counts) error {
	var all []table
	if err := e.DB.Reading(ctx, func(conn *driver.Conn) (err error) {
		all, err = tables(conn)
		return err
	}); err != nil {
		return fmt.Errorf("look at the tables: %w", err)
	}
	for _, t := range all {
		if t.name == "event_ids" { // the events themselves go before their ids, and what refers to them before that
			if err := e.eraseDeliveries(ctx, tenant, counts); err != nil {
				return err
			}
		}
		n, err := e.DB.Chunks(ctx, t.removal(), func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindInt64(2, db.Chunk)
		})
		if counts[t.name] += n; err != nil {
			return fmt.Errorf("remove rows of %s: %w", t.name, err)
		}
	}
	e.Integrations.Forget(tenant)
	e.Triggers.Forget(tenant)
	return nil
}

// eraseDeliveries removes the lanes with what came to them meanwhile, and the events.
func (e *Tenants) eraseDeliveries(ctx context.Context, tenant string, counts erasure.Counts) error {
	lanes, rows, err := e.Deliveries.EraseLanes(ctx, tenant, "")
	if err != nil {
		return fmt.Errorf("remove its lanes: %w", err)
	}
	counts["lanes"] += lanes
	for table, n := range rows {
		counts[table] += n
	}
	if err := e.eraseEvents(ctx, tenant, counts); err != nil {
		return fmt.Errorf("remove its events: %w", err)
	}
	return e.Deliveries.IDs().Shrink(ctx, e.DB)
}

// readAtOnce is how many events of all tenants are looked at in one reading.
const readAtOnce = 5000

// eraseEvents looks at every event, because a row does not say whose it is. The digests of their ids stay for as long
// as events of other tenants beside them do: they say nothing of whose they are, and find nothing any more.
func (e *Tenants) eraseEvents(ctx context.Context, tenant string, counts erasure.Counts) error {
	for after := int64(0); ; {
		var found []int64
		read := 0
		err := e.DB.Query(ctx, "SELECT seq, kind, detail FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
			func(s *driver.Stmt) {
				s.BindInt64(1, after)
				s.BindInt64(2, readAtOnce)
			}, func(s *driver.Stmt) error {
				read++
				if after = s.ColumnInt64(0); owner(s.ColumnText(1), db.Blob(s, 2)) == tenant {
					found = append(found, after)
				}
				return nil
			})
		if err != nil {
			return err
		}
		if err := e.DB.Write(ctx, func(w *db.Writer) error {
			for _, seq := range found {
				if err := w.Do("DELETE FROM events WHERE seq = ?", func(s *driver.Stmt) {
					s.BindInt64(1, seq)
				}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if counts["events"] += len(found); read < readAtOnce {
			return nil
		}
	}
}

// owner is the tenant of an event, as fan-out reads it: of one that it rejected too.
func owner(kind string, detail []byte) string {
	e, err := event.Parse(kind, detail)
	if err != nil {
		return event.KnownTenant(e.Tenant)
	}
	return e.Tenant
}
