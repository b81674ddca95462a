package settings

import (
	"context"
	"encoding/json"
	"fmt"
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
)

// Commands is command.Store in the table of Triggers. A command is two rows: one under its place, by which lists read
// it, and one under its id, which tells the place. Both expire by TTL.
type Commands struct {
	DB    *dynamodb.Client
	Table string
	// Activity is the table of the activity log; "" where nothing is acknowledged.
	Activity string
	Now      func() time.Time
}

var _ command.Store = (*Commands)(nil)

// Ids in the table of Triggers.
const (
	commandPrefix   = "c " // the place follows
	commandIDPrefix = "i " // the id follows
)

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
	_, err = table.Transact(ctx, s.DB, []types.TransactWriteItem{
		{Put: &types.Put{TableName: &s.Table, Item: place,
			ConditionExpression: awssdk.String("attribute_not_exists(id)")}},
		{Put: &types.Put{TableName: &s.Table, Item: row}},
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

// Acknowledge notes that a command was taken.
func (s *Commands) Acknowledge(ctx context.Context, id string, e activity.Entry) (command.Command, error) {
	c, err := s.acknowledge(ctx, id, e)
	if err != nil {
		return command.Command{}, fmt.Errorf("acknowledge command %s: %w", id, err)
	}
	return c, nil
}

// acknowledgeTries is how often a command is read again because somebody else acknowledged it at the same instant.
const acknowledgeTries = 3

func (s *Commands) acknowledge(ctx context.Context, id string, e activity.Entry) (c command.Command, err error) {
	entry, err := activitylog.Put(s.Activity, e)
	if err != nil {
		return c, err
	}
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
		if c, err = readCommand(row); err != nil || c.State() == command.Acknowledged {
			return c, err
		}
		c.AcknowledgedAt, c.AcknowledgedBy = e.At.UTC(), e.Who()
		body, err := json.Marshal(c)
		if err != nil {
			return c, err
		}
		unmet, err := table.Transact(ctx, s.DB, []types.TransactWriteItem{{Update: &types.Update{
			TableName: &s.Table, Key: key, UpdateExpression: awssdk.String("SET body = :body, #state = :acknowledged"),
			ConditionExpression:      awssdk.String("#state = :pending"),
			ExpressionAttributeNames: map[string]string{"#state": "state"},
			ExpressionAttributeValues: table.Item{
				":body": table.Text(string(body)), ":acknowledged": table.Text(string(command.Acknowledged)),
				":pending": table.Text(string(command.Pending)),
			},
		}}, entry}, "")
		if err != nil || len(unmet) == 0 {
			return c, err
		}
	}
	return c, fmt.Errorf("it was changed at the same time again and again: try once more")
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
