package aws

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
)

// Rows have a version in the attribute v; none is 1. docs/versions.md has the rules for a change of what rows hold: a
// reader reads the old layouts for as long as their rows are kept, and refuses one that it does not know.

// versioned is a row struct: it knows the newest version of its rows that this release reads.
type versioned interface{ newest() int64 }

func (claimRow) newest() int64   { return 2 }
func (intakeRow) newest() int64  { return 2 }
func (journalRow) newest() int64 { return 2 }
func (markerRow) newest() int64  { return 1 }
func (spanRow) newest() int64    { return 1 }

// deliveryVersion and deadVersion are the newest versions of rows that are read attribute by attribute.
const deliveryVersion, deadVersion = 2, 2

// known refuses a row of a version that this release does not read: it is a later release's.
func known(i item, what string, newest int64) error {
	if v := numberOf(i, "v"); v > newest {
		return fmt.Errorf("the row is %s of version %d, this release reads up to %d: it waits for a later one",
			what, v, newest)
	}
	return nil
}

// marshal is the item of a row struct.
func marshal(row versioned) (item, error) {
	out, err := attributevalue.MarshalMap(row)
	if err != nil {
		return nil, fmt.Errorf("encode a row: %w", err)
	}
	return out, nil
}

// unmarshal reads an item into a row struct.
func unmarshal[R versioned](i item) (row R, err error) {
	if err := known(i, fmt.Sprintf("a %T", row), row.newest()); err != nil {
		return row, err
	}
	if err = attributevalue.UnmarshalMap(i, &row); err != nil {
		err = fmt.Errorf("a row is damaged: %w", err)
	}
	return row, err
}
