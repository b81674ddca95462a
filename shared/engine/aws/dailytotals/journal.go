package dailytotals

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// Store is report.DailyTotals on a table with the keys `tenant` and `id`: a journal and days.
//
// What a round of counting adds to a tenant is one entry of the journal, written in one transaction with the marks of
// its intakes (see package counts): an event counts exactly once. A round costs one row, however many counts it
// touches.
//
// Entries are compacted into days: a transaction removes entries and replaces their days, each on the condition that it
// is as it was read. Counting compacts after one round in compactEvery, and a reader compacts what is left before it
// reads, so that it sees all that was counted before it began. A day has four sections, each compressed; one that is
// too large for the day's own row is in rows named by a digest of what they hold, written before the day names them and
// removed when it does so no longer. A day is bounded by the limits of package report, and one day at a time is in
// memory.
//
// Entries and days expire by TTL report.KeepMonths after their day.
type Store struct {
	DB    *dynamodb.Client
	Table string
	Now   func() time.Time
	Log   *slog.Logger

	last atomic.Int64
}

const (
	// compactEvery is after how many rounds of a tenant counting compacts, on average.
	compactEvery = 64
	// compactEntries are compacted at once, together with at most compactDays days if it is more than one entry;
	// compactBytes bounds what they hold in memory before they are decompressed.
	compactEntries, compactDays, compactBytes = 85, 8, 2 << 20
	// compactTries is how often a reader begins again because others were compacting.
	compactTries = 12
	// entryInRow and sectionInRow are in bytes: 99 days of four sections fit into a transaction with that.
	entryInRow, sectionInRow = 64 << 10, 6 << 10
)

// entryRow is the row of an entry of the journal: what a round of counting adds. Its value, as a section of a day,
// stands in the row or, where that is too large, in rows that a digest names: store and fetch work with these names.
//
//tocsin:table DailyTotalsTable
type entryRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`             // entryPrefix, the time and the round
	Body    []byte `dynamodbav:"body,omitempty"` // JSON by day, compressed where that is worth it
	Digest  string `dynamodbav:"body_digest,omitempty"`
	Parts   int    `dynamodbav:"body_parts,omitempty"`
	Expires int64  `dynamodbav:"expires"`
}

// dayRow is the row of a day with its sections.
//
//tocsin:table DailyTotalsTable
type dayRow struct {
	table.First
	Tenant                string `dynamodbav:"tenant"`
	ID                    string `dynamodbav:"id"`      // dayPrefix and the day
	Version               int64  `dynamodbav:"version"` // of the day: it counts its changes
	Counts                []byte `dynamodbav:"counts,omitempty"`
	CountsDigest          string `dynamodbav:"counts_digest,omitempty"`
	CountsParts           int    `dynamodbav:"counts_parts,omitempty"`
	Attacks               []byte `dynamodbav:"attacks,omitempty"`
	AttacksDigest         string `dynamodbav:"attacks_digest,omitempty"`
	AttacksParts          int    `dynamodbav:"attacks_parts,omitempty"`
	Incidents             []byte `dynamodbav:"incidents,omitempty"`
	IncidentsDigest       string `dynamodbav:"incidents_digest,omitempty"`
	IncidentsParts        int    `dynamodbav:"incidents_parts,omitempty"`
	Vulnerabilities       []byte `dynamodbav:"vulnerabilities,omitempty"`
	VulnerabilitiesDigest string `dynamodbav:"vulnerabilities_digest,omitempty"`
	VulnerabilitiesParts  int    `dynamodbav:"vulnerabilities_parts,omitempty"`
	Expires               int64  `dynamodbav:"expires"`
}

// partRow is a part of a value that is too large for its row.
//
//tocsin:table DailyTotalsTable
type partRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"` // see partID
	Data    []byte `dynamodbav:"data"`
	Expires int64  `dynamodbav:"expires"`
}

// Prefixes of ids in the table.
const (
	entryPrefix = "j "
	dayPrefix   = "d "
	partPrefix  = "p "
)

// until is when a day expires, in epoch seconds.
func until(d calendar.Day) int64 {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return 1 // it is no day that anyone can ask for
	}
	return t.AddDate(0, daily.KeepMonths, 2).Unix()
}

// sequence is the time as a text that sorts, each later than the last of this process.
func (r *Store) sequence() string {
	for {
		last := r.last.Load()
		next := max(last+1, r.Now().UnixNano())
		if r.last.CompareAndSwap(last, next) {
			return table.Nanos(next)
		}
	}
}

// Entry makes the journal's row of what a round adds, all of one tenant, and writes what it does not hold itself. Its
// id is made of the time and of the round: two processes may have one time, and the same to add up.
func (r *Store) Entry(ctx context.Context, tenant string, records []daily.Entry, round string) (table.Item, error) {
	days := make(map[calendar.Day]dayPart, len(records))
	expires := int64(0)
	for _, v := range records {
		days[v.Day] = dayPartOf(v)
		expires = max(expires, until(v.Day))
	}
	raw, err := json.Marshal(days)
	if err != nil {
		return nil, fmt.Errorf("encode what is added to the daily totals of tenant %s: %w", tenant, err)
	}
	row := table.TenantKey(tenant, entryPrefix+r.sequence())
	row["expires"] = table.Number(expires)
	parts, err := store(row, "body", raw, entryInRow, expires)
	if err != nil {
		return nil, err
	}
	row["id"] = table.Text(table.TextOf(row, "id") + " " + round)
	return row, r.put(ctx, parts)
}

func (r *Store) put(ctx context.Context, rows []table.Item) error {
	writes := make([]table.Write, len(rows))
	for n, row := range rows {
		writes[n] = table.Write{Table: r.Table, Item: row}
	}
	return table.PutAll(ctx, r.DB, writes)
}

// store puts a value into a row under a name, or, when it is larger than fits, names the rows that it returns.
func store(row table.Item, name string, raw []byte, fits int, expires int64) (parts []table.Item, err error) {
	stored, err := table.Deflate(raw)
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	if len(stored) <= fits {
		row[name] = table.Blob(stored)
		return nil, nil
	}
	sum := sha256.Sum256(stored)
	digest := hex.EncodeToString(sum[:16])
	for n := 0; len(stored) > 0; n++ {
		size := min(table.PartSize, len(stored))
		part, err := table.Marshal(partRow{Tenant: table.TextOf(row, "tenant"), ID: partID(digest, n),
			Data:    stored[:size],
			Expires: expires})
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		stored = stored[size:]
	}
	row[name+"_digest"], row[name+"_parts"] = table.Text(digest), table.Number(len(parts))
	return parts, nil
}

func partID(digest string, n int) string { return fmt.Sprintf("%s%s %d", partPrefix, digest, n) }

// partsOf are the keys of the rows that a row names under a name.
func partsOf(row table.Item, name string) (keys []table.Item) {
	for n := range int(table.NumberOf(row, name+"_parts")) {
		keys = append(keys, table.TenantKey(table.TextOf(row, "tenant"), partID(table.TextOf(row, name+"_digest"), n)))
	}
	return keys
}

// fetch reads what store wrote; nil when there is nothing. Error: errTorn.
func (r *Store) fetch(ctx context.Context, row table.Item, name string) ([]byte, error) {
	keys := partsOf(row, name)
	if len(keys) == 0 {
		return table.Inflate(table.BlobOf(row, name))
	}
	found, err := table.GetAll(ctx, r.DB, r.Table, keys, true)
	if err != nil {
		return nil, err
	}
	if len(found) < len(keys) {
		return nil, table.ErrTorn
	}
	by := make(map[string][]byte, len(found))
	for _, p := range found {
		by[table.TextOf(p, "id")] = table.BlobOf(p, "data")
	}
	var stored []byte
	for _, k := range keys {
		stored = append(stored, by[table.TextOf(k, "id")]...)
	}
	return table.Inflate(stored)
}

// CompactNowAndThen compacts after one entry in compactEvery.
func (r *Store) CompactNowAndThen(ctx context.Context, tenant string, entry table.Item) {
	if sum := sha256.Sum256([]byte(table.TextOf(entry, "id"))); sum[0]%compactEvery != 0 {
		return
	}
	// The entry is safe where it is: a reader, or a later round, compacts it.
	if _, err := r.compact(ctx, tenant); err != nil {
		r.Log.Error("compact the daily totals: a later round does it", "tenant", tenant, "error", err.Error())
	}
}

// days visits a section of each day of a range; raw is nil where it is empty.
func (r *Store) days(ctx context.Context, tenant string, first, last calendar.Day, section string,
	visit func(calendar.Day, []byte) error) error {
	if err := r.compactAll(ctx, tenant); err != nil {
		return err
	}
	names := map[string]string{"#t": "tenant", "#id": "id", "#e": "expires", "#b": section, "#d": section + "_digest",
		"#p": section + "_parts"}
	pages := dynamodb.NewQueryPaginator(r.DB, &dynamodb.QueryInput{
		TableName: &r.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression: awssdk.String("#t = :t AND #id BETWEEN :first AND :last"),
		ProjectionExpression:   awssdk.String("#t, #id, #e, #b, #d, #p"), ExpressionAttributeNames: names,
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant), ":first": table.Text(dayPrefix + string(first)),
			":last": table.Text(dayPrefix + string(last))},
	})
	now := r.Now()
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			if table.Expired(row, now) {
				continue
			}
			raw, err := r.steady(ctx, row, section)
			if err != nil {
				return err
			}
			if err := visit(calendar.Day(strings.TrimPrefix(table.TextOf(row, "id"), dayPrefix)), raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// steady fetches a section, of the day as it is now when it was replaced meanwhile.
func (r *Store) steady(ctx context.Context, row table.Item, section string) ([]byte, error) {
	for range compactTries {
		raw, err := r.fetch(ctx, row, section)
		if !errors.Is(err, table.ErrTorn) {
			return raw, err
		}
		found, err := r.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &r.Table,
			Key:            table.TenantKey(table.TextOf(row, "tenant"), table.TextOf(row, "id")),
			ConsistentRead: awssdk.Bool(true)})
		if err != nil {
			return nil, err
		}
		row = found.Item
	}
	return nil, table.ErrTorn
}
