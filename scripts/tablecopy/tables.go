package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type row = map[string]types.AttributeValue

// tables are two of the same key.
type tables struct {
	DB       *dynamodb.Client
	From, To string
	Key      string   // of one partition, "" for all
	keys     []string // names of the key's attributes, the partition's first
}

// difference of two tables, as keys of rows.
type difference struct {
	rows, same            int
	missing, differ, only []row
}

func (t *tables) compare(ctx context.Context) (d difference, err error) {
	if t.keys, err = t.schema(ctx, t.From); err != nil {
		return d, err
	}
	other, err := t.schema(ctx, t.To)
	if err != nil {
		return d, err
	}
	if !slices.Equal(t.keys, other) {
		return d, fmt.Errorf("%s has the key %v, %s has %v", t.From, t.keys, t.To, other)
	}
	there := map[string][sha256.Size]byte{}
	if err := t.each(ctx, t.From, func(r row) {
		d.rows++
		there[text(t.key(r))] = sha256.Sum256([]byte(text(r)))
	}); err != nil {
		return d, err
	}
	if err := t.each(ctx, t.To, func(r row) {
		key := text(t.key(r))
		digest, ok := there[key]
		switch delete(there, key); {
		case !ok:
			d.only = append(d.only, t.key(r))
		case digest == sha256.Sum256([]byte(text(r))):
			d.same++
		default:
			d.differ = append(d.differ, t.key(r))
		}
	}); err != nil {
		return d, err
	}
	err = t.each(ctx, t.From, func(r row) {
		if _, ok := there[text(t.key(r))]; ok {
			d.missing = append(d.missing, t.key(r))
		}
	})
	return d, err
}

// schema is the names of a table's key.
func (t *tables) schema(ctx context.Context, table string) ([]string, error) {
	out, err := t.DB.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", table, err)
	}
	var keys []string
	for _, k := range out.Table.KeySchema {
		if k.KeyType == types.KeyTypeHash {
			keys = append([]string{*k.AttributeName}, keys...)
		} else {
			keys = append(keys, *k.AttributeName)
		}
	}
	return keys, nil
}

func (t *tables) key(r row) row {
	out := row{}
	for _, name := range t.keys {
		out[name] = r[name]
	}
	return out
}

// each reads a table, or the partition of it.
func (t *tables) each(ctx context.Context, table string, visit func(row)) error {
	consistent := awssdk.Bool(true)
	if t.Key == "" {
		pages := dynamodb.NewScanPaginator(t.DB, &dynamodb.ScanInput{TableName: &table, ConsistentRead: consistent})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("read %s: %w", table, err)
			}
			for _, r := range page.Items {
				visit(r)
			}
		}
		return nil
	}
	pages := dynamodb.NewQueryPaginator(t.DB, &dynamodb.QueryInput{
		TableName: &table, ConsistentRead: consistent, KeyConditionExpression: awssdk.String("#key = :key"),
		ExpressionAttributeNames:  map[string]string{"#key": t.keys[0]},
		ExpressionAttributeValues: row{":key": &types.AttributeValueMemberS{Value: t.Key}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		for _, r := range page.Items {
			visit(r)
		}
	}
	return nil
}

// write copies the rows of these keys.
func (t *tables) write(ctx context.Context, keys []row) error {
	for _, key := range keys {
		out, err := t.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.From, Key: key,
			ConsistentRead: awssdk.Bool(true)})
		if err != nil {
			return fmt.Errorf("read a row of %s: %w", t.From, err)
		}
		if len(out.Item) == 0 {
			continue // it has expired meanwhile
		}
		if _, err := t.DB.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.To, Item: out.Item}); err != nil {
			return fmt.Errorf("write a row of %s: %w", t.To, err)
		}
	}
	return nil
}

// deleteLimit and deleteTries: DynamoDB, API reference, "BatchWriteItem"; what it leaves undone is sent again.
const deleteLimit, deleteTries = 25, 10

// remove deletes the rows of these keys.
func (t *tables) remove(ctx context.Context, keys []row) error {
	for chunk := range slices.Chunk(keys, deleteLimit) {
		var writes []types.WriteRequest
		for _, key := range chunk {
			writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key}})
		}
		left := map[string][]types.WriteRequest{t.To: writes}
		for try := 0; len(left) > 0; try++ {
			if try == deleteTries {
				return errors.New("DynamoDB leaves rows undone again and again: run this once more")
			}
			out, err := t.DB.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
			if err != nil {
				return fmt.Errorf("delete rows of %s: %w", t.To, err)
			}
			if left = out.UnprocessedItems; len(left) > 0 {
				time.Sleep(time.Duration(try+1) * 200 * time.Millisecond)
			}
		}
	}
	return nil
}

// text is a value on one line that is the same for equal values: sets are in order, as are the members of maps.
func text(v any) string {
	switch v := v.(type) {
	case row:
		out := "{"
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out += fmt.Sprintf("%q:%s,", name, text(v[name]))
		}
		return out + "}"
	case *types.AttributeValueMemberM:
		return "M" + text(v.Value)
	case *types.AttributeValueMemberL:
		out := "L["
		for _, e := range v.Value {
			out += text(e) + ","
		}
		return out + "]"
	case *types.AttributeValueMemberSS:
		return fmt.Sprintf("SS%q", slices.Sorted(slices.Values(v.Value)))
	case *types.AttributeValueMemberNS:
		return fmt.Sprintf("NS%q", slices.Sorted(slices.Values(v.Value)))
	case *types.AttributeValueMemberBS:
		var all []string
		for _, b := range v.Value {
			all = append(all, string(b))
		}
		slices.Sort(all)
		return fmt.Sprintf("BS%q", all)
	case *types.AttributeValueMemberS:
		return fmt.Sprintf("S%q", v.Value)
	case *types.AttributeValueMemberN:
		return "N" + v.Value
	case *types.AttributeValueMemberB:
		return fmt.Sprintf("B%q", v.Value)
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	case *types.AttributeValueMemberNULL:
		return "NULL"
	}
	return fmt.Sprintf("%T", v)
}
