package table

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A kind of rows is a struct: its fields name the attributes in tags of attributevalue, and docs/tables.md is made of
// them. Rows have a version in the attribute v; none is 1. docs/versions.md has the rules for a change of what rows
// hold: a reader reads the old layouts for as long as their rows are kept, and refuses one that it does not know.

// Row is a row struct: it knows the newest version of its rows that this release reads.
type Row interface{ Newest() int64 }

// First is embedded in the struct of rows that have had one layout so far.
type First struct{}

// Newest is 1.
func (First) Newest() int64 { return 1 }

// Bytes are a binary value that may be empty: attributevalue writes NULL for a slice that is nil.
type Bytes []byte

// MarshalDynamoDBAttributeValue writes the bytes.
func (b Bytes) MarshalDynamoDBAttributeValue() (types.AttributeValue, error) { return Blob(b), nil }

// KnownVersion refuses a row of a version that this release does not read: it is a later release's.
func KnownVersion(i Item, what string, newest int64) error {
	if v := NumberOf(i, "v"); v > newest {
		return laterVersion(what, v, newest)
	}
	return nil
}

func laterVersion(what string, version, newest int64) error {
	return fmt.Errorf("the row is %s of version %d, this release reads up to %d: it waits for a later one",
		what, version, newest)
}

// Marshal is the item of a row struct.
func Marshal(row Row) (Item, error) {
	out, err := attributevalue.MarshalMap(row)
	if err != nil {
		return nil, fmt.Errorf("encode a row: %w", err)
	}
	return out, nil
}

// Unmarshal reads an item into a row struct.
func Unmarshal[R Row](i Item) (row R, err error) {
	if v := NumberOf(i, "v"); v > row.Newest() {
		return row, laterVersion(fmt.Sprintf("a %T", row), v, row.Newest())
	}
	if err = attributevalue.UnmarshalMap(i, &row); err != nil {
		err = fmt.Errorf("a row is damaged: %w", err)
	}
	return row, err
}

// UnmarshalAll reads items of one kind.
func UnmarshalAll[R Row](items []Item) (rows []R, err error) {
	rows = make([]R, len(items))
	for n, i := range items {
		if rows[n], err = Unmarshal[R](i); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Get reads a row by its key, as it is now. found is false where there is none.
func Get[R Row](ctx context.Context, db *dynamodb.Client, name string, key Item) (row R, found bool, err error) {
	consistent := true
	out, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &name, Key: key, ConsistentRead: &consistent})
	if err != nil || out.Item == nil {
		return row, false, err
	}
	row, err = Unmarshal[R](out.Item)
	return row, err == nil, err
}

// Past reports whether TTL should have deleted a row by now that expires at so many epoch seconds, 0 for never.
func Past(expires int64, now time.Time) bool { return expires != 0 && expires <= now.Unix() }
