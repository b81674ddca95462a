package erasure

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/deliveries"
	"tocsin/shared/erasure"
)

// Snapshot exports tenants from a state file as it was at one moment, whether a program has it or not.
type Snapshot struct{ *db.Snapshot }

var _ erasure.Source = Snapshot{}

// Page reads rows as they were at that moment.
func (x Snapshot) Page(ctx context.Context, tenant, after string) (rows []erasure.Row, next string, err error) {
	err = x.Reading(func(conn *driver.Conn) error {
		rows, next, err = page(ctx, conn, tenant, after)
		return err
	})
	return rows, next, err
}

// Page reads rows as they are now.
func (e *Tenants) Page(ctx context.Context, tenant, after string) (rows []erasure.Row, next string, err error) {
	err = e.DB.Reading(ctx, func(conn *driver.Conn) error {
		rows, next, err = page(ctx, conn, tenant, after)
		return err
	})
	return rows, next, err
}

// What a page has at most: rows, their bytes, and events that were looked at for it.
const (
	pageRows   = 500
	pageBytes  = 2 << 20
	pageEvents = 20000
)

// place is a row, by its table and the values of its key, in JSON.
type place struct {
	Table string `json:"t"`
	Key   []any  `json:"k"`
}

// errFull ends a page.
var errFull = errors.New("the page is full")

// pages gathers a page.
type pages struct {
	tenant string
	rows   []erasure.Row
	bytes  int
	last   place
}

func page(ctx context.Context, conn *driver.Conn, tenant, after string) (rows []erasure.Row, next string, err error) {
	all, err := tables(conn)
	if err != nil {
		return nil, "", err
	}
	all = append(all, table{name: "lanes", columns: []string{"ref", "tenant", "integration"}, key: "(ref)",
		where: "tenant = ?1"}, allEvents)
	p := &pages{tenant: tenant}
	if after != "" {
		if p.last, err = readPlace(after); err != nil {
			return nil, "", err
		}
		n := slices.IndexFunc(all, func(t table) bool { return t.name == p.last.Table })
		if n < 0 {
			return nil, "", fmt.Errorf("there is no table %s", p.last.Table)
		}
		all = all[n:]
	}
	for _, t := range all {
		err := p.read(ctx, conn, t)
		if errors.Is(err, errFull) {
			next, err = p.last.write()
			return p.rows, next, err
		}
		if err != nil {
			return nil, "", fmt.Errorf("read %s: %w", t.name, err)
		}
	}
	return p.rows, "", nil
}

// allEvents are those of all tenants: a row does not say whose it is.
var allEvents = table{name: "events", columns: []string{"seq", "at", "kind", "detail"}, key: "(seq)", where: "1"}

func readPlace(text string) (p place, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("this is no place in an export: %w", err)
	}
	return p, nil
}

func (p place) write() (string, error) {
	raw, err := json.Marshal(p)
	return string(raw), err
}

// bind sets the values of a key from a parameter on.
func (p place) bind(s *driver.Stmt, from int) {
	for n, v := range p.Key {
		switch v := v.(type) {
		case json.Number:
			i, _ := v.Int64() // we wrote it
			s.BindInt64(from+n, i)
		case string:
			s.BindText(from+n, v)
		case map[string]any:
			text, _ := v["b"].(string)
			raw, _ := base64.StdEncoding.DecodeString(text)
			s.BindBytes(from+n, raw)
		}
	}
}

// keyOf are the values of a row's key, in the columns from one on. Bytes are an object, so that they are no text.
func keyOf(t table, s *driver.Stmt, from, columns int) place {
	p := place{Table: t.name}
	for n := range columns {
		switch s.ColumnType(from + n) {
		case driver.TypeInteger:
			p.Key = append(p.Key, s.ColumnInt64(from+n))
		case driver.TypeBlob:
			p.Key = append(p.Key, map[string]any{"b": db.Blob(s, from+n)})
		default:
			p.Key = append(p.Key, s.ColumnText(from+n))
		}
	}
	return p
}

// read reads rows of a table, those after the last row where that is one of it.
func (p *pages) read(ctx context.Context, conn *driver.Conn, t table) error {
	if t.where == byLane { // a row says by a number whose it is
		t.columns = append(slices.Clip(t.columns), "integration")
	}
	return p.each(ctx, conn, t, func(s *driver.Stmt) error {
		body, err := rowOf(t, s)
		if err != nil {
			return err
		}
		p.rows, p.bytes = append(p.rows, erasure.Row{Table: t.name, Body: body}), p.bytes+len(body)
		return nil
	})
}

// ofLane is the integration of a row that says by a number whose it is.
const ofLane = "(SELECT integration FROM lanes WHERE lanes.ref = %s.ref)"

// each visits rows of a table, those after the last one where that is one of it, until the page is full.
func (p *pages) each(ctx context.Context, conn *driver.Conn, t table, visit func(*driver.Stmt) error) error {
	key := strings.Trim(t.key, "()")
	keys := strings.Count(key, ",") + 1
	columns := strings.Join(t.columns, ", ")
	if t.where == byLane && t.columns[len(t.columns)-1] == "integration" {
		columns = strings.Join(t.columns[:len(t.columns)-1], ", ") + ", " + fmt.Sprintf(ofLane, t.name)
	}
	query := "SELECT " + columns + ", " + key + " FROM " + t.name + " WHERE (" + t.where + ")"
	from := p.last
	if from.Table == t.name && len(from.Key) == keys {
		query += " AND (" + key + ") > (" + placeholders(2, keys) + ")"
	} else {
		from.Key = nil
	}
	looked := 0
	return db.Each(conn, query+" ORDER BY "+key, func(s *driver.Stmt) {
		if t.where != allEvents.where {
			s.BindText(1, p.tenant)
		}
		from.bind(s, 2)
	}, func(s *driver.Stmt) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(p.rows) >= pageRows || p.bytes >= pageBytes || looked >= pageEvents {
			return errFull
		}
		p.last = keyOf(t, s, len(t.columns), keys)
		if t.name == allEvents.name {
			looked++
			if owner(s.ColumnText(2), db.Blob(s, 3)) != p.tenant {
				return nil
			}
		}
		return visit(s)
	})
}

// placeholders are parameters of a statement from a number on.
func placeholders(from, n int) string {
	var out []string
	for i := range n {
		out = append(out, "?"+strconv.Itoa(from+i))
	}
	return strings.Join(out, ", ")
}

// rowOf is a row as JSON.
func rowOf(t table, s *driver.Stmt) (json.RawMessage, error) {
	fields := map[string]any{}
	for n, column := range t.columns {
		if erasure.Secret(column) {
			continue
		}
		v, err := value(t, column, s, n)
		if err != nil {
			return nil, err
		}
		fields[column] = v
	}
	return json.Marshal(fields)
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
		return deliveries.Readable(t.name, body)
	}
	var v any
	if utf8.Valid(body) && json.Unmarshal(body, &v) == nil {
		return erasure.Open(v), nil
	}
	return body, nil // base64
}
