package table

import (
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/oklog/ulid/v2"
)

// MadeAt is the time that a delivery's id begins with.
func MadeAt(id string) time.Time {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(u.Time())).UTC()
}

// FirstID sorts before every id of the time or later.
func FirstID(at time.Time) string {
	if at.IsZero() || at.UnixMilli() <= 0 {
		return FirstOfAll
	}
	var u ulid.ULID
	if u.SetTime(uint64(at.UnixMilli())) != nil {
		return LastOfAll
	}
	return u.String()
}

// FirstOfAll and LastOfAll: no id sorts before the one or after the other.
const FirstOfAll, LastOfAll = "0", "~"

// TenantKey is the key of a row in a table with the keys `tenant` and `id`.
func TenantKey(tenant, id string) Item { return Item{"tenant": Text(tenant), "id": Text(id)} }

// Nanos is a time in Unix nanoseconds as a text that sorts.
func Nanos(n int64) string { return fmt.Sprintf("%019d", n) }

// LaneKey is unique: neither a tenant nor the id of an integration holds a space.
func LaneKey(tenant, integration string) string { return tenant + " " + integration }

// TenantRange queries the ids of a tenant after one and before another.
func TenantRange(name, tenant, after, before string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &name, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t AND id BETWEEN :after AND :before"),
		ExpressionAttributeValues: Item{":t": Text(tenant), ":after": Text(after), ":before": Text(before)},
	}
}
