// Package counters adds up what all functions do: the attempts of each integration in buckets of ten minutes, and the
// requests of each tenant in minutes.
package counters

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/health"
)

// Store is health.Counters on a table with the keys `window` and `bucket` (epoch seconds): one update adds a
// batch's attempts, one query of at most 73 rows is what the rule needs, one of 145 a day.
type Store struct {
	DB    *dynamodb.Client
	Table string
	// Keep is how long buckets are kept; 0 = health.Kept.
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
	Delivered    int    `dynamodbav:"delivered,omitempty"` // what became of deliveries
	Dead         int    `dynamodbav:"dead,omitempty"`
	// Those delivered by class, see health.Latencies. A class is an attribute of its own, so that an update adds to it.
	L0      int   `dynamodbav:"l0,omitempty"`
	L1      int   `dynamodbav:"l1,omitempty"`
	L2      int   `dynamodbav:"l2,omitempty"`
	L3      int   `dynamodbav:"l3,omitempty"`
	L4      int   `dynamodbav:"l4,omitempty"`
	L5      int   `dynamodbav:"l5,omitempty"`
	L6      int   `dynamodbav:"l6,omitempty"`
	L7      int   `dynamodbav:"l7,omitempty"`
	L8      int   `dynamodbav:"l8,omitempty"`
	L9      int   `dynamodbav:"l9,omitempty"`
	L10     int   `dynamodbav:"l10,omitempty"`
	L11     int   `dynamodbav:"l11,omitempty"`
	L12     int   `dynamodbav:"l12,omitempty"`
	Expires int64 `dynamodbav:"expires"`
}

func (r bucketRow) point() health.Point {
	return health.Point{
		At: time.Unix(r.Bucket, 0).UTC(), Tally: health.Tally{Attempts: r.Attempts, Failures: r.Failures},
		FirstFailure: milli(r.FirstFailure), LastFailure: milli(r.LastFailure), LastSuccess: milli(r.LastSuccess),
		Answer: health.Answer{Status: r.Status, Words: r.Words},
		Ended: health.Ended{Delivered: r.Delivered, Dead: r.Dead, Latencies: health.Latencies{
			r.L0, r.L1, r.L2, r.L3, r.L4, r.L5, r.L6, r.L7, r.L8, r.L9, r.L10, r.L11, r.L12,
		}},
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

// add is one update. Where DynamoDB's answer to it is lost the SDK makes it again, and the batch counts twice: only a
// transaction has a token against that, at twice the price, and a share of many requests changes little by it. Of two
// workers' batches the one that is written last has the last word on times and answer: they differ by what a batch
// takes.
func (c *Store) add(ctx context.Context, b bucket, n health.Count) error {
	keep := c.Keep
	if keep == 0 {
		keep = health.Kept
	}
	values := table.Item{":a": table.Number(n.Attempts), ":f": table.Number(n.Failures),
		":e": table.Number(b.at + int64(keep/time.Second))}
	update := "ADD attempts :a, failures :f" + adds(n.Ended, values) + " SET #e = :e"
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

// adds are the further attributes that an update adds to; their values go into values.
func adds(e health.Ended, values table.Item) string {
	var out strings.Builder
	add := func(name string, n int) {
		if n != 0 {
			out.WriteString(", " + name + " :" + name)
			values[":"+name] = table.Number(n)
		}
	}
	add("delivered", e.Delivered)
	add("dead", e.Dead)
	for class, n := range e.Latencies {
		add("l"+strconv.Itoa(class), n)
	}
	return out.String()
}

// milli is a time in milliseconds, the zero time where there is none.
func milli(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// first is the beginning of the first bucket that counts: one that begins within the second of since counts only when
// it does not begin before it.
func first(since time.Time) int64 {
	from := since.Unix()
	if since.Nanosecond() > 0 {
		from++
	}
	return from
}

// Series lists the buckets.
func (c *Store) Series(ctx context.Context, tenant, integration string, window int64,
	since time.Time) ([]health.Point, error) {
	pages := dynamodb.NewQueryPaginator(c.DB, &dynamodb.QueryInput{
		TableName: &c.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:   awssdk.String("#w = :w AND #b >= :b"),
		ExpressionAttributeNames: map[string]string{"#w": "window", "#b": "bucket"},
		ExpressionAttributeValues: table.Item{":w": table.Text(windowKey(tenant, integration, window)),
			":b": table.Number(first(since))},
	})
	var out []health.Point
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the attempts of integration %s: %w", integration, err)
		}
		more, err := points(page.Items)
		if err != nil {
			return nil, fmt.Errorf("read the attempts of integration %s: %w", integration, err)
		}
		out = append(out, more...)
	}
	return out, nil
}

func points(items []table.Item) ([]health.Point, error) {
	rows, err := table.UnmarshalAll[bucketRow](items)
	if err != nil {
		return nil, err
	}
	out := make([]health.Point, len(rows))
	for n, row := range rows {
		out[n] = row.point()
	}
	return out, nil
}

const (
	// atOnce is how many series are read at a time: each is a query.
	atOnce = 16
	// statementRows bounds what one statement brings: of fifty series, those of a day.
	statementRows = 50 * int(24*time.Hour/health.Bucket)
)

// Several reads many series in a call, or each by a query.
func (c *Store) Several(ctx context.Context, tenant string, of []health.SeriesKey, since time.Time,
	visit func(n int, p health.Point)) error {
	keys, place := make([]string, len(of)), make(map[string]int, len(of))
	for n, k := range of {
		keys[n] = windowKey(tenant, k.Integration, k.Window)
		place[keys[n]] = n
	}
	all := make([][]health.Point, len(of))
	many := &table.Partitions{Table: c.Table, Key: "window", Sort: "bucket", From: table.Number(first(since)),
		Consistent: true, Most: statementRows, AtOnce: atOnce}
	rest, err := many.Read(ctx, c.DB, keys, func(key string, rows []table.Item) error {
		list, err := points(rows)
		slices.SortFunc(list, func(a, b health.Point) int { return a.At.Compare(b.At) })
		all[place[key]] = list
		return err
	})
	if err != nil {
		return fmt.Errorf("read the attempts of %d integrations: %w", len(of), err)
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for _, key := range rest {
		n := place[key]
		work.Go(func() (err error) {
			all[n], err = c.Series(ctx, tenant, of[n].Integration, of[n].Window, since)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for n, list := range all {
		for _, p := range list {
			visit(n, p)
		}
	}
	return nil
}
