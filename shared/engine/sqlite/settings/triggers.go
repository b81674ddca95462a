package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/cache"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/trigger"
)

// Triggers keeps triggers and what they remember (trigger.Store).
type Triggers struct {
	db   *db.File
	bus  *eventbus.Bus
	last lastStates

	mu     sync.Mutex
	active cache.LRU[string, []trigger.Trigger] // of tenants that were seeded
}

// NewTriggers returns the triggers of a state file.
func NewTriggers(file *db.File, bus *eventbus.Bus) *Triggers {
	return &Triggers{db: file, bus: bus}
}

var _ trigger.Store = (*Triggers)(nil)

// Create inserts the trigger with its record.
func (s *Triggers) Create(ctx context.Context, t trigger.Trigger, joins []string, r activity.Record) error {
	return s.change(ctx, t.Tenant, t.ID, r, func(w *db.Writer) error {
		if err := putTrigger(w, insertTrigger, t); err != nil {
			return err
		}
		if w.Conn.Changes() == 0 {
			return trigger.ErrConflict
		}
		return there(w, t.Tenant, joins)
	})
}

// there fails unless all integrations are there.
func there(w *db.Writer, tenant string, integrations []string) error {
	for _, id := range integrations {
		found := false
		if err := db.Each(w.Conn, "SELECT 1 FROM integrations WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		}, func(*driver.Stmt) error {
			found = true
			return nil
		}); err != nil {
			return err
		}
		if !found {
			return trigger.ErrGone
		}
	}
	return nil
}

// Update replaces the trigger if nobody else did.
func (s *Triggers) Update(ctx context.Context, t trigger.Trigger, joins []string, r activity.Record) error {
	return s.change(ctx, t.Tenant, t.ID, r, func(w *db.Writer) error {
		if err := putTrigger(w, replaceTrigger, t); err != nil {
			return err
		}
		if err := changedTrigger(w, t.Tenant, t.ID); err != nil {
			return err
		}
		return there(w, t.Tenant, joins)
	})
}

// insertTrigger writes nothing where the id exists.
const insertTrigger = "INSERT OR IGNORE INTO triggers (tenant, id, revision, body, number) " +
	"VALUES (?1, ?2, ?3, ?4, NULLIF(?5, 0))"

// replaceTrigger keeps the number that the trigger has.
const replaceTrigger = "UPDATE triggers SET revision = ?3, body = ?4, number = COALESCE(number, NULLIF(?5, 0)) " +
	"WHERE tenant = ?1 AND id = ?2 AND revision = ?3 - 1"

func putTrigger(w *db.Writer, sql string, t trigger.Trigger) error {
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return w.Do(sql, func(s *driver.Stmt) {
		s.BindText(1, t.Tenant)
		s.BindText(2, t.ID)
		s.BindInt64(3, t.Revision)
		s.BindBytes(4, body)
		s.BindInt64(5, t.Number)
	})
}

// Delete removes the trigger with its state if nobody changed it.
func (s *Triggers) Delete(ctx context.Context, tenant, id string, revision int64, r activity.Record) error {
	return s.change(ctx, tenant, id, r, func(w *db.Writer) error {
		if err := w.Do("DELETE FROM triggers WHERE tenant = ? AND id = ? AND revision = ?", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
			s.BindInt64(3, revision)
		}); err != nil {
			return err
		}
		if err := changedTrigger(w, tenant, id); err != nil {
			return err
		}
		of := func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		}
		if err := w.Do("DELETE FROM trigger_firings WHERE tenant = ? AND trigger_id = ?", of); err != nil {
			return err
		}
		return w.Do("DELETE FROM trigger_states WHERE tenant = ? AND id = ?", of)
	})
}

// changedTrigger tells why a conditional write changed nothing.
func changedTrigger(w *db.Writer, tenant, id string) error {
	if w.Conn.Changes() == 1 {
		return nil
	}
	reason := trigger.ErrNotFound
	if err := db.Each(w.Conn, "SELECT 1 FROM triggers WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
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

func (s *Triggers) change(ctx context.Context, tenant, id string, r activity.Record,
	run func(*db.Writer) error) error {
	note, err := eventbus.Entry(r.Event)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(w *db.Writer) error {
		if err := run(w); err != nil {
			return err
		}
		if err := activitylog.Put(w, r.Entry); err != nil {
			return err
		}
		return s.bus.Append(w, note)
	})
	s.Forget(tenant)
	if err != nil {
		return fmt.Errorf("write trigger %s: %w", id, err)
	}
	s.bus.Wake()
	return nil
}

// Forget lets the next question for the tenant's active triggers be answered from the file.
func (s *Triggers) Forget(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active.Drop(tenant)
}

// Seed inserts the triggers of a new account once.
func (s *Triggers) Seed(ctx context.Context, tenant string, list []trigger.Trigger, e activity.Entry) error {
	err := s.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("INSERT OR IGNORE INTO triggers_seeded (tenant) VALUES (?)",
			func(s *driver.Stmt) { s.BindText(1, tenant) }); err != nil {
			return err
		}
		if w.Conn.Changes() == 0 {
			return nil
		}
		for _, t := range list {
			if err := putTrigger(w, insertTrigger, t); err != nil {
				return err
			}
		}
		return activitylog.Put(w, e)
	})
	s.Forget(tenant)
	if err != nil {
		return fmt.Errorf("write the first %d triggers of tenant %s: %w", len(list), tenant, err)
	}
	return nil
}

// readTrigger reads the columns body and number.
func readTrigger(q *driver.Stmt, t *trigger.Trigger) error {
	err := json.Unmarshal(db.Blob(q, 0), t)
	t.Number = q.ColumnInt64(1)
	return err
}

// Get reads one trigger.
func (s *Triggers) Get(ctx context.Context, tenant, id string) (t trigger.Trigger, err error) {
	err = s.db.Query(ctx, "SELECT body, number FROM triggers WHERE tenant = ? AND id = ?", func(q *driver.Stmt) {
		q.BindText(1, tenant)
		q.BindText(2, id)
	}, func(q *driver.Stmt) error { return readTrigger(q, &t) })
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
	err = s.db.Reading(ctx, func(conn *driver.Conn) error {
		tenantOnly := func(q *driver.Stmt) { q.BindText(1, tenant) }
		if err := db.Each(conn, "SELECT body, number FROM triggers WHERE tenant = ? ORDER BY id", tenantOnly,
			func(q *driver.Stmt) error {
				var t trigger.Trigger
				err := readTrigger(q, &t)
				list = append(list, t)
				return err
			}); err != nil {
			return err
		}
		return db.Each(conn, "SELECT 1 FROM triggers_seeded WHERE tenant = ?", tenantOnly, func(*driver.Stmt) error {
			seeded = true
			return nil
		})
	})
	if err != nil {
		return nil, false, fmt.Errorf("list the triggers of tenant %s: %w", tenant, err)
	}
	return list, seeded, nil
}

// Active answers from memory while nothing changed.
func (s *Triggers) Active(ctx context.Context, tenant string) ([]trigger.Trigger, bool, error) {
	s.mu.Lock()
	known, ok := s.active.Get(tenant)
	generation := s.db.Generation()
	s.mu.Unlock()
	if ok {
		return known, true, nil
	}
	list, seeded, err := s.List(ctx, tenant)
	if err != nil || !seeded {
		return list, seeded, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db.Generation() == generation { // see Integrations.Enabled
		s.active.Keep(tenant, list, maxTenants)
	}
	return list, true, nil
}
