// Package paces keeps what all functions know of how fast a system may be asked, of whether the internet can be
// reached, and of what systems call the things that were made of objects.
package paces

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
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker/pace"
)

// Store is pace.Store on a table with the keys `lane` and `part`: a row for each integration whose system asked to
// be spared, replaced under its version.
type Store struct {
	DB    *dynamodb.Client
	Table string
	Now   func() time.Time
}

var _ pace.Store = (*Store)(nil)

// pacePart is the row of a lane that holds its pace.
const pacePart = "pace"

func paceKey(l delivery.Lane) table.Item {
	return table.Item{"lane": table.Text(table.LaneKey(l.Tenant, l.Integration)), "part": table.Text(pacePart)}
}

// paceRow is the row of an integration's pace.
//
//tocsin:table PacesTable
type paceRow struct {
	table.First
	Lane    string `dynamodbav:"lane"` // see table.LaneKey
	Part    string `dynamodbav:"part"` // pacePart
	Pace    []byte `dynamodbav:"pace"` // JSON
	Version int64  `dynamodbav:"version"`
	Expires int64  `dynamodbav:"expires"`
}

// Paces reads many. They are shown to people, who look again.
func (p *Store) Paces(ctx context.Context, tenant string, integrations []string) ([]pace.Pace, error) {
	keys, place := make([]table.Item, len(integrations)), make(map[string]int, len(integrations))
	for n, id := range integrations {
		l := delivery.Lane{Tenant: tenant, Integration: id}
		keys[n] = paceKey(l)
		place[table.LaneKey(tenant, id)] = n
	}
	items, err := table.GetAll(ctx, p.DB, p.Table, keys, false)
	if err != nil {
		return nil, fmt.Errorf("read the paces of %d integrations: %w", len(integrations), err)
	}
	rows, err := table.UnmarshalAll[paceRow](items)
	if err != nil {
		return nil, fmt.Errorf("read the paces of %d integrations: %w", len(integrations), err)
	}
	out := make([]pace.Pace, len(integrations))
	for _, row := range rows {
		if table.Past(row.Expires, p.Now()) {
			continue
		}
		if err := json.Unmarshal(row.Pace, &out[place[row.Lane]]); err != nil {
			return nil, fmt.Errorf("the pace of %q is damaged: %w", row.Lane, err)
		}
	}
	return out, nil
}

// Pace reads a pace. It is read in the hope that nothing changed: who changes it does so under its version.
func (p *Store) Pace(ctx context.Context, l delivery.Lane) (of pace.Pace, version int64, err error) {
	row, found, err := table.Get[paceRow](ctx, p.DB, p.Table, paceKey(l))
	if err != nil {
		return of, 0, fmt.Errorf("read the pace of integration %s: %w", l.Integration, err)
	}
	if !found || table.Past(row.Expires, p.Now()) {
		return of, 0, nil
	}
	if err := json.Unmarshal(row.Pace, &of); err != nil {
		return of, 0, fmt.Errorf("the pace of integration %s is damaged: %w", l.Integration, err)
	}
	return of, row.Version, nil
}

// Swap replaces a pace.
func (p *Store) Swap(ctx context.Context, l delivery.Lane, version int64, of pace.Pace) (next int64, err error) {
	raw, err := json.Marshal(of)
	if err != nil {
		return 0, fmt.Errorf("encode the pace of integration %s: %w", l.Integration, err)
	}
	now := p.Now()
	next = max(now.UnixNano(), version+1) // never that of a row which was forgotten
	row, err := table.Marshal(paceRow{Lane: table.LaneKey(l.Tenant, l.Integration), Part: pacePart, Pace: raw,
		Version: next, Expires: of.Keep(now).Unix()})
	if err != nil {
		return 0, err
	}
	if replaced, err := swap(ctx, p.DB, p.Table, row, version, now); err != nil {
		return 0, fmt.Errorf("write the pace of integration %s: %w", l.Integration, err)
	} else if !replaced {
		return 0, pace.ErrVersionConflict
	}
	return next, nil
}

// swap writes a row in place of that of the version, or with 0 where there is none that has not expired. false:
// another is there.
func swap(ctx context.Context, db *dynamodb.Client, name string, row table.Item, version int64,
	now time.Time) (bool, error) {
	put := &dynamodb.PutItemInput{
		TableName: &name, Item: row, ConditionExpression: awssdk.String("version = :version AND #e > :now"),
		ExpressionAttributeNames:  map[string]string{"#e": "expires"},
		ExpressionAttributeValues: table.Item{":version": table.Number(version), ":now": table.Number(now.Unix())},
	}
	if version == 0 {
		put.ConditionExpression = awssdk.String("attribute_not_exists(lane) OR #e <= :now")
		put.ExpressionAttributeValues = table.Item{":now": table.Number(now.Unix())}
	}
	_, err := db.PutItem(ctx, put)
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return false, nil
	}
	return err == nil, err
}
