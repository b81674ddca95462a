// Package table is what all stores on DynamoDB share: values, keys, row structs with a version, batches, transactions
// and conditional writes, with their limits.
package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/sleep"
)

// Limits of DynamoDB (API reference: BatchWriteItem, BatchGetItem, TransactWriteItems, BatchExecuteStatement).
const (
	writeLimit    = 25
	getLimit      = 100
	TransactLimit = 100
	// StatementLimit is that of BatchExecuteStatement.
	StatementLimit = 25
	// TransactBytes keeps a transaction below 4 MB, with room for what the wire form adds.
	TransactBytes = 3 << 20
)

// Unprocessed items are what DynamoDB had no capacity for at that moment.
const (
	unprocessedTries = 8
	UnprocessedPause = 25 * time.Millisecond // doubled each time
)

// ErrCapacity: DynamoDB left items over again and again.
var ErrCapacity = errors.New("the table takes no more at the moment (unprocessed items)")

type Item = map[string]types.AttributeValue

func Text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func Number[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

// Blob never writes a nil, which the wire form takes for no value at all.
func Blob(b []byte) types.AttributeValue {
	return &types.AttributeValueMemberB{Value: append([]byte{}, b...)}
}

func TextOf(i Item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func BlobOf(i Item, name string) []byte {
	if v, ok := i[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

// NumberOf is 0 for what is missing; DynamoDB itself sees to it that a number is one.
func NumberOf(i Item, name string) int64 {
	if v, ok := i[name].(*types.AttributeValueMemberN); ok {
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err == nil {
			return n
		}
	}
	return 0
}

func TextsOf(i Item, name string) []string {
	l, ok := i[name].(*types.AttributeValueMemberL)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(l.Value))
	for _, v := range l.Value {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			out = append(out, s.Value)
		}
	}
	return out
}

func Texts(list []string) types.AttributeValue {
	l := &types.AttributeValueMemberL{Value: make([]types.AttributeValue, len(list))}
	for n, s := range list {
		l.Value[n] = Text(s)
	}
	return l
}

// Expired reports whether TTL should have deleted the row by now.
func Expired(i Item, now time.Time) bool {
	return Past(NumberOf(i, "expires"), now)
}

// PutAll writes items of one or several tables, 25 a call.
func PutAll(ctx context.Context, db *dynamodb.Client, requests []Write) error {
	for len(requests) > 0 {
		n := min(writeLimit, len(requests))
		batch := map[string][]types.WriteRequest{}
		for _, r := range requests[:n] {
			batch[r.Table] = append(batch[r.Table], types.WriteRequest{PutRequest: &types.PutRequest{Item: r.Item}})
		}
		if err := writeBatch(ctx, db, batch); err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// RemoveAll deletes items of one table by their keys, 25 a call.
func RemoveAll(ctx context.Context, db *dynamodb.Client, table string, keys []Item) error {
	for len(keys) > 0 {
		n := min(writeLimit, len(keys))
		var requests []types.WriteRequest
		for _, k := range keys[:n] {
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k}})
		}
		if err := writeBatch(ctx, db, map[string][]types.WriteRequest{table: requests}); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

type Write struct {
	Table string
	Item  Item
}

func writeBatch(ctx context.Context, db *dynamodb.Client, batch map[string][]types.WriteRequest) error {
	return untilProcessed(ctx, func() (bool, error) {
		out, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: batch})
		if err != nil {
			return false, err
		}
		batch = out.UnprocessedItems
		return len(batch) == 0, nil
	})
}

// untilProcessed repeats a call for what it left over.
func untilProcessed(ctx context.Context, call func() (done bool, err error)) error {
	pause := UnprocessedPause
	for range unprocessedTries {
		done, err := call()
		if err != nil || done {
			return err
		}
		if sleep.For(ctx, pause); ctx.Err() != nil {
			return ctx.Err()
		}
		pause *= 2
	}
	return ErrCapacity
}

// GetAll reads items of one table by their keys, 100 a call, in no order. fields are the attributes wanted, none = all.
func GetAll(ctx context.Context, db *dynamodb.Client, table string, keys []Item, consistent bool,
	fields ...string) ([]Item, error) {
	var out []Item
	for len(keys) > 0 {
		n := min(getLimit, len(keys))
		want := types.KeysAndAttributes{Keys: keys[:n], ConsistentRead: &consistent}
		if len(fields) > 0 {
			want.ProjectionExpression, want.ExpressionAttributeNames = projection(fields)
		}
		keys = keys[n:]
		batch := map[string]types.KeysAndAttributes{table: want}
		err := untilProcessed(ctx, func() (bool, error) {
			got, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: batch})
			if err != nil {
				return false, err
			}
			out = append(out, got.Responses[table]...)
			batch = got.UnprocessedKeys
			return len(batch) == 0, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func projection(fields []string) (*string, map[string]string) {
	names := make(map[string]string, len(fields))
	expression := ""
	for n, f := range fields {
		alias := "#f" + strconv.Itoa(n)
		names[alias] = f
		if n > 0 {
			expression += ", "
		}
		expression += alias
	}
	return &expression, names
}

// Transact writes all or nothing. unmet are the places whose condition did not hold: then nothing was written.
func Transact(ctx context.Context, db *dynamodb.Client, writes []types.TransactWriteItem, token string) (unmet []int,
	err error) {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: writes}
	if token != "" {
		in.ClientRequestToken = &token
	}
	err = untilProcessed(ctx, func() (bool, error) {
		unmet = nil
		_, err := db.TransactWriteItems(ctx, in)
		var cancelled *types.TransactionCanceledException
		if !errors.As(err, &cancelled) {
			return true, err
		}
		for n, r := range cancelled.CancellationReasons {
			switch code := awssdk.ToString(r.Code); code {
			case "", "None":
			case "ConditionalCheckFailed":
				unmet = append(unmet, n)
			case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
				return false, nil // someone else is writing one of them: again
			default:
				failed := &statementError{code, awssdk.ToString(r.Message)}
				return false, fmt.Errorf("item %d of %d of a transaction: %w: %w", n, len(writes), failed, err)
			}
		}
		return true, nil
	})
	return unmet, err
}

// PutNew writes a row unless there is one with its key, which it returns then.
func PutNew(ctx context.Context, db *dynamodb.Client, table, key string, row Item) (there Item, err error) {
	_, err = db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &table, Item: row, ConditionExpression: awssdk.String("attribute_not_exists(#key)"),
		ExpressionAttributeNames:            map[string]string{"#key": key},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return unmet.Item, nil
	}
	return nil, err
}

var (
	// ErrTorn: a row that a day names was removed, because the day names others now.
	ErrTorn = errors.New("the day was replaced while it was read")
)
