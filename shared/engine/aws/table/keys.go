package table

import (
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/delivery"
)

// MadeAt is delivery.MadeAt; the zero time of what is no id.
func MadeAt(id string) time.Time {
	at, _ := delivery.MadeAt(id)
	return at
}

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
