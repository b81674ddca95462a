package table

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
)

// versioned is a row struct: it knows the newest version of its rows that this release reads.
type versioned interface{ Newest() int64 }

// KnownVersion refuses a row of a version that this release does not read: it is a later release's.
func KnownVersion(i Item, what string, newest int64) error {
	if v := NumberOf(i, "v"); v > newest {
		return fmt.Errorf("the row is %s of version %d, this release reads up to %d: it waits for a later one",
			what, v, newest)
	}
	return nil
}

// Marshal is the item of a row struct.
func Marshal(row versioned) (Item, error) {
	out, err := attributevalue.MarshalMap(row)
	if err != nil {
		return nil, fmt.Errorf("encode a row: %w", err)
	}
	return out, nil
}

// Unmarshal reads an item into a row struct.
func Unmarshal[R versioned](i Item) (row R, err error) {
	if err := KnownVersion(i, fmt.Sprintf("a %T", row), row.Newest()); err != nil {
		return row, err
	}
	if err = attributevalue.UnmarshalMap(i, &row); err != nil {
		err = fmt.Errorf("a row is damaged: %w", err)
	}
	return row, err
}
