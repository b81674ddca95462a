// Package retained removes the events that tenants chose to keep for less than the installation does.
//
// A row of an event does not say whose it is, and an index over tenants would cost each event a write. So what one
// prune looked at, the next one does not look at again: of the tenants that keep events for the same time, an hour's
// prune reads the events of an hour. The first one after a start, or after a choice, reads all that is older.
package retained

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/event"
)

// Events are those of a state file. There is one sweep at a time.
type Events struct {
	DB  *db.File
	IDs *eventids.IDs

	swept map[time.Duration]swept
}

// swept is how far the events were looked at for the tenants that keep theirs for the same time.
type swept struct {
	tenants string // which those were
	seq     int64
}

// Forget drops how far the events were looked at for times that no tenant keeps its events for any more.
func (d *Events) Forget(still func(kept time.Duration) bool) {
	for kept := range d.swept {
		if !still(kept) {
			delete(d.swept, kept)
		}
	}
}

// atOnce is how many events of all tenants one reading reads.
const atOnce = 5000

// Sweep removes the events of tenants that keep theirs for the same time and came before a time; of each tenant those
// from before its limit.
func (d *Events) Sweep(ctx context.Context, before time.Time, kept time.Duration, tenants []string,
	limits map[string]time.Time) (removed int, err error) {
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
			if err := d.DB.Write(ctx, func(w *db.Writer) error { return d.removeEvents(w, some) }); err != nil {
				return removed, err
			}
			removed += len(some)
		}
	}
	if held > 0 {
		at.seq = held - 1
	}
	if d.swept == nil {
		d.swept = map[time.Duration]swept{}
	}
	d.swept[kept] = at
	return removed, nil
}

// outlived reads on from a number and moves it, and returns the events that their tenants keep no longer. It notes the
// first that stays because something waits for it.
func (d *Events) outlived(ctx context.Context, seq *int64, before time.Time, limits map[string]time.Time,
	held *int64) (gone []eventids.ID, more bool, err error) {
	read := 0
	err = d.DB.Query(ctx, `SELECT seq, at, kind, detail FROM events
		WHERE seq > ? AND seq <= (SELECT value FROM progress WHERE name = 'fanout') ORDER BY seq LIMIT ?`,
		func(s *driver.Stmt) {
			s.BindInt64(1, *seq)
			s.BindInt64(2, atOnce)
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
	return gone, read == atOnce, err
}

// fewTenants are looked for in the text of an event, which most events of others need not be read for then.
const fewTenants = 8

// eventOf reads an event, of which one that was rejected may tell the tenant alone; none where it can be of no tenant
// of those.
func eventOf(kind string, detail []byte, tenants map[string]time.Time) event.Event {
	if len(tenants) <= fewTenants {
		can := false
		for tenant := range tenants {
			can = can || CanBeOf(detail, tenant)
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

func (d *Events) removeEvents(w *db.Writer, gone []eventids.ID) error {
	for _, id := range gone {
		bind := func(s *driver.Stmt) { s.BindInt64(1, id.Seq()) }
		if err := w.Do("DELETE FROM events WHERE seq = ?", bind); err != nil {
			return err
		}
	}
	return d.IDs.Remove(w, gone)
}

// CanBeOf rules out an event of another tenant without reading it, which would be most of the work: an id that is not
// in the text is not its tenant's, unless a backslash hides it.
func CanBeOf(detail []byte, tenant string) bool {
	return bytes.Contains(detail, []byte(tenant)) || bytes.IndexByte(detail, '\\') >= 0
}
