package settings

import (
	"context"
	"encoding/json"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/trigger"
)

// firingPrefix begins the ids of firings in the table of Triggers; the trigger's id, a space and the place follow.
const firingPrefix = "f "

// firingRow is when a trigger went off in one round of counting.
//
//tocsin:table TriggersTable
type firingRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`   // see firingPrefix
	Body    string `dynamodbav:"body"` // JSON of trigger.Firings
	Expires int64  `dynamodbav:"expires"`
}

// FiringRows are the rows of firings, one for each.
func (s *Triggers) FiringRows(list []trigger.Firings) ([]table.Write, error) {
	out := make([]table.Write, 0, len(list))
	for _, f := range list {
		body, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("encode when trigger %s fired: %w", f.Trigger, err)
		}
		row, err := table.Marshal(firingRow{Tenant: f.Tenant, ID: firingPrefix + f.Trigger + " " + f.Place,
			Body: string(body), Expires: s.Now().Add(trigger.KeepFirings).Unix()})
		if err != nil {
			return nil, err
		}
		out = append(out, table.Write{Table: s.Table, Item: row})
	}
	return out, nil
}

// Firings lists when a trigger went off, newest first.
func (s *Triggers) Firings(ctx context.Context, q trigger.FiringQuery) (out []trigger.Firings, err error) {
	prefix := firingPrefix + q.Trigger + " "
	last := prefix + delivery.GreatestID
	if q.Before != "" {
		last = prefix + q.Before
	}
	in := table.Between("tenant", q.Tenant, prefix, last)
	in.TableName, in.ScanIndexForward, in.Limit = &s.Table, awssdk.Bool(false), awssdk.Int32(int32(q.Limit+1))
	now := s.Now()
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() && len(out) < q.Limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list when trigger %s fired: %w", q.Trigger, err)
		}
		for _, item := range page.Items {
			row, err := table.Unmarshal[firingRow](item)
			f := trigger.Firings{Tenant: q.Tenant, Trigger: q.Trigger}
			if err == nil {
				err = json.Unmarshal([]byte(row.Body), &f)
			}
			if err != nil {
				return nil, fmt.Errorf("a row of when trigger %s fired is damaged: %w", q.Trigger, err)
			}
			if row.ID == last || table.Expired(item, now) || len(out) == q.Limit {
				continue
			}
			f.Place = row.ID[len(prefix):]
			out = append(out, f)
		}
	}
	return out, nil
}
