package erasure

import (
	"fmt"
	"slices"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
)

// table is one of the state file's.
type table struct {
	name    string
	columns []string
	key     string // columns by which a row is found again
	where   string // its rows of tenant ?1; "" = of none
}

// peculiar are the tables whose rows name their tenant in a way of their own.
var peculiar = map[string]string{
	"tenant_links":        "tenant = ?1 OR technical = ?1",
	"dead_letters_resent": "seq IN (SELECT seq FROM dead_letters WHERE tenant = ?1)",
	"session_logouts":     "digest IN (SELECT digest FROM sessions WHERE tenant = ?1)",
}

// of no tenant: how far fan-out came, the last number of each kind, and digests of what was used once, which end by
// themselves within minutes; digests of event ids, which name no tenant: see eraseEvents. The events are read one by
// one. Of erasures, operators read what was done.
var ofNone = []string{"progress", "numbers", "used_once", "events", "event_digests", "event_filters", "erasures"}

// last are removed after what is found by them, in this order. The activity log is the end: until then it says what
// was done of it.
var last = []string{"dead_letters", "sessions", "event_ids", "activity"}

// byLane is the rows of deliveries.
const byLane = "ref IN (SELECT ref FROM lanes WHERE tenant = ?1)"

// tables are those of a file that hold something of tenants, but for the lanes, in the order in which they are
// removed. Error: one is not known to be of none.
func tables(conn *driver.Conn) (out []table, err error) {
	var names []string
	err = db.Each(conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "+
		"ORDER BY name", nil, func(s *driver.Stmt) error {
		names = append(names, s.ColumnText(0))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == "lanes" || slices.Contains(ofNone, name) {
			continue
		}
		t := table{name: name, key: "rowid"}
		if err := t.read(conn); err != nil {
			return nil, err
		}
		if t.where == "" {
			return nil, fmt.Errorf("nobody knows how the table %s names its tenant", name)
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b table) int { return slices.Index(last, a.name) - slices.Index(last, b.name) })
	return out, nil
}

// read finds a table's columns and its key.
func (t *table) read(conn *driver.Conn) error {
	var key []string
	err := db.Each(conn, "SELECT name, pk FROM pragma_table_info(?1)", func(s *driver.Stmt) { s.BindText(1, t.name) },
		func(s *driver.Stmt) error {
			t.columns = append(t.columns, s.ColumnText(0))
			if s.ColumnInt64(1) > 0 {
				key = append(key, s.ColumnText(0))
			}
			return nil
		})
	if len(key) > 0 {
		t.key = "(" + strings.Join(key, ", ") + ")"
	}
	switch {
	case peculiar[t.name] != "":
		t.where = peculiar[t.name]
	case slices.Contains(t.columns, "tenant"):
		t.where = "tenant = ?1"
	case slices.Contains(t.columns, "ref"):
		t.where = byLane
	}
	return err
}

// removal removes at most ?2 rows of tenant ?1.
func (t *table) removal() string {
	key := strings.Trim(t.key, "()")
	return "DELETE FROM " + t.name + " WHERE " + t.key + " IN (SELECT " + key + " FROM " + t.name + " WHERE " +
		t.where + " LIMIT ?2)"
}
