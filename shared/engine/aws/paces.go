package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/worker"
)

// Paces is worker.Paces on a table with the keys `lane` and `part`: a row for each integration whose system asked to
// be spared, replaced under its version.
type Paces struct {
	DB    *dynamodb.Client
	Table string
	Now   func() time.Time
}

var _ worker.Paces = (*Paces)(nil)

// pacePart is the row of a lane that holds its pace.
const pacePart = "pace"

func paceKey(l delivery.Lane) item {
	return item{"lane": text(laneKey(l.Tenant, l.Integration)), "part": text(pacePart)}
}

// Pace reads a pace. It is read in the hope that nothing changed: who changes it does so under its version.
func (p *Paces) Pace(ctx context.Context, l delivery.Lane) (pace worker.Pace, version int64, err error) {
	out, err := p.DB.GetItem(
		ctx,
		&dynamodb.GetItemInput{TableName: &p.Table, Key: paceKey(l), ConsistentRead: awssdk.Bool(true)},
	)
	if err != nil {
		return pace, 0, fmt.Errorf("read the pace of integration %s: %w", l.Integration, err)
	}
	if out.Item == nil || expired(out.Item, p.Now()) {
		return pace, 0, nil
	}
	if err := json.Unmarshal(blobOf(out.Item, "pace"), &pace); err != nil {
		return pace, 0, fmt.Errorf("the pace of integration %s is damaged: %w", l.Integration, err)
	}
	return pace, numberOf(out.Item, "version"), nil
}

// Swap replaces a pace.
func (p *Paces) Swap(ctx context.Context, l delivery.Lane, version int64, pace worker.Pace) (next int64, err error) {
	raw, err := json.Marshal(pace)
	if err != nil {
		return 0, fmt.Errorf("encode the pace of integration %s: %w", l.Integration, err)
	}
	now := p.Now()
	next = max(now.UnixNano(), version+1) // never that of a row which was forgotten
	row := paceKey(l)
	row["pace"], row["version"], row["expires"] = blob(raw), number(next), number(pace.Keep(now).Unix())
	put := &dynamodb.PutItemInput{
		TableName: &p.Table, Item: row, ConditionExpression: awssdk.String("version = :version AND #e > :now"),
		ExpressionAttributeNames:  map[string]string{"#e": "expires"},
		ExpressionAttributeValues: item{":version": number(version), ":now": number(now.Unix())},
	}
	if version == 0 {
		put.ConditionExpression = awssdk.String("attribute_not_exists(lane) OR #e <= :now")
		put.ExpressionAttributeValues = item{":now": number(now.Unix())}
	}
	_, err = p.DB.PutItem(ctx, put)
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return 0, worker.ErrVersionConflict
	}
	if err != nil {
		return 0, fmt.Errorf("write the pace of integration %s: %w", l.Integration, err)
	}
	return next, nil
}
