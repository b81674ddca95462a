package deliveries

import (
	"context"
	"fmt"
	"maps"
	"slices"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventcache"
	"tocsin/shared/engine/sqlite/packed"
)

// laneTables hold the deliveries of lanes.
var laneTables = append([]string{"pending", "retrying", "gathering", "merged", "finished"}, blocks.Tables...)

// EraseLanes removes a tenant's lanes, or that of one receiver alone, in one transaction, with what is left of their
// deliveries, and forgets them: the next event gets new ones.
func (d *Deliveries) EraseLanes(ctx context.Context, tenant, receiver string) (lanes int, rows map[string]int,
	err error) {
	const of = "tenant = ?1 AND (?2 = '' OR integration = ?2)"
	var gone map[laneKey]int64
	err = d.db.Write(ctx, func(w *db.Writer) error {
		rows = map[string]int{}
		remove := func(sql string) (int, error) {
			err := w.Do(sql, func(s *driver.Stmt) {
				s.BindText(1, tenant)
				s.BindText(2, receiver)
			})
			return w.Conn.Changes(), err
		}
		for _, table := range laneTables {
			n, err := remove("DELETE FROM " + table + " WHERE ref IN (SELECT ref FROM lanes WHERE " + of + ")")
			if rows[table] = n; err != nil {
				return err
			}
		}
		n, err := remove("DELETE FROM lanes WHERE " + of)
		if lanes = n; err != nil {
			return err
		}
		// Within the write: what comes for the tenant from here on asks the file for its lane.
		gone = d.forget(tenant, receiver)
		return nil
	})
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for k, ref := range gone { // they are still there
			d.lanes.add(ref, k)
		}
		return 0, nil, fmt.Errorf("erase the deliveries of tenant %s: %w", tenant, err)
	}
	return lanes, rows, nil
}

// forget drops what is in memory of a receiver or of all of a tenant, and the events of all: they are in the file.
func (d *Deliveries) forget(tenant, receiver string) map[laneKey]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := maps.Clone(d.lanes.ref)
	maps.DeleteFunc(gone, func(k laneKey, _ int64) bool {
		return k.tenant != tenant || receiver != "" && k.integration != receiver
	})
	for k, ref := range gone {
		delete(d.lanes.ref, k)
		delete(d.lanes.key, ref)
		delete(d.leases.of, ref)
		delete(d.leases.ends, ref)
		d.leases.fresh.forget(ref)
		delete(d.leases.next, ref)
		delete(d.windows, ref)
	}
	d.events = eventcache.Cache{}
	return gone
}

// Readable is the body of a row of a table as JSON can tell it.
func Readable(table string, body []byte) (any, error) {
	if slices.Contains(blocks.Tables, table) {
		return blocks.Readable(table, body)
	}
	var v delivery.Delivery
	seqs, err := packed.Decode(body, &v)
	if err != nil {
		return nil, err
	}
	return map[string]any{"events": seqs, "count": v.Count, "kinds": v.Kinds, "failures": v.Failures,
		"reason": v.Reason, "attempts": v.Attempts, "parts": v.Parts, "held": v.Held, "one_message": v.Digest,
		"fallback": v.Fallback, "from": v.From}, nil
}
