package aws

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/command"
	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/worker"
)

// markerRow says that something is to be looked after: an intake that began, or deliveries that were made ready
// again. It is written before. When all that follows from it is made it stays until its deliveries are pending no
// more: a message can get lost on the way (a queue that is purged). Sweep looks at those that are due.
type markerRow struct {
	Shard       string   `dynamodbav:"shard"`
	ID          string   `dynamodbav:"id"` // an intakeID, or a parcelID
	Tenant      string   `dynamodbav:"tenant"`
	Intake      string   `dynamodbav:"intake,omitempty"`
	Integration string   `dynamodbav:"integration,omitempty"` // of a parcel
	Deliveries  []string `dynamodbav:"deliveries,omitempty"`  // likewise
	Due         int64    `dynamodbav:"due"`                   // epoch seconds
	Looks       int      `dynamodbav:"looks,omitempty"`       // from 1 on all messages were sent once
	Version     int      `dynamodbav:"v"`
}

// outboxShards spread the markers over so many partitions: each takes 1,000 of them a second. sweepsAtOnce are swept
// side by side.
const outboxShards, sweepsAtOnce = 16, 4

const (
	// sweepAfter is when an intake that is not finished was left behind.
	sweepAfter = claimFor
	// lookAfter is when deliveries that are pending still get another message; twice as long after each time, up to
	// lookMost doublings, because a queue with a long backlog is no queue that lost something.
	lookAfter = 30 * time.Minute
	lookMost  = 4
	// countLooks is how many looks send the message again that has an intake counted: one that can not be counted is in
	// the dead letters by then.
	countLooks = 3
)

// Marks tells how many events of intakes were counted.
type Marks interface {
	Counted(ctx context.Context, tenant string, intakes []string) ([]int, error)
}

// Counting is told of each intake that was committed, perhaps more than once.
type Counting interface {
	Enqueue(ctx context.Context, tenant, intake string, events []event.Event) error
}

func markerShard(id string) string {
	sum := sha256.Sum256([]byte(id))
	return strconv.Itoa(int(sum[0]) % outboxShards)
}

func (d *Deliveries) marker(m markerRow, due time.Time) (tableWrite, error) {
	m.Shard, m.Due, m.Version = markerShard(m.ID), due.Unix(), 1
	row, err := marshal(m)
	return tableWrite{d.Tables.Outbox, row}, err
}

// mark is the marker of an intake that begins.
func (d *Deliveries) mark(tenant, intake string) (tableWrite, error) {
	return d.marker(markerRow{ID: intakeID(tenant, intake), Tenant: tenant, Intake: intake}, d.Now().Add(sweepAfter))
}

// parcelID is no intakeID, which has one space. Deliveries that are replayed again have another marker.
func parcelID(p worker.MessageBatch, now time.Time) string {
	return "parcel " + laneKey(p.Tenant, p.Integration) + " " + p.IDs[0] + " " + nanos(now.UnixNano())
}

// markParcels puts the markers of deliveries that are to be made ready by another way than an intake.
func (d *Deliveries) markParcels(ctx context.Context, list []worker.MessageBatch) error {
	writes := make([]tableWrite, len(list))
	for n, p := range list {
		var err error
		m := markerRow{
			ID: parcelID(p, d.Now()), Tenant: p.Tenant, Integration: p.Integration, Deliveries: p.IDs, Looks: 1,
		}
		if writes[n], err = d.marker(m, d.Now().Add(lookAfter)); err != nil {
			return err
		}
	}
	return putAll(ctx, d.DB, writes)
}

func markerKey(id string) item { return item{"shard": text(markerShard(id)), "id": text(id)} }

func (d *Deliveries) unmark(ctx context.Context, id string) error {
	if _, err := d.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &d.Tables.Outbox,
		Key: markerKey(id)}); err != nil {
		return fmt.Errorf("remove the marker %q: %w", id, err)
	}
	return nil
}

// postpone has the sweeper look again later, for the deliveries alone.
func (d *Deliveries) postpone(ctx context.Context, id string, looks int) error {
	_, err := d.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &d.Tables.Outbox, Key: markerKey(id), ConditionExpression: awssdk.String("attribute_exists(id)"),
		UpdateExpression: awssdk.String("SET due = :due, looks = :looks"),
		ExpressionAttributeValues: item{":due": number(d.Now().Add(lookAfter << min(looks, lookMost)).Unix()),
			":looks": number(looks + 1)},
	})
	var gone *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("postpone the marker %q: %w", id, err)
	}
	return nil
}

// finishing is what follows from a committed intake.
type finishing struct {
	tenant, intake string
	deliveries     []delivery.Delivery
	events         []event.Event
}

// finish makes what follows from a committed intake: its commands, its deliveries' rows and messages, and the message
// that has it counted. All of it can be done again, with one difference: again sends the messages of rows that are
// there, and pending, as well.
func (d *Deliveries) finish(ctx context.Context, f finishing, again bool) error {
	for _, e := range f.events {
		c, ok := command.Of(e)
		if !ok {
			continue
		}
		if err := d.Commands.put(ctx, c, d.expires()); err != nil {
			return fmt.Errorf("keep command %s of tenant %s: %w", c.ID, c.Tenant, err)
		}
	}
	if _, err := d.ready(ctx, f, again, false); err != nil {
		return err
	}
	if d.Counting != nil {
		if err := d.Counting.Enqueue(ctx, f.tenant, f.intake, f.events); err != nil {
			return fmt.Errorf("have an intake of tenant %s counted: %w", f.tenant, err)
		}
	}
	id := intakeID(f.tenant, f.intake)
	if len(f.deliveries) == 0 && (d.Counting == nil || counts(f.events) == 0) {
		return d.unmark(ctx, id)
	}
	return d.postpone(ctx, id, 0)
}

// counts is how many of the events count for triggers or reports.
func counts(events []event.Event) (n int) {
	for _, e := range events {
		if counting.Counts(e.Kind) {
			n++
		}
	}
	return n
}

// recount sends the message again that has an intake counted, where it has no mark: the queue lost it, or is long.
func (d *Deliveries) recount(ctx context.Context, f finishing, looks int) (sent bool, err error) {
	n := counts(f.events)
	if d.Counting == nil || d.Marks == nil || n == 0 || looks > countLooks {
		return false, nil
	}
	marks, err := d.Marks.Counted(ctx, f.tenant, []string{f.intake})
	if err != nil || marks[0] >= n {
		return false, err
	}
	return true, d.Counting.Enqueue(ctx, f.tenant, f.intake, f.events)
}

// ready writes the rows of an intake's deliveries, sends their messages, and returns how many were to be sent. again
// is true where some of that may have been done, written where all rows were: what is missing then was joined into a
// file.
func (d *Deliveries) ready(ctx context.Context, f finishing, again, written bool) (count int, err error) {
	rows := make([]item, len(f.deliveries))
	expires := d.expires()
	for n, v := range f.deliveries {
		if rows[n], err = d.write(v, []string{f.intake}, expires); err != nil {
			return 0, err
		}
	}
	ready := f.deliveries
	if again {
		ready, err = d.reshelve(ctx, f.deliveries, rows, written)
	} else {
		// What is there was written by this very call, whose answer was lost, or by the sweeper a moment ago.
		_, err = insertAll(ctx, d.DB, d.Tables.Deliveries, rows)
	}
	if err != nil {
		return 0, fmt.Errorf("write %d deliveries: %w", len(f.deliveries), err)
	}
	return len(ready), d.hand(ctx, ready, again)
}

// reshelve writes the rows that are missing, unless all were written, and returns them and those that are pending.
func (d *Deliveries) reshelve(
	ctx context.Context, deliveries []delivery.Delivery, rows []item, written bool,
) (ready []delivery.Delivery, err error) {
	keys := make([]item, len(deliveries))
	for n, v := range deliveries {
		keys[n] = deliveryKey(v.Tenant, v.Integration, v.ID)
	}
	found, err := getAll(ctx, d.DB, d.Tables.Deliveries, keys, true, "lane", "id", "state", "due")
	if err != nil {
		return nil, err
	}
	by := make(map[string]item, len(found))
	for _, r := range found {
		by[textOf(r, "lane")+" "+textOf(r, "id")] = r
	}
	var missing []item
	for n, v := range deliveries {
		row := by[laneKey(v.Tenant, v.Integration)+" "+v.ID]
		switch {
		case textOf(row, "state") == string(delivery.Pending):
			v.Due = instant(numberOf(row, "due")) // what has been joined gathers no more
			ready = append(ready, v)
		case row == nil && !written:
			joined, err := d.joined(ctx, v)
			if err != nil {
				return nil, err
			}
			if !joined {
				ready, missing = append(ready, v), append(missing, rows[n])
			}
		}
	}
	_, err = insertAll(ctx, d.DB, d.Tables.Deliveries, missing)
	return ready, err
}

// joined reports whether another delivery of the same span carries a delivery that gathered: then its row is gone for
// good.
func (d *Deliveries) joined(ctx context.Context, v delivery.Delivery) (bool, error) {
	if v.Due.IsZero() {
		return false, nil
	}
	// Also before the span is over by this clock: by that of the function which joined it, it may be.
	list := make([]fanout.Accepted, len(v.Events))
	for n, e := range v.Events {
		list[n] = fanout.Accepted{Event: e, Entry: delivery.Entry{At: v.Due}}
	}
	carried, err := d.Carried(ctx, v.Tenant, v.Integration, list)
	return slices.Contains(carried, true), err
}

// hand sends the messages of deliveries: those that gather have one for their span.
func (d *Deliveries) hand(ctx context.Context, ready []delivery.Delivery, again bool) error {
	var now []delivery.Delivery
	var gathering []delivery.Delivery
	for _, v := range ready {
		if v.Due.IsZero() {
			now = append(now, v)
		} else {
			gathering = append(gathering, v)
		}
	}
	spans, err := d.spans(ctx, gathering, again)
	if err != nil {
		return err
	}
	return d.Enqueue(ctx, append(parcels(now), spans...), 0)
}

// Sweep finishes what was left behind: intakes whose function ended on the way, or could not do all that follows.
// Those that were not committed are aborted, so that their events are free. Deliveries that are pending for too long
// get another message. It returns how many of these it settled; one that fails keeps no other from being finished.
// Call it each minute.
func (d *Deliveries) Sweep(ctx context.Context) (count int, err error) {
	var settled [outboxShards]int
	var wrong [outboxShards]error
	var work errgroup.Group
	work.SetLimit(sweepsAtOnce)
	for shard := range outboxShards {
		work.Go(func() error {
			settled[shard], wrong[shard] = d.sweepShard(ctx, strconv.Itoa(shard))
			return nil
		})
	}
	_ = work.Wait() // what failed is in wrong
	for _, n := range settled {
		count += n
	}
	metrics.Count(ctx, metrics.Repaired, count)
	return count, errors.Join(wrong[:]...)
}

func (d *Deliveries) sweepShard(ctx context.Context, shard string) (count int, err error) {
	var wrong []error
	pages := dynamodb.NewQueryPaginator(d.DB, &dynamodb.QueryInput{
		TableName: &d.Tables.Outbox, KeyConditionExpression: awssdk.String("#shard = :shard"),
		FilterExpression: awssdk.String("due <= :now"),
		ConsistentRead:   awssdk.Bool(true), ExpressionAttributeNames: map[string]string{"#shard": "shard"},
		ExpressionAttributeValues: item{":shard": text(shard), ":now": number(d.Now().Unix())},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return count, errors.Join(append(wrong, fmt.Errorf("look for what was left behind: %w", err))...)
		}
		for _, row := range page.Items {
			settled, err := d.sweep(ctx, row)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("finish %q: %w", textOf(row, "id"), err))
			} else if settled {
				count++
			}
		}
	}
	return count, errors.Join(wrong...)
}

// sweep looks at what a marker names; settled is true where something was left behind.
func (d *Deliveries) sweep(ctx context.Context, row item) (settled bool, err error) {
	m, err := unmarshal[markerRow](row)
	switch {
	case err != nil:
		return false, err
	case m.Intake == "":
		return d.lookParcel(ctx, m)
	case m.Looks > 0:
		return d.lookIntake(ctx, m)
	}
	metrics.Most(ctx, metrics.OutboxAge, d.Now().Sub(time.Unix(m.Due, 0))+sweepAfter)
	fate, err := d.decided(ctx, m.Tenant, m.Intake)
	if err == nil && fate == undecided {
		fate, err = d.abort(ctx, m.Tenant, m.Intake)
	}
	if err != nil {
		return false, err
	}
	if fate == aborted {
		return true, d.unmark(ctx, m.ID)
	}
	f, err := d.finishing(ctx, m.Tenant, m.Intake)
	if errors.Is(err, delivery.ErrNotFound) {
		return true, d.unmark(ctx, m.ID) // it is kept no longer
	}
	if err != nil {
		return false, err
	}
	return true, d.finish(ctx, f, true)
}

// lookIntake sends the messages of an intake's deliveries that are pending again, and the one that has it counted where
// it is not.
func (d *Deliveries) lookIntake(ctx context.Context, m markerRow) (settled bool, err error) {
	f, err := d.finishing(ctx, m.Tenant, m.Intake)
	if errors.Is(err, delivery.ErrNotFound) {
		return false, d.unmark(ctx, m.ID)
	}
	if err != nil {
		return false, err
	}
	count, err := d.ready(ctx, f, true, true)
	if err != nil {
		return false, err
	}
	sent, err := d.recount(ctx, f, m.Looks)
	if sent {
		count++
	}
	return d.looked(ctx, m, count, err)
}

// lookParcel does so for deliveries that a marker names.
func (d *Deliveries) lookParcel(ctx context.Context, m markerRow) (settled bool, err error) {
	keys := make([]item, len(m.Deliveries))
	for n, id := range m.Deliveries {
		keys[n] = deliveryKey(m.Tenant, m.Integration, id)
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Deliveries, keys, false)
	if err != nil {
		return false, err
	}
	var ready []delivery.Delivery
	for _, row := range rows {
		v, err := read(row)
		if err != nil {
			return false, err
		}
		if v.State == delivery.Pending && !expired(row, d.Now()) {
			ready = append(ready, v)
		}
	}
	return d.looked(ctx, m, len(ready), d.hand(ctx, ready, true))
}

// looked removes a marker when nothing is pending, else has it looked at again.
func (d *Deliveries) looked(ctx context.Context, m markerRow, pending int, err error) (settled bool, _ error) {
	switch {
	case err != nil:
		return false, err
	case pending == 0:
		return false, d.unmark(ctx, m.ID)
	}
	return true, d.postpone(ctx, m.ID, m.Looks)
}

// finishing reads a committed intake. Error: delivery.ErrNotFound.
func (d *Deliveries) finishing(ctx context.Context, tenant, intake string) (f finishing, err error) {
	id := intakeID(tenant, intake)
	found, err := d.packs(ctx, []string{id})
	if err != nil {
		return f, err
	}
	p, ok := found[id]
	if !ok {
		return f, delivery.ErrNotFound
	}
	events, err := p.accepted(intake)
	if err != nil {
		return f, err
	}
	deliveries, err := p.deliveries(tenant, events)
	return finishing{tenant, intake, deliveries, eventsOf(events)}, err
}
