package deliveries

import (
	"sync"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/deadletters"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/engine/sqlite/eventcache"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/engine/sqlite/retained"
	"tocsin/shared/engine/sqlite/settings"
	"tocsin/shared/engine/sqlite/tables"
	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/fanout"
	"tocsin/shared/worker"
)

// Deliveries keeps deliveries, their queue and their log (fanout.Store, worker.Queue).
type Deliveries struct {
	*deadletters.Letters
	tables.Heads
	db       *db.File
	bus      *eventbus.Bus
	triggers *settings.Triggers
	ids      eventids.IDs
	holder   delivery.Holder // nil: see SetHolder
	least    int             // deliveries of a block: see SetLeastBlock

	mu      sync.Mutex
	lanes   lanes
	events  eventcache.Cache
	leases  leases
	windows waiting.Windows
	// writing counts the writes of the hot path that may have brought something in which memory does not know yet;
	// writes counts all of them.
	writing, writes int64

	retained retained.Events // of the one prune: see PruneChosen
}

var (
	_ fanout.Store = (*Deliveries)(nil)
	_ worker.Queue = (*Deliveries)(nil)
	_ fanout.Inbox = (*eventbus.Bus)(nil)
)

// New returns the deliveries of a state file, without what Load reads.
func New(file *db.File, bus *eventbus.Bus, triggers *settings.Triggers) *Deliveries {
	d := &Deliveries{Letters: deadletters.New(file, bus), db: file, bus: bus, triggers: triggers,
		lanes: newLanes(), leases: newLeases(), windows: waiting.Windows{}, least: leastBlock}
	d.retained = retained.Events{DB: file, IDs: &d.ids}
	return d
}

// IDs are the ids of the events that count.
func (d *Deliveries) IDs() *eventids.IDs { return &d.ids }

// leastBlock is from how many deliveries of one fan-out to one integration on they share a row. A lone one would write
// three rows in place of two.
const leastBlock = 2

// SetLeastBlock is for tests, in which few are made at once. Call it before anything is accepted.
func (d *Deliveries) SetLeastBlock(n int) { d.least = n }

// Load reads what is remembered of the file: the events' ids, the lanes, and until when each one's batch window is
// open.
func (d *Deliveries) Load(w *db.Writer) error {
	if err := d.ids.Load(w); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.loadWindows(w); err != nil {
		return err
	}
	return db.Each(w.Conn, "SELECT ref, tenant, integration FROM lanes", nil, func(s *driver.Stmt) error {
		d.lanes.add(s.ColumnInt64(0), laneKey{s.ColumnText(1), s.ColumnText(2)})
		return nil
	})
}

// loadWindows needs the lock.
func (d *Deliveries) loadWindows(w *db.Writer) error {
	clear(d.windows)
	return db.Each(w.Conn, "SELECT ref, min(due) FROM gathering GROUP BY ref", nil, func(s *driver.Stmt) error {
		d.windows[s.ColumnInt64(0)] = time.Unix(0, s.ColumnInt64(1))
		return nil
	})
}
