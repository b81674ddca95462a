package settings

import (
	"context"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/trigger"
)

// States reads what triggers remember.
func (s *Triggers) States(ctx context.Context, tenant string, ids []string) ([]trigger.State, error) {
	out := make([]trigger.State, len(ids))
	err := s.db.Reading(ctx, func(conn *driver.Conn) error {
		for n, id := range ids {
			out[n] = trigger.State{Tenant: tenant, Trigger: id}
			if err := db.Each(conn, "SELECT version, body FROM trigger_states WHERE tenant = ? AND id = ?",
				func(q *driver.Stmt) {
					q.BindText(1, tenant)
					q.BindText(2, id)
				}, func(q *driver.Stmt) error {
					out[n].Version, out[n].Body = q.ColumnInt64(0), db.Blob(q, 1)
					return nil
				}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the states of %d triggers of tenant %s: %w", len(ids), tenant, err)
	}
	return out, nil
}

// PutOutcome writes what a batch means to triggers, in its transaction.
func PutOutcome(w *db.Writer, bus *eventbus.Bus, o trigger.Outcome) error {
	for _, st := range o.States {
		sql := "UPDATE trigger_states SET version = ?3 + 1, body = ?4 WHERE tenant = ?1 AND id = ?2 AND version = ?3"
		if st.Version == 0 {
			// A trigger that was deleted meanwhile leaves nothing behind: the batch is evaluated again, without it.
			sql = "INSERT OR IGNORE INTO trigger_states (tenant, id, version, body) SELECT ?1, ?2, ?3 + 1, ?4 FROM " +
				"triggers WHERE tenant = ?1 AND id = ?2"
		}
		if err := w.Do(sql, func(s *driver.Stmt) {
			s.BindText(1, st.Tenant)
			s.BindText(2, st.Trigger)
			s.BindInt64(3, st.Version)
			s.BindBytes(4, st.Body)
		}); err != nil {
			return err
		}
		if w.Conn.Changes() == 0 {
			return fmt.Errorf("trigger %s of tenant %s: %w", st.Trigger, st.Tenant, trigger.ErrStale)
		}
	}
	if err := putFirings(w, o.Firings); err != nil {
		return err
	}
	for _, e := range o.Publish {
		note, err := eventbus.Entry(e)
		if err != nil {
			return err
		}
		if err := bus.Append(w, note); err != nil {
			return fmt.Errorf("publish %s: %w", e.ID, err)
		}
	}
	return nil
}
