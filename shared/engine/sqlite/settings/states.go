package settings

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/trigger"
)

// lastStates are the states of triggers as they were committed: the next batch asks for them. They are void once
// something else than the hot path wrote.
type lastStates struct {
	mu     sync.Mutex
	writes int64 // of db.File.Quiet
	states map[stateOf]trigger.State
	size   int // of their bodies, in bytes
}

type stateOf struct{ tenant, id string }

// mostStates bounds the states in memory, and mostStateBytes their bodies.
const mostStates, mostStateBytes = 10_000, 4 << 20

// all are the states of triggers, if each of them is known.
func (l *lastStates) all(tenant string, ids []string, writes int64) (out []trigger.State, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes != writes {
		return nil, false
	}
	for _, id := range ids {
		st, ok := l.states[stateOf{tenant, id}]
		if !ok {
			return nil, false
		}
		out = append(slices.Grow(out, len(ids)-len(out)), st)
	}
	return out, true
}

// keep keeps what is committed.
func (l *lastStates) keep(states []trigger.State, writes int64, quiet bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := len(l.states) > mostStates || l.size > mostStateBytes
	if !quiet || l.writes != writes || l.states == nil || full {
		l.writes, l.states, l.size = writes, map[stateOf]trigger.State{}, 0
	}
	if !quiet {
		return
	}
	for _, st := range states {
		of := stateOf{st.Tenant, st.Trigger}
		l.size += len(st.Body) - len(l.states[of].Body)
		st.Version, st.Expires = st.Version+1, time.Time{}
		l.states[of] = st
	}
}

// forget has all be read from the file.
func (l *lastStates) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states, l.size = nil, 0
}

// States reads what triggers remember, from memory where it knows.
func (s *Triggers) States(ctx context.Context, tenant string, ids []string) ([]trigger.State, error) {
	writes, _ := s.db.Quiet()
	if known, ok := s.last.all(tenant, ids, writes); ok {
		return known, nil
	}
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
func (s *Triggers) PutOutcome(w *db.Writer, o trigger.Outcome) error {
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
			s.last.forget()
			return fmt.Errorf("trigger %s of tenant %s: %w", st.Trigger, st.Tenant, trigger.ErrStale)
		}
	}
	if len(o.States) > 0 {
		w.OnCommit(func() {
			writes, quiet := s.db.Quiet()
			s.last.keep(o.States, writes, quiet)
		})
	}
	if err := putFirings(w, o.Firings); err != nil {
		return err
	}
	for _, e := range o.Publish {
		note, err := eventbus.Entry(e)
		if err != nil {
			return err
		}
		if err := s.bus.Append(w, note); err != nil {
			return fmt.Errorf("publish %s: %w", e.ID, err)
		}
	}
	return nil
}
