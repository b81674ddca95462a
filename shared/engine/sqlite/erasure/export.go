package erasure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/deliveries"
	"tocsin/shared/erasure"
)

// Snapshot exports tenants from a state file as it was at one moment, whether a program has it or not.
type Snapshot struct{ *db.Snapshot }

var _ erasure.Source = Snapshot{}

// secret are the fields, of columns and of what is in them, that are in no export.
var secret = []string{"digest", "Digest", "Sealed", "sealed"}

// Export visits the rows, table by table.
func (x Snapshot) Export(ctx context.Context, tenant string, row func(string, json.RawMessage) error) error {
	return x.Reading(func(conn *driver.Conn) error {
		all, err := tables(conn)
		if err != nil {
			return err
		}
		lanes := table{name: "lanes", columns: []string{"ref", "tenant", "integration"}, where: "tenant = ?1"}
		for _, t := range append(all, lanes) {
			err := db.Each(conn, "SELECT * FROM "+t.name+" WHERE "+t.where, func(s *driver.Stmt) {
				s.BindText(1, tenant)
			}, func(s *driver.Stmt) error { return visit(ctx, t, s, row) })
			if err != nil {
				return fmt.Errorf("read %s: %w", t.name, err)
			}
		}
		events := table{name: "events", columns: []string{"seq", "at", "kind", "detail"}}
		return db.Each(conn, "SELECT * FROM events ORDER BY seq", nil, func(s *driver.Stmt) error {
			if owner(s.ColumnText(2), db.Blob(s, 3)) != tenant {
				return ctx.Err()
			}
			return visit(ctx, events, s, row)
		})
	})
}

func visit(ctx context.Context, t table, s *driver.Stmt, row func(string, json.RawMessage) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fields := map[string]any{}
	for n, column := range t.columns {
		if slices.Contains(secret, column) {
			continue
		}
		v, err := value(t, column, s, n)
		if err != nil {
			return err
		}
		fields[column] = v
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return row(t.name, body)
}

// value is a column as a person can read it.
func value(t table, column string, s *driver.Stmt, n int) (any, error) {
	switch s.ColumnType(n) {
	case driver.TypeNull:
		return nil, nil
	case driver.TypeInteger:
		return s.ColumnInt64(n), nil
	case driver.TypeFloat:
		return s.ColumnFloat(n), nil
	case driver.TypeText:
		return s.ColumnText(n), nil
	}
	body := db.Blob(s, n)
	if column == "body" && t.where == byLane {
		return deliveries.Readable(body)
	}
	var v any
	if utf8.Valid(body) && json.Unmarshal(body, &v) == nil {
		return open(v), nil
	}
	return body, nil // base64
}

// open is JSON without what is secret in it.
func open(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			if v[key] = open(one); slices.Contains(secret, key) {
				delete(v, key)
			}
		}
	case []any:
		for n, one := range v {
			v[n] = open(one)
		}
	}
	return v
}
