package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/cache"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// Triggers is trigger.Store on a table with the keys `tenant` and `id`. The id of a row begins with what it is: a
// trigger, or the state of one; the mark of a tenant that was seeded sorts before its triggers, so that one query reads
// both. A state is replaced in the transaction of CountingStore.Write that marks the intakes it counted, and expires by
// TTL.
type Triggers struct {
	DB     *dynamodb.Client
	Table  string
	Outbox EventOutbox // Publisher and Table are not needed where nothing is changed
	Now    func() time.Time

	known cache.Aging[string, []trigger.Trigger] // of tenants that were seeded
	kept  cache.LRU[string, keptState]           // by stateName; see states.go
}

var _ trigger.Store = (*Triggers)(nil)

// Commands is the store of commands in the same table.
func (s *Triggers) Commands() *Commands {
	return &Commands{DB: s.DB, Table: s.Table, Outbox: s.Outbox, Now: s.Now}
}

// Ids in the table. Those of commands are with them.
const (
	seededID      = "t"
	triggerPrefix = "t "
	statePrefix   = "s "
)

func triggerKey(tenant, prefix, id string) table.Item {
	return table.TenantKey(tenant, prefix+id)
}

// triggerRow is the row of a trigger.
//
//tocsin:table TriggersTable
type triggerRow struct {
	table.First
	Tenant   string `dynamodbav:"tenant"`
	ID       string `dynamodbav:"id"` // triggerPrefix and the trigger's id
	Revision int64  `dynamodbav:"revision"`
	Number   int64  `dynamodbav:"number,omitempty"` // see numberRow
	Body     string `dynamodbav:"body"`             // JSON of trigger.Trigger
}

// seededRow says that a tenant has got the triggers of a new account.
//
//tocsin:table TriggersTable
type seededRow struct {
	table.First
	Tenant string `dynamodbav:"tenant"`
	ID     string `dynamodbav:"id"` // seededID
}

// put is the row of a trigger.
func (s *Triggers) put(t trigger.Trigger) (*types.Put, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode trigger %s: %w", t.ID, err)
	}
	row, err := table.Marshal(triggerRow{Tenant: t.Tenant, ID: triggerPrefix + t.ID, Revision: t.Revision,
		Number: t.Number, Body: string(body)})
	return &types.Put{TableName: &s.Table, Item: row}, err
}

// Create stores a trigger.
func (s *Triggers) Create(ctx context.Context, t trigger.Trigger, joins []string, r activity.Record) error {
	put, err := s.put(t)
	if err != nil {
		return err
	}
	put.ConditionExpression = awssdk.String("attribute_not_exists(id)")
	unmet, err := s.change(ctx, t.Tenant, t.ID, joins, r,
		append([]types.TransactWriteItem{{Put: put}}, s.numbers().row(t.Tenant, t.ID, t.Number)...)...)
	if err == nil && unmet {
		err = fmt.Errorf("trigger %s exists: %w", t.ID, trigger.ErrConflict)
	}
	return err
}

// Update replaces what a trigger is; its number stays.
func (s *Triggers) Update(ctx context.Context, t trigger.Trigger, joins []string, r activity.Record) error {
	put, err := s.put(t)
	if err != nil {
		return err
	}
	unmet, err := s.change(ctx, t.Tenant, t.ID, joins, r, types.TransactWriteItem{Update: &types.Update{
		TableName: &s.Table, Key: triggerKey(t.Tenant, triggerPrefix, t.ID),
		UpdateExpression:    awssdk.String("SET revision = :revision, body = :body"),
		ConditionExpression: awssdk.String("revision = :before"),
		ExpressionAttributeValues: table.Item{":before": table.Number(t.Revision - 1),
			":revision": put.Item["revision"], ":body": put.Item["body"]},
	}})
	if err == nil && unmet {
		err = s.refused(ctx, t.Tenant, t.ID)
	}
	return err
}

// Delete removes a trigger with its state.
func (s *Triggers) Delete(ctx context.Context, tenant, id string, revision int64, r activity.Record) error {
	stored, err := s.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	unmet, err := s.change(ctx, tenant, id, nil, r, append(s.numbers().unlist(stored.Number),
		types.TransactWriteItem{Delete: &types.Delete{
			TableName: &s.Table, Key: triggerKey(tenant, triggerPrefix, id),
			ConditionExpression:       awssdk.String("revision = :before"),
			ExpressionAttributeValues: table.Item{":before": table.Number(revision)},
		}},
		types.TransactWriteItem{Delete: &types.Delete{TableName: &s.Table,
			Key: triggerKey(tenant, statePrefix, id)}})...)
	if err == nil && unmet {
		err = s.refused(ctx, tenant, id)
	}
	return err
}

// change writes a change with its record. unmet is true where a condition of the writes does not hold. Error:
// trigger.ErrGone, where one of joins does not.
func (s *Triggers) change(ctx context.Context, tenant, id string, joins []string, r activity.Record,
	writes ...types.TransactWriteItem) (unmet bool, err error) {
	own := len(writes)
	for _, i := range joins {
		writes = append(writes, join(s.Outbox.Table, tenant, i))
	}
	notes, err := s.Outbox.WriteRecord(r)
	if err != nil {
		return false, err
	}
	places, err := table.Transact(ctx, s.DB, append(writes, notes...), "")
	s.forget(tenant)
	if err != nil {
		return false, fmt.Errorf("write trigger %s: %w", id, err)
	}
	if len(places) > 0 && places[0] >= own {
		return false, fmt.Errorf("trigger %s: %w", id, trigger.ErrGone)
	}
	if len(places) > 0 {
		return true, nil
	}
	s.Outbox.Publish(ctx, []event.Event{r.Event})
	return false, nil
}

// refused tells why a condition on the revision did not hold.
func (s *Triggers) refused(ctx context.Context, tenant, id string) error {
	if _, err := s.Get(ctx, tenant, id); err != nil {
		return err
	}
	return fmt.Errorf("trigger %s: %w", id, trigger.ErrConflict)
}

// Seed stores the triggers of a new account once.
func (s *Triggers) Seed(ctx context.Context, tenant string, list []trigger.Trigger, e activity.Entry) error {
	seeded, err := table.Marshal(seededRow{Tenant: tenant, ID: seededID})
	if err != nil {
		return err
	}
	writes := []types.TransactWriteItem{{Put: &types.Put{
		TableName: &s.Table, Item: seeded,
		ConditionExpression: awssdk.String("attribute_not_exists(id)"),
	}}}
	for _, t := range list {
		put, err := s.put(t)
		if err != nil {
			return err
		}
		writes = append(writes, types.TransactWriteItem{Put: put})
	}
	entry, err := activitylog.Put(s.Outbox.Activity, e)
	if err != nil {
		return err
	}
	writes = append(writes, entry)
	_, err = table.Transact(ctx, s.DB, writes, "") // where the condition does not hold, it was done before
	s.forget(tenant)
	if err != nil {
		return fmt.Errorf("write the first %d triggers of tenant %s: %w", len(list), tenant, err)
	}
	return nil
}

// Get reads one trigger.
func (s *Triggers) Get(ctx context.Context, tenant, id string) (trigger.Trigger, error) {
	out, err := s.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.Table,
		Key: triggerKey(tenant, triggerPrefix, id), ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return trigger.Trigger{}, fmt.Errorf("read trigger %s: %w", id, err)
	}
	if out.Item == nil {
		return trigger.Trigger{}, fmt.Errorf("trigger %s: %w", id, trigger.ErrNotFound)
	}
	return readTrigger(out.Item)
}

func readTrigger(row table.Item) (t trigger.Trigger, err error) {
	r, err := table.Unmarshal[triggerRow](row)
	if err == nil {
		err = json.Unmarshal([]byte(r.Body), &t)
		t.Number = r.Number
	}
	if err != nil {
		err = fmt.Errorf("the row of trigger %s is damaged: %w", r.ID, err)
	}
	return t, err
}

// List reads a tenant's triggers.
func (s *Triggers) List(ctx context.Context, tenant string) (list []trigger.Trigger, seeded bool, err error) {
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{
		TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t AND begins_with(id, :seeded)"),
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant), ":seeded": table.Text(seededID)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, false, fmt.Errorf("list the triggers of tenant %s: %w", tenant, err)
		}
		for _, row := range page.Items {
			if table.TextOf(row, "id") == seededID {
				seeded = true
				continue
			}
			t, err := readTrigger(row)
			if err != nil {
				return nil, false, err
			}
			list = append(list, t)
		}
	}
	return list, seeded, nil
}

// Active answers from memory for less than a second.
func (s *Triggers) Active(ctx context.Context, tenant string) ([]trigger.Trigger, bool, error) {
	now := s.Now()
	if known, ok := s.known.Get(tenant, now, fresh); ok {
		return known, true, nil
	}
	list, seeded, err := s.List(ctx, tenant)
	if err != nil || !seeded {
		return list, seeded, err
	}
	s.known.Keep(tenant, list, now, maxTenants)
	return list, true, nil
}

func (s *Triggers) forget(tenant string) { s.known.Drop(tenant) }
