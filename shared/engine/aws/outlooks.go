package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/sending"
)

// Outlooks is sending.Outlooks on the table of paces: a row for each process, so that none waits for another.
type Outlooks struct {
	DB    *dynamodb.Client
	Table string
}

var _ sending.Outlooks = (*Outlooks)(nil)

// fleetLane is the partition of what processes say of their way out; no tenant's lane begins with a space.
const fleetLane = " fleet"

// outlookKeep is how long a process is listened to that says nothing more.
const outlookKeep = 2 * time.Minute

// Tell writes the process's row.
func (s *Outlooks) Tell(ctx context.Context, process string, o sending.Outlook) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the outlook of a process: %w", err)
	}
	_, err = s.DB.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.Table, Item: item{
		"lane": text(fleetLane), "part": text(process), "at": number(o.At.UnixNano()), "outlook": blob(raw),
		"expires": number(o.At.Add(outlookKeep).Unix()),
	}})
	if err != nil {
		return fmt.Errorf("tell of this process's way out: %w", err)
	}
	return nil
}

// Outlooks reads those of the others.
func (s *Outlooks) Outlooks(ctx context.Context, but string, since time.Time) (out []sending.Outlook, err error) {
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{
		TableName: &s.Table, KeyConditionExpression: awssdk.String("lane = :lane"),
		FilterExpression:          awssdk.String("#at >= :since"),
		ExpressionAttributeNames:  map[string]string{"#at": "at"},
		ExpressionAttributeValues: item{":lane": text(fleetLane), ":since": number(since.UnixNano())},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask the other processes for their way out: %w", err)
		}
		for _, row := range page.Items {
			if textOf(row, "part") == but {
				continue
			}
			var o sending.Outlook
			if err := json.Unmarshal(blobOf(row, "outlook"), &o); err != nil {
				return nil, fmt.Errorf("the outlook of a process is damaged: %w", err)
			}
			out = append(out, o)
		}
	}
	return out, nil
}
