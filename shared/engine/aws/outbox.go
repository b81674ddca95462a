package aws

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// markerRow says that an intake began and is not finished. It is written before the intake is committed and removed when all
// that follows from it is made; what is left behind is found by Sweep.
type markerRow struct {
	Shard   string `dynamodbav:"shard"`
	ID      string `dynamodbav:"id"` // an intakeID
	Tenant  string `dynamodbav:"tenant"`
	Intake  string `dynamodbav:"intake"`
	Since   int64  `dynamodbav:"since"` // epoch seconds
	Version int    `dynamodbav:"v"`
}

// outboxShards spread the markers over so many partitions: each takes 1,000 of them a second.
const outboxShards = 16

// sweepAfter is when a marker that is still there was left behind.
const sweepAfter = claimFor

// Counting is told of each intake that was committed, perhaps more than once.
type Counting interface {
	Enqueue(ctx context.Context, tenant, intake string, events []event.Event) error
}

func markerKey(tenant, intake string) (shard, id string) {
	id = intakeID(tenant, intake)
	sum := sha256.Sum256([]byte(id))
	return strconv.Itoa(int(sum[0]) % outboxShards), id
}

// mark is the marker of an intake.
func (d *Deliveries) mark(tenant, intake string) (tableWrite, error) {
	shard, id := markerKey(tenant, intake)
	row, err := marshal(markerRow{Shard: shard, ID: id, Tenant: tenant, Intake: intake, Since: d.Now().Unix(), Version: 1})
	return tableWrite{d.Tables.Outbox, row}, err
}

func (d *Deliveries) unmark(ctx context.Context, tenant, intake string) error {
	shard, id := markerKey(tenant, intake)
	_, err := d.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &d.Tables.Outbox, Key: item{"shard": text(shard), "id": text(id)}})
	if err != nil {
		return fmt.Errorf("remove the marker of intake %s: %w", intake, err)
	}
	return nil
}

// finishing is what follows from a committed intake.
type finishing struct {
	tenant, intake string
	deliveries     []delivery.Delivery
	events         []event.Event
}

// finish makes what follows from a committed intake: its commands, its deliveries' rows and messages, and the message that has
// it counted. All of it can be done again, with one difference: again sends the messages of rows that are there, and pending,
// as well.
func (d *Deliveries) finish(ctx context.Context, f finishing, again bool) error {
	for _, e := range f.events {
		c, ok := command.Of(e)
		if !ok {
			continue
		}
		if err := d.Triggers.Commands().put(ctx, c, d.expires()); err != nil {
			return fmt.Errorf("keep command %s of tenant %s: %w", c.ID, c.Tenant, err)
		}
	}
	ready, err := d.shelve(ctx, f.deliveries, f.intake, again)
	if err != nil {
		return fmt.Errorf("write %d deliveries: %w", len(f.deliveries), err)
	}
	if err := d.hand(ctx, ready, again); err != nil {
		return err
	}
	if d.Counting != nil {
		if err := d.Counting.Enqueue(ctx, f.tenant, f.intake, f.events); err != nil {
			return fmt.Errorf("have an intake of tenant %s counted: %w", f.tenant, err)
		}
	}
	return d.unmark(ctx, f.tenant, f.intake)
}

// shelve writes the rows of new deliveries, never over one that is there, and returns those that are to be sent: the new ones,
// and those of the others that are pending still when they are to be handed out again.
func (d *Deliveries) shelve(ctx context.Context, deliveries []delivery.Delivery, intake string, again bool) ([]delivery.Delivery, error) {
	rows := make([]item, len(deliveries))
	expires := d.expires()
	for n, v := range deliveries {
		row, err := d.write(v, []string{intake}, expires)
		if err != nil {
			return nil, err
		}
		rows[n] = row
	}
	return d.shelved(ctx, deliveries, rows, again)
}

func (d *Deliveries) shelved(ctx context.Context, deliveries []delivery.Delivery, rows []item, again bool) (ready []delivery.Delivery, err error) {
	exists, err := insertAll(ctx, d.DB, d.Tables.Deliveries, rows)
	if err != nil {
		return nil, err
	}
	var keys []item
	var there []delivery.Delivery
	for n, v := range deliveries {
		if !exists[n] {
			ready = append(ready, v)
		} else if again {
			keys, there = append(keys, deliveryKey(v.Tenant, v.Integration, v.ID)), append(there, v)
		}
	}
	found, err := getAll(ctx, d.DB, d.Tables.Deliveries, keys, true, "lane", "id", "state", "due")
	if err != nil {
		return nil, err
	}
	rowsBy := make(map[string]item, len(found))
	for _, r := range found {
		rowsBy[textOf(r, "lane")+" "+textOf(r, "id")] = r
	}
	for _, v := range there {
		row := rowsBy[laneKey(v.Tenant, v.Integration)+" "+v.ID]
		if textOf(row, "state") == string(delivery.Pending) {
			v.Due = instant(numberOf(row, "due")) // what has been joined gathers no more
			ready = append(ready, v)
		}
	}
	return ready, nil
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

// Sweep finishes what was left behind: intakes whose function ended on the way, or could not do all that follows. Those that
// were not committed are aborted, so that their events are free. It returns how many it settled; one that fails keeps no
// other from being finished. Call it each minute.
func (d *Deliveries) Sweep(ctx context.Context) (count int, err error) {
	var wrong []error
	for shard := range outboxShards {
		pages := dynamodb.NewQueryPaginator(d.DB, &dynamodb.QueryInput{
			TableName: &d.Tables.Outbox, KeyConditionExpression: awssdk.String("#shard = :shard"), FilterExpression: awssdk.String("since <= :since"),
			ConsistentRead: awssdk.Bool(true), ExpressionAttributeNames: map[string]string{"#shard": "shard"},
			ExpressionAttributeValues: item{":shard": text(strconv.Itoa(shard)), ":since": number(d.Now().Add(-sweepAfter).Unix())},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("look for intakes that were left behind: %w", err))
				break
			}
			for _, row := range page.Items {
				if err := d.sweep(ctx, row); err != nil {
					wrong = append(wrong, fmt.Errorf("finish intake %q: %w", textOf(row, "id"), err))
					continue
				}
				count++
			}
		}
	}
	return count, errors.Join(wrong...)
}

func (d *Deliveries) sweep(ctx context.Context, row item) error {
	marker, err := unmarshal[markerRow](row)
	if err != nil {
		return err
	}
	fate, err := d.decided(ctx, marker.Tenant, marker.Intake)
	if err == nil && fate == undecided {
		fate, err = d.abort(ctx, marker.Tenant, marker.Intake)
	}
	if err != nil {
		return err
	}
	if fate == committed {
		return d.refinish(ctx, marker.Tenant, marker.Intake)
	}
	return d.unmark(ctx, marker.Tenant, marker.Intake)
}

// refinish finishes a committed intake again.
func (d *Deliveries) refinish(ctx context.Context, tenant, intake string) error {
	id := intakeID(tenant, intake)
	found, err := d.packs(ctx, []string{id})
	if err != nil {
		return err
	}
	p, ok := found[id]
	if !ok {
		return d.unmark(ctx, tenant, intake) // it is kept no longer
	}
	events, err := p.accepted(intake)
	if err != nil {
		return err
	}
	deliveries, err := p.deliveries(tenant, events)
	if err != nil {
		return err
	}
	return d.finish(ctx, finishing{tenant, intake, deliveries, eventsOf(events)}, true)
}

// Mark puts the markers of a tenant's intakes of a range of time back, so that the next Sweep sends the messages of what is
// pending again: after a purge of the deliveries queue, or a restore of the tables.
func (d *Deliveries) Mark(ctx context.Context, tenant string, from, to time.Time) (count int, err error) {
	var writes []tableWrite
	err = d.journal(ctx, tenant, from, to, "", func(row journalRow) (bool, error) {
		if row.Version < 2 {
			return true, nil
		}
		marker, err := d.mark(tenant, row.ID)
		writes = append(writes, marker)
		return true, err
	})
	if err != nil {
		return 0, err
	}
	return len(writes), putAll(ctx, d.DB, writes)
}
