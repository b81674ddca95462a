package dailytotals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/report/calendar"
	"tocsin/shared/sleep"
)

// compactAll compacts all entries that are there when it begins.
func (r *Store) compactAll(ctx context.Context, tenant string) error {
	for range 10_000 { // of each 85 entries: more than a tenant can have
		more, err := r.compact(ctx, tenant)
		if err != nil || !more {
			return err
		}
	}
	return fmt.Errorf("compact the daily totals of tenant %s: %w", tenant, table.ErrCapacity)
}

// compact compacts the oldest entries; more reports whether there may be others.
func (r *Store) compact(ctx context.Context, tenant string) (more bool, err error) {
	pause := table.UnprocessedPause
	for range compactTries {
		entries, err := r.journal(ctx, tenant)
		if err != nil {
			return false, fmt.Errorf("read the journal of tenant %s: %w", tenant, err)
		}
		if len(entries) == 0 {
			return false, nil
		}
		done, err := r.merge(ctx, tenant, entries)
		if err == nil && done {
			return true, nil
		}
		if err != nil && !errors.Is(err, table.ErrTorn) {
			return false, fmt.Errorf("compact the daily totals of tenant %s: %w", tenant, err)
		}
		if sleep.For(ctx, pause); ctx.Err() != nil {
			return false, ctx.Err()
		}
		pause = min(2*pause, time.Second)
	}
	return false, fmt.Errorf("compact the daily totals of tenant %s: others are at it all the time", tenant)
}

// journal reads the oldest entries, of which none is younger than now.
func (r *Store) journal(ctx context.Context, tenant string) ([]table.Item, error) {
	out, err := r.DB.Query(ctx, &dynamodb.QueryInput{
		TableName: &r.Table, ConsistentRead: awssdk.Bool(true), Limit: awssdk.Int32(compactEntries),
		KeyConditionExpression:   awssdk.String("#t = :t AND #id BETWEEN :first AND :last"),
		ExpressionAttributeNames: map[string]string{"#t": "tenant", "#id": "id"},
		ExpressionAttributeValues: table.Item{
			":t": table.Text(tenant), ":first": table.Text(entryPrefix),
			":last": table.Text(entryPrefix + table.Nanos(r.Now().Add(time.Second).UnixNano())),
		},
	})
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

// merge compacts as many of the entries as a transaction takes. done is false when others changed one of them or a day.
func (r *Store) merge(ctx context.Context, tenant string, entries []table.Item) (done bool, err error) {
	added := map[calendar.Day][]dayPart{}
	taken, size := 0, 0
	for _, e := range entries {
		raw, err := r.fetch(ctx, e, "body")
		if err != nil {
			return false, err
		}
		var days map[calendar.Day]dayPart
		if err := json.Unmarshal(raw, &days); err != nil {
			return false, fmt.Errorf("entry %q is damaged: %w", table.TextOf(e, "id"), err)
		}
		grown := len(added)
		for d := range days {
			if _, ok := added[d]; !ok {
				grown++
			}
		}
		if size += len(table.BlobOf(e, "body")); taken > 0 && (grown > compactDays || size > compactBytes) {
			break
		}
		for d, p := range days {
			added[d] = append(added[d], p)
		}
		taken++
	}
	return r.replace(ctx, tenant, entries[:taken], added)
}

// replace writes the days with what is added and removes the entries that it came from.
func (r *Store) replace(ctx context.Context, tenant string, entries []table.Item,
	added map[calendar.Day][]dayPart) (done bool,
	err error) {
	now := r.Now()
	var keys []table.Item
	for _, d := range slices.Sorted(maps.Keys(added)) {
		if until(d) > now.Unix() { // what is older is kept no longer
			keys = append(keys, table.TenantKey(tenant, dayPrefix+string(d)))
		}
	}
	before, err := r.read(ctx, keys)
	if err != nil {
		return false, err
	}
	var writes []types.TransactWriteItem
	var parts, old []table.Item
	for _, key := range keys {
		id := table.TextOf(key, "id")
		put, extra, err := r.day(ctx, key, before[id], added[calendar.Day(id[len(dayPrefix):])])
		if err != nil {
			return false, err
		}
		writes, parts, old = append(writes, types.TransactWriteItem{Put: put}), append(parts, extra...),
			append(old, unnamed(before[id], put.Item)...)
	}
	for _, e := range entries {
		writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{
			TableName: &r.Table, Key: table.TenantKey(tenant, table.TextOf(e, "id")),
			ConditionExpression: awssdk.String("attribute_exists(id)"),
		}})
		old = append(old, partsOf(e, "body")...)
	}
	if err := r.put(ctx, parts); err != nil {
		return false, err
	}
	unmet, err := table.Transact(ctx, r.DB, writes, "")
	if err != nil || len(unmet) > 0 {
		return false, err
	}
	if err := table.RemoveAll(ctx, r.DB, r.Table, old); err != nil {
		r.Log.Warn("rows of daily totals that nothing names are left to their TTL", "tenant", tenant, "rows", len(old),
			"error", err.Error())
	}
	return true, nil
}

func (r *Store) read(ctx context.Context, keys []table.Item) (map[string]table.Item, error) {
	found, err := table.GetAll(ctx, r.DB, r.Table, keys, true)
	if err != nil {
		return nil, err
	}
	by := make(map[string]table.Item, len(found))
	for _, row := range found {
		by[table.TextOf(row, "id")] = row
	}
	return by, nil
}

// day adds day parts to a day's row and returns how it is to be written, with the rows that it names.
func (r *Store) day(ctx context.Context, key, before table.Item, more []dayPart) (put *types.Put, parts []table.Item,
	err error) {
	var p dayPart
	for name, into := range p.sections() {
		raw, err := r.fetch(ctx, before, name)
		if err == nil && len(raw) > 0 {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the %s of %q: %w", name, table.TextOf(key, "id"), err)
		}
	}
	totals := p.totals()
	for _, m := range more {
		totals.Add(m.entry())
	}
	p = dayPartOfTotals(totals)
	expires := until(calendar.Day(table.TextOf(key, "id")[len(dayPrefix):]))
	row := maps.Clone(key)
	row["expires"], row["version"] = table.Number(expires), table.Number(table.NumberOf(before, "version")+1)
	for name, of := range p.sections() {
		raw, err := json.Marshal(of)
		if err != nil {
			return nil, nil, fmt.Errorf("encode the %s of %q: %w", name, table.TextOf(key, "id"), err)
		}
		if string(raw) == "null" {
			continue
		}
		extra, err := store(row, name, raw, sectionInRow, expires)
		if err != nil {
			return nil, nil, err
		}
		if table.TextOf(row, name+"_digest") != table.TextOf(before, name+"_digest") {
			parts = append(parts, extra...)
		}
	}
	put = &types.Put{TableName: &r.Table, Item: row, ConditionExpression: awssdk.String("attribute_not_exists(id)")}
	if before != nil {
		put.ConditionExpression = awssdk.String("#v = :v")
		put.ExpressionAttributeNames = map[string]string{"#v": "version"}
		put.ExpressionAttributeValues = table.Item{":v": before["version"]}
	}
	return put, parts, nil
}

// unnamed are the keys of rows that a day named before and does no longer.
func unnamed(before, now table.Item) (keys []table.Item) {
	for name := range (&dayPart{}).sections() {
		if table.TextOf(before, name+"_digest") != table.TextOf(now, name+"_digest") {
			keys = append(keys, partsOf(before, name)...)
		}
	}
	return keys
}
