package paces

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/sending"
)

// Reachability is sending.Outlooks on the table of paces: a row for each process, so that none waits for another.
type Reachability struct {
	DB    *dynamodb.Client
	Table string
}

var _ sending.Outlooks = (*Reachability)(nil)

// processLane is the partition of what processes say of their way out; no tenant's lane begins with a space.
const processLane = " fleet"

// reachabilityKeep is how long a process is listened to that says nothing more.
const reachabilityKeep = 2 * time.Minute

// Tell writes the process's row.
func (s *Reachability) Tell(ctx context.Context, process string, o sending.Outlook) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the outlook of a process: %w", err)
	}
	_, err = s.DB.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.Table, Item: table.Item{
		"lane": table.Text(processLane), "part": table.Text(process), "at": table.Number(o.At.UnixNano()),
		"outlook": table.Blob(raw),
		"expires": table.Number(o.At.Add(reachabilityKeep).Unix()),
	}})
	if err != nil {
		return fmt.Errorf("tell of this process's way out: %w", err)
	}
	return nil
}

// Outlooks reads those of the others.
func (s *Reachability) Outlooks(ctx context.Context, but string, since time.Time) (out []sending.Outlook, err error) {
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{
		TableName: &s.Table, KeyConditionExpression: awssdk.String("lane = :lane"),
		FilterExpression:         awssdk.String("#at >= :since"),
		ExpressionAttributeNames: map[string]string{"#at": "at"},
		ExpressionAttributeValues: table.Item{":lane": table.Text(processLane),
			":since": table.Number(since.UnixNano())},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask the other processes for their way out: %w", err)
		}
		for _, row := range page.Items {
			if table.TextOf(row, "part") == but {
				continue
			}
			var o sending.Outlook
			if err := json.Unmarshal(table.BlobOf(row, "outlook"), &o); err != nil {
				return nil, fmt.Errorf("the outlook of a process is damaged: %w", err)
			}
			out = append(out, o)
		}
	}
	return out, nil
}
