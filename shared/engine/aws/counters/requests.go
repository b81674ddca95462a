package counters

import (
	"context"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/ratelimit"
)

// Requests is ratelimit.Counter in the table of counters, where a tenant's requests count as those of an integration
// that nobody can make: a row for each minute, one write unit for each count.
type Requests struct {
	DB    *dynamodb.Client
	Table string
}

var _ ratelimit.Counter = (*Requests)(nil)

// requestsKeep is how long a row outlives its minute: a function whose clock is behind still finds it.
const requestsKeep = time.Hour

// Count adds.
func (r *Requests) Count(ctx context.Context, tenant string, window time.Time, n int) (int, error) {
	out, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &r.Table,
		Key: table.Item{"window": table.Text(windowKey(tenant, "requests", 0)),
			"bucket": table.Number(window.Unix())},
		UpdateExpression:         awssdk.String("ADD attempts :n SET #e = :e"),
		ExpressionAttributeNames: map[string]string{"#e": "expires"},
		ExpressionAttributeValues: table.Item{
			":n": table.Number(n), ":e": table.Number(window.Add(requestsKeep).Unix()),
		},
		ReturnValues: types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return 0, fmt.Errorf("count the requests of tenant %s: %w", tenant, err)
	}
	return int(table.NumberOf(out.Attributes, "attempts")), nil
}
