// Package counts is the store and the queue of package counting: each committed intake is counted once, for triggers
// and for the daily totals.
package counts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/dailytotals"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trigger"
)

// IntakeReader reads committed intakes.
type IntakeReader interface {
	// Accepted reads the events of an intake in their order. Error: delivery.ErrNotFound when there is none.
	Accepted(ctx context.Context, tenant, intake string) ([]fanout.Accepted, error)
}

// Store is counting.Source and counting.Store. A round of a tenant is one transaction: the states of its triggers, an
// entry of the journal of daily totals, the events to publish, and a mark for each intake, on the condition that it is
// new. So an intake counts exactly once, however late and in whatever company its message comes again. Marks are rows
// of the table of daily totals and expire after the intake itself: a message that is older finds no intake.
type Store struct {
	Intakes  IntakeReader
	Totals   *dailytotals.Store
	Triggers *settings.Triggers
	Keep     time.Duration // of intakes; 0 = 30 days
}

var (
	_ counting.Source = (*Store)(nil)
	_ counting.Store  = (*Store)(nil)
)

const (
	markPrefix = "m "
	// loadBytes bounds the events that are in memory at once, loadAtOnce the intakes that are read side by side: an
	// intake has up to 25 MB, and 100 KB as a rule.
	loadBytes, loadAtOnce = 8 << 20, 4
)

// Load reads intakes until there is enough.
func (c *Store) Load(ctx context.Context, tenant string, ids []string) (out []counting.Intake, err error) {
	size := 0
	for chunk := range slices.Chunk(ids, loadAtOnce) {
		intakes, errs := make([]counting.Intake, len(chunk)), make([]error, len(chunk))
		var work errgroup.Group
		for n, id := range chunk {
			work.Go(func() error {
				intakes[n], errs[n] = c.load(ctx, tenant, id)
				return nil
			})
		}
		_ = work.Wait() // each has its own error
		for n := range chunk {
			if errs[n] != nil && len(out) > 0 {
				return out, nil // it comes first the next time
			}
			if errs[n] != nil {
				return nil, errs[n]
			}
			out = append(out, intakes[n])
			for _, e := range intakes[n].Events {
				size += len(e.Event.Data)
			}
		}
		if size > loadBytes {
			break
		}
	}
	return out, nil
}

func (c *Store) load(ctx context.Context, tenant, id string) (counting.Intake, error) {
	in := counting.Intake{ID: id}
	accepted, err := c.Intakes.Accepted(ctx, tenant, id)
	switch {
	case errors.Is(err, delivery.ErrNotFound):
		return in, &counting.IntakeError{Intake: id, Err: errors.New("it was never committed, or is kept no longer")}
	case err != nil && ofService(err):
		return in, fmt.Errorf("intake %s: %w", id, err)
	case err != nil:
		return in, &counting.IntakeError{Intake: id, Err: err}
	}
	for _, a := range accepted {
		if counting.Counts(a.Event.Kind) {
			in.Events = append(in.Events, trigger.Seen{Event: a.Event, At: a.Entry.At})
		}
	}
	return in, nil
}

// ofService reports whether an error is a service's or the context's, and not one of what was read.
func ofService(err error) bool {
	var call *smithy.OperationError
	return errors.As(err, &call) || errors.Is(err, table.ErrCapacity) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded)
}

// Counted reads the marks of intakes.
func (c *Store) Counted(ctx context.Context, tenant string, intakes []string) ([]int, error) {
	keys := make([]table.Item, len(intakes))
	place := make(map[string]int, len(intakes))
	for n, id := range intakes {
		keys[n], place[markPrefix+id] = table.TenantKey(tenant, markPrefix+id), n
	}
	found, err := table.GetAll(ctx, c.Totals.DB, c.Totals.Table, keys, true)
	var rows []markRow
	if err == nil {
		rows, err = table.UnmarshalAll[markRow](found)
	}
	if err != nil {
		return nil, fmt.Errorf("read %d marks of tenant %s: %w", len(intakes), tenant, err)
	}
	out := make([]int, len(intakes))
	for _, row := range rows {
		out[place[row.ID]] = row.Counted
	}
	return out, nil
}

// markRow says how many events of an intake were counted.
//
//tocsin:table DailyTotalsTable
type markRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"` // markPrefix and the intake
	Counted int    `dynamodbav:"counted"`
	Expires int64  `dynamodbav:"expires"`
}

// mark is the write of a mark.
func (c *Store) mark(tenant string, m counting.Mark) (types.TransactWriteItem, error) {
	keep := c.Keep
	if keep == 0 {
		keep = 30 * 24 * time.Hour
	}
	row, err := table.Marshal(markRow{Tenant: tenant, ID: markPrefix + m.Intake, Counted: m.To,
		Expires: c.Totals.Now().Add(keep + settings.MarkMargin).Unix()})
	put := &types.Put{TableName: &c.Totals.Table, Item: row,
		ConditionExpression: awssdk.String("attribute_not_exists(id)")}
	if m.From > 0 {
		put.ConditionExpression, put.ExpressionAttributeValues = awssdk.String("counted = :from"),
			table.Item{":from": table.Number(m.From)}
	}
	return types.TransactWriteItem{Put: put}, err
}

// Write writes a round.
func (c *Store) Write(ctx context.Context, o counting.Outcome) error {
	const dayEntry = 1
	rows := len(o.Marks) + len(o.Triggers.States) + settings.OutboxRows(o.Triggers.Publish) + dayEntry
	if rows > table.TransactLimit {
		return fmt.Errorf("%d rows: %w", rows, counting.ErrTooLarge)
	}
	var writes []types.TransactWriteItem
	for _, m := range o.Marks {
		mark, err := c.mark(o.Tenant, m)
		if err != nil {
			return err
		}
		writes = append(writes, mark)
	}
	marks, states := len(writes), len(writes)+len(o.Triggers.States)
	replaced, unnamed, err := c.Triggers.Replace(ctx, o.Triggers.States)
	if err != nil {
		return err
	}
	notes, err := c.Triggers.Outbox.Write(o.Triggers.Publish)
	if err != nil {
		return err
	}
	writes = append(append(writes, replaced...), notes...)
	var entry table.Item
	if len(o.Records) > 0 {
		if entry, err = c.Totals.Entry(ctx, o.Tenant, o.Records, markName(o.Marks[0])); err != nil {
			return err
		}
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &c.Totals.Table, Item: entry}})
	}
	writes, late, err := c.firings(writes, o.Triggers.Firings)
	if err != nil {
		return err
	}
	if size := table.BytesOf(writes); size > table.TransactBytes {
		return fmt.Errorf("%d bytes: %w", size, counting.ErrTooLarge)
	}
	unmet, err := table.Transact(ctx, c.Totals.DB, writes, "")
	switch {
	case err != nil:
		return fmt.Errorf("write a round of tenant %s: %w", o.Tenant, err)
	case len(unmet) > 0 && unmet[0] < marks:
		return fmt.Errorf("intake %s: %w", o.Marks[unmet[0]].Intake, counting.ErrCounted)
	case len(unmet) > 0 && unmet[0] < states:
		return fmt.Errorf("trigger %s of tenant %s: %w", o.Triggers.States[unmet[0]-marks].Trigger, o.Tenant,
			trigger.ErrStale)
	}
	if err := table.RemoveAll(ctx, c.Triggers.DB, c.Triggers.Table, unnamed); err != nil {
		c.Totals.Log.Warn("bases of states that nothing names are left to their TTL", "tenant", o.Tenant, "rows",
			len(unnamed), "error", err.Error())
	}
	if err := table.PutAll(ctx, c.Triggers.DB, late); err != nil {
		c.Totals.Log.Error("it is not kept when some triggers fired", "tenant", o.Tenant, "rows", len(late), "error",
			err.Error())
	}
	c.after(ctx, o.Tenant, o.Triggers.Publish, entry)
	return nil
}

// firings adds rows that tell when triggers fired: as many as the transaction has room for. Those of an event that sets
// off more are late, and written after it: a process that ends in between loses that much of the history, and no event.
func (c *Store) firings(writes []types.TransactWriteItem, list []trigger.Firings) (all []types.TransactWriteItem,
	late []table.Write, err error) {
	rows, err := c.Triggers.FiringRows(list)
	if err != nil {
		return nil, nil, err
	}
	room := min(table.TransactLimit-len(writes), len(rows))
	for _, f := range rows[:room] {
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &c.Triggers.Table, Item: f.Item}})
	}
	return writes, rows[room:], nil
}

// markName tells one round's entry of the daily totals from another's of the same time: a mark is written once.
func markName(m counting.Mark) string { return fmt.Sprint(m.Intake, "-", m.From) }

// after does what can be done later as well: Relay publishes, and a reader or a later round compacts.
func (c *Store) after(ctx context.Context, tenant string, publish []event.Event, entry table.Item) {
	if len(publish) > 0 {
		c.Triggers.Outbox.Publish(ctx, publish)
	}
	if entry != nil {
		c.Totals.CompactNowAndThen(ctx, tenant, entry)
	}
}
