package aws

import (
	"context"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/health"
)

// counterKeep is how long a bucket outlives the window, for a clock that is behind.
const counterKeep = health.DefaultSpan + time.Hour

// Counters is health.Counters on a table with the keys `window` and `bucket` (epoch seconds): one update adds a
// batch's attempts, one query of at most 73 rows is the sum.
type Counters struct {
	DB    *dynamodb.Client
	Table string
	// Keep is how long buckets are kept; 0 = an hour longer than the product's window.
	Keep time.Duration
}

var _ health.Counters = (*Counters)(nil)

type bucket struct {
	window string
	at     int64
}

func windowKey(tenant, integration string, window int64) string {
	return tenant + " " + integration + " " + strconv.FormatInt(window, 10)
}

// Add adds the counts, those of one bucket in one update.
func (c *Counters) Add(ctx context.Context, counts []health.Count) error {
	sums := map[bucket]health.Tally{}
	var order []bucket
	for _, n := range counts {
		b := bucket{windowKey(n.Tenant, n.Integration, n.Window), n.At.Truncate(health.Bucket).Unix()}
		sum, ok := sums[b]
		if !ok {
			order = append(order, b)
		}
		sums[b] = health.Tally{Attempts: sum.Attempts + n.Attempts, Failures: sum.Failures + n.Failures}
	}
	for _, b := range order {
		if err := c.add(ctx, b, sums[b]); err != nil {
			return fmt.Errorf("count attempts of %s: %w", b.window, err)
		}
	}
	return nil
}

func (c *Counters) add(ctx context.Context, b bucket, t health.Tally) error {
	keep := c.Keep
	if keep == 0 {
		keep = counterKeep
	}
	_, err := c.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &c.Table, Key: item{"window": text(b.window), "bucket": number(b.at)},
		UpdateExpression:         awssdk.String("ADD attempts :a, failures :f SET #e = :e"),
		ExpressionAttributeNames: map[string]string{"#e": "expires"},
		ExpressionAttributeValues: item{
			":a": number(t.Attempts), ":f": number(t.Failures), ":e": number(b.at + int64(keep/time.Second)),
		},
	})
	return err
}

// Sum adds the buckets up.
func (c *Counters) Sum(ctx context.Context, tenant, integration string, window int64, since time.Time) (health.Tally, error) {
	points, err := c.Series(ctx, tenant, integration, window, since)
	var t health.Tally
	for _, p := range points {
		t = t.Add(p.Tally)
	}
	return t, err
}

// Series lists the buckets.
func (c *Counters) Series(ctx context.Context, tenant, integration string, window int64, since time.Time) ([]health.Point, error) {
	// A bucket that begins within the second of since counts only when it does not begin before it.
	from := since.Unix()
	if since.Nanosecond() > 0 {
		from++
	}
	pages := dynamodb.NewQueryPaginator(c.DB, &dynamodb.QueryInput{
		TableName: &c.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("#w = :w AND #b >= :b"),
		ExpressionAttributeNames:  map[string]string{"#w": "window", "#b": "bucket"},
		ExpressionAttributeValues: item{":w": text(windowKey(tenant, integration, window)), ":b": number(from)},
	})
	var points []health.Point
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the attempts of integration %s: %w", integration, err)
		}
		for _, row := range page.Items {
			points = append(points, health.Point{
				At:    time.Unix(numberOf(row, "bucket"), 0).UTC(),
				Tally: health.Tally{Attempts: int(numberOf(row, "attempts")), Failures: int(numberOf(row, "failures"))},
			})
		}
	}
	return points, nil
}
