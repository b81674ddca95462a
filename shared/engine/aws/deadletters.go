package aws

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
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/fanout"
)

// nobody is the partition of dead letters whose tenant could not be read.
const nobody = " nobody"

// reject keeps entries that held no event. The id is made of the entry, so that a repeat overwrites itself.
func (d *Deliveries) reject(ctx context.Context, rejected []fanout.Rejected) error {
	var writes []tableWrite
	expires := d.expires()
	for _, r := range rejected {
		id := deadID(r.Entry)
		row := item{
			"tenant": text(tenantKey(r.Tenant)), "id": text(id), "shard": text(deadShard(id)), "v": number(2),
			"kind": text(r.Entry.DetailType), "at": number(r.Entry.At.UnixNano()), "reason": text(r.Reason),
			"expires": number(expires),
		}
		parts, err := d.row("dead "+id, row, r.Entry.Detail, partSize, expires)
		if err != nil {
			return fmt.Errorf("keep an event that was rejected: %w", err)
		}
		writes = append(append(writes, parts...), tableWrite{d.Tables.DeadLetters, row})
	}
	if err := putAll(ctx, d.DB, writes); err != nil {
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
	return day(madeAt(id)) + " " + strconv.Itoa(int(sum[0])%deadShards)
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
		return lastOfAll
	}
	return u.String()
}

// DeadLetters lists a tenant's rejected entries.
func (d *Deliveries) DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error) {
	last := cmp.Or(before, lastOfAll)
	rows, err := d.deadRows(ctx, between("tenant", tenantKey(tenant), firstOfAll, last), last, limit)
	var out []delivery.DeadLetter
	if err == nil {
		err = d.readDead(ctx, rows, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return out, nil
}

// AllDeadLetters lists those of all tenants. They are read day by day.
func (d *Deliveries) AllDeadLetters(ctx context.Context, before string, limit int) (out []delivery.DeadLetter,
	err error) {
	last := cmp.Or(before, lastOfAll)
	from := d.Now()
	if at := madeAt(before); !at.IsZero() {
		from = at
	}
	// An event's time is upstream's: look a day ahead of our clock.
	end := d.Now().Add(-d.keep()).AddDate(0, 0, -1)
	for back := from.AddDate(0, 0, 1); len(out) < limit && !back.Before(end); back = back.AddDate(0, 0, -1) {
		rows, err := d.deadOfDay(ctx, day(back), last, limit-len(out))
		if err == nil {
			err = d.readDead(ctx, rows, &out)
		}
		if err != nil {
			return nil, fmt.Errorf("list dead letters of all tenants: %w", err)
		}
	}
	return out, nil
}

// deadOfDay reads the newest rows of all tenants on a day.
func (d *Deliveries) deadOfDay(ctx context.Context, day, last string, limit int) ([]item, error) {
	in := between("day", day, firstOfAll, last)
	in.IndexName = awssdk.String(dayIndex)
	rows, err := d.deadRows(ctx, in, last, limit) // of version 1
	if err != nil {
		return nil, err
	}
	var keys []item
	for shard := range deadShards {
		in := between("shard", day+" "+strconv.Itoa(shard), firstOfAll, last)
		in.IndexName = awssdk.String(shardIndex)
		found, err := d.deadRows(ctx, in, last, limit)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			keys = append(keys, item{"tenant": r["tenant"], "id": r["id"]})
		}
	}
	newest := func(a, b item) int { return strings.Compare(textOf(b, "id"), textOf(a, "id")) }
	slices.SortFunc(keys, newest)
	found, err := getAll(ctx, d.DB, d.Tables.DeadLetters, keys[:min(limit, len(keys))], false)
	if err != nil {
		return nil, err
	}
	rows = append(rows, found...)
	slices.SortFunc(rows, newest)
	return rows[:min(limit, len(rows))], nil
}

// deadRows reads the newest rows of a query, without `last` itself.
func (d *Deliveries) deadRows(
	ctx context.Context, in *dynamodb.QueryInput, last string, limit int,
) (rows []item, err error) {
	in.TableName, in.ScanIndexForward = &d.Tables.DeadLetters, awssdk.Bool(false)
	in.Limit = awssdk.Int32(int32(min(limit+1, 1000)))
	err = d.each(ctx, in, scanLimit, func(row item) (bool, error) {
		if textOf(row, "id") != last {
			rows = append(rows, row)
		}
		return len(rows) < limit, nil
	})
	return rows, err
}

func (d *Deliveries) readDead(ctx context.Context, rows []item, out *[]delivery.DeadLetter) error {
	now := d.Now()
	for _, row := range rows {
		if expired(row, now) {
			continue
		}
		l, err := d.deadLetter(ctx, row)
		if err != nil {
			return err
		}
		*out = append(*out, l)
	}
	return nil
}

func (d *Deliveries) deadLetter(ctx context.Context, row item) (delivery.DeadLetter, error) {
	if err := known(row, "a dead letter", deadVersion); err != nil {
		return delivery.DeadLetter{}, fmt.Errorf("dead letter %s: %w", textOf(row, "id"), err)
	}
	l := delivery.DeadLetter{
		ID: textOf(row, "id"), Tenant: strings.TrimPrefix(textOf(row, "tenant"), nobody),
		DetailType: textOf(row, "kind"),
		At:         time.Unix(0, numberOf(row, "at")).UTC(), Reason: textOf(row, "reason"),
		ReplayedAt: instant(numberOf(row, "replayed")),
	}
	detail, err := d.detail(ctx, "dead "+l.ID, row)
	if err != nil {
		return l, fmt.Errorf("dead letter %s: %w", l.ID, err)
	}
	l.Detail = detail
	return l, nil
}

// resendAfter is when a resend that was begun and not ended is begun anew: its process ended in between.
const resendAfter = time.Minute

// Resend puts a tenant's rejected entry on the bus anew. It is marked first, so that two calls at once send it once; a
// call that ends in between leaves a mark that counts for a minute.
func (d *Deliveries) Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error) {
	row, err := d.deadRow(ctx, tenant, id)
	if err == nil {
		sent, err = d.resend(ctx, row, at)
	}
	if err != nil {
		return false, fmt.Errorf("send dead letter %s again: %w", id, err)
	}
	return sent, nil
}

// ResendOfAny does so with one of any tenant.
func (d *Deliveries) ResendOfAny(ctx context.Context, id string, at time.Time) (sent bool, err error) {
	row, err := d.anyDeadRow(ctx, id)
	if err == nil {
		sent, err = d.resend(ctx, row, at)
	}
	if err != nil {
		return false, fmt.Errorf("send dead letter %s again: %w", id, err)
	}
	return sent, nil
}

func (d *Deliveries) resend(ctx context.Context, row item, at time.Time) (bool, error) {
	letter, err := d.deadLetter(ctx, row)
	if err != nil {
		return false, err
	}
	if letter.DetailType == "" {
		return false, delivery.ErrNoEntry
	}
	key := item{"tenant": row["tenant"], "id": row["id"]}
	unmet, err := transact(ctx, d.DB, []types.TransactWriteItem{{Update: &types.Update{
		TableName: &d.Tables.DeadLetters, Key: key, UpdateExpression: awssdk.String("SET replayed = :at"),
		ConditionExpression: awssdk.String("attribute_exists(id) AND " +
			"(attribute_not_exists(replayed) OR attribute_not_exists(resent) AND replayed < :stale)"),
		ExpressionAttributeValues: item{":at": number(at.UnixNano()),
			":stale": number(at.Add(-resendAfter).UnixNano())},
	}}}, "")
	if err != nil || len(unmet) > 0 {
		return false, err
	}
	note := "SET resent = :yes"
	values := item{":yes": &types.AttributeValueMemberBOOL{Value: true}}
	failed := d.Bus.Forward(ctx, delivery.Entry{DetailType: letter.DetailType, Detail: letter.Detail, At: at})
	if failed != nil {
		note, values = "REMOVE replayed", nil
	}
	_, err = d.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &d.Tables.DeadLetters, Key: key,
		UpdateExpression: &note, ExpressionAttributeValues: values})
	if failed != nil {
		return false, failed
	}
	return true, err
}

// deadRow finds the row of a tenant's dead letter. Error: delivery.ErrNotFound.
func (d *Deliveries) deadRow(ctx context.Context, tenant, id string) (row item, err error) {
	if _, err := ulid.ParseStrict(id); err != nil {
		return nil, delivery.ErrNotFound
	}
	return d.oneDead(ctx, between("tenant", tenantKey(tenant), id, id))
}

// anyDeadRow finds the row of a dead letter of any tenant. Error: delivery.ErrNotFound.
func (d *Deliveries) anyDeadRow(ctx context.Context, id string) (row item, err error) {
	if _, err := ulid.ParseStrict(id); err != nil {
		return nil, delivery.ErrNotFound
	}
	in := between("shard", deadShard(id), id, id)
	in.IndexName = awssdk.String(shardIndex)
	key, err := d.oneDead(ctx, in)
	if errors.Is(err, delivery.ErrNotFound) { // perhaps a row of version 1
		in = between("day", day(madeAt(id)), id, id)
		in.IndexName = awssdk.String(dayIndex)
		return d.oneDead(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	return d.oneDead(ctx, between("tenant", textOf(key, "tenant"), id, id))
}

// oneDead is the row of a query. Error: delivery.ErrNotFound.
func (d *Deliveries) oneDead(ctx context.Context, in *dynamodb.QueryInput) (row item, err error) {
	in.TableName = &d.Tables.DeadLetters
	err = d.each(ctx, in, scanLimit, func(r item) (bool, error) {
		row = r
		return false, nil
	})
	if err == nil && row == nil {
		err = delivery.ErrNotFound
	}
	return row, err
}
