package erasure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/erasure"
)

// Jobs keeps erasures that the API was asked for (erasure.Jobs), in the table of accounts.
type Jobs struct {
	DB       *dynamodb.Client
	Table    string
	Activity string // the table of the activity log
}

var _ erasure.Jobs = (*Jobs)(nil)

// jobsKey is the partition of all jobs: there are few.
const jobsKey = "erasures"

// jobRow is the row of an erasure. It is no row of the tenant's.
//
//tocsin:table AccountsTable
type jobRow struct {
	table.First
	PK       string `dynamodbav:"pk"`   // jobsKey
	SK       string `dynamodbav:"sk"`   // erasure.Job.Key
	Body     []byte `dynamodbav:"body"` // JSON of erasure.Job
	Revision int64  `dynamodbav:"revision"`
	Due      int64  `dynamodbav:"due,omitempty"`     // Unix nanoseconds
	Expires  int64  `dynamodbav:"expires,omitempty"` // epoch seconds
}

func jobKey(key string) table.Item {
	return table.Item{"pk": table.Text(jobsKey), "sk": table.Text(key)}
}

func (r jobRow) job() (j erasure.Job, err error) {
	if err = json.Unmarshal(r.Body, &j); err != nil {
		err = fmt.Errorf("the row of the erasure of tenant %s is damaged: %w", r.SK, err)
	}
	return j, err
}

// Job reads one.
func (s *Jobs) Job(ctx context.Context, key string) (j erasure.Job, err error) {
	row, found, err := table.Get[jobRow](ctx, s.DB, s.Table, jobKey(key))
	if err == nil && !found {
		err = erasure.ErrNotFound
	}
	if err == nil {
		j, err = row.job()
	}
	if err != nil {
		return j, fmt.Errorf("read the erasure of tenant %s: %w", key, err)
	}
	return j, nil
}

// SaveJob replaces one, with the entries of it.
func (s *Jobs) SaveJob(ctx context.Context, j erasure.Job, entries ...activity.Entry) error {
	body, err := json.Marshal(j)
	if err != nil {
		return err
	}
	r := jobRow{PK: jobsKey, SK: j.Key(), Body: body, Revision: j.Revision, Due: table.UnixNano(j.Due)}
	if at := j.Forget(); !at.IsZero() {
		r.Expires = at.Unix()
	}
	row, err := table.Marshal(r)
	if err != nil {
		return err
	}
	put := &types.Put{TableName: &s.Table, Item: row, ConditionExpression: awssdk.String("revision = :before"),
		ExpressionAttributeValues: table.Item{":before": table.Number(j.Revision - 1)}}
	if j.Revision == 1 {
		put.ConditionExpression, put.ExpressionAttributeValues = awssdk.String("attribute_not_exists(pk)"), nil
	}
	writes, err := activitylog.PutAll(s.Activity, entries)
	if err != nil {
		return err
	}
	unmet, err := table.Transact(ctx, s.DB, append(writes, types.TransactWriteItem{Put: put}), "")
	if err == nil && len(unmet) > 0 {
		err = erasure.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save the erasure of tenant %s: %w", j.Key(), err)
	}
	return nil
}

// DueJobs lists those that are due.
func (s *Jobs) DueJobs(ctx context.Context, now time.Time, limit int) (out []erasure.Job, err error) {
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{TableName: &s.Table,
		ConsistentRead: awssdk.Bool(true), KeyConditionExpression: awssdk.String("pk = :pk"),
		FilterExpression: awssdk.String("due <= :now"), ExpressionAttributeValues: table.Item{
			":pk": table.Text(jobsKey), ":now": table.Number(now.UnixNano())}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the erasures that are due: %w", err)
		}
		rows, err := table.UnmarshalAll[jobRow](page.Items)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			j, err := r.job()
			if err != nil {
				return nil, err
			}
			out = append(out, j)
		}
	}
	slices.SortFunc(out, func(a, b erasure.Job) int { return a.Due.Compare(b.Due) })
	return out[:min(limit, len(out))], nil
}
