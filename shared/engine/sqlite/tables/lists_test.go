package tables_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/tables"
)

// lanes is deliveries in tables, beside what a list of them has to be: a map in memory.
type lanes struct {
	t    *testing.T
	file *db.File
	want map[int64][]string // the ids of each list, with their states
	ids  int
}

// add puts a delivery of each lane into a table.
func (l *lanes) add(table string, refs ...int64) {
	l.t.Helper()
	state := map[string]delivery.State{"pending": delivery.Pending, "gathering": delivery.Pending,
		"retrying": delivery.Retrying, "finished": delivery.Delivered}[table]
	columns := map[string]string{"gathering": ", due, size", "retrying": ", due", "finished": ", dead"}[table]
	sql := "INSERT INTO " + table + " (ref, id, body" + columns + ") VALUES (?, ?, ?" +
		strings.Repeat(", 0", strings.Count(columns, ",")) + ")"
	require.NoError(l.t, l.file.Write(l.t.Context(), func(w *db.Writer) error {
		for _, ref := range refs {
			l.ids++
			id := delivery.DerivedID(time.Unix(int64(1_700_000_000+l.ids), 0), fmt.Appendf(nil, "%010d", l.ids))
			l.want[ref] = append([]string{id + " " + string(state)}, l.want[ref]...)
			if err := w.Do(sql, func(s *driver.Stmt) {
				s.BindInt64(1, ref)
				s.BindText(2, id)
				s.BindBytes(3, packed.Encode(delivery.Delivery{ID: id, State: state}, []int64{1}))
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// check reads the lists of all lanes at once.
func (l *lanes) check(refs []int64) {
	l.t.Helper()
	queries := make([]delivery.Query, len(refs))
	for n, ref := range refs {
		queries[n] = delivery.Query{Tenant: "42", Integration: fmt.Sprint(ref), Limit: 10}
	}
	require.NoError(l.t, l.file.Reading(l.t.Context(), func(conn *driver.Conn) error {
		chunks, err := new(tables.Heads).Lists(conn, queries, func(_, integration string) (ref int64, ok bool) {
			_, err := fmt.Sscan(integration, &ref)
			return ref, err == nil
		})
		if err != nil {
			return err
		}
		for n, ref := range refs {
			var got []string
			for _, v := range chunks[n].Rows {
				got = append(got, v.ID+" "+string(v.State))
			}
			if !slices.Equal(l.want[ref], got) {
				return fmt.Errorf("list %d is %v, must be %v", ref, got, l.want[ref])
			}
		}
		return nil
	}))
}

// TestManyListsAreWholeHoweverManyIntegrationsWait: of many lists those alone are looked for in the tables of what
// waits that have a row there, up to a bound, and beyond it all of them are. Each table is tried below, at and above
// the bound; a map in memory is the oracle.
func TestManyListsAreWholeHoweverManyIntegrationsWait(t *testing.T) {
	const bound, all = 2000, 2100
	refs := make([]int64, all)
	for n := range refs {
		refs[n] = int64(3*n + 1) // lanes of others are between them
	}
	for _, table := range []string{"pending", "gathering", "retrying"} {
		t.Run(table, func(t *testing.T) {
			file, err := db.Open(context.Background(), filepath.Join(t.TempDir(), "state.db"), db.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, file.Close()) })
			nothing := func(*db.Writer) error { return nil }
			require.NoError(t, file.Begin(nothing, nothing))
			l := &lanes{t: t, file: file, want: map[int64][]string{}}
			l.add("finished", refs...)
			l.check(refs)
			l.add(table, refs[:bound-1]...)
			l.check(refs)
			for _, n := range []int{bound - 1, bound, all - 1} {
				l.add(table, refs[n])
				l.check(refs)
			}
			l.add(table, refs[0])
			for _, some := range []int{1, 99, 100, 101} { // few lists are looked for everywhere
				l.check(refs[all-some:])
			}
		})
	}
}
