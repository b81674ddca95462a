package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// Triggers keeps triggers and what they remember (trigger.Store).
type Triggers struct{ db *DB }

// Triggers returns the triggers.
func (db *DB) Triggers() *Triggers { return &Triggers{db} }

var _ trigger.Store = (*Triggers)(nil)

// Create inserts the trigger and its announcement.
func (s *Triggers) Create(ctx context.Context, t trigger.Trigger, announce event.Event) error {
	return s.change(ctx, t.Tenant, t.ID, announce, func(w *writer) error {
		if err := w.putTrigger("INSERT OR IGNORE INTO triggers (tenant, id, revision, body) VALUES (?1, ?2, ?3, ?4)",
			t); err != nil {
			return err
		}
		if w.conn.Changes() == 0 {
			return trigger.ErrConflict
		}
		return nil
	})
}

// Update replaces the trigger if nobody else did.
func (s *Triggers) Update(ctx context.Context, t trigger.Trigger, announce event.Event) error {
	return s.change(ctx, t.Tenant, t.ID, announce, func(w *writer) error {
		if err := w.putTrigger(
			"UPDATE triggers SET revision = ?3, body = ?4 WHERE tenant = ?1 AND id = ?2 AND revision = ?3 - 1",
			t); err != nil {
			return err
		}
		return w.changedTrigger(t.Tenant, t.ID)
	})
}

func (w *writer) putTrigger(sql string, t trigger.Trigger) error {
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return w.do(sql, func(s *driver.Stmt) {
		s.BindText(1, t.Tenant)
		s.BindText(2, t.ID)
		s.BindInt64(3, t.Revision)
		s.BindBytes(4, body)
	})
}

// Delete removes the trigger with its state if nobody changed it.
func (s *Triggers) Delete(ctx context.Context, tenant, id string, revision int64, announce event.Event) error {
	return s.change(ctx, tenant, id, announce, func(w *writer) error {
		if err := w.do("DELETE FROM triggers WHERE tenant = ? AND id = ? AND revision = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
			s.BindInt64(3, revision)
		}); err != nil {
			return err
		}
		if err := w.changedTrigger(tenant, id); err != nil {
			return err
		}
		return w.do("DELETE FROM trigger_states WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		})
	})
}

// changedTrigger tells why a conditional write changed nothing.
func (w *writer) changedTrigger(tenant, id string) error {
	if w.conn.Changes() == 1 {
		return nil
	}
	reason := trigger.ErrNotFound
	if err := each(w.conn, "SELECT 1 FROM triggers WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	}, func(*driver.Stmt) error {
		reason = trigger.ErrConflict
		return nil
	}); err != nil {
		return err
	}
	return reason
}

func (s *Triggers) change(ctx context.Context, tenant, id string, announce event.Event, run func(*writer) error) error {
	note, err := entry(announce)
	if err != nil {
		return err
	}
	err = s.db.writer.write(ctx, func(w *writer) error {
		if err := run(w); err != nil {
			return err
		}
		return w.put(note)
	})
	s.forget(tenant)
	if err != nil {
		return fmt.Errorf("write trigger %s: %w", id, err)
	}
	s.db.wakeFanout()
	return nil
}

func (s *Triggers) forget(tenant string) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	delete(s.db.watched, tenant)
}

// Seed inserts the triggers of a new account once.
func (s *Triggers) Seed(ctx context.Context, tenant string, list []trigger.Trigger) error {
	err := s.db.writer.write(ctx, func(w *writer) error {
		if err := w.do("INSERT OR IGNORE INTO triggers_seeded (tenant) VALUES (?)",
			func(s *driver.Stmt) { s.BindText(1, tenant) }); err != nil {
			return err
		}
		if w.conn.Changes() == 0 {
			return nil
		}
		for _, t := range list {
			if err := w.putTrigger("INSERT INTO triggers (tenant, id, revision, body) VALUES (?1, ?2, ?3, ?4)",
				t); err != nil {
				return err
			}
		}
		return nil
	})
	s.forget(tenant)
	if err != nil {
		return fmt.Errorf("write the first %d triggers of tenant %s: %w", len(list), tenant, err)
	}
	return nil
}

// Get reads one trigger.
func (s *Triggers) Get(ctx context.Context, tenant, id string) (t trigger.Trigger, err error) {
	err = s.db.query(ctx, "SELECT body FROM triggers WHERE tenant = ? AND id = ?", func(q *driver.Stmt) {
		q.BindText(1, tenant)
		q.BindText(2, id)
	}, func(q *driver.Stmt) error { return json.Unmarshal(blob(q, 0), &t) })
	if err == nil && t.ID == "" {
		err = trigger.ErrNotFound
	}
	if err != nil {
		return t, fmt.Errorf("read trigger %s: %w", id, err)
	}
	return t, nil
}

// List reads a tenant's triggers.
func (s *Triggers) List(ctx context.Context, tenant string) (list []trigger.Trigger, seeded bool, err error) {
	err = s.db.reading(ctx, func(conn *driver.Conn) error {
		tenantOnly := func(q *driver.Stmt) { q.BindText(1, tenant) }
		if err := each(conn, "SELECT body FROM triggers WHERE tenant = ? ORDER BY id", tenantOnly,
			func(q *driver.Stmt) error {
				var t trigger.Trigger
				err := json.Unmarshal(blob(q, 0), &t)
				list = append(list, t)
				return err
			}); err != nil {
			return err
		}
		return each(conn, "SELECT 1 FROM triggers_seeded WHERE tenant = ?", tenantOnly, func(*driver.Stmt) error {
			seeded = true
			return nil
		})
	})
	if err != nil {
		return nil, false, fmt.Errorf("list the triggers of tenant %s: %w", tenant, err)
	}
	return list, seeded, nil
}

// Watching answers from memory while nothing changed.
func (s *Triggers) Active(ctx context.Context, tenant string) ([]trigger.Trigger, bool, error) {
	s.db.mu.Lock()
	known, ok := s.db.watched[tenant]
	generation := s.db.writer.generation.Load()
	s.db.mu.Unlock()
	if ok {
		return known, true, nil
	}
	list, seeded, err := s.List(ctx, tenant)
	if err != nil || !seeded {
		return list, seeded, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if len(s.db.watched) >= maxTenants {
		clear(s.db.watched)
	}
	if s.db.writer.generation.Load() == generation { // see Integrations.Enabled
		s.db.watched[tenant] = list
	}
	return list, true, nil
}

// States reads what triggers remember.
func (s *Triggers) States(ctx context.Context, tenant string, ids []string) ([]trigger.State, error) {
	out := make([]trigger.State, len(ids))
	err := s.db.reading(ctx, func(conn *driver.Conn) error {
		for n, id := range ids {
			out[n] = trigger.State{Tenant: tenant, Trigger: id}
			if err := each(conn, "SELECT version, body FROM trigger_states WHERE tenant = ? AND id = ?",
				func(q *driver.Stmt) {
					q.BindText(1, tenant)
					q.BindText(2, id)
				}, func(q *driver.Stmt) error {
					out[n].Version, out[n].Body = q.ColumnInt64(0), blob(q, 1)
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

// putOutcome writes what a batch means to triggers, in its transaction.
func (w *writer) putOutcome(o trigger.Outcome) error {
	for _, st := range o.States {
		sql := "UPDATE trigger_states SET version = ?3 + 1, body = ?4 WHERE tenant = ?1 AND id = ?2 AND version = ?3"
		if st.Version == 0 {
			// A trigger that was deleted meanwhile leaves nothing behind: the batch is evaluated again, without it.
			sql = "INSERT OR IGNORE INTO trigger_states (tenant, id, version, body) SELECT ?1, ?2, ?3 + 1, ?4 FROM " +
				"triggers WHERE tenant = ?1 AND id = ?2"
		}
		if err := w.do(sql, func(s *driver.Stmt) {
			s.BindText(1, st.Tenant)
			s.BindText(2, st.Trigger)
			s.BindInt64(3, st.Version)
			s.BindBytes(4, st.Body)
		}); err != nil {
			return err
		}
		if w.conn.Changes() == 0 {
			return fmt.Errorf("trigger %s of tenant %s: %w", st.Trigger, st.Tenant, trigger.ErrStale)
		}
	}
	for _, e := range o.Publish {
		note, err := entry(e)
		if err != nil {
			return err
		}
		if err := w.put(note); err != nil {
			return fmt.Errorf("publish %s: %w", e.ID, err)
		}
	}
	return nil
}
