package aws

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Limits of DynamoDB (API reference: BatchWriteItem, BatchGetItem, TransactWriteItems, BatchExecuteStatement).
const (
	writeLimit    = 25
	getLimit      = 100
	transactLimit = 100
	// statementLimit is that of BatchExecuteStatement.
	statementLimit = 25
	// transactBytes keeps a transaction below 4 MB, with room for what the wire form adds.
	transactBytes = 3 << 20
)

// Unprocessed items are what DynamoDB had no capacity for at that moment.
const (
	unprocessedTries = 8
	unprocessedPause = 25 * time.Millisecond // doubled each time
)

// errCapacity: DynamoDB left items over again and again.
var errCapacity = errors.New("the table takes no more at the moment (unprocessed items)")

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

// blob never writes a nil, which the wire form takes for no value at all.
func blob(b []byte) types.AttributeValue {
	return &types.AttributeValueMemberB{Value: append([]byte{}, b...)}
}

func textOf(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func blobOf(i item, name string) []byte {
	if v, ok := i[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

// numberOf is 0 for what is missing; DynamoDB itself sees to it that a number is one.
func numberOf(i item, name string) int64 {
	if v, ok := i[name].(*types.AttributeValueMemberN); ok {
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err == nil {
			return n
		}
	}
	return 0
}

func textsOf(i item, name string) []string {
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

func texts(list []string) types.AttributeValue {
	l := &types.AttributeValueMemberL{Value: make([]types.AttributeValue, len(list))}
	for n, s := range list {
		l.Value[n] = text(s)
	}
	return l
}

// expired reports whether TTL should have deleted the row by now.
func expired(i item, now time.Time) bool {
	at := numberOf(i, "expires")
	return at != 0 && at <= now.Unix()
}

// putAll writes items of one or several tables, 25 a call.
func putAll(ctx context.Context, db *dynamodb.Client, requests []tableWrite) error {
	for len(requests) > 0 {
		n := min(writeLimit, len(requests))
		batch := map[string][]types.WriteRequest{}
		for _, r := range requests[:n] {
			batch[r.table] = append(batch[r.table], types.WriteRequest{PutRequest: &types.PutRequest{Item: r.item}})
		}
		if err := writeBatch(ctx, db, batch); err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// removeAll deletes items of one table by their keys, 25 a call.
func removeAll(ctx context.Context, db *dynamodb.Client, table string, keys []item) error {
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

type tableWrite struct {
	table string
	item  item
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
	pause := unprocessedPause
	for range unprocessedTries {
		done, err := call()
		if err != nil || done {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause *= 2
	}
	return errCapacity
}

// getAll reads items of one table by their keys, 100 a call, in no order. fields are the attributes wanted, none = all.
func getAll(ctx context.Context, db *dynamodb.Client, table string, keys []item, consistent bool,
	fields ...string) ([]item, error) {
	var out []item
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

// transact writes all or nothing. unmet are the places whose condition did not hold: then nothing was written.
func transact(ctx context.Context, db *dynamodb.Client, writes []types.TransactWriteItem, token string) (unmet []int,
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
