package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/activity"
	"tocsin/shared/cache"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/engine/sqlite/reports"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/report/calendar"
)

// Integrations keeps integrations (integration.Store).
type Integrations struct {
	db  *db.File
	bus *eventbus.Bus

	mu sync.Mutex
	// enabled answers fan-out's question without a read, and outlines those of lists: the writer sees every change.
	enabled  cache.LRU[string, []integration.Integration] // by tenant
	outlines cache.LRU[string, []integration.Outline]     // by tenant
	// changes counts what was forgotten: what was read before a change and would be kept after it is not kept.
	changes int64
}

// NewIntegrations returns the integrations of a state file.
func NewIntegrations(file *db.File, bus *eventbus.Bus) *Integrations {
	return &Integrations{db: file, bus: bus}
}

var _ integration.Store = (*Integrations)(nil)

// Create inserts the integration with its record.
func (s *Integrations) Create(ctx context.Context, i integration.Integration, r activity.Record) error {
	return s.change(ctx, i.Tenant, r, func(w *db.Writer) error {
		body, err := json.Marshal(i)
		if err != nil {
			return err
		}
		if err := w.Do(insert,
			func(s *driver.Stmt) {
				s.BindText(1, i.Tenant)
				s.BindText(2, i.ID)
				s.BindInt64(3, i.Revision)
				s.BindBytes(4, body)
				s.BindInt64(5, i.Number)
			}); err != nil {
			return err
		}
		return reports.Subscribe(w, i.Tenant, i.ID, i.UpdatedAt, frequencies(i))
	})
}

const insert = "INSERT INTO integrations (tenant, id, revision, body, number) VALUES (?, ?, ?, ?, NULLIF(?, 0))"

// columns are those of readIntegration.
const columns = "SELECT body, failing, number FROM integrations"

// replace keeps the mark of a failing integration that stays enabled in the same window.
const replace = `UPDATE integrations SET revision = ?3, body = ?4,
	failing = CASE WHEN ?5 AND json_extract(CAST(body AS TEXT), '$.Window') = ?6 THEN failing END
	WHERE tenant = ?1 AND id = ?2 AND revision = ?3 - 1`

// Update replaces the integration if nobody else did.
func (s *Integrations) Update(ctx context.Context, i integration.Integration, r activity.Record) error {
	return s.change(ctx, i.Tenant, r, func(w *db.Writer) error {
		body, err := json.Marshal(i)
		if err != nil {
			return err
		}
		if err := w.Do(replace, func(s *driver.Stmt) {
			s.BindText(1, i.Tenant)
			s.BindText(2, i.ID)
			s.BindInt64(3, i.Revision)
			s.BindBytes(4, body)
			s.BindBool(5, i.Enabled())
			s.BindInt64(6, i.Window)
		}); err != nil {
			return err
		}
		if err := changedOne(w, i.Tenant, i.ID); err != nil {
			return err
		}
		return reports.Subscribe(w, i.Tenant, i.ID, i.UpdatedAt, frequencies(i))
	})
}

// frequencies are those of the reports that an integration receives.
func frequencies(i integration.Integration) []calendar.Frequency {
	return calendar.FrequenciesOf(func(t event.Type) bool {
		_, ok := i.Subscribed(t)
		return ok && i.Enabled()
	})
}

// mark sets a mark where there is none, and takes it away where there is one.
const mark = `UPDATE integrations SET failing = ?4 WHERE tenant = ?1 AND id = ?2
	AND json_extract(CAST(body AS TEXT), '$.Window') = ?3 AND json_extract(CAST(body AS TEXT), '$.Off') IS NULL
	AND (failing IS NULL) = (?4 IS NOT NULL)`

// Mark sets or takes away the mark of a failing integration.
func (s *Integrations) Mark(ctx context.Context, tenant, id string, window int64, f *integration.Failing,
	r activity.Record) error {
	return s.change(ctx, tenant, r, func(w *db.Writer) error {
		var body []byte
		if f != nil {
			var err error
			if body, err = json.Marshal(f); err != nil {
				return err
			}
		}
		if err := w.Do(mark, func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
			s.BindInt64(3, window)
			if s.BindNull(4); body != nil {
				s.BindBytes(4, body)
			}
		}); err != nil {
			return err
		}
		if w.Conn.Changes() != 1 {
			return fmt.Errorf("mark integration %s: %w", id, integration.ErrConflict)
		}
		return nil
	})
}

// Marked lists the failing ones.
func (s *Integrations) Marked(ctx context.Context) (out []integration.Integration, err error) {
	err = s.db.Query(ctx, columns+" WHERE failing IS NOT NULL ORDER BY tenant, id", nil,
		func(q *driver.Stmt) error {
			var i integration.Integration
			err := readIntegration(q, &i)
			out = append(out, i)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list the failing integrations: %w", err)
	}
	return out, nil
}

// Delete removes the integration if nobody changed it.
func (s *Integrations) Delete(ctx context.Context, tenant, id string, revision int64, r activity.Record) error {
	return s.change(ctx, tenant, r, func(w *db.Writer) error { return remove(w, tenant, id, revision) })
}

// used finds the triggers that notify an integration.
const used = `SELECT 1 FROM triggers, json_each(CAST(triggers.body AS TEXT), '$.actions') AS a,
	json_each(a.value, '$.integration_ids') AS i WHERE triggers.tenant = ? AND i.value = ? LIMIT 1`

// DeleteUnused does so unless a trigger notifies it.
func (s *Integrations) DeleteUnused(ctx context.Context, tenant, id string, revision int64, r activity.Record) error {
	return s.change(ctx, tenant, r, func(w *db.Writer) error {
		if err := remove(w, tenant, id, revision); err != nil {
			return err
		}
		return db.Each(w.Conn, used, func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
		}, func(*driver.Stmt) error { return fmt.Errorf("integration %s: %w", id, integration.ErrUsed) })
	})
}

func remove(w *db.Writer, tenant, id string, revision int64) error {
	if err := w.Do("DELETE FROM integrations WHERE tenant = ? AND id = ? AND revision = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
		s.BindInt64(3, revision)
	}); err != nil {
		return err
	}
	if err := changedOne(w, tenant, id); err != nil {
		return err
	}
	return reports.Subscribe(w, tenant, id, time.Time{}, nil)
}

// changedOne tells why a conditional write changed nothing.
func changedOne(w *db.Writer, tenant, id string) error {
	if w.Conn.Changes() == 1 {
		return nil
	}
	err := integration.ErrNotFound
	if e := db.Each(w.Conn, "SELECT 1 FROM integrations WHERE tenant = ? AND id = ?", func(s *driver.Stmt) {
		s.BindText(1, tenant)
		s.BindText(2, id)
	}, func(*driver.Stmt) error {
		err = integration.ErrConflict
		return nil
	}); e != nil {
		return e
	}
	return err
}

// change runs a write together with its record.
func (s *Integrations) change(ctx context.Context, tenant string, r activity.Record,
	run func(*db.Writer) error) error {
	note, err := eventbus.Entry(r.Event)
	if err != nil {
		return err
	}
	if err := s.db.Write(ctx, func(w *db.Writer) error {
		if err := run(w); err != nil {
			return err
		}
		if err := activitylog.Put(w, r.Entry); err != nil {
			return err
		}
		return s.bus.Append(w, note)
	}); err != nil {
		return err
	}
	s.Forget(tenant)
	s.bus.Wake()
	return nil
}

// Forget lets the next questions for the tenant's integrations be answered from the file.
func (s *Integrations) Forget(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enabled.Drop(tenant)
	s.outlines.Drop(tenant)
	s.changes++
}

// readIntegration reads the columns of a row.
func readIntegration(q *driver.Stmt, i *integration.Integration) error {
	if err := json.Unmarshal(db.Blob(q, 0), i); err != nil {
		return err
	}
	i.Number = q.ColumnInt64(2)
	if q.ColumnType(1) == driver.TypeNull {
		return nil
	}
	return json.Unmarshal(db.Blob(q, 1), &i.Failing)
}

// Get reads one integration; it answers from memory where it knows an enabled one and nothing changed.
func (s *Integrations) Get(ctx context.Context, tenant, id string) (i integration.Integration, err error) {
	if i, ok := s.known(tenant, id); ok {
		return i, nil
	}
	found := false
	err = s.db.Query(ctx, columns+" WHERE tenant = ? AND id = ?", func(q *driver.Stmt) {
		q.BindText(1, tenant)
		q.BindText(2, id)
	}, func(q *driver.Stmt) error {
		found = true
		return readIntegration(q, &i)
	})
	if err == nil && !found {
		err = integration.ErrNotFound
	}
	if err != nil {
		return i, fmt.Errorf("read integration %s: %w", id, err)
	}
	return i, nil
}

// known is an enabled integration as fan-out was told of it: each lease asks for its own.
func (s *Integrations) known(tenant, id string) (integration.Integration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, _ := s.enabled.Get(tenant) // in the order of ids
	n, ok := slices.BinarySearchFunc(all, id, func(i integration.Integration, id string) int {
		return strings.Compare(i.ID, id)
	})
	if !ok {
		return integration.Integration{}, false
	}
	return all[n], true
}

// remembers reports whether fan-out was told of the tenant's enabled integrations since the last change.
func (s *Integrations) remembers(tenant string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.enabled.Get(tenant)
	return ok
}

// Several reads integrations.
func (s *Integrations) Several(ctx context.Context, keys []integration.Key) (out []integration.Integration, err error) {
	if len(keys) > 0 {
		out = make([]integration.Integration, 0, len(keys))
	}
	for _, k := range keys {
		i, err := s.Get(ctx, k.Tenant, k.ID)
		switch {
		case err == nil:
			out = append(out, i)
		case !errors.Is(err, integration.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}

// List reads a page of a tenant's integrations, from memory where fan-out had them read already: who lists a tenant's
// all, for what waits or for the log, would read 10,000 of them each time.
func (s *Integrations) List(ctx context.Context, tenant, after string, limit int) (out []integration.Integration,
	err error) {
	if s.remembers(tenant) {
		return s.Find(ctx, tenant, after, limit, func(integration.Outline) bool { return true })
	}
	err = s.db.Query(ctx, columns+" WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
		func(q *driver.Stmt) {
			q.BindText(1, tenant)
			q.BindText(2, after)
			q.BindInt64(3, int64(limit))
		}, func(q *driver.Stmt) error {
			var i integration.Integration
			err := readIntegration(q, &i)
			out = append(out, i)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list the integrations of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Bound finds integrations by a binding. It is asked only when a system calls us, so the few integrations of a machine
// are read through.
func (s *Integrations) Bound(ctx context.Context, system, binding string) ([]integration.Integration, error) {
	var out []integration.Integration
	err := s.db.Query(ctx, columns+", json_each(CAST(body AS TEXT), '$.Bindings') AS b "+
		"WHERE b.value = ? AND json_extract(CAST(body AS TEXT), '$.System') = ? ORDER BY tenant, integrations.id",
		func(q *driver.Stmt) {
			q.BindText(1, binding)
			q.BindText(2, system)
		}, func(q *driver.Stmt) error {
			var i integration.Integration
			err := readIntegration(q, &i)
			out = append(out, i)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("look for the integrations of %s that are bound to %s: %w", system, binding, err)
	}
	return out, nil
}

// maxTenants bounds the tenants whose enabled integrations are kept in memory.
const maxTenants = 10_000

// Enabled answers from memory while nothing changed.
func (s *Integrations) Enabled(ctx context.Context, tenant string) ([]integration.Integration, error) {
	s.mu.Lock()
	known, ok := s.enabled.Get(tenant)
	changes := s.changes
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	var out []integration.Integration
	for after := ""; ; {
		page, err := s.List(ctx, tenant, after, 500)
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			if after = i.ID; i.SentFor() {
				out = append(out, i)
			}
		}
		if len(page) < 500 {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A change that was committed while the list was read may be missing from it: then it is used, not kept.
	if s.changes == changes {
		s.enabled.Keep(tenant, out, maxTenants)
	}
	return out, nil
}
