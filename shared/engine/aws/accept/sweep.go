package accept

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/deliveries"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/outbox"
	"tocsin/shared/engine/aws/table"
)

// Marks tells how many events of intakes were counted.
type Marks interface {
	Counted(ctx context.Context, tenant string, intakes []string) ([]int, error)
}

// sweepsAtOnce shards are swept side by side.
const sweepsAtOnce = 4

// countLooks is how many looks send the message again that has an intake counted: one that can not be counted is in the
// dead letters by then.
const countLooks = 3

// Sweep finishes what was left behind: intakes whose function ended on the way, or could not do all that follows.
// Those that were not committed are aborted, so that their events are free. Deliveries that are pending for too long
// get another message. It returns how many of these it settled; one that fails keeps no other from being finished.
// Call it each minute.
func (s *Store) Sweep(ctx context.Context) (count int, err error) {
	var settled [outbox.Shards]int
	var wrong [outbox.Shards]error
	var work errgroup.Group
	work.SetLimit(sweepsAtOnce)
	for shard := range outbox.Shards {
		work.Go(func() error {
			settled[shard], wrong[shard] = s.sweepShard(ctx, strconv.Itoa(shard))
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

func (s *Store) sweepShard(ctx context.Context, shard string) (count int, err error) {
	var wrong []error
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{
		TableName: &s.Tables.Outbox, KeyConditionExpression: awssdk.String("#shard = :shard"),
		FilterExpression: awssdk.String("due <= :now"),
		ConsistentRead:   awssdk.Bool(true), ExpressionAttributeNames: map[string]string{"#shard": "shard"},
		ExpressionAttributeValues: table.Item{":shard": table.Text(shard), ":now": table.Number(s.Now().Unix())},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return count, errors.Join(append(wrong, fmt.Errorf("look for what was left behind: %w", err))...)
		}
		for _, row := range page.Items {
			settled, err := s.sweep(ctx, row)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("finish %q: %w", table.TextOf(row, "id"), err))
			} else if settled {
				count++
			}
		}
	}
	return count, errors.Join(wrong...)
}

// sweep looks at what a marker names; settled is true where something was left behind.
func (s *Store) sweep(ctx context.Context, row table.Item) (settled bool, err error) {
	m, err := table.Unmarshal[outbox.Marker](row)
	switch {
	case err != nil:
		return false, err
	case m.IsHeld():
		return false, s.LookHeld(ctx, m)
	case m.Intake == "":
		return s.lookBatch(ctx, m)
	case m.Looks > 0:
		return s.lookIntake(ctx, m)
	}
	metrics.Most(ctx, metrics.OutboxAge, s.Now().Sub(time.Unix(m.Due, 0))+outbox.SweepAfter)
	fate, err := s.Intakes().Decided(ctx, m.Tenant, m.Intake)
	if err == nil && fate == intakes.Undecided {
		fate, err = s.Intakes().Tombstone(ctx, m.Tenant, m.Intake)
	}
	if err != nil {
		return false, err
	}
	if fate == intakes.Aborted {
		return true, s.Outbox().Remove(ctx, m.ID)
	}
	f, err := s.intake(ctx, m.Tenant, m.Intake)
	if errors.Is(err, delivery.ErrNotFound) {
		return true, s.Outbox().Remove(ctx, m.ID) // it is kept no longer
	}
	if err != nil {
		return false, err
	}
	return true, s.finish(ctx, f, true)
}

// lookIntake sends the messages of an intake's deliveries that are pending again, and the one that has it counted where
// it is not.
func (s *Store) lookIntake(ctx context.Context, m outbox.Marker) (settled bool, err error) {
	f, err := s.intake(ctx, m.Tenant, m.Intake)
	if errors.Is(err, delivery.ErrNotFound) {
		return false, s.Outbox().Remove(ctx, m.ID)
	}
	if err != nil {
		return false, err
	}
	count, err := s.Ready(ctx, f, true, true)
	if err != nil {
		return false, err
	}
	sent, err := s.recount(ctx, f, m.Looks)
	if sent {
		count++
	}
	return s.looked(ctx, m, count, err)
}

// lookBatch does so for deliveries that a marker names.
func (s *Store) lookBatch(ctx context.Context, m outbox.Marker) (settled bool, err error) {
	keys := make([]table.Item, len(m.Deliveries))
	for n, id := range m.Deliveries {
		keys[n] = deliveries.Key(m.Tenant, m.Integration, id)
	}
	rows, err := table.GetAll(ctx, s.DB, s.Tables.Deliveries, keys, false)
	if err != nil {
		return false, err
	}
	var ready []delivery.Delivery
	for _, row := range rows {
		v, err := deliveries.ReadRow(row)
		if err != nil {
			return false, err
		}
		if v.State == delivery.Pending && !table.Expired(row, s.Now()) {
			ready = append(ready, v)
		}
	}
	return s.looked(ctx, m, len(ready), s.Send(ctx, ready, true))
}

// looked removes a marker when nothing is pending, else has it looked at again.
func (s *Store) looked(ctx context.Context, m outbox.Marker, pending int, err error) (settled bool, _ error) {
	switch {
	case err != nil:
		return false, err
	case pending == 0:
		return false, s.Outbox().Remove(ctx, m.ID)
	}
	return true, s.Outbox().Postpone(ctx, m.ID, m.Looks)
}

// intake reads a committed intake. Error: delivery.ErrNotFound.
func (s *Store) intake(ctx context.Context, tenant, id string) (intakes.Intake, error) {
	return s.Intakes().Committed(ctx, tenant, id)
}

// recount sends the message again that has an intake counted, where it has no mark: the queue lost it, or is long.
func (s *Store) recount(ctx context.Context, m intakes.Intake, looks int) (sent bool, err error) {
	n := counts(m.Events)
	if s.Counting == nil || s.Marks == nil || n == 0 || looks > countLooks {
		return false, nil
	}
	marks, err := s.Marks.Counted(ctx, m.Tenant, []string{m.ID})
	if err != nil || marks[0] >= n {
		return false, err
	}
	return true, s.Counting.Enqueue(ctx, m.Tenant, m.ID, eventsOf(m.Events))
}
