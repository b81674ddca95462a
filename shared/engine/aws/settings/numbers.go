package settings

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// numbers gives the rows of a table with the keys `tenant` and `id` their numbers (integration.Numbers,
// trigger.Numbers). A number is an attribute of its object's row, and has a row of its own by which the object is
// found; both are written in one transaction.
type numbers struct {
	db     *dynamodb.Client
	table  string
	what   string // one of those that have the numbers
	prefix string // of an object's id in the table
	none   error  // there is no such object
}

// lastNumberRow counts the numbers. One that is drawn and not used is lost: a counter in the transaction of each
// creation would have all tenants wait for each other.
//
//tocsin:table IntegrationsTable TriggersTable
type lastNumberRow struct {
	table.First
	Tenant string `dynamodbav:"tenant"` // lastNumber
	ID     string `dynamodbav:"id"`     // lastNumber
	Last   int64  `dynamodbav:"last"`
}

// numberRow names the object that has a number.
//
//tocsin:table IntegrationsTable TriggersTable
type numberRow struct {
	table.First
	Tenant string `dynamodbav:"tenant"` // see numberOf
	ID     string `dynamodbav:"id"`     // the same
	Owner  string `dynamodbav:"owner"`  // the object's tenant
	Object string `dynamodbav:"object"` // its id
}

// lastNumber is the partition of the counter, numberOf that of a number. Like the outbox they can be no tenant's.
const lastNumber = " numbers"

func numberOf(n int64) string { return " number " + strconv.FormatInt(n, 10) }

func (s *Integrations) numbers() numbers {
	return numbers{s.DB, s.Table, "integration", "", integration.ErrNotFound}
}

func (s *Triggers) numbers() numbers {
	return numbers{s.DB, s.Table, "trigger", triggerPrefix, trigger.ErrNotFound}
}

// next counts on.
func (n numbers) next(ctx context.Context) (int64, error) {
	out, err := n.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &n.table, Key: table.TenantKey(lastNumber, lastNumber),
		UpdateExpression: awssdk.String("ADD #last :one"), ExpressionAttributeNames: map[string]string{"#last": "last"},
		ExpressionAttributeValues: table.Item{":one": table.Number(1)}, ReturnValues: types.ReturnValueAllNew,
	})
	if err != nil {
		return 0, fmt.Errorf("draw a number for a new %s: %w", n.what, err)
	}
	r, err := table.Unmarshal[lastNumberRow](out.Attributes)
	return r.Last, err
}

// row is the write of the row by which an object is found, none for one without a number.
func (n numbers) row(tenant, id string, number int64) []types.TransactWriteItem {
	if number == 0 {
		return nil
	}
	row := table.TenantKey(numberOf(number), numberOf(number))
	row["owner"], row["object"] = table.Text(tenant), table.Text(id)
	return []types.TransactWriteItem{{Put: &types.Put{TableName: &n.table, Item: row}}}
}

// unlist removes that row.
func (n numbers) unlist(number int64) []types.TransactWriteItem {
	if number == 0 {
		return nil
	}
	return []types.TransactWriteItem{{Delete: &types.Delete{TableName: &n.table,
		Key: table.TenantKey(numberOf(number), numberOf(number))}}}
}

// give leaves a number that is there as it is.
func (n numbers) give(ctx context.Context, tenant, id string, number int64) (int64, error) {
	key := table.TenantKey(tenant, n.prefix+id)
	unmet, err := table.Transact(ctx, n.db, append(n.row(tenant, id, number), types.TransactWriteItem{
		Update: &types.Update{
			TableName: &n.table, Key: key, UpdateExpression: awssdk.String("SET #number = :number"),
			ConditionExpression:       awssdk.String("attribute_exists(id) AND attribute_not_exists(#number)"),
			ExpressionAttributeNames:  map[string]string{"#number": "number"},
			ExpressionAttributeValues: table.Item{":number": table.Number(number)},
		}}), "")
	if err != nil {
		return 0, fmt.Errorf("give %s %s a number: %w", n.what, id, err)
	}
	if len(unmet) == 0 {
		return number, nil
	}
	out, err := n.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &n.table, Key: key,
		ConsistentRead: awssdk.Bool(true)})
	if err == nil && out.Item == nil {
		err = n.none
	}
	if err != nil {
		return 0, fmt.Errorf("read the number of %s %s: %w", n.what, id, err)
	}
	has, ok := out.Item["number"].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("read the number of %s %s: %w", n.what, id, errors.New("it has none"))
	}
	return strconv.ParseInt(has.Value, 10, 64)
}

// find reads the row of a number.
func (n numbers) find(ctx context.Context, number int64) (tenant, id string, err error) {
	out, err := n.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &n.table,
		Key: table.TenantKey(numberOf(number), numberOf(number)), ConsistentRead: awssdk.Bool(true)})
	if err == nil && out.Item == nil {
		err = n.none
	}
	if err != nil {
		return "", "", fmt.Errorf("find %s number %d: %w", n.what, number, err)
	}
	r, err := table.Unmarshal[numberRow](out.Item)
	return r.Owner, r.Object, err
}

// NextNumber draws a number.
func (s *Integrations) NextNumber(ctx context.Context) (int64, error) { return s.numbers().next(ctx) }

// GiveNumber gives an integration a number unless it has one.
func (s *Integrations) GiveNumber(ctx context.Context, tenant, id string, number int64) (int64, error) {
	return s.numbers().give(ctx, tenant, id, number)
}

// ByNumber finds an integration.
func (s *Integrations) ByNumber(ctx context.Context, number int64) (k integration.Key, err error) {
	k.Tenant, k.ID, err = s.numbers().find(ctx, number)
	return k, err
}

// NextNumber draws a number.
func (s *Triggers) NextNumber(ctx context.Context) (int64, error) { return s.numbers().next(ctx) }

// GiveNumber gives a trigger a number unless it has one.
func (s *Triggers) GiveNumber(ctx context.Context, tenant, id string, number int64) (int64, error) {
	return s.numbers().give(ctx, tenant, id, number)
}

// ByNumber finds a trigger.
func (s *Triggers) ByNumber(ctx context.Context, number int64) (tenant, id string, err error) {
	return s.numbers().find(ctx, number)
}
