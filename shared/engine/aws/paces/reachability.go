package paces

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/sending/reachability"
)

// Reachability is reachability.Store on the table of paces: a row for each process, so that none waits for
// another.
type Reachability struct {
	DB    *dynamodb.Client
	Table string
}

var _ reachability.Store = (*Reachability)(nil)

// processLane is the partition of what processes say of their way out; no tenant's lane begins with a space.
const processLane = " fleet"

// reachabilityKeep is how long a process is listened to that says nothing more.
const reachabilityKeep = 2 * time.Minute

// processRow is what one process says of its way out.
//
//tocsin:table PacesTable
type processRow struct {
	table.First
	Lane    string `dynamodbav:"lane"`    // processLane
	Part    string `dynamodbav:"part"`    // the process
	At      int64  `dynamodbav:"at"`      // Unix nanoseconds
	Known   []byte `dynamodbav:"outlook"` // JSON
	Expires int64  `dynamodbav:"expires"`
}

// Tell writes the process's row.
func (s *Reachability) Tell(ctx context.Context, process string, o reachability.Report) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the reachability of a process: %w", err)
	}
	row, err := table.Marshal(processRow{Lane: processLane, Part: process, At: o.At.UnixNano(), Known: raw,
		Expires: o.At.Add(reachabilityKeep).Unix()})
	if err == nil {
		_, err = s.DB.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.Table, Item: row})
	}
	if err != nil {
		return fmt.Errorf("tell of this process's way out: %w", err)
	}
	return nil
}

// Others reads what the others said.
func (s *Reachability) Others(ctx context.Context, but string, since time.Time) (out []reachability.Report,
	err error) {
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
		rows, err := table.UnmarshalAll[processRow](page.Items)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.Part == but {
				continue
			}
			var o reachability.Report
			if err := json.Unmarshal(row.Known, &o); err != nil {
				return nil, fmt.Errorf("what a process says of its way out is damaged: %w", err)
			}
			out = append(out, o)
		}
	}
	return out, nil
}
