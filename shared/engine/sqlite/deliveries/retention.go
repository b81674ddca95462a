package deliveries

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/event"
	"tocsin/shared/retention"
)

// Tenants that chose to keep less than the installation does.
//
// A row of an event does not say whose it is, and an index over tenants would cost each event a write. So what one
// prune looked at, the next one does not look at again: of the tenants that keep events for the same time, an hour's
// prune reads the events of an hour. The first one after a start, or after a choice, reads all that is older.

// swept is how far the events were looked at for the tenants that keep theirs for the same time.
type swept struct {
	tenants string // which those were
	seq     int64
}

// PruneChosen removes what tenants chose not to keep so long: deliveries that ended, dead letters, and events that no
// waiting delivery of the tenant can refer to. There is one prune at a time.
func (d *Deliveries) PruneChosen(ctx context.Context, now time.Time, chosen map[string]retention.Kept) (removed int,
	err error) {
	groups := map[time.Duration][]string{}
	for _, tenant := range slices.Sorted(maps.Keys(chosen)) {
		kept := chosen[tenant]
		groups[kept.Events] = append(groups[kept.Events], tenant)
		for _, ref := range d.refsOf(tenant) {
			n, err := d.pruneLane(ctx, ref, delivery.FirstID(now.Add(-kept.Deliveries)))
			if removed += n; err != nil {
				return removed, err
			}
		}
		n, err := d.PruneDeadLettersOf(ctx, tenant, now.Add(-kept.Events))
		if removed += n; err != nil {
			return removed, err
		}
	}
	maps.DeleteFunc(d.swept, func(kept time.Duration, _ swept) bool { return groups[kept] == nil })
	for kept, tenants := range groups {
		n, err := d.sweep(ctx, now.Add(-kept), kept, tenants)
		if removed += n; err != nil {
			return removed, err
		}
	}
	if removed > 0 {
		err = d.ids.Shrink(ctx, d.db)
	}
	return removed, err
}

// refsOf are the numbers of a tenant's lanes.
func (d *Deliveries) refsOf(tenant string) (out []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, ref := range d.lanes.ref {
		if k.tenant == tenant {
			out = append(out, ref)
		}
	}
	return out
}

// sweep removes the events of tenants from before a time.
func (d *Deliveries) sweep(ctx context.Context, before time.Time, kept time.Duration, tenants []string) (removed int,
	err error) {
	limits := make(map[string]time.Time, len(tenants))
	for _, tenant := range tenants {
		if limits[tenant], err = d.limit(ctx, tenant, before); err != nil {
			return removed, err
		}
	}
	at := d.swept[kept]
	if all := strings.Join(tenants, "\x00"); at.tenants != all {
		at = swept{tenants: all}
	}
	held := int64(0) // the number before the first event that something waits for
	for more := true; more; {
		var gone []eventids.ID
		gone, more, err = d.outlived(ctx, &at.seq, before, limits, &held)
		if err != nil {
			return removed, err
		}
		for some := range slices.Chunk(gone, db.Chunk) {
			if err := d.db.Write(ctx, func(w *db.Writer) error { return d.removeEvents(w, some) }); err != nil {
				return removed, err
			}
			removed += len(some)
		}
	}
	if held > 0 {
		at.seq = held - 1
	}
	d.swept[kept] = at
	return removed, nil
}

// limit is before which a tenant's events go: the time, or that of the oldest delivery that waits.
func (d *Deliveries) limit(ctx context.Context, tenant string, before time.Time) (time.Time, error) {
	refs := d.refsOf(tenant)
	err := d.db.Reading(ctx, func(conn *driver.Conn) error {
		oldest, waits, err := oldestWaiting(conn, refs)
		if kept := oldest.Add(-clockBack); waits && kept.Before(before) {
			before = kept
		}
		return err
	})
	return before, err
}

// outlived reads on from a number and moves it, and returns the events that their tenants keep no longer. It notes the
// first that stays because something waits for it.
func (d *Deliveries) outlived(ctx context.Context, seq *int64, before time.Time, limits map[string]time.Time,
	held *int64) (gone []eventids.ID, more bool, err error) {
	read := 0
	err = d.db.Query(ctx, `SELECT seq, at, kind, detail FROM events
		WHERE seq > ? AND seq <= (SELECT value FROM progress WHERE name = 'fanout') ORDER BY seq LIMIT ?`,
		func(s *driver.Stmt) {
			s.BindInt64(1, *seq)
			s.BindInt64(2, arrivedScan)
		}, func(s *driver.Stmt) error {
			at := time.Unix(0, s.ColumnInt64(1))
			if read < 0 || !at.Before(before) {
				read = -1 // the end: numbers are given in the order of arrival
				return nil
			}
			read++
			*seq = s.ColumnInt64(0)
			e := eventOf(s.ColumnText(2), db.Blob(s, 3), limits)
			switch limit, ok := limits[e.Tenant]; {
			case !ok:
			case at.Before(limit):
				gone = append(gone, eventids.Of(e.Tenant, e.ID, *seq))
			case *held == 0:
				*held = *seq
			}
			return nil
		})
	return gone, read == arrivedScan, err
}

// fewTenants are looked for in the text of an event, which most events of others need not be read for then.
const fewTenants = 8

// eventOf reads an event, of which one that was rejected may tell the tenant alone; none where it can be of no tenant
// of those.
func eventOf(kind string, detail []byte, tenants map[string]time.Time) event.Event {
	if len(tenants) <= fewTenants {
		can := false
		for tenant := range tenants {
			can = can || canBeOf(detail, tenant)
		}
		if !can {
			return event.Event{}
		}
	}
	e, err := event.Decode(kind, detail)
	if err != nil {
		e.Tenant = event.KnownTenant(e.Tenant)
	}
	return e
}

func (d *Deliveries) removeEvents(w *db.Writer, gone []eventids.ID) error {
	for _, id := range gone {
		bind := func(s *driver.Stmt) { s.BindInt64(1, id.Seq()) }
		if err := w.Do("DELETE FROM events WHERE seq = ?", bind); err != nil {
			return err
		}
	}
	return d.ids.Remove(w, gone)
}
