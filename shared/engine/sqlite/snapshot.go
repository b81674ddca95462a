package sqlite

import (
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/erasure"
)

// Snapshot is a state file as it was at one moment, for reading alone: whether a program has it or not, and whatever
// release wrote it (see Known).
type Snapshot struct{ *db.Snapshot }

// Look opens a snapshot. All that was committed before the call is in it.
func Look(path string) (Snapshot, error) {
	s, err := db.Look(path)
	return Snapshot{s}, err
}

// Tenants exports tenants from it.
func (s Snapshot) Tenants() erasure.Snapshot { return erasure.Snapshot{Snapshot: s.Snapshot} }

// Layout is the number of the schema that this release writes, and the highest that it reads.
func Layout() (int, error) { return db.Layout() }

// Hold keeps every other process from opening a state file, until release. Error: ErrInUse.
func Hold(path string) (release func() error, err error) { return db.Hold(path) }

// counted are what a person knows a state by, each with its tables and what counts in them. A layout that has not one
// of them has no such rows.
var counted = map[string]map[string]string{
	"events":       {"events": "count(*)", "deferred": "count(*)"},
	"integrations": {"integrations": "count(*)"},
	"waiting deliveries": {"pending": "count(*)", "retrying": "count(*)", "gathering": "count(*)",
		"open_blocks": "ifnull(sum(n), 0)"},
	"ended deliveries": {"finished": "count(*)", "outcomes": "ifnull(sum(delivered), 0)"},
}

// Counts says how much of everything the state holds.
func (s Snapshot) Counts() (map[string]int64, error) {
	has := map[string]bool{}
	if err := s.Each("SELECT name FROM sqlite_schema WHERE type = 'table'", func(q *driver.Stmt) error {
		has[q.ColumnText(0)] = true
		return nil
	}); err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for name, tables := range counted {
		for table, count := range tables {
			if !has[table] {
				continue
			}
			if err := s.Each("SELECT "+count+" FROM "+table, func(q *driver.Stmt) error {
				out[name] += q.ColumnInt64(0)
				return nil
			}); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Sealed visits what the key ring sealed, with the tenant and the id of the integration.
func (s Snapshot) Sealed(visit func(tenant, id string, sealed []byte) error) error {
	return s.Each("SELECT tenant, id, body FROM integrations", func(q *driver.Stmt) error {
		var i struct{ Sealed []byte }
		tenant, id := q.ColumnText(0), q.ColumnText(1)
		if err := json.Unmarshal(db.Blob(q, 2), &i); err != nil {
			return fmt.Errorf("read the integration %s of tenant %s: %w", id, tenant, err)
		}
		if len(i.Sealed) == 0 {
			return nil
		}
		return visit(tenant, id, i.Sealed)
	})
}

// Parameters visits the parameters of the integrations, without what is sealed.
func (s Snapshot) Parameters(visit func(tenant, id, system string, parameters []byte) error) error {
	return s.Each("SELECT tenant, id, body FROM integrations", func(q *driver.Stmt) error {
		var i struct {
			System     string
			Parameters json.RawMessage
		}
		tenant, id := q.ColumnText(0), q.ColumnText(1)
		if err := json.Unmarshal(db.Blob(q, 2), &i); err != nil {
			return fmt.Errorf("read the integration %s of tenant %s: %w", id, tenant, err)
		}
		return visit(tenant, id, i.System, i.Parameters)
	})
}

// Writable says which file of a state this user can not write; nil where all can be.
func Writable(path string) error { return db.Writable(path) }
