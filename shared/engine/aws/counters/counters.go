// Package counters adds up what all functions do: the attempts of each integration in buckets of ten minutes, and the
// requests of each tenant in minutes.
package counters

import (
	"context"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/health"
)

// counterKeep is how long a bucket outlives the window, for a clock that is behind.
const counterKeep = health.DefaultSpan + time.Hour

// Store is health.Counters on a table with the keys `window` and `bucket` (epoch seconds): one update adds a
// batch's attempts, one query of at most 73 rows is the sum.
type Store struct {
	DB    *dynamodb.Client
	Table string
	// Keep is how long buckets are kept; 0 = an hour longer than the product's window.
	Keep time.Duration
}

var _ health.Counters = (*Store)(nil)

// bucketRow is the row of a bucket: of an integration's attempts, or of a tenant's requests.
//
//tocsin:table CountersTable
type bucketRow struct {
	table.First
	Window       string `dynamodbav:"window"` // see windowKey
	Bucket       int64  `dynamodbav:"bucket"` // epoch seconds
	Attempts     int    `dynamodbav:"attempts"`
	Failures     int    `dynamodbav:"failures"`
	LastSuccess  int64  `dynamodbav:"last_success,omitempty"` // epoch milliseconds, as those that follow
	FirstFailure int64  `dynamodbav:"first_failure,omitempty"`
	LastFailure  int64  `dynamodbav:"last_failure,omitempty"`
	Status       int    `dynamodbav:"answer_status,omitempty"` // of the last answer that was a failure
	Words        string `dynamodbav:"answer,omitempty"`
	Expires      int64  `dynamodbav:"expires"`
}

func (r bucketRow) point() health.Point {
	return health.Point{
		At: time.Unix(r.Bucket, 0).UTC(), Tally: health.Tally{Attempts: r.Attempts, Failures: r.Failures},
		FirstFailure: milli(r.FirstFailure), LastFailure: milli(r.LastFailure), LastSuccess: milli(r.LastSuccess),
		Answer: health.Answer{Status: r.Status, Words: r.Words},
	}
}

type bucket struct {
	window string
	at     int64
}

func windowKey(tenant, integration string, window int64) string {
	return tenant + " " + integration + " " + strconv.FormatInt(window, 10)
}

// Add adds the counts, those of one bucket in one update.
func (c *Store) Add(ctx context.Context, counts []health.Count) error {
	sums := map[bucket]health.Count{}
	var order []bucket
	for _, n := range counts {
		b := bucket{windowKey(n.Tenant, n.Integration, n.Window), n.At.Truncate(health.Bucket).Unix()}
		sum, ok := sums[b]
		if !ok {
			order = append(order, b)
		}
		sum.Merge(n)
		sums[b] = sum
	}
	for _, b := range order {
		if err := c.add(ctx, b, sums[b]); err != nil {
			return fmt.Errorf("count attempts of %s: %w", b.window, err)
		}
	}
	return nil
}

// add is one update. Of two workers' batches the one that is written last has the last word on times and answer: they
// differ by what a batch takes.
func (c *Store) add(ctx context.Context, b bucket, n health.Count) error {
	keep := c.Keep
	if keep == 0 {
		keep = counterKeep
	}
	update := "ADD attempts :a, failures :f SET #e = :e"
	values := table.Item{":a": table.Number(n.Attempts), ":f": table.Number(n.Failures),
		":e": table.Number(b.at + int64(keep/time.Second))}
	if !n.LastSuccess.IsZero() {
		update += ", last_success = :s"
		values[":s"] = table.Number(n.LastSuccess.UnixMilli())
	}
	if n.Failures > 0 {
		update += ", first_failure = if_not_exists(first_failure, :ff), last_failure = :lf, answer_status = :as, " +
			"answer = :aw"
		values[":ff"], values[":lf"] = table.Number(n.FirstFailure.UnixMilli()), table.Number(n.LastFailure.UnixMilli())
		values[":as"], values[":aw"] = table.Number(n.Answer.Status), table.Text(n.Answer.Words)
	}
	_, err := c.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &c.Table, Key: table.Item{"window": table.Text(b.window), "bucket": table.Number(b.at)},
		UpdateExpression:         &update,
		ExpressionAttributeNames: map[string]string{"#e": "expires"}, ExpressionAttributeValues: values,
	})
	return err
}

// milli is a time in milliseconds, the zero time where there is none.
func milli(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// Series lists the buckets.
func (c *Store) Series(ctx context.Context, tenant, integration string, window int64,
	since time.Time) ([]health.Point, error) {
	// A bucket that begins within the second of since counts only when it does not begin before it.
	from := since.Unix()
	if since.Nanosecond() > 0 {
		from++
	}
	pages := dynamodb.NewQueryPaginator(c.DB, &dynamodb.QueryInput{
		TableName: &c.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:   awssdk.String("#w = :w AND #b >= :b"),
		ExpressionAttributeNames: map[string]string{"#w": "window", "#b": "bucket"},
		ExpressionAttributeValues: table.Item{":w": table.Text(windowKey(tenant, integration, window)),
			":b": table.Number(from)},
	})
	var points []health.Point
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the attempts of integration %s: %w", integration, err)
		}
		rows, err := table.UnmarshalAll[bucketRow](page.Items)
		if err != nil {
			return nil, fmt.Errorf("read the attempts of integration %s: %w", integration, err)
		}
		for _, row := range rows {
			points = append(points, row.point())
		}
	}
	return points, nil
}
