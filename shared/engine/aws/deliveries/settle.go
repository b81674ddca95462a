package deliveries

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker"
)

// rowOverhead is a delivery's row without its events, attempts and parts, in bytes: a bound for the size of a
// transaction.
const rowOverhead = 2 << 10

// attemptBytes bounds the attempts of a delivery's row. An item takes 400 KB (DynamoDB, "Service, account, and table
// quotas"): the outcomes of 512 parts and the ids of a thousand events are in it too, up to about 130 KB each.
const attemptBytes = 100 << 10

// packedAttempts are the newest attempts that fit.
func packedAttempts(list []delivery.Attempt) (*types.AttributeValueMemberB, error) {
	for {
		raw, err := packed(list)
		if err != nil || len(raw.Value) <= attemptBytes || len(list) < 2 {
			return raw, err
		}
		list = list[1+len(list)/8:]
	}
}

// Settle writes outcomes, each by itself: deliveries have nothing to do with one another, and a transaction costs twice
// as much. One that falls back is a transaction.
func (d *Store) Settle(ctx context.Context, deliveries []delivery.Delivery) error {
	var ended []string
	var alone []delivery.Delivery
	var statements []types.BatchStatementRequest
	for _, v := range deliveries {
		if fellBack(v) {
			continue
		}
		changes, err := d.changes(v)
		if err != nil {
			return err
		}
		alone, statements = append(alone, v), append(statements, d.outcome(v, changes))
	}
	unmet, err := table.ExecuteAll(ctx, d.DB, statements)
	if err != nil {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), err)
	}
	for n, v := range alone {
		if unmet[n] {
			ended = append(ended, v.ID)
		}
	}
	for _, v := range deliveries {
		if !fellBack(v) {
			continue
		}
		late, err := d.fallBack(ctx, v)
		if err != nil {
			return fmt.Errorf("settle delivery %s with its fallback: %w", v.ID, err)
		}
		if late {
			ended = append(ended, v.ID)
		}
	}
	if len(ended) > 0 {
		return fmt.Errorf("settle %d deliveries: %w", len(deliveries), &delivery.NotWaitingError{IDs: ended})
	}
	return nil
}

// outcome is the statement that writes the new state of a delivery that waits.
func (d *Store) outcome(v delivery.Delivery, changes table.Item) types.BatchStatementRequest {
	var set, remove strings.Builder
	var parameters []types.AttributeValue
	for _, name := range table.SortedNames(changes) {
		if value := changes[name]; value != nil {
			set.WriteString(` SET "` + name + `" = ?`)
			parameters = append(parameters, value)
		} else {
			remove.WriteString(` REMOVE "` + name + `"`)
		}
	}
	parameters = append(parameters, table.Text(table.LaneKey(v.Tenant, v.Integration)), table.Text(v.ID),
		table.Text(string(delivery.Pending)), table.Text(string(delivery.Retrying)))
	return types.BatchStatementRequest{
		Statement: awssdk.String(`UPDATE "` + d.Tables.Deliveries + `"` + set.String() + remove.String() +
			` WHERE "lane" = ? AND "id" = ? AND "state" IN [?, ?]`),
		Parameters: parameters,
	}
}

// Claim writes a batch's record and moves its members into it, in one transaction of what fits into one. Members that
// are pending no more are left out and the others are tried again.
func (d *Store) Claim(
	ctx context.Context,
	batch string,
	deliveries []delivery.Delivery,
) (claimed int, rest []delivery.Delivery, err error) {
	writes, err := d.claims(deliveries)
	if err != nil {
		return 0, nil, err
	}
	members := make([]string, len(writes))
	for n := range writes {
		members[n] = deliveries[n].ID
	}
	rest = deliveries[len(writes):]
	for len(writes) > 0 {
		row, err := table.Marshal(batchRow{Batch: batch, Tenant: deliveries[0].Tenant,
			Integration: deliveries[0].Integration, Members: members, Expires: d.Expires()})
		if err != nil {
			return 0, rest, err
		}
		record := types.TransactWriteItem{Put: &types.Put{TableName: &d.Tables.Batches, Item: row}}
		unmet, err := table.Transact(ctx, d.DB, append(slices.Clip(writes), record), "")
		if err != nil {
			return 0, rest, fmt.Errorf("claim batch %s: %w", batch, err)
		}
		if len(unmet) == 0 {
			return len(members), rest, nil
		}
		for _, n := range slices.Backward(unmet) {
			writes, members = slices.Delete(writes, n, n+1), slices.Delete(members, n, n+1)
		}
	}
	return 0, rest, nil
}

// claims are the updates that move deliveries into their batch: as many as a transaction takes beside the batch's
// record, by number and by bytes, and at least one.
func (d *Store) claims(deliveries []delivery.Delivery) ([]types.TransactWriteItem, error) {
	var out []types.TransactWriteItem
	size := 0
	for _, v := range deliveries {
		changes, err := d.changes(v)
		if err != nil {
			return nil, err
		}
		if size += rowSize(v, changes); len(out) == batchLimit || len(out) > 0 &&
			size > table.TransactBytes {
			break
		}
		u := &types.Update{
			TableName:                 &d.Tables.Deliveries,
			Key:                       Key(v.Tenant, v.Integration, v.ID),
			ConditionExpression:       awssdk.String("#state = :pending"),
			ExpressionAttributeNames:  map[string]string{"#state": "state"},
			ExpressionAttributeValues: table.Item{":pending": table.Text(string(delivery.Pending))},
		}
		expression := table.Update(changes, u.ExpressionAttributeNames, u.ExpressionAttributeValues)
		u.UpdateExpression = &expression
		out = append(out, types.TransactWriteItem{Update: u})
	}
	return out, nil
}

// rowSize bounds what a delivery's row counts in a transaction: all of the row, and not only what changes.
func rowSize(v delivery.Delivery, changes table.Item) int {
	size := rowOverhead + len(table.BlobOf(changes, "attempts")) + len(table.BlobOf(changes, "parts"))
	for _, e := range v.Events {
		size += len(e.ID) + 8
	}
	return size
}

// batchRow is the row of a retry batch.
//
//tocsin:table BatchesTable
type batchRow struct {
	table.First
	Batch       string   `dynamodbav:"batch"`
	Tenant      string   `dynamodbav:"tenant"`
	Integration string   `dynamodbav:"integration"`
	Members     []string `dynamodbav:"members"`             // ids of deliveries
	Execution   string   `dynamodbav:"execution,omitempty"` // that works at it, where it is not the first
	Expires     int64    `dynamodbav:"expires"`
}

// Batch reads a batch's record.
func (d *Store) Batch(ctx context.Context, id string) (worker.Batch, error) {
	row, found, err := table.Get[batchRow](ctx, d.DB, d.Tables.Batches, table.Item{"batch": table.Text(id)})
	if err != nil {
		return worker.Batch{}, fmt.Errorf("read retry batch %s: %w", id, err)
	}
	if !found || table.Past(row.Expires, d.Now()) {
		return worker.Batch{}, fmt.Errorf("retry batch %s: %w", id, delivery.ErrNotFound)
	}
	return worker.Batch{
		MessageBatch: worker.MessageBatch{Tenant: row.Tenant, Integration: row.Integration, IDs: row.Members},
		Execution:    row.Execution,
	}, nil
}

// TakeOver notes which execution works at a batch.
func (d *Store) TakeOver(ctx context.Context, batch, execution string) error {
	_, err := d.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &d.Tables.Batches,
		Key:                 table.Item{"batch": table.Text(batch)},
		UpdateExpression:    awssdk.String("SET execution = :e"),
		ConditionExpression: awssdk.String("attribute_exists(#batch)"),
		ExpressionAttributeNames: map[string]string{
			"#batch": "batch",
		},
		ExpressionAttributeValues: table.Item{":e": table.Text(execution)},
	})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		err = delivery.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("take over retry batch %s: %w", batch, err)
	}
	return nil
}
