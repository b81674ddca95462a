package tables

import (
	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/sqlite/db"
)

// Lists reads a piece of the list of each query. ref finds an integration's.
func (h *Heads) Lists(conn *driver.Conn, queries []delivery.Query, ref func(tenant, integration string) (int64, bool)) (
	[]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	waits, err := waitingRefs(conn, len(queries))
	if err != nil {
		return nil, err
	}
	for n, q := range queries {
		of, ok := ref(q.Tenant, q.Integration)
		if !ok {
			continue
		}
		_, some := waits[of]
		found, err := newest(conn, of, q, waits != nil && !some)
		if err != nil {
			return nil, err
		}
		if whole(q) {
			h.read(q, found)
		}
		if out[n].Rows = found; len(found) == q.Limit {
			out[n].Reached = found[len(found)-1].ID
		}
	}
	return out, nil
}

const (
	// fewLists is up to how many lists each of them is looked for in all tables.
	fewLists = 100
	// mostWaiting bounds the integrations that are looked up in each table of what waits.
	mostWaiting = 2000
)

// refsOf goes from one integration to the next of those that a table has rows of.
var refsOf = [...]string{refsIn("pending"), refsIn("gathering"), refsIn("retrying")}

func refsIn(table string) string {
	return "WITH RECURSIVE r (ref) AS (SELECT min(ref) FROM " + table + " UNION ALL SELECT (SELECT min(ref) FROM " +
		table + " WHERE ref > r.ref) FROM r WHERE ref IS NOT NULL) SELECT ref FROM r WHERE ref IS NOT NULL LIMIT ?"
}

// waitingRefs are the integrations that a table of what waits has a row of: most have none, and their lists are read
// from the table of what ended alone. nil = that is not known, because few lists are read or many integrations have.
func waitingRefs(conn *driver.Conn, lists int) (map[int64]struct{}, error) {
	if lists <= fewLists {
		return nil, nil
	}
	out := map[int64]struct{}{}
	for _, sql := range refsOf {
		count := 0
		if err := db.Each(conn, sql, func(s *driver.Stmt) { s.BindInt64(1, mostWaiting) },
			func(s *driver.Stmt) error {
				out[s.ColumnInt64(0)] = struct{}{}
				count++
				return nil
			}); err != nil {
			return nil, err
		}
		if count == mostWaiting {
			return nil, nil
		}
	}
	return out, nil
}
