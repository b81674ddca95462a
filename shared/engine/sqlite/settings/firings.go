package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/trigger"
)

// keptFirings is how many rows of a trigger Prune leaves: one that goes off all the time fills no disk.
const keptFirings = 1000

// putFirings keeps when triggers went off, in the transaction of their batch.
func putFirings(w *db.Writer, list []trigger.Firings) error {
	for _, f := range list {
		body, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := w.Do("INSERT OR REPLACE INTO trigger_firings (tenant, trigger_id, place, body) VALUES (?, ?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindText(1, f.Tenant)
				s.BindText(2, f.Trigger)
				s.BindText(3, f.Place)
				s.BindBytes(4, body)
			}); err != nil {
			return fmt.Errorf("keep when trigger %s fired: %w", f.Trigger, err)
		}
	}
	return nil
}

// Firings lists when a trigger went off, newest first.
func (s *Triggers) Firings(ctx context.Context, q trigger.FiringQuery) (out []trigger.Firings, err error) {
	before := q.Before
	if before == "" {
		before = delivery.GreatestID
	}
	err = s.db.Query(ctx, "SELECT place, body FROM trigger_firings WHERE tenant = ? AND trigger_id = ? AND place < ? "+
		"ORDER BY place DESC LIMIT ?", func(p *driver.Stmt) {
		p.BindText(1, q.Tenant)
		p.BindText(2, q.Trigger)
		p.BindText(3, before)
		p.BindInt64(4, int64(q.Limit))
	}, func(p *driver.Stmt) error {
		f := trigger.Firings{Tenant: q.Tenant, Trigger: q.Trigger, Place: p.ColumnText(0)}
		err := json.Unmarshal(db.Blob(p, 1), &f)
		out = append(out, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list when trigger %s fired: %w", q.Trigger, err)
	}
	return out, nil
}

// PruneFirings removes what was written before a time, and of each trigger all but the newest keptFirings rows.
func (s *Triggers) PruneFirings(ctx context.Context, before time.Time) (removed int, err error) {
	err = s.db.Write(ctx, func(w *db.Writer) error {
		removed = 0
		type key struct{ tenant, id string }
		var all []key
		// Each trigger is found by a look behind the last one: so only keys are read.
		at := key{}
		for {
			next, found := key{}, false
			if err := db.Each(w.Conn, "SELECT tenant, trigger_id FROM trigger_firings WHERE (tenant, trigger_id) > "+
				"(?, ?) ORDER BY tenant, trigger_id LIMIT 1", func(p *driver.Stmt) {
				p.BindText(1, at.tenant)
				p.BindText(2, at.id)
			}, func(p *driver.Stmt) error {
				next, found = key{p.ColumnText(0), p.ColumnText(1)}, true
				return nil
			}); err != nil {
				return err
			}
			if !found {
				break
			}
			all, at = append(all, next), next
		}
		for _, k := range all {
			if err := w.Do("DELETE FROM trigger_firings WHERE tenant = ?1 AND trigger_id = ?2 AND place < max(?3, "+
				"COALESCE((SELECT place FROM trigger_firings WHERE tenant = ?1 AND trigger_id = ?2 "+
				"ORDER BY place DESC LIMIT 1 OFFSET ?4), ''))", func(p *driver.Stmt) {
				p.BindText(1, k.tenant)
				p.BindText(2, k.id)
				p.BindText(3, trigger.FiringsBefore(before))
				p.BindInt64(4, keptFirings-1)
			}); err != nil {
				return err
			}
			removed += w.Conn.Changes()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("remove what tells when triggers fired: %w", err)
	}
	return removed, nil
}
