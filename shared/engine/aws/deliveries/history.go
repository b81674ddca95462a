package deliveries

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker"
)

// Get reads a delivery with its events.
func (d *Store) Get(ctx context.Context, tenant, integration, id string) (delivery.Delivery, error) {
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, []table.Item{Key(tenant, integration, id)}, true)
	if err == nil && len(rows) == 1 && merged(rows[0]) {
		key := Key(tenant, integration, table.TextOf(rows[0], "into"))
		rows, err = table.GetAll(ctx, d.DB, d.Tables.Deliveries, []table.Item{key}, true)
	}
	var found []delivery.Delivery
	if err == nil {
		found, err = d.open(ctx, rows)
	}
	if err == nil && len(found) == 0 {
		err = delivery.ErrNotFound
	}
	if err != nil {
		return delivery.Delivery{}, fmt.Errorf("get delivery %s: %w", id, err)
	}
	return found[0], nil
}

// List merges what the index of troubled deliveries and the lane itself hold.
func (d *Store) List(ctx context.Context, q delivery.Query) ([]delivery.Delivery, error) {
	var out []delivery.Delivery
	err := d.newest(ctx, q, &out)
	if err != nil {
		return nil, fmt.Errorf("list deliveries of integration %s: %w", q.Integration, err)
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return strings.Compare(b.ID, a.ID) })
	return out[:min(len(out), q.Limit)], nil
}

func (d *Store) newest(ctx context.Context, q delivery.Query, out *[]delivery.Delivery) error {
	if len(q.States) == 0 || len(q.States) == len(delivery.States()) {
		return d.lane(ctx, q, nil, out)
	}
	var inLane []delivery.State
	for _, s := range q.States {
		if s == delivery.Dead || s == delivery.Retrying {
			if err := d.troubled(ctx, q, s, out); err != nil {
				return err
			}
		} else {
			inLane = append(inLane, s)
		}
	}
	if len(inLane) == 0 {
		return nil
	}
	return d.lane(ctx, q, inLane, out)
}

// bounds of a query over ids: from included, before not.
func bounds(from, to time.Time, before string) (first, last string) {
	last = delivery.GreatestID
	if !to.IsZero() {
		last = delivery.FirstID(to)
	}
	if before != "" {
		last = min(last, before)
	}
	return delivery.FirstID(from), last
}

// lane reads the newest rows of the given states, nil = all.
func (d *Store) lane(ctx context.Context, q delivery.Query, states []delivery.State,
	out *[]delivery.Delivery) error {
	first, last := bounds(q.From, q.To, q.Before)
	if first > last {
		return nil
	}
	in := table.Between("lane", table.LaneKey(q.Tenant, q.Integration), first, last)
	in.TableName, in.ScanIndexForward = &d.Tables.Deliveries, awssdk.Bool(false)
	filter(in, states)
	if len(states) == 0 {
		in.Limit = awssdk.Int32(int32(min(q.Limit+1, 1000)))
	}
	found := 0
	return d.Each(ctx, in, table.ScanLimit, func(row table.Item) (bool, error) {
		if table.TextOf(row, "id") == last || merged(row) {
			return true, nil
		}
		v, err := ReadRow(row)
		if err != nil {
			return false, err
		}
		*out = append(*out, v)
		found++
		return found < q.Limit, nil
	})
}

func filter(in *dynamodb.QueryInput, states []delivery.State) {
	if len(states) == 0 {
		return
	}
	var names []string
	for _, s := range states {
		in.ExpressionAttributeValues[":"+string(s)] = table.Text(string(s))
		names = append(names, ":"+string(s))
	}
	in.ExpressionAttributeNames["#state"] = "state"
	in.FilterExpression = awssdk.String("#state IN (" + strings.Join(names, ", ") + ")")
}

// troubled reads the newest rows of a state that the index holds.
func (d *Store) troubled(ctx context.Context, q delivery.Query, s delivery.State, out *[]delivery.Delivery) error {
	first, last := bounds(q.From, q.To, q.Before)
	ids, err := d.troubledIDs(ctx, q.Tenant, q.Integration, s, first, last, false, q.Limit)
	if err != nil || len(ids) == 0 {
		return err
	}
	keys := make([]table.Item, len(ids))
	for n, id := range ids {
		keys[n] = Key(q.Tenant, q.Integration, id)
	}
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, false)
	if err != nil {
		return err
	}
	for _, r := range rows {
		v, err := ReadRow(r)
		if err != nil {
			return err
		}
		if v.State == s { // the index may be a moment behind
			*out = append(*out, v)
		}
	}
	return nil
}

func (d *Store) troubledIDs(ctx context.Context, tenant, integration string, s delivery.State, first, last string,
	oldest bool, limit int) (ids []string, err error) {
	if first > last {
		return nil, nil
	}
	in := table.Between("trouble", troubleKey(tenant, integration, s), first, last)
	in.TableName, in.IndexName, in.ScanIndexForward = &d.Tables.Deliveries, awssdk.String(troubleIndex), &oldest
	in.Limit = awssdk.Int32(int32(min(limit+1, 1000)))
	err = d.Each(ctx, in, table.ScanLimit, func(row table.Item) (bool, error) {
		if id := table.TextOf(row, "id"); id != last {
			ids = append(ids, id)
		}
		return len(ids) < limit, nil
	})
	return ids, err
}

// Replay makes ended deliveries pending again and sends their messages.
func (d *Store) Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error) {
	if r.ID != "" {
		count, err = d.replayOne(ctx, r)
		return count, "", err
	}
	ids, err := d.ended(ctx, r)
	if err == nil {
		count, err = d.restart(ctx, r, ids)
	}
	if err != nil {
		return 0, "", fmt.Errorf("replay deliveries of integration %s: %w", r.Integration, err)
	}
	if len(ids) == r.Limit {
		after = ids[len(ids)-1]
	}
	return count, after, nil
}

func (d *Store) replayOne(ctx context.Context, r delivery.Replay) (int, error) {
	v, err := d.Get(ctx, r.Tenant, r.Integration, r.ID)
	switch {
	case err == nil && v.ID != r.ID: // another has its events
		return 0, fmt.Errorf("replay delivery %s: %w", r.ID, delivery.ErrNotFound)
	case err != nil:
		return 0, err
	case v.State == delivery.Pending:
		// On its way already; but if its message was lost between our two writes, this is how a person brings it back.
		return 0, d.Send(ctx, []delivery.Delivery{v}, true)
	case v.State == delivery.Retrying && d.Now().Sub(v.Due) <= delivery.Overdue:
		return 0, nil // an execution works at it
	}
	count, err := d.restart(ctx, r, []string{r.ID})
	if err != nil {
		return 0, fmt.Errorf("replay delivery %s: %w", r.ID, err)
	}
	return count, nil
}

// ended lists the ids of a range, oldest first.
func (d *Store) ended(ctx context.Context, r delivery.Replay) (ids []string, err error) {
	first, last := bounds(r.From, r.To, "")
	if r.After != "" {
		first = max(first, r.After)
	}
	if len(r.States) == 0 || slices.Contains(r.States, delivery.Dead) {
		// One more, because the id to go on from is read again.
		if ids, err = d.troubledIDs(ctx, r.Tenant, r.Integration, delivery.Dead, first, last, true, r.Limit+
			1); err != nil {
			return nil, err
		}
	}
	if slices.Contains(r.States, delivery.Delivered) {
		in := table.Between("lane", table.LaneKey(r.Tenant, r.Integration), first, last)
		in.TableName = &d.Tables.Deliveries
		filter(in, []delivery.State{delivery.Delivered})
		found := 0
		err = d.Each(ctx, in, 1<<62, func(row table.Item) (bool, error) {
			if id := table.TextOf(row, "id"); id != last {
				ids = append(ids, id)
				found++
			}
			return found <= r.Limit, nil
		})
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == r.After })
	slices.Sort(ids)
	return ids[:min(len(ids), r.Limit)], err
}

// restart begins a new run of ended deliveries under their old ids.
func (d *Store) restart(ctx context.Context, r delivery.Replay, ids []string) (count int, err error) {
	for chunk := range slices.Chunk(ids, batchLimit) {
		if err := d.Outbox().MarkBatches(ctx,
			[]worker.MessageBatch{{Tenant: r.Tenant, Integration: r.Integration, IDs: chunk}}); err != nil {
			return count, err
		}
		moved, err := d.reopen(ctx, r, chunk)
		if err != nil {
			return count, err
		}
		count += len(moved)
		if err := d.Enqueue(ctx, []worker.MessageBatch{{Tenant: r.Tenant, Integration: r.Integration, IDs: moved}},
			0); err != nil {
			return count, err
		}
	}
	return count, nil
}

func (d *Store) reopen(ctx context.Context, r delivery.Replay, ids []string) ([]string, error) {
	rest := slices.Clone(ids)
	for len(rest) > 0 {
		writes := make([]types.TransactWriteItem, len(rest))
		for n, id := range rest {
			writes[n].Update = &types.Update{
				TableName: &d.Tables.Deliveries, Key: Key(r.Tenant, r.Integration, id),
				ConditionExpression: awssdk.String(
					"#state IN (:dead, :delivered) OR #state = :retrying AND due < :overdue"),
				UpdateExpression: awssdk.String(
					"SET #state = :pending REMOVE failures, reason, #batch, trouble, due"),
				ExpressionAttributeNames: map[string]string{"#state": "state", "#batch": "batch"},
				ExpressionAttributeValues: table.Item{
					":pending": table.Text(string(delivery.Pending)), ":dead": table.Text(string(delivery.Dead)),
					":delivered": table.Text(string(delivery.Delivered)),
					":retrying":  table.Text(string(delivery.Retrying)),
					":overdue":   table.Number(d.Now().Add(-delivery.Overdue).UnixNano()),
				},
			}
		}
		unmet, err := table.Transact(ctx, d.DB, writes, "")
		if err != nil {
			return nil, err
		}
		if len(unmet) == 0 {
			break
		}
		for _, n := range slices.Backward(unmet) { // on their way already, or gone
			rest = slices.Delete(rest, n, n+1)
		}
	}
	return rest, nil
}
