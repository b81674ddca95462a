// Package deadletters keeps entries that held no event, and sends them again.
package deadletters

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// Store keeps entries that held no event.
type Store struct {
	table.Set
	// Bus is where dead letters are sent again; nil where none are.
	Bus Forwarder
}

// Forwarder puts entries on the bus as they are.
type Forwarder interface {
	Forward(ctx context.Context, e delivery.Entry) error
}

// Indexes of the table. They lag behind it by milliseconds.
const (
	shardIndex = "shard" // keys of dead letters by the day of their arrival, in deadShards partitions a day
	dayIndex   = "day"   // dead letters of version 1 by the day of their arrival
)

// nobody is the partition of dead letters whose tenant could not be read.
const nobody = " nobody"

func (l *Store) intakes() *intakes.Store { return &intakes.Store{Set: l.Set} }

// deadRow is the row of a dead letter.
//
//tocsin:table DeadLettersTable
type deadRow struct {
	Tenant   string `dynamodbav:"tenant"` // nobody where it could not be read
	ID       string `dynamodbav:"id"`     // see deadID
	Shard    string `dynamodbav:"shard"`  // see deadShard; none in version 1, which has a day in its place
	Kind     string `dynamodbav:"kind"`
	At       int64  `dynamodbav:"at"` // when the bus took it, Unix nanoseconds
	Reason   string `dynamodbav:"reason"`
	Detail   []byte `dynamodbav:"detail,omitempty"`   // its first part
	Parts    int    `dynamodbav:"parts,omitempty"`    // more rows in EventsTable
	Replayed int64  `dynamodbav:"replayed,omitempty"` // when it was sent again, Unix nanoseconds
	Resent   bool   `dynamodbav:"resent,omitempty"`   // the bus took it
	Version  int    `dynamodbav:"v"`
	Expires  int64  `dynamodbav:"expires"`
}

func (deadRow) Newest() int64 { return deadVersion }

// Reject keeps entries that held no event. The id is made of the entry, so that a repeat overwrites itself.
func (l *Store) Reject(ctx context.Context, rejected []fanout.Rejected) error {
	var writes []table.Write
	for _, r := range rejected {
		id, expires := deadID(r.Entry), l.EventsExpire(ctx, r.Tenant)
		row, err := table.Marshal(deadRow{Tenant: tenantKey(r.Tenant), ID: id, Shard: deadShard(id),
			Kind: r.Entry.DetailType, At: r.Entry.At.UnixNano(), Reason: r.Reason, Version: deadVersion,
			Expires: expires})
		if err != nil {
			return err
		}
		parts, err := l.intakes().SplitDetail("dead "+id, row, r.Entry.Detail, table.PartSize, expires)
		if err != nil {
			return fmt.Errorf("keep an event that was rejected: %w", err)
		}
		writes = append(append(writes, parts...), table.Write{Table: l.Tables.DeadLetters, Item: row})
	}
	if err := table.PutAll(ctx, l.DB, writes); err != nil {
		return fmt.Errorf("keep %d events that were rejected: %w", len(rejected), err)
	}
	metrics.Count(ctx, metrics.Rejected, len(rejected))
	return nil
}

func tenantKey(tenant string) string {
	if tenant == "" {
		return nobody
	}
	return tenant
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// deadShards are the partitions of one day's dead letters in the index of all tenants. It holds keys alone: a release
// of upstream with a wrong field makes one of every event, and a partition takes 1,000 small rows a second.
const deadShards = 4

// deadShard is where the index has a dead letter. Rows of version 1 have no shard: they are in an index by day.
func deadShard(id string) string {
	sum := sha256.Sum256([]byte(id))
	return day(table.MadeAt(id)) + " " + strconv.Itoa(int(sum[0])%deadShards)
}

func deadID(e delivery.Entry) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(e.Receipt), []byte(e.DetailType), e.Detail} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	var u ulid.ULID
	copy(u[6:], h.Sum(nil))
	if u.SetTime(uint64(max(0, e.At.UnixMilli()))) != nil {
		return delivery.GreatestID
	}
	return u.String()
}

// DeadLetters lists a tenant's rejected entries.
func (l *Store) DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error) {
	last := cmp.Or(before, delivery.GreatestID)
	rows, err := l.deadRows(ctx, table.Between("tenant", tenantKey(tenant), delivery.LeastID, last), last, limit)
	var out []delivery.DeadLetter
	if err == nil {
		err = l.readDead(ctx, rows, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return out, nil
}

// AllDeadLetters lists those of all tenants. They are read day by day.
func (l *Store) AllDeadLetters(ctx context.Context, before string, limit int) (out []delivery.DeadLetter,
	err error) {
	last := cmp.Or(before, delivery.GreatestID)
	from := l.Now()
	if at := table.MadeAt(before); !at.IsZero() {
		from = at
	}
	// An event's time is upstream's: look a day ahead of our clock.
	end := l.Now().Add(-l.Kept()).AddDate(0, 0, -1)
	for back := from.AddDate(0, 0, 1); len(out) < limit && !back.Before(end); back = back.AddDate(0, 0, -1) {
		rows, err := l.deadOfDay(ctx, day(back), last, limit-len(out))
		if err == nil {
			err = l.readDead(ctx, rows, &out)
		}
		if err != nil {
			return nil, fmt.Errorf("list dead letters of all tenants: %w", err)
		}
	}
	return out, nil
}

// deadOfDay reads the newest rows of all tenants on a day.
func (l *Store) deadOfDay(ctx context.Context, day, last string, limit int) ([]table.Item, error) {
	in := table.Between("day", day, delivery.LeastID, last)
	in.IndexName = awssdk.String(dayIndex)
	rows, err := l.deadRows(ctx, in, last, limit) // of version 1
	if err != nil {
		return nil, err
	}
	var keys []table.Item
	for shard := range deadShards {
		in := table.Between("shard", day+" "+strconv.Itoa(shard), delivery.LeastID, last)
		in.IndexName = awssdk.String(shardIndex)
		found, err := l.deadRows(ctx, in, last, limit)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			keys = append(keys, table.Item{"tenant": r["tenant"], "id": r["id"]})
		}
	}
	newest := func(a, b table.Item) int { return strings.Compare(table.TextOf(b, "id"), table.TextOf(a, "id")) }
	slices.SortFunc(keys, newest)
	found, err := table.GetAll(ctx, l.DB, l.Tables.DeadLetters, keys[:min(limit, len(keys))], false)
	if err != nil {
		return nil, err
	}
	rows = append(rows, found...)
	slices.SortFunc(rows, newest)
	return rows[:min(limit, len(rows))], nil
}

// deadRows reads the newest rows of a query, without `last` itself.
func (l *Store) deadRows(
	ctx context.Context, in *dynamodb.QueryInput, last string, limit int,
) (rows []table.Item, err error) {
	in.TableName, in.ScanIndexForward = &l.Tables.DeadLetters, awssdk.Bool(false)
	in.Limit = awssdk.Int32(int32(min(limit+1, 1000)))
	err = l.Each(ctx, in, table.ScanLimit, func(row table.Item) (bool, error) {
		if table.TextOf(row, "id") != last {
			rows = append(rows, row)
		}
		return len(rows) < limit, nil
	})
	return rows, err
}

func (l *Store) readDead(ctx context.Context, rows []table.Item, out *[]delivery.DeadLetter) error {
	now := l.Now()
	for _, row := range rows {
		if table.Expired(row, now) {
			continue
		}
		letter, err := l.deadLetter(ctx, row)
		if err != nil {
			return err
		}
		*out = append(*out, letter)
	}
	return nil
}

func (l *Store) deadLetter(ctx context.Context, row table.Item) (delivery.DeadLetter, error) {
	r, err := table.Unmarshal[deadRow](row)
	if err != nil {
		return delivery.DeadLetter{}, fmt.Errorf("dead letter %s: %w", table.TextOf(row, "id"), err)
	}
	letter := delivery.DeadLetter{
		ID: r.ID, Tenant: strings.TrimPrefix(r.Tenant, nobody), DetailType: r.Kind, At: time.Unix(0, r.At).UTC(),
		Reason: r.Reason, ReplayedAt: table.Instant(r.Replayed),
	}
	detail, err := l.intakes().Detail(ctx, "dead "+letter.ID, row)
	if err != nil {
		return letter, fmt.Errorf("dead letter %s: %w", letter.ID, err)
	}
	letter.Detail = detail
	return letter, nil
}

// resendAfter is when a resend that was begun and not ended is begun anew: its process ended in between.
const resendAfter = time.Minute

// Resend puts a tenant's rejected entry on the bus anew. It is marked first, so that two calls at once send it once; a
// call that ends in table.Between leaves a mark that counts for a minute.
func (l *Store) Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error) {
	row, err := l.deadRow(ctx, tenant, id)
	if err == nil {
		sent, err = l.resend(ctx, row, at)
	}
	if err != nil {
		return false, fmt.Errorf("send dead letter %s again: %w", id, err)
	}
	return sent, nil
}

// ResendOfAny does so with one of any tenant.
func (l *Store) ResendOfAny(ctx context.Context, id string, at time.Time) (sent bool, err error) {
	row, err := l.anyDeadRow(ctx, id)
	if err == nil {
		sent, err = l.resend(ctx, row, at)
	}
	if err != nil {
		return false, fmt.Errorf("send dead letter %s again: %w", id, err)
	}
	return sent, nil
}

func (l *Store) resend(ctx context.Context, row table.Item, at time.Time) (bool, error) {
	letter, err := l.deadLetter(ctx, row)
	if err != nil {
		return false, err
	}
	if letter.DetailType == "" {
		return false, delivery.ErrNoEntry
	}
	key := table.Item{"tenant": row["tenant"], "id": row["id"]}
	unmet, err := table.Transact(ctx, l.DB, []types.TransactWriteItem{{Update: &types.Update{
		TableName: &l.Tables.DeadLetters, Key: key, UpdateExpression: awssdk.String("SET replayed = :at"),
		ConditionExpression: awssdk.String("attribute_exists(id) AND " +
			"(attribute_not_exists(replayed) OR attribute_not_exists(resent) AND replayed < :stale)"),
		ExpressionAttributeValues: table.Item{":at": table.Number(at.UnixNano()),
			":stale": table.Number(at.Add(-resendAfter).UnixNano())},
	}}}, "")
	if err != nil || len(unmet) > 0 {
		return false, err
	}
	note := "SET resent = :yes"
	values := table.Item{":yes": &types.AttributeValueMemberBOOL{Value: true}}
	failed := l.Bus.Forward(ctx, delivery.Entry{DetailType: letter.DetailType, Detail: letter.Detail, At: at})
	if failed != nil {
		note, values = "REMOVE replayed", nil
	}
	_, err = l.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &l.Tables.DeadLetters, Key: key,
		UpdateExpression: &note, ExpressionAttributeValues: values})
	if failed != nil {
		return false, failed
	}
	return true, err
}

// deadRow finds the row of a tenant's dead letter. Error: delivery.ErrNotFound.
func (l *Store) deadRow(ctx context.Context, tenant, id string) (row table.Item, err error) {
	if _, err := ulid.ParseStrict(id); err != nil {
		return nil, delivery.ErrNotFound
	}
	return l.oneDead(ctx, table.Between("tenant", tenantKey(tenant), id, id))
}

// anyDeadRow finds the row of a dead letter of any tenant. Error: delivery.ErrNotFound.
func (l *Store) anyDeadRow(ctx context.Context, id string) (row table.Item, err error) {
	if _, err := ulid.ParseStrict(id); err != nil {
		return nil, delivery.ErrNotFound
	}
	in := table.Between("shard", deadShard(id), id, id)
	in.IndexName = awssdk.String(shardIndex)
	key, err := l.oneDead(ctx, in)
	if errors.Is(err, delivery.ErrNotFound) { // perhaps a row of version 1
		in = table.Between("day", day(table.MadeAt(id)), id, id)
		in.IndexName = awssdk.String(dayIndex)
		return l.oneDead(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	return l.oneDead(ctx, table.Between("tenant", table.TextOf(key, "tenant"), id, id))
}

// oneDead is the row of a query. Error: delivery.ErrNotFound.
func (l *Store) oneDead(ctx context.Context, in *dynamodb.QueryInput) (row table.Item, err error) {
	in.TableName = &l.Tables.DeadLetters
	err = l.Each(ctx, in, table.ScanLimit, func(r table.Item) (bool, error) {
		row = r
		return false, nil
	})
	if err == nil && row == nil {
		err = delivery.ErrNotFound
	}
	return row, err
}

// deadVersion is the newest version of the rows of dead letters.
const deadVersion = 2
