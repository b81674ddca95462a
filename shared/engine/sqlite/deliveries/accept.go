package deliveries

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/blocks"
	"tocsin/shared/engine/sqlite/counters"
	"tocsin/shared/engine/sqlite/dailytotals"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/engine/sqlite/eventids"
	"tocsin/shared/engine/sqlite/packed"
	"tocsin/shared/engine/sqlite/settings"
	"tocsin/shared/engine/sqlite/tables"
	"tocsin/shared/engine/sqlite/waiting"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// Begin looks the events' ids up. One fan-out is at work here: nothing is claimed.
func (d *Deliveries) Begin(ctx context.Context, events []fanout.Accepted) ([]fanout.Standing, error) {
	out := make([]fanout.Standing, len(events))
	var doubtful []int
	for i, a := range events {
		if !d.ids.Unknown(a.Event.Tenant, a.Event.ID) {
			doubtful = append(doubtful, i)
		}
	}
	if len(doubtful) == 0 {
		return out, nil
	}
	// In one transaction: each of its own would lock and unlock the file, which costs more than the look.
	err := d.db.ReadingAtOnce(ctx, func(conn *driver.Conn) error {
		for _, i := range doubtful {
			_, known, err := d.ids.Find(conn, events[i].Event.Tenant, events[i].Event.ID)
			if err != nil {
				return err
			}
			if known {
				out[i] = fanout.Known
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look %d events up: %w", len(events), err)
	}
	return out, nil
}

// Abort has nothing to give up.
func (d *Deliveries) Abort(context.Context, []fanout.Accepted) error { return nil }

type eventKey struct{ tenant, id string }

// intake is an Intake made ready for the writer.
type intake struct {
	fanout.Intake
	through int64             // the last entry it passes
	numbers []int64           // of the accepted events
	next    int               // of them, that is asked for next where all ask in order
	places  map[eventKey]int  // in numbers, made when somebody asks out of order
	ids     []eventids.ID     // of the accepted events
	refs    map[laneKey]int64 // of lanes that are new
	made    []madeDelivery    // of each lane the oldest at least
	windows waiting.Windows
}

// madeDelivery is the oldest of deliveries of one lane; parts and last are all of them, where they are known.
type madeDelivery struct {
	ref   int64
	id    string
	parts []part
	last  string
}

// Accept writes the outcome of one fan-out in one transaction.
func (d *Deliveries) Accept(ctx context.Context, in fanout.Intake) error {
	i := intake{Intake: in, numbers: make([]int64, len(in.Accepted)), ids: make([]eventids.ID, len(in.Accepted))}
	if err := i.number(); err != nil {
		return err
	}
	slices.SortFunc(i.ids, func(a, b eventids.ID) int { return cmp.Compare(a.Seq(), b.Seq()) })
	d.enter()
	err := d.db.WriteRepeatable(ctx, func(w *db.Writer) error {
		i.refs, i.made, i.windows = map[laneKey]int64{}, i.made[:0], waiting.Windows{}
		return d.accept(w, &i)
	})
	if err != nil {
		d.entered()
		return fmt.Errorf("write a fan-out of %d events: %w", len(in.Accepted), err)
	}
	d.accepted(i)
	d.entered()
	if len(in.Triggers.Publish) > 0 {
		d.bus.Wake()
	}
	return nil
}

// number finds the entries' numbers.
func (i *intake) number() error {
	pass := func(e delivery.Entry) (int64, error) {
		seq, err := eventbus.Seq(e)
		i.through = max(i.through, seq)
		return seq, err
	}
	for n, a := range i.Accepted {
		seq, err := pass(a.Entry)
		if err != nil {
			return err
		}
		i.numbers[n], i.ids[n] = seq, eventids.Of(a.Event.Tenant, a.Event.ID, seq)
	}
	for _, r := range i.Rejected {
		if _, err := pass(r.Entry); err != nil {
			return err
		}
	}
	for _, a := range i.Repeated {
		if _, err := pass(a.Entry); err != nil {
			return err
		}
	}
	return nil
}

func (d *Deliveries) accept(w *db.Writer, i *intake) error {
	done, err := db.Number(w.Conn, "SELECT value FROM progress WHERE name = 'fanout'")
	if err != nil {
		return err
	}
	if i.through != 0 && i.through <= done {
		return nil // the same Intake again, after an answer that got lost
	}
	if err := d.triggers.PutOutcome(w, i.Triggers); err != nil {
		return err
	}
	if err := d.ids.Put(w, i.ids); err != nil {
		return fmt.Errorf("write the ids of %d events: %w", len(i.ids), err)
	}
	for _, n := range i.Counts() {
		if err := counters.Put(w, n); err != nil {
			return fmt.Errorf("count what arrived for tenant %s: %w", n.Tenant, err)
		}
	}
	for _, c := range i.Commands {
		if err := settings.PutCommand(w, c); err != nil {
			return fmt.Errorf("keep command %s of tenant %s: %w", c.ID, c.Tenant, err)
		}
	}
	for _, r := range i.Rejected {
		if err := w.Do("INSERT INTO dead_letters (tenant, kind, detail, at, reason) VALUES (?, ?, ?, ?, ?)",
			func(s *driver.Stmt) {
				s.BindText(1, r.Tenant)
				s.BindText(2, r.Entry.DetailType)
				s.BindBytes(3, r.Entry.Detail)
				s.BindInt64(4, r.Entry.At.UnixNano())
				s.BindText(5, r.Reason)
			}); err != nil {
			return err
		}
	}
	if err := d.enqueueAll(w, i); err != nil {
		return err
	}
	for _, r := range i.Records {
		if err := dailytotals.Add(w, r); err != nil {
			return fmt.Errorf("add to the totals of %s of tenant %s: %w", r.Day, r.Tenant, err)
		}
	}
	if i.through == 0 {
		return nil
	}
	return w.Do("UPDATE progress SET value = ? WHERE name = 'fanout'",
		func(s *driver.Stmt) { s.BindInt64(1, i.through) })
}

// enqueueAll writes the new deliveries: those that go to one integration and have nothing peculiar as blocks.
func (d *Deliveries) enqueueAll(w *db.Writer, i *intake) error {
	plain := map[int64][]packed.Item{}
	var refs []int64
	for _, v := range i.Deliveries {
		if !packed.Plain(v) {
			if err := d.enqueue(w, i, v); err != nil {
				return err
			}
			continue
		}
		ref, err := d.lane(w, i, laneKey{v.Tenant, v.Integration})
		if err != nil {
			return err
		}
		seqs, err := i.carried(v)
		if err != nil {
			return err
		}
		if plain[ref] == nil {
			refs = append(refs, ref)
		}
		d.Raise(v.Tenant, v.Integration, v.ID)
		plain[ref] = append(plain[ref], packed.Item{ID: v.ID, Seqs: seqs, Count: v.Count, Kinds: v.Kinds})
	}
	for _, ref := range refs {
		if err := d.enqueuePlain(w, i, ref, plain[ref]); err != nil {
			return err
		}
	}
	return nil
}

// enqueuePlain writes the new deliveries of a lane that have nothing peculiar.
func (d *Deliveries) enqueuePlain(w *db.Writer, i *intake, ref int64, items []packed.Item) error {
	byID := func(a, b packed.Item) int { return strings.Compare(a.ID, b.ID) }
	m := madeDelivery{ref: ref, id: slices.MinFunc(items, byID).ID, last: slices.MaxFunc(items, byID).ID}
	made, own, err := blocks.Insert(w, ref, items, d.least)
	if err != nil {
		return err
	}
	for _, item := range own {
		if err := tables.Insert(w, ref, item.Delivery(), item.Seqs); err != nil {
			return err
		}
	}
	switch {
	case len(own) == 0:
		for _, b := range made {
			m.parts = append(m.parts, part{Row: b})
		}
	case len(made) == 0 && len(own) == 1 && w.Conn.Changes() == 1: // else it was there already
		m.parts = []part{{own: own}}
	}
	i.made = append(i.made, m)
	return nil
}

// carried are the numbers of a delivery's events.
func (i *intake) carried(v delivery.Delivery) ([]int64, error) {
	seqs := make([]int64, len(v.Events))
	for k, e := range v.Events {
		seq, ok := i.numberOf(e)
		if !ok {
			return nil, fmt.Errorf("delivery %s carries event %s, which is not of its batch", v.ID, e.ID)
		}
		seqs[k] = seq
	}
	return seqs, nil
}

// numberOf is the number of an accepted event. Deliveries carry them in their order, for each integration anew.
func (i *intake) numberOf(e event.Event) (seq int64, ok bool) {
	n := i.next
	if n == len(i.Accepted) || i.Accepted[n].Event.ID != e.ID || i.Accepted[n].Event.Tenant != e.Tenant {
		if i.places == nil {
			i.places = make(map[eventKey]int, len(i.Accepted))
			for n, a := range i.Accepted {
				i.places[eventKey{a.Event.Tenant, a.Event.ID}] = n
			}
		}
		if n, ok = i.places[eventKey{e.Tenant, e.ID}]; !ok {
			return 0, false
		}
	}
	i.next = (n + 1) % len(i.Accepted)
	return i.numbers[n], true
}

// enqueue writes a new delivery as a row of its own.
func (d *Deliveries) enqueue(w *db.Writer, i *intake, v delivery.Delivery) error {
	ref, err := d.lane(w, i, laneKey{v.Tenant, v.Integration})
	if err != nil {
		return err
	}
	seqs, err := i.carried(v)
	if err != nil {
		return err
	}
	d.Raise(v.Tenant, v.Integration, v.ID)
	if !v.Due.IsZero() {
		i.windows.Add(ref, v.Due)
		return insertWindowed(w, ref, v, seqs)
	}
	i.made = append(i.made, madeDelivery{ref: ref, id: v.ID})
	return tables.Insert(w, ref, v, seqs)
}

// lane finds or makes the number of an integration, on the writer.
func (d *Deliveries) lane(w *db.Writer, i *intake, k laneKey) (int64, error) {
	if ref, ok := i.refs[k]; ok {
		return ref, nil
	}
	d.mu.Lock()
	ref, ok := d.lanes.ref[k]
	d.mu.Unlock()
	if ok {
		return ref, nil
	}
	// Another operation of the same group may have made it: ask the file.
	bind := func(s *driver.Stmt) {
		s.BindText(1, k.tenant)
		s.BindText(2, k.integration)
	}
	if err := w.Do("INSERT OR IGNORE INTO lanes (tenant, integration) VALUES (?, ?)", bind); err != nil {
		return 0, err
	}
	err := db.Each(w.Conn, "SELECT ref FROM lanes WHERE tenant = ? AND integration = ?", bind,
		func(s *driver.Stmt) error {
			ref = s.ColumnInt64(0)
			return nil
		})
	i.refs[k] = ref
	return ref, err
}

// accepted brings what is kept in memory up to date after the commit.
func (d *Deliveries) accepted(i intake) {
	d.ids.Added(i.ids)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bus.Pass(i.through)
	for k, ref := range i.refs {
		d.lanes.add(ref, k)
	}
	writes, _ := d.db.Quiet()
	for _, m := range i.made {
		if m.parts == nil || !d.leases.fresh.add(m.ref, writes, m.parts, m.id, m.last) {
			d.leases.arrived(m.ref, m.id)
		}
	}
	for ref, due := range i.windows {
		d.windows.Add(ref, due)
	}
	if len(i.Deliveries) == 0 {
		return
	}
	for n, a := range i.Accepted {
		d.events.Add(i.numbers[n], a.Event)
	}
}
