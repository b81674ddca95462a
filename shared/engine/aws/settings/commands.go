package settings

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
)

// Commands is command.Store in the table of Triggers. A command is two rows: one under its place, by which lists read
// it, and one under its id, which tells the place. A third one waits in a partition of all tenants, in the order of
// time, until somebody says what became of the command, or it is marked as overdue: so Overdue reads those alone. All
// expire by TTL.
type Commands struct {
	DB    *dynamodb.Client
	Table string
	// Outbox is needed where commands are acknowledged or marked: its Activity by the first, the rest by the second.
	Outbox EventOutbox
	Now    func() time.Time
}

var _ command.Store = (*Commands)(nil)

// Ids in the table of Triggers.
const (
	commandPrefix   = "c " // the place follows
	commandIDPrefix = "i " // the id follows
	untakenPrefix   = "u " // the kind follows
)

// waitingCommands begins the names of the partitions of commands that wait to be taken. They can be no tenant's: those
// have no space. They are sharded by tenant as the outbox is.
const (
	waitingCommands = " commands"
	waitingShards   = 4
)

func waitingShard(n int) string { return fmt.Sprintf("%s %d", waitingCommands, n) }

func waitingKey(c command.Command) table.Item {
	sum := sha256.Sum256([]byte(c.Tenant))
	return table.TenantKey(waitingShard(int(sum[0])%waitingShards), c.Place()+" "+c.Tenant)
}

// commandRow is the row of a command under its place.
//
//tocsin:table TriggersTable
type commandRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`   // commandPrefix and the place
	Body    string `dynamodbav:"body"` // JSON of command.Command
	State   string `dynamodbav:"state"`
	Trigger string `dynamodbav:"trigger"`
	Expires int64  `dynamodbav:"expires"`
}

// commandPlaceRow is the row of a command under its id.
//
//tocsin:table TriggersTable
type commandPlaceRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`    // commandIDPrefix and the command's id
	Place   string `dynamodbav:"place"` // where its other row is
	Expires int64  `dynamodbav:"expires"`
}

// waitingRow is the row of a command that waits to be taken.
//
//tocsin:table TriggersTable
type waitingRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"` // of waitingShard
	ID      string `dynamodbav:"id"`     // the place and the command's tenant
	Body    string `dynamodbav:"body"`   // JSON of command.Command
	Expires int64  `dynamodbav:"expires"`
}

// untakenRow says that a tenant was told that nobody takes commands of a kind.
//
//tocsin:table TriggersTable
type untakenRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`   // untakenPrefix and the kind
	Body    string `dynamodbav:"body"` // JSON of command.Command: the first such one
	Expires int64  `dynamodbav:"expires"`
}

// Put keeps a command; one that is there stays as it is.
func (s *Commands) Put(ctx context.Context, c command.Command, expires int64) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	place, err := table.Marshal(commandPlaceRow{Tenant: c.Tenant, ID: commandIDPrefix + c.ID, Place: c.Place(),
		Expires: expires})
	if err != nil {
		return err
	}
	row, err := table.Marshal(commandRow{Tenant: c.Tenant, ID: commandPrefix + c.Place(), Body: string(body),
		State: string(c.State()), Trigger: c.Data.TriggerID, Expires: expires})
	if err != nil {
		return err
	}
	key := waitingKey(c)
	waiting, err := table.Marshal(waitingRow{Tenant: table.TextOf(key, "tenant"), ID: table.TextOf(key, "id"),
		Body: string(body), Expires: expires})
	if err != nil {
		return err
	}
	_, err = table.Transact(ctx, s.DB, []types.TransactWriteItem{
		{Put: &types.Put{TableName: &s.Table, Item: place,
			ConditionExpression: awssdk.String("attribute_not_exists(id)")}},
		{Put: &types.Put{TableName: &s.Table, Item: row}},
		{Put: &types.Put{TableName: &s.Table, Item: waiting}},
	}, "")
	return err
}

// List answers a query.
func (s *Commands) List(ctx context.Context, q command.Query) (out []command.Command, err error) {
	last := commandPrefix + delivery.GreatestID
	if q.Before != "" {
		last = commandPrefix + q.Before
	}
	in := table.Between("tenant", q.Tenant, commandPrefix, last)
	in.TableName, in.ScanIndexForward = &s.Table, awssdk.Bool(false)
	var where []string
	if q.State != "" {
		where = append(where, "#state = :state")
		in.ExpressionAttributeNames["#state"], in.ExpressionAttributeValues[":state"] = "state",
			table.Text(string(q.State))
	}
	if q.Trigger != "" {
		where = append(where, "#trigger = :trigger")
		in.ExpressionAttributeNames["#trigger"], in.ExpressionAttributeValues[":trigger"] = "trigger",
			table.Text(q.Trigger)
	}
	if len(where) > 0 {
		in.FilterExpression = awssdk.String(strings.Join(where, " AND "))
	} else {
		in.Limit = awssdk.Int32(int32(min(q.Limit+1, 1000)))
	}
	now := s.Now()
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the commands of tenant %s: %w", q.Tenant, err)
		}
		for _, row := range page.Items {
			if table.Expired(row, now) || table.TextOf(row, "id") == last {
				continue
			}
			c, err := readCommand(row)
			if err != nil {
				return nil, err
			}
			if out = append(out, c); len(out) == q.Limit {
				return out, nil
			}
		}
	}
	return out, nil
}

func readCommand(row table.Item) (c command.Command, err error) {
	r, err := table.Unmarshal[commandRow](row)
	if err == nil {
		err = json.Unmarshal([]byte(r.Body), &c)
	}
	if err != nil {
		err = fmt.Errorf("the row of command %q is damaged: %w", r.ID, err)
	}
	return c, err
}

// Several returns those that are there.
func (s *Commands) Several(ctx context.Context, tenant string, ids []string) (out []command.Command, err error) {
	keys := make([]table.Item, 0, len(ids))
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		keys = append(keys, triggerKey(tenant, commandIDPrefix, id))
	}
	places, err := s.rows(ctx, keys)
	if err == nil {
		for n, row := range places {
			places[n] = triggerKey(tenant, commandPrefix, table.TextOf(row, "place"))
		}
		places, err = s.rows(ctx, places)
	}
	if err != nil {
		return nil, fmt.Errorf("read %d commands of tenant %s: %w", len(ids), tenant, err)
	}
	for _, row := range places {
		c, err := readCommand(row)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Acknowledge notes what became of a command.
func (s *Commands) Acknowledge(ctx context.Context, id string, o command.Outcome, e activity.Entry) (command.Command,
	error) {
	c, err := s.acknowledge(ctx, id, o, e)
	if err != nil {
		return command.Command{}, fmt.Errorf("acknowledge command %s: %w", id, err)
	}
	return c, nil
}

// acknowledgeTries is how often a command is read again because somebody else acknowledged it at the same instant.
const acknowledgeTries = 3

func (s *Commands) acknowledge(ctx context.Context, id string, o command.Outcome, e activity.Entry) (
	c command.Command, err error) {
	place, err := s.row(ctx, triggerKey(e.Tenant, commandIDPrefix, id))
	if err != nil {
		return c, err
	}
	key := triggerKey(e.Tenant, commandPrefix, table.TextOf(place, "place"))
	for range acknowledgeTries {
		row, err := s.row(ctx, key)
		if err != nil {
			return c, err
		}
		before, err := readCommand(row)
		if err != nil {
			return c, err
		}
		var changed bool
		if c, changed, err = before.Next(o, e.Who(), e.At); err != nil || !changed {
			return c, err
		}
		e.Changes = o.Changes(before)
		entry, err := activitylog.Put(s.Outbox.Activity, e.Bounded())
		if err != nil {
			return c, err
		}
		update, err := s.rewrite(key, row, c)
		if err != nil {
			return c, err
		}
		writes := []types.TransactWriteItem{update, entry}
		if o.Taken() {
			writes = append(writes, s.remove(waitingKey(c)),
				s.remove(triggerKey(c.Tenant, untakenPrefix, string(c.Kind))))
		}
		unmet, err := table.Transact(ctx, s.DB, writes, "")
		if err != nil || len(unmet) == 0 {
			return c, err
		}
	}
	return c, fmt.Errorf("it was changed at the same time again and again: try once more")
}

// rewrite writes a command anew unless its row is another by now.
func (s *Commands) rewrite(key, row table.Item, c command.Command) (w types.TransactWriteItem, err error) {
	body, err := json.Marshal(c)
	if err != nil {
		return w, err
	}
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &s.Table, Key: key, UpdateExpression: awssdk.String("SET body = :body, #state = :state"),
		ConditionExpression:      awssdk.String("body = :before"),
		ExpressionAttributeNames: map[string]string{"#state": "state"},
		ExpressionAttributeValues: table.Item{":body": table.Text(string(body)), ":before": row["body"],
			":state": table.Text(string(c.State()))},
	}}, nil
}

func (s *Commands) remove(key table.Item) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &s.Table, Key: key}}
}

// Overdue lists pending commands that are not marked.
func (s *Commands) Overdue(ctx context.Context, until time.Time, limit int) (out []command.Command, err error) {
	last := command.Command{At: until.Add(1)}.Place()
	for n := range waitingShards {
		page, err := s.DB.Query(ctx, &dynamodb.QueryInput{TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
			Limit: awssdk.Int32(int32(limit)), KeyConditionExpression: awssdk.String("tenant = :t AND id < :last"),
			ExpressionAttributeValues: table.Item{":t": table.Text(waitingShard(n)), ":last": table.Text(last)}})
		if err != nil {
			return nil, fmt.Errorf("list the commands that nobody took: %w", err)
		}
		for _, row := range page.Items {
			r, err := table.Unmarshal[waitingRow](row)
			var c command.Command
			if err == nil {
				err = json.Unmarshal([]byte(r.Body), &c)
			}
			if err != nil {
				return nil, fmt.Errorf("the row of waiting command %q is damaged: %w", r.ID, err)
			}
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b command.Command) int { return cmp.Compare(a.Place(), b.Place()) })
	return out[:min(limit, len(out))], nil
}

// MarkOverdue marks a command, and publishes the notice where it is the first of its kind.
func (s *Commands) MarkOverdue(ctx context.Context, c command.Command, notice event.Event, until time.Time) (bool,
	error) {
	told, err := s.markOverdue(ctx, c, notice, until)
	if err != nil {
		return false, fmt.Errorf("mark command %s as overdue: %w", c.ID, err)
	}
	if told {
		s.Outbox.Publish(ctx, []event.Event{notice})
	}
	return told, nil
}

func (s *Commands) markOverdue(ctx context.Context, c command.Command, notice event.Event, until time.Time) (told bool,
	err error) {
	key := triggerKey(c.Tenant, commandPrefix, c.Place())
	row, err := s.row(ctx, key)
	var now command.Command
	if err == nil {
		now, err = readCommand(row)
	}
	gone := errors.Is(err, command.ErrNotFound)
	if err != nil && !gone {
		return false, err
	}
	if gone || now.State() != command.Pending || !now.OverdueAt.IsZero() {
		_, err := s.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.Table, Key: waitingKey(c)})
		return false, err
	}
	now.OverdueAt = c.OverdueAt
	update, err := s.rewrite(key, row, now)
	if err != nil {
		return false, err
	}
	mark := []types.TransactWriteItem{update, s.remove(waitingKey(c))}
	first, err := s.first(now, until)
	if err != nil {
		return false, err
	}
	notes, err := s.Outbox.Write([]event.Event{notice})
	if err != nil {
		return false, err
	}
	unmet, err := table.Transact(ctx, s.DB, append(append(mark[:2:2], first), notes...), "")
	if err == nil && slices.Contains(unmet, len(mark)) { // the tenant was told before
		_, err = table.Transact(ctx, s.DB, mark, "")
		return false, err
	}
	// Where the command itself is another by now, the next look finds that.
	return err == nil && len(unmet) == 0, err
}

// first is that the tenant is told of a kind, unless it was before.
func (s *Commands) first(c command.Command, until time.Time) (w types.TransactWriteItem, err error) {
	body, err := json.Marshal(c)
	if err != nil {
		return w, err
	}
	row, err := table.Marshal(untakenRow{Tenant: c.Tenant, ID: untakenPrefix + string(c.Kind), Body: string(body),
		Expires: until.Unix()})
	return types.TransactWriteItem{Put: &types.Put{TableName: &s.Table, Item: row,
		ConditionExpression:       awssdk.String("attribute_not_exists(id) OR expires <= :now"),
		ExpressionAttributeValues: table.Item{":now": table.Number(c.OverdueAt.Unix())}}}, err
}

// Untaken lists what the tenant was told of.
func (s *Commands) Untaken(ctx context.Context, tenant string, now time.Time) (out []command.Command, err error) {
	page, err := s.DB.Query(ctx, &dynamodb.QueryInput{TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression: awssdk.String("tenant = :t AND begins_with(id, :u)"),
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant),
			":u": table.Text(untakenPrefix)}})
	if err != nil {
		return nil, fmt.Errorf("list which commands of tenant %s nobody takes: %w", tenant, err)
	}
	for _, row := range page.Items {
		r, err := table.Unmarshal[untakenRow](row)
		var c command.Command
		if err == nil {
			err = json.Unmarshal([]byte(r.Body), &c)
		}
		if err != nil {
			return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", r.ID, tenant, err)
		}
		if time.Unix(r.Expires, 0).After(now) {
			out = append(out, c)
		}
	}
	return out, nil
}

// row reads one row. Error: command.ErrNotFound.
func (s *Commands) row(ctx context.Context, key table.Item) (table.Item, error) {
	out, err := s.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.Table, Key: key,
		ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return nil, err
	}
	if out.Item == nil || table.Expired(out.Item, s.Now()) {
		return nil, command.ErrNotFound
	}
	return out.Item, nil
}

// rows reads those that are there.
func (s *Commands) rows(ctx context.Context, keys []table.Item) ([]table.Item, error) {
	rows, err := table.GetAll(ctx, s.DB, s.Table, keys, true)
	now := s.Now()
	return slices.DeleteFunc(rows, func(row table.Item) bool { return table.Expired(row, now) }), err
}
