package deliveries

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// The log over all integrations costs a delivery and an event nothing: no row, no attribute and no index is there for
// it. Lists are read by the keys of the deliveries (lane, id); dead and retrying ones by the index that a person's view
// of one integration needs anyway; an event by the row that makes it count once, which names its intake, which names
// its deliveries. docs/delivery-log.md has what a search costs.

var _ deliverylog.Store = (*Store)(nil)

// sideBySide is how many integrations are read at once.
const sideBySide = 16

// Newest reads the lists side by side, each by one query.
func (d *Store) Newest(ctx context.Context, queries []delivery.Query) ([]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for n, q := range queries {
		group.Go(func() (err error) {
			if len(q.States) > 0 && !slices.ContainsFunc(q.States, untroubled) {
				out[n], err = d.troubledChunk(ctx, q)
			} else {
				out[n], err = d.chunk(ctx, q)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("list deliveries of %d integrations: %w", len(queries), err)
	}
	return out, nil
}

func untroubled(s delivery.State) bool { return s != delivery.Dead && s != delivery.Retrying }

// chunk looks at so many rows of the lane as the query's limit says.
func (d *Store) chunk(ctx context.Context, q delivery.Query) (c deliverylog.Chunk, err error) {
	first, last := bounds(q.From, q.To, q.Before)
	if first > last {
		return c, nil
	}
	in := table.Between("lane", table.LaneKey(q.Tenant, q.Integration), first, last)
	in.TableName, in.ScanIndexForward = &d.Tables.Deliveries, awssdk.Bool(false)
	in.Limit = awssdk.Int32(int32(min(q.Limit, 999)) + 1) // the row of `last` is skipped
	if len(q.States) < len(delivery.States()) {
		filter(in, q.States)
	}
	page, err := d.DB.Query(ctx, in)
	if err != nil {
		return c, err
	}
	now := d.Now()
	for _, row := range page.Items {
		if table.Expired(row, now) || table.TextOf(row, "id") == last || merged(row) {
			continue
		}
		v, err := ReadRow(row)
		if err != nil {
			return c, err
		}
		c.Rows = append(c.Rows, v)
	}
	c.Reached = table.TextOf(page.LastEvaluatedKey, "id")
	return c, nil
}

// troubledChunk reads the index, state by state.
func (d *Store) troubledChunk(ctx context.Context, q delivery.Query) (c deliverylog.Chunk, err error) {
	for _, s := range q.States {
		first, last := bounds(q.From, q.To, q.Before)
		ids, err := d.troubledIDs(ctx, q.Tenant, q.Integration, s, first, last, false, q.Limit)
		if err != nil {
			return c, err
		}
		if len(ids) == q.Limit {
			c.Reached = max(c.Reached, ids[len(ids)-1])
		}
		keys := make([]table.Item, len(ids))
		for n, id := range ids {
			keys[n] = Key(q.Tenant, q.Integration, id)
		}
		rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, false)
		if err != nil {
			return c, err
		}
		for _, row := range rows {
			v, err := ReadRow(row)
			if err != nil {
				return c, err
			}
			if v.State == s { // the index may be a moment behind
				c.Rows = append(c.Rows, v)
			}
		}
	}
	// Below what was reached, another state's rows are not read yet.
	c.Rows = slices.DeleteFunc(c.Rows, func(v delivery.Delivery) bool { return v.ID < c.Reached })
	slices.SortFunc(c.Rows, func(a, b delivery.Delivery) int { return strings.Compare(b.ID, a.ID) })
	return c, nil
}

// Lookup reads rows by their keys, and the events that they name.
func (d *Store) Lookup(ctx context.Context, tenant string, names []deliverylog.Name) ([]delivery.Delivery, error) {
	keys := make([]table.Item, len(names))
	for n, name := range names {
		keys[n] = Key(tenant, name.Integration, name.ID)
	}
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, false)
	if err != nil {
		return nil, fmt.Errorf("find %d deliveries: %w", len(names), err)
	}
	return d.open(ctx, rows)
}

// Event reads the intake that claimed the event.
func (d *Store) Event(ctx context.Context, tenant, id string) (deliverylog.Event, error) {
	e, made, err := d.Intakes().Event(ctx, tenant, id)
	if err != nil {
		return deliverylog.Event{}, fmt.Errorf("find event %s of tenant %s: %w", id, tenant, err)
	}
	out := deliverylog.Event{Accepted: e}
	for _, v := range made {
		out.Made = append(out.Made, deliverylog.Name{Integration: v.Integration, ID: v.ID})
	}
	return out, nil
}

// Carrying reads the ids of the events of deliveries.
func (d *Store) Carrying(ctx context.Context, tenant, integration string, e deliverylog.Event,
	most int) (id string, through bool, err error) {
	first := delivery.FirstID(e.Entry.At.Add(-fanout.CarriedWithin))
	last := delivery.FirstID(e.Entry.At.Add(time.Millisecond))
	in := table.Between("lane", table.LaneKey(tenant, integration), first, last)
	in.TableName, in.ScanIndexForward = &d.Tables.Deliveries, awssdk.Bool(false)
	in.Limit = awssdk.Int32(int32(min(most+1, 1000)))
	in.ProjectionExpression = awssdk.String("#k, #id, #events, #into, #expires")
	in.ExpressionAttributeNames["#events"], in.ExpressionAttributeNames["#expires"] = "events", "expires"
	in.ExpressionAttributeNames["#into"] = "into"
	looked := 0
	err = d.Each(ctx, in, most+1, func(row table.Item) (bool, error) {
		if looked++; looked > most {
			return false, nil
		}
		if slices.Contains(table.TextsOf(row, "events"), e.Accepted.Event.ID) {
			id = cmp.Or(table.TextOf(row, "into"), table.TextOf(row, "id"))
		}
		return id == "", nil
	})
	if err != nil {
		return "", false, fmt.Errorf("look for the delivery of event %s to integration %s: %w", e.Accepted.Event.ID,
			integration, err)
	}
	return id, looked <= most, nil
}
