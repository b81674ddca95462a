package erasure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/erasure"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/mail/address"
	"tocsin/shared/token"
)

// own are the tables of which a row is a person's own, by a column that is one of their names.
var own = map[string]string{"people": "id", "accounts": "address", "sign_in_links": "address", "sessions": "person",
	"mail_blocks": "address", "report_due": "receiver", "counters": "integration", "object_references": "integration"}

// ErasePerson makes a whole pass: the lane of what the person is told by mail, then table by table.
func (e *Tenants) ErasePerson(ctx context.Context, tenant string, w pseudonym.Writer,
	_ string) (counts erasure.Counts, next string, err error) {
	counts = erasure.Counts{}
	err = e.DB.Overwriting(ctx, func() error {
		if err := e.eraseLanes(ctx, tenant, w, counts); err != nil {
			return err
		}
		var all []table
		if err := e.DB.Reading(ctx, func(conn *driver.Conn) (err error) {
			all, err = tables(conn)
			return err
		}); err != nil {
			return fmt.Errorf("look at the tables: %w", err)
		}
		for _, t := range append(all, allEvents) {
			if err := e.erasePersonFrom(ctx, t, tenant, w, counts); err != nil {
				return fmt.Errorf("erase a person from %s: %w", t.name, err)
			}
		}
		e.Integrations.Forget(tenant)
		e.Triggers.Forget(tenant)
		return e.eraseLanes(ctx, tenant, w, counts) // and the events in memory, which are others in the file now
	})
	return counts, "", err
}

func (e *Tenants) eraseLanes(ctx context.Context, tenant string, w pseudonym.Writer, counts erasure.Counts) error {
	for _, receiver := range w.Names {
		lanes, rows, err := e.Deliveries.EraseLanes(ctx, tenant, receiver)
		if err != nil {
			return err
		}
		counts["lanes"] += lanes
		for table, n := range rows {
			counts[table] += n
		}
	}
	return nil
}

// erasePersonFrom reads a table beside the writer, and changes what names the person as it is then.
func (e *Tenants) erasePersonFrom(ctx context.Context, t table, tenant string, w pseudonym.Writer,
	counts erasure.Counts) error {
	p := &pages{tenant: tenant}
	for more := true; more; {
		var found []place
		p.rows, p.bytes = nil, 0
		err := e.DB.Reading(ctx, func(conn *driver.Conn) error {
			return p.each(ctx, conn, t, func(s *driver.Stmt) error {
				row, err := rowOf(t, s)
				if err != nil {
					return err
				}
				if p.rows = append(p.rows, erasure.Row{}); names(w, row) {
					found = append(found, p.last)
				}
				return nil
			})
		})
		if more = errors.Is(err, errFull); err != nil && !more {
			return err
		}
		if p.last, err = reread(p.last); err != nil {
			return err
		}
		if err := e.DB.Write(ctx, func(dw *db.Writer) error {
			done := erasure.Counts{}
			for _, at := range found {
				if err := change(dw, t, at, w, done); err != nil {
					return err
				}
			}
			for table, n := range done {
				counts[table] += n
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func names(w pseudonym.Writer, row json.RawMessage) bool {
	var v any
	return json.Unmarshal(row, &v) == nil && w.Names.In(v)
}

// column is one that is to be written.
type column struct {
	name string
	text bool
	is   []byte
}

// change removes a row that is the person's own, and writes the pseudonym into another.
func change(dw *db.Writer, t table, at place, w pseudonym.Writer, done erasure.Counts) error {
	key := strings.Trim(t.key, "()")
	where := " WHERE (" + key + ") = (" + placeholders(1, len(at.Key)) + ")"
	at, err := reread(at)
	if err != nil {
		return err
	}
	var columns []column
	mine, there := false, false
	if err := db.Each(dw.Conn, "SELECT "+strings.Join(t.columns, ", ")+" FROM "+t.name+where, func(s *driver.Stmt) {
		at.bind(s, 1)
	}, func(s *driver.Stmt) (err error) {
		there, mine = true, isOwn(t, s, w)
		columns, err = changed(t, s, w)
		return err
	}); err != nil || !there {
		return err
	}
	if mine {
		done[t.name]++
		return dw.Do("DELETE FROM "+t.name+where, func(s *driver.Stmt) { at.bind(s, 1) })
	}
	if len(columns) == 0 { // such as an integration that was given their address meanwhile
		done[t.name]++
		return nil
	}
	var set []string
	for n, c := range columns {
		set = append(set, fmt.Sprintf("%s = ?%d", c.name, len(at.Key)+n+1))
	}
	done[erasure.Pseudonymous(t.name)]++
	return dw.Do("UPDATE OR REPLACE "+t.name+" SET "+strings.Join(set, ", ")+where, func(s *driver.Stmt) {
		at.bind(s, 1)
		for n, c := range columns {
			if c.text {
				s.BindText(len(at.Key)+n+1, string(c.is))
			} else {
				s.BindBytes(len(at.Key)+n+1, c.is)
			}
		}
	})
}

// reread is a place as one that was written and read: so keys are bound.
func reread(at place) (place, error) {
	text, err := at.write()
	if err != nil {
		return at, err
	}
	return readPlace(text)
}

// isOwn reports whether a row is the person's own.
func isOwn(t table, s *driver.Stmt, w pseudonym.Writer) bool {
	text := func(name string) string {
		n := slices.Index(t.columns, name)
		if n < 0 {
			return ""
		}
		return s.ColumnText(n)
	}
	var body struct {
		To    string
		Kind  token.Kind `json:"kind"`
		Email string     `json:"email"`
	}
	switch t.name {
	case "mails":
		return json.Unmarshal([]byte(text("body")), &body) == nil && w.Names.Is(address.Canonical(body.To))
	case "tokens":
		return json.Unmarshal([]byte(text("body")), &body) == nil && body.Kind == token.Personal &&
			w.Names.Is(body.Email)
	}
	return own[t.name] != "" && w.Names.Is(text(own[t.name]))
}

// changed are the columns of a row with the pseudonym in them.
func changed(t table, s *driver.Stmt, w pseudonym.Writer) (out []column, err error) {
	for n, name := range t.columns {
		c := column{name: name, text: s.ColumnType(n) == driver.TypeText}
		if !c.text && s.ColumnType(n) != driver.TypeBlob || erasure.Secret(name) {
			continue
		}
		was := db.Blob(s, n)
		switch {
		case c.text:
			c.is = []byte(w.Text(string(was)))
		case name == "body" && t.name == "integrations":
			c.is = w.Integration(was)
		case name == "body" && t.where == byLane:
			c.is, err = ofDelivery(t.name, was, w)
		default:
			c.is = w.Bytes(was)
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(c.is, was) {
			out = append(out, c)
		}
	}
	return out, nil
}

// ofDelivery is the body of a row about deliveries with the pseudonym in it.
func ofDelivery(table string, body []byte, w pseudonym.Writer) ([]byte, error) {
	switch table {
	case "blocks", "open_blocks": // they have no texts but kinds
		return body, nil
	case "outcomes":
		ends, err := packed.DecodeOutcomes(body)
		if err != nil {
			return nil, err
		}
		if ends, err = pseudonym.Value(w, ends); err != nil {
			return nil, err
		}
		return packed.EncodeOutcomes(ends), nil
	}
	var v delivery.Delivery
	seqs, err := packed.Decode(body, &v)
	if err != nil {
		return nil, err
	}
	if v, err = pseudonym.Value(w, v); err != nil {
		return nil, err
	}
	return packed.Encode(v, seqs), nil
}

// Overwriting has what is replaced overwritten in the file too, where a person is taken out of integrations.
func (e *Tenants) Overwriting(of erasure.Integrations) erasure.Integrations {
	return overwriting{e.DB, of}
}

type overwriting struct {
	db *db.File
	of erasure.Integrations
}

func (o overwriting) WithoutPerson(ctx context.Context, tenant string, w pseudonym.Writer,
	dry bool) (changed []erasure.Changed, err error) {
	if dry {
		return o.of.WithoutPerson(ctx, tenant, w, dry)
	}
	err = o.db.Overwriting(ctx, func() (err error) {
		changed, err = o.of.WithoutPerson(ctx, tenant, w, dry)
		return err
	})
	return changed, err
}
