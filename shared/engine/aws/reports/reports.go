// Package reports keeps reports, their files and their schedule, and hands jobs to the report function by a queue. A
// schedule finds what is due in a sparse index and sends a job for each recipient; the function makes the report and
// publishes its event.
package reports

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// Store is report.Store on a table with the keys `tenant` and `id`, and two sparse indexes: `recent` holds a tenant's
// reports by their time, `due` the reports that wait and the subscriptions of the schedule.
//
// Files are rows of this table, compressed and in parts, not objects of S3: they are some hundred kilobytes, expire
// with their report to the day, need no bucket, no role and no key of their own, and a report is never there without
// them. The table takes a file of any size; a mail takes 40 MB at most, and an answer of the API 6 MB (Lambda quotas,
// "Invocation payload").
//
// A report is removed when another is made, it is older than report.KeepFiles, and report.Kept newer ones are there;
// all expire by TTL after report.KeepMonths.
type Store struct {
	DB    *dynamodb.Client
	Table string
	// Activity is the table of the activity log; "" where nothing that a person does is saved.
	Activity string
	Now      func() time.Time
}

var _ report.Store = (*Store)(nil)

const (
	recentIndex = "recent" // keys: tenant, at
	dueIndex    = "due"    // keys: bucket, due

	settingsID   = "settings"
	reportPrefix = "report "
	filePrefix   = "file "

	// waitingBucket is the partition of the index with the reports that wait, selectedBucket that with those by
	// filters.
	waitingBucket  = "waiting"
	selectedBucket = "waiting by filters"
	// selectedVersion is that of the row of a report by filters while it waits. A release that knows no filters would
	// make it of all events: it refuses the row, and does not look into the partition. Once the report is made its
	// files say by which filters, and its row is of version 1.
	selectedVersion = 2
	// pruneLimit is how many old reports are removed when one is made.
	pruneLimit = 25
)

// settingsRow is the row of a tenant's settings.
//
//tocsin:table ReportsTable
type settingsRow struct {
	table.First
	Tenant string `dynamodbav:"tenant"`
	ID     string `dynamodbav:"id"`   // settingsID
	Body   []byte `dynamodbav:"body"` // JSON of report.Settings
	// Revision is that of the settings.
	Revision int64 `dynamodbav:"revision,omitempty"`
}

// reportRow is the row of a report.
//
//tocsin:table ReportsTable
type reportRow struct {
	V       int64  `dynamodbav:"v,omitempty"` // selectedVersion, of a report by filters that waits
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`               // reportPrefix and the report's id
	Body    []byte `dynamodbav:"body"`             // JSON of report.Report
	At      int64  `dynamodbav:"at"`               // when it was asked for, Unix nanoseconds
	Files   string `dynamodbav:"files,omitempty"`  // JSON: names, types and digests, which name their rows
	Bucket  string `dynamodbav:"bucket,omitempty"` // waitingBucket or selectedBucket, of one that waits
	Due     int64  `dynamodbav:"due,omitempty"`    // likewise: At
	Expires int64  `dynamodbav:"expires,omitempty"`
}

// Newest is selectedVersion.
func (reportRow) Newest() int64 { return selectedVersion }

// fileRow is a part of a report's file.
//
//tocsin:table ReportsTable
type fileRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`   // filePrefix, the report, the file's digest and the number of the part
	Data    []byte `dynamodbav:"data"` // compressed
	Expires int64  `dynamodbav:"expires"`
}

// dueRow is the row of a subscription in the schedule.
//
//tocsin:table ReportsTable
type dueRow struct {
	table.First
	Tenant string `dynamodbav:"tenant"`
	ID     string `dynamodbav:"id"`              // duePrefix, frequency and receiver
	Bucket string `dynamodbav:"bucket"`          // see bucketOf
	Due    int64  `dynamodbav:"due"`             // Unix nanoseconds, 0 for at once
	Since  int64  `dynamodbav:"since,omitempty"` // of the subscription, Unix nanoseconds
	Done   string `dynamodbav:"done,omitempty"`  // the last day that was reported on
}

// fileRef names the rows of a file.
type fileRef struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Digest string `json:"digest"`
	Parts  int    `json:"parts"`
}

func (f fileRef) keys(tenant, id string) (keys []table.Item) {
	for n := range f.Parts {
		keys = append(keys, table.TenantKey(tenant, fmt.Sprintf("%s%s %s %d", filePrefix, id, f.Digest, n)))
	}
	return keys
}

// Settings reads a tenant's settings.
func (r *Store) Settings(ctx context.Context, tenant string) (report.Settings, error) {
	out := report.Settings{Tenant: tenant}
	row, found, err := table.Get[settingsRow](ctx, r.DB, r.Table, table.TenantKey(tenant, settingsID))
	if found {
		err = json.Unmarshal(row.Body, &out)
	}
	if err != nil {
		return out, fmt.Errorf("read the report settings of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// SettingsOf reads the settings of tenants, 100 a call.
func (r *Store) SettingsOf(ctx context.Context, tenants []string) (map[string]report.Settings, error) {
	out := make(map[string]report.Settings, len(tenants))
	keys := make([]table.Item, len(tenants))
	for n, tenant := range tenants {
		out[tenant], keys[n] = report.Settings{Tenant: tenant}, table.TenantKey(tenant, settingsID)
	}
	rows, err := table.GetAll(ctx, r.DB, r.Table, keys, true)
	if err != nil {
		return nil, fmt.Errorf("read the report settings of %d tenants: %w", len(tenants), err)
	}
	all, err := table.UnmarshalAll[settingsRow](rows)
	if err != nil {
		return nil, err
	}
	for _, row := range all {
		var v report.Settings
		if err := json.Unmarshal(row.Body, &v); err != nil {
			return nil, fmt.Errorf("the report settings of tenant %s are damaged: %w", row.Tenant, err)
		}
		out[row.Tenant] = v
	}
	return out, nil
}

// SaveSettings replaces them, then has the schedule look at the tenant's reports anew. If it breaks off in between,
// what it did not reach yet is looked at once more at the time of the old zone.
func (r *Store) SaveSettings(ctx context.Context, v report.Settings, e activity.Entry) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	row, err := table.Marshal(settingsRow{Tenant: v.Tenant, ID: settingsID, Body: body, Revision: v.Revision})
	var entry types.TransactWriteItem
	if err == nil {
		entry, err = activitylog.Put(r.Activity, e)
	}
	if err == nil {
		put := &types.Put{TableName: &r.Table, Item: row}
		switch {
		case v.Revision == 1:
			put.ConditionExpression = awssdk.String("attribute_not_exists(revision)")
		case v.Revision > 1:
			put.ConditionExpression = awssdk.String("revision = :before")
			put.ExpressionAttributeValues = table.Item{":before": table.Number(v.Revision - 1)}
		}
		var unmet []int
		if unmet, err = table.Transact(ctx, r.DB, []types.TransactWriteItem{{Put: put}, entry}, ""); len(unmet) > 0 {
			err = report.ErrConflict
		}
	}
	if err == nil {
		err = r.forget(ctx, v.Tenant)
	}
	if err != nil {
		return fmt.Errorf("save the report settings of tenant %s: %w", v.Tenant, err)
	}
	return nil
}

// Save inserts or replaces a report; files are written first.
func (r *Store) Save(ctx context.Context, v report.Report, files []report.File, entries ...activity.Entry) error {
	if err := r.save(ctx, v, files, entries); err != nil {
		return fmt.Errorf("save report %s of tenant %s: %w", v.ID, v.Tenant, err)
	}
	if len(files) == 0 {
		return nil
	}
	if err := r.prune(ctx, v.Tenant); err != nil {
		return fmt.Errorf("remove old reports of tenant %s: %w", v.Tenant, err)
	}
	return nil
}

func (r *Store) save(ctx context.Context, v report.Report, files []report.File, entries []activity.Entry) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	expires := v.CreatedAt.AddDate(0, daily.KeepMonths, 0).Unix()
	changes := table.Item{"body": table.Blob(body), "at": table.Number(v.CreatedAt.UnixNano()),
		"expires": table.Number(expires), "bucket": nil,
		"due": nil, "v": nil}
	if v.State == report.Waiting {
		changes["bucket"], changes["due"] = table.Text(waitingBucket), table.Number(v.CreatedAt.UnixNano())
		if len(v.Filters) > 0 {
			changes["bucket"], changes["v"] = table.Text(selectedBucket), table.Number(selectedVersion)
		}
	}
	if len(files) > 0 {
		refs, err := r.saveFiles(ctx, v, files, expires)
		if err != nil {
			return err
		}
		changes["files"] = table.Text(string(refs))
	}
	names, values := map[string]string{}, table.Item{}
	key, update := table.TenantKey(v.Tenant, reportPrefix+v.ID), table.Update(changes, names, values)
	if len(entries) == 0 { // half the price
		_, err = r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &r.Table, Key: key,
			UpdateExpression: &update, ExpressionAttributeNames: names, ExpressionAttributeValues: values})
		return err
	}
	writes, err := activitylog.PutAll(r.Activity, entries)
	if err != nil {
		return err
	}
	_, err = table.Transact(ctx, r.DB, append(writes, types.TransactWriteItem{Update: &types.Update{
		TableName: &r.Table, Key: key, UpdateExpression: &update, ExpressionAttributeNames: names,
		ExpressionAttributeValues: values}}), "")
	return err
}

func (r *Store) saveFiles(ctx context.Context, v report.Report, files []report.File, expires int64) (refs []byte,
	err error) {
	var list []fileRef
	var writes []table.Write
	for _, f := range files {
		stored, err := table.Deflate(f.Data)
		if err != nil {
			return nil, fmt.Errorf("compress %s: %w", f.Name, err)
		}
		sum := sha256.Sum256(append([]byte(f.Name+"\x00"), stored...))
		ref := fileRef{Name: f.Name, Type: f.Type, Digest: hex.EncodeToString(sum[:16]),
			Parts: (len(stored) + table.PartSize - 1) / table.PartSize}
		for n, key := range ref.keys(v.Tenant, v.ID) {
			row, err := table.Marshal(fileRow{Tenant: v.Tenant, ID: table.TextOf(key, "id"), Expires: expires,
				Data: stored[n*table.PartSize : min(len(stored), (n+1)*table.PartSize)]})
			if err != nil {
				return nil, err
			}
			writes = append(writes, table.Write{Table: r.Table, Item: row})
		}
		list = append(list, ref)
	}
	if err := table.PutAll(ctx, r.DB, writes); err != nil {
		return nil, fmt.Errorf("write %d files: %w", len(files), err)
	}
	return json.Marshal(list)
}

func readReport(row table.Item) (v report.Report, err error) {
	r, err := table.Unmarshal[reportRow](row)
	if err == nil {
		err = json.Unmarshal(r.Body, &v)
	}
	if err != nil {
		err = fmt.Errorf("the row %q of tenant %s is damaged: %w", table.TextOf(row, "id"),
			table.TextOf(row, "tenant"), err)
	}
	return v, err
}

// row reads a report's row. Error: report.ErrNotFound.
func (r *Store) row(ctx context.Context, tenant, id string) (table.Item, error) {
	found, err := r.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &r.Table,
		Key:            table.TenantKey(tenant, reportPrefix+id),
		ConsistentRead: awssdk.Bool(true)})
	if err == nil && (found.Item == nil || table.Expired(found.Item, r.Now())) {
		err = report.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return found.Item, nil
}

// Get reads one report.
func (r *Store) Get(ctx context.Context, tenant, id string) (report.Report, error) {
	row, err := r.row(ctx, tenant, id)
	var v report.Report
	if err == nil {
		v, err = readReport(row)
	}
	if err != nil {
		return v, fmt.Errorf("read report %s of tenant %s: %w", id, tenant, err)
	}
	return v, nil
}

// recent reads rows of the index of reports, none younger than the time given.
func (r *Store) recent(ctx context.Context, tenant string, until time.Time, oldest bool, limit int) ([]table.Item,
	error) {
	out, err := r.DB.Query(ctx, &dynamodb.QueryInput{
		TableName: &r.Table, IndexName: awssdk.String(recentIndex), ScanIndexForward: &oldest,
		Limit:                     awssdk.Int32(int32(limit)),
		KeyConditionExpression:    awssdk.String("#t = :t AND #at <= :until"),
		ExpressionAttributeNames:  map[string]string{"#t": "tenant", "#at": "at"},
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant), ":until": table.Number(until.UnixNano())},
	})
	if err != nil {
		return nil, err
	}
	now := r.Now()
	return slices.DeleteFunc(out.Items, func(row table.Item) bool { return table.Expired(row, now) }), nil
}

// ever is after every time that can be written.
var ever = time.Unix(0, 1<<63-1)

// Recent lists the newest reports. The index is behind the table by milliseconds.
func (r *Store) Recent(ctx context.Context, tenant string, limit int) (out []report.Report, err error) {
	rows, err := r.recent(ctx, tenant, ever, false, limit)
	for n := 0; err == nil && n < len(rows); n++ {
		var v report.Report
		v, err = readReport(rows[n])
		out = append(out, v)
	}
	if err != nil {
		return nil, fmt.Errorf("list the reports of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// prune removes reports that are neither young nor among the newest.
func (r *Store) prune(ctx context.Context, tenant string) error {
	newest, err := r.recent(ctx, tenant, ever, false, report.Kept)
	if err != nil {
		return err
	}
	old, err := r.recent(ctx, tenant, r.Now().Add(-daily.KeepFiles), true, pruneLimit)
	if err != nil {
		return err
	}
	var keys []table.Item
	for _, row := range old {
		same := func(n table.Item) bool { return table.TextOf(n, "id") == table.TextOf(row, "id") }
		if table.TextOf(row, "bucket") != "" || slices.ContainsFunc(newest, same) {
			continue
		}
		refs, err := filesOf(row)
		if err != nil {
			return err
		}
		for _, f := range refs {
			keys = append(keys, f.keys(tenant, strings.TrimPrefix(table.TextOf(row, "id"), reportPrefix))...)
		}
		keys = append(keys, table.TenantKey(tenant, table.TextOf(row, "id")))
	}
	return table.RemoveAll(ctx, r.DB, r.Table, keys)
}

func filesOf(row table.Item) (refs []fileRef, err error) {
	if raw := table.TextOf(row, "files"); raw != "" {
		if err = json.Unmarshal([]byte(raw), &refs); err != nil {
			err = fmt.Errorf("the files of %q are damaged: %w", table.TextOf(row, "id"), err)
		}
	}
	return refs, err
}

// File reads a file of a report.
func (r *Store) File(ctx context.Context, tenant, id, name string) (report.File, error) {
	f, err := r.file(ctx, tenant, id, name)
	if err != nil {
		return report.File{}, fmt.Errorf("read file %s of report %s of tenant %s: %w", name, id, tenant, err)
	}
	return f, nil
}

func (r *Store) file(ctx context.Context, tenant, id, name string) (f report.File, err error) {
	row, err := r.row(ctx, tenant, id)
	if err != nil {
		return f, err
	}
	refs, err := filesOf(row)
	if err != nil {
		return f, err
	}
	n := slices.IndexFunc(refs, func(ref fileRef) bool { return ref.Name == name })
	if n < 0 {
		return f, report.ErrNotFound
	}
	keys := refs[n].keys(tenant, id)
	rows, err := table.GetAll(ctx, r.DB, r.Table, keys, true)
	if err != nil {
		return f, err
	}
	if len(rows) < len(keys) {
		return f, report.ErrNotFound // it was replaced or removed meanwhile
	}
	by := make(map[string][]byte, len(rows))
	for _, p := range rows {
		by[table.TextOf(p, "id")] = table.BlobOf(p, "data")
	}
	var stored []byte
	for _, k := range keys {
		stored = append(stored, by[table.TextOf(k, "id")]...)
	}
	f = report.File{Name: name, Type: refs[n].Type}
	f.Data, err = table.Inflate(stored)
	return f, err
}

// Waiting lists the reports that are to be made. The index is behind the table by milliseconds.
func (r *Store) Waiting(ctx context.Context, limit int) ([]report.Report, error) {
	var out []report.Report
	rows, err := r.bucket(ctx, waitingBucket, ever, limit)
	if more := limit - len(rows); err == nil && more > 0 {
		var selected []table.Item
		selected, err = r.bucket(ctx, selectedBucket, ever, more)
		rows = append(rows, selected...)
	}
	for _, row := range rows {
		if err != nil {
			break
		}
		var v report.Report
		v, err = r.Get(ctx, table.TextOf(row, "tenant"), strings.TrimPrefix(table.TextOf(row, "id"), reportPrefix))
		switch {
		case errors.Is(err, report.ErrNotFound):
			err = nil
		case err == nil && v.State == report.Waiting:
			out = append(out, v)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the reports that wait: %w", err)
	}
	return out, nil
}

// bucket reads the first rows of a partition of the index of what is due.
func (r *Store) bucket(ctx context.Context, name string, until time.Time, limit int) ([]table.Item, error) {
	out, err := r.DB.Query(ctx, &dynamodb.QueryInput{
		TableName: &r.Table, IndexName: awssdk.String(dueIndex), Limit: awssdk.Int32(int32(limit)),
		KeyConditionExpression:    awssdk.String("#b = :b AND #due <= :until"),
		ExpressionAttributeNames:  map[string]string{"#b": "bucket", "#due": "due"},
		ExpressionAttributeValues: table.Item{":b": table.Text(name), ":until": table.Number(until.UnixNano())},
	})
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

// duePrefix begins the id of a row of the schedule: frequency and receiver follow.
const duePrefix = "due "

// buckets are the partitions of the index that hold the schedule: each takes some thousand changes a second (DynamoDB,
// "Best practices for partition keys"), and one look reads the first rows of each, however many tenants there are.
const buckets = 8

func bucketOf(tenant, receiver string) string {
	sum := sha256.Sum256([]byte(tenant + " " + receiver))
	return bucketName(int(sum[0]) % buckets)
}

func bucketName(n int) string { return fmt.Sprintf("due %d", n) }

func dueKey(tenant, receiver string, f calendar.Frequency) table.Item {
	return table.TenantKey(tenant, duePrefix+string(f)+" "+receiver)
}

// Due lists subscriptions whose time has come. The index has the keys alone and is behind the table by milliseconds:
// the rows are read from the table, and those that were moved on this instant are not among them.
func (r *Store) Due(ctx context.Context, now time.Time, limit int) (out []report.Subscription, err error) {
	pages := make([]*dynamodb.QueryPaginator, buckets)
	for n := range pages {
		pages[n] = r.duePages(bucketName(n), now, limit)
	}
	for more := true; more && len(out) < limit; {
		var found []table.Item
		more = false
		for _, p := range pages {
			if !p.HasMorePages() {
				continue
			}
			page, err := p.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("list due reports: %w", err)
			}
			found, more = append(found, page.Items...), more || p.HasMorePages()
		}
		slices.SortStableFunc(found, func(a, b table.Item) int {
			return cmp.Compare(table.NumberOf(a, "due"), table.NumberOf(b, "due"))
		})
		for chunk := range slices.Chunk(found, limit) {
			if len(out) >= limit {
				break
			}
			some, err := r.stillDue(ctx, chunk, now)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	slices.SortStableFunc(out, func(a, b report.Subscription) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Receiver, b.Receiver))
	})
	return out[:min(len(out), limit)], nil
}

func (r *Store) duePages(bucket string, now time.Time, limit int) *dynamodb.QueryPaginator {
	return dynamodb.NewQueryPaginator(r.DB, &dynamodb.QueryInput{
		TableName: &r.Table, IndexName: awssdk.String(dueIndex), Limit: awssdk.Int32(int32(limit)),
		KeyConditionExpression:    awssdk.String("#b = :b AND #due <= :until"),
		ExpressionAttributeNames:  map[string]string{"#b": "bucket", "#due": "due"},
		ExpressionAttributeValues: table.Item{":b": table.Text(bucket), ":until": table.Number(now.UnixNano())},
	})
}

// stillDue reads the rows that rows of the index name.
func (r *Store) stillDue(ctx context.Context, index []table.Item, now time.Time) (out []report.Subscription,
	err error) {
	keys := make([]table.Item, len(index))
	for n, row := range index {
		keys[n] = table.TenantKey(table.TextOf(row, "tenant"), table.TextOf(row, "id"))
	}
	rows, err := table.GetAll(ctx, r.DB, r.Table, keys, true)
	if err != nil {
		return nil, fmt.Errorf("read %d due reports: %w", len(keys), err)
	}
	all, err := table.UnmarshalAll[dueRow](rows)
	if err != nil {
		return nil, err
	}
	for _, row := range all {
		if row.Due <= now.UnixNano() && row.Bucket != "" {
			out = append(out, readDue(row))
		}
	}
	return out, nil
}

func readDue(row dueRow) report.Subscription {
	frequency, receiver, _ := strings.Cut(strings.TrimPrefix(row.ID, duePrefix), " ")
	return report.Subscription{
		Tenant: row.Tenant, Receiver: receiver, Frequency: calendar.Frequency(frequency), Due: table.Instant(row.Due),
		Since: table.Instant(row.Since), Done: calendar.Day(row.Done),
	}
}

// Reschedule moves subscriptions on, 25 a call.
func (r *Store) Reschedule(ctx context.Context, moves []report.Move) error {
	statement := fmt.Sprintf(
		`UPDATE "%s" SET "due" = ? SET "done" = ? SET "since" = ? WHERE "tenant" = ? AND "id" = ? AND "due" = ?`,
		r.Table)
	for chunk := range slices.Chunk(moves, table.StatementLimit) {
		in := &dynamodb.BatchExecuteStatementInput{}
		for _, m := range chunk {
			key := dueKey(m.Tenant, m.Receiver, m.Frequency)
			in.Statements = append(in.Statements,
				types.BatchStatementRequest{Statement: &statement, Parameters: []types.AttributeValue{
					table.Number(m.Next.UnixNano()), table.Text(string(m.Done)), table.Number(table.UnixNano(m.Since)),
					key["tenant"],
					key["id"],
					table.Number(table.UnixNano(m.Due)),
				}})
		}
		out, err := r.DB.BatchExecuteStatement(ctx, in)
		if err != nil {
			return fmt.Errorf("schedule the reports of %d subscriptions: %w", len(chunk), err)
		}
		for n, answer := range out.Responses {
			// it was moved meanwhile, or has gone
			if e := answer.Error; e != nil && e.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed {
				return fmt.Errorf("schedule the reports of %s: %s: %s", chunk[n].Receiver, e.Code,
					awssdk.ToString(e.Message))
			}
		}
	}
	return nil
}

// forget has the schedule look at the tenant's subscriptions anew.
func (r *Store) forget(ctx context.Context, tenant string) error {
	pages := dynamodb.NewQueryPaginator(r.DB, &dynamodb.QueryInput{
		TableName: &r.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t AND begins_with(id, :due)"),
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant), ":due": table.Text(duePrefix)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName: &r.Table, Key: table.TenantKey(tenant, table.TextOf(row, "id")),
				UpdateExpression:          awssdk.String("SET #due = :never"),
				ConditionExpression:       awssdk.String("attribute_exists(id)"),
				ExpressionAttributeNames:  map[string]string{"#due": "due"},
				ExpressionAttributeValues: table.Item{":never": table.Number(0)},
			})
			var gone *types.ConditionalCheckFailedException
			if err != nil && !errors.As(err, &gone) {
				return err
			}
		}
	}
	return nil
}

// Subscribe are the writes that make a receiver's rows of the schedule those of the frequencies given: what stays keeps
// its time, what is new is subscribed since the time given. They go into the transaction that changes the receiver.
func Subscribe(schedule, tenant, receiver string, since time.Time,
	frequencies []calendar.Frequency) (out []types.TransactWriteItem) {
	for _, f := range calendar.Frequencies() {
		key := dueKey(tenant, receiver, f)
		if !slices.Contains(frequencies, f) {
			out = append(out, types.TransactWriteItem{Delete: &types.Delete{TableName: &schedule, Key: key}})
			continue
		}
		out = append(out, types.TransactWriteItem{Update: &types.Update{
			TableName: &schedule, Key: key,
			UpdateExpression: awssdk.String(
				"SET #due = if_not_exists(#due, :never), since = if_not_exists(since, :since), #b = :b"),
			ExpressionAttributeNames: map[string]string{"#due": "due", "#b": "bucket"},
			ExpressionAttributeValues: table.Item{":never": table.Number(0),
				":since": table.Number(table.UnixNano(since)),
				":b":     table.Text(bucketOf(tenant, receiver))},
		}})
	}
	return out
}
