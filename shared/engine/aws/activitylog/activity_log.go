// Package activitylog keeps the activity log in a table of its own. An entry of a change is written in the transaction
// of the change: see Put.
package activitylog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
)

// Log is activity.Store on a table with the keys `month` and `id`. A tenant has a partition for each month, so that one
// which changes much for years is no hot partition. Two indexes find the entries of an object and of a person; what a
// query narrows beside these is filtered as it is read. Entries expire by TTL.
type Log struct {
	DB    *dynamodb.Client
	Table string
	Now   func() time.Time
}

var _ activity.Store = (*Log)(nil)

// The indexes.
const (
	byObject = "object"
	byPerson = "person"
)

// entryRow is the row of an entry.
//
//tocsin:table ActivityTable
type entryRow struct {
	table.First
	Month   string `dynamodbav:"month"`            // tenant and month, see monthOf
	ID      string `dynamodbav:"id"`               // when, and the entry's id: see activity.Entry.Place
	Object  string `dynamodbav:"object,omitempty"` // tenant and the object's id, the key of an index
	Person  string `dynamodbav:"person,omitempty"` // tenant and who did it, the key of an index
	Type    string `dynamodbav:"type"`             // of the object
	Action  string `dynamodbav:"action"`
	Source  string `dynamodbav:"source"`
	Body    []byte `dynamodbav:"body"`    // JSON of activity.Entry, compressed where that is worth it
	Expires int64  `dynamodbav:"expires"` // epoch seconds
}

func monthOf(tenant string, at time.Time) string { return tenant + " " + at.UTC().Format("2006-01") }

// Put is the write of an entry, for the transaction of the change that it tells of.
func Put(name string, e activity.Entry) (types.TransactWriteItem, error) {
	row, err := item(e)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	return types.TransactWriteItem{Put: &types.Put{TableName: &name, Item: row}}, nil
}

// PutAll are the writes of entries.
func PutAll(name string, entries []activity.Entry) (out []types.TransactWriteItem, err error) {
	for _, e := range entries {
		write, err := Put(name, e)
		if err != nil {
			return nil, err
		}
		out = append(out, write)
	}
	return out, nil
}

func item(e activity.Entry) (table.Item, error) {
	body, err := json.Marshal(e)
	if err == nil {
		body, err = table.Deflate(body)
	}
	if err != nil {
		return nil, fmt.Errorf("encode entry %s of the activity log: %w", e.ID, err)
	}
	r := entryRow{Month: monthOf(e.Tenant, e.At), ID: e.Place(), Type: string(e.Object), Action: string(e.Action),
		Source: string(e.Source), Body: body, Expires: activity.Expires(e.At).Unix()}
	if e.ObjectID != "" {
		r.Object = e.Tenant + " " + e.ObjectID
	}
	if person := e.PersonKey(); person != "" {
		r.Person = e.Tenant + " " + person
	}
	return table.Marshal(r)
}

// Append adds an entry by itself.
func (l *Log) Append(ctx context.Context, e activity.Entry) error {
	row, err := item(e)
	if err != nil {
		return err
	}
	if _, err := l.DB.PutItem(ctx, &dynamodb.PutItemInput{TableName: &l.Table, Item: row}); err != nil {
		return fmt.Errorf("write entry %s of the activity log: %w", e.ID, err)
	}
	return nil
}

// Limits of one answer, so that a filter which finds little does not read a year at once.
const (
	readAtOnce = 500
	readAtMost = 4000
)

// List answers a query.
func (l *Log) List(ctx context.Context, q activity.Query) (activity.Page, error) {
	s := search{query: q, first: activity.Place(activity.Oldest(l.Now())), last: delivery.GreatestID}
	if from := activity.Place(q.From); !q.From.IsZero() && from > s.first {
		s.first = from
	}
	if !q.To.IsZero() {
		s.last = activity.Place(q.To)
	}
	if q.Before != "" && q.Before < s.last {
		s.last = q.Before
	}
	for _, in := range s.partitions(l.Now()) {
		in.TableName = &l.Table
		if err := s.read(ctx, l.DB, in); err != nil {
			return s.page, fmt.Errorf("list the activity of tenant %s: %w", q.Tenant, err)
		}
		if s.done {
			break
		}
	}
	return s.page, nil
}

// search is a query at work.
type search struct {
	query       activity.Query
	first, last string // places, last left out
	page        activity.Page
	count       int // rows that were read
	done        bool
}

// partitions are the reads of a query, the newest first.
func (s *search) partitions(now time.Time) (out []*dynamodb.QueryInput) {
	switch {
	case s.first >= s.last:
		return nil
	case s.query.ObjectID != "":
		return []*dynamodb.QueryInput{s.between(byObject, s.query.Tenant+" "+s.query.ObjectID, byObject)}
	case s.query.Person != "":
		return []*dynamodb.QueryInput{s.between(byPerson, s.query.Tenant+" "+s.query.Person, byPerson)}
	}
	newest, oldest := now.UTC().AddDate(0, 0, 1), activity.Oldest(now).UTC() // clocks differ
	for month := firstOf(newest); !month.Before(firstOf(oldest)); month = month.AddDate(0, -1, 0) {
		if activity.Place(month) < s.last && activity.Place(month.AddDate(0, 1, 0)) > s.first {
			out = append(out, s.between("month", monthOf(s.query.Tenant, month), ""))
		}
	}
	return out
}

func firstOf(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// between reads a partition of the table or of an index.
func (s *search) between(key, value, index string) *dynamodb.QueryInput {
	in := table.Between(key, value, s.first, s.last)
	in.ScanIndexForward = awssdk.Bool(false)
	if index != "" {
		in.IndexName = &index
	}
	var conditions []string
	for _, f := range []struct{ name, value string }{{"type", string(s.query.Object)},
		{"action", string(s.query.Action)}, {"source", string(s.query.Source)},
		{"person", s.query.Person}} {
		if f.value == "" || f.name == key {
			continue
		}
		if f.name == "person" {
			f.value = s.query.Tenant + " " + f.value
		}
		conditions = append(conditions, "#"+f.name+" = :"+f.name)
		in.ExpressionAttributeNames["#"+f.name] = f.name
		in.ExpressionAttributeValues[":"+f.name] = table.Text(f.value)
	}
	in.Limit = awssdk.Int32(int32(min(s.query.Limit+1, readAtOnce)))
	if len(conditions) > 0 {
		in.FilterExpression = awssdk.String(strings.Join(conditions, " AND "))
		in.Limit = awssdk.Int32(readAtOnce)
	}
	return in
}

// read adds what a partition has, until the page is full or so many rows were read.
func (s *search) read(ctx context.Context, db *dynamodb.Client, in *dynamodb.QueryInput) error {
	for {
		out, err := db.Query(ctx, in)
		if err != nil {
			return err
		}
		for _, row := range out.Items {
			if table.TextOf(row, "id") == s.last {
				continue
			}
			if len(s.page.Entries) == s.query.Limit {
				s.page.Next, s.done = s.page.Entries[s.query.Limit-1].Place(), true
				return nil
			}
			e, err := read(row)
			if err != nil {
				return err
			}
			s.page.Entries = append(s.page.Entries, e)
		}
		if s.count += int(out.ScannedCount); len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		if s.count >= readAtMost {
			s.page.Next, s.done = table.TextOf(out.LastEvaluatedKey, "id"), true
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func read(row table.Item) (e activity.Entry, err error) {
	r, err := table.Unmarshal[entryRow](row)
	var body []byte
	if err == nil {
		body, err = table.Inflate(r.Body)
	}
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		return e, fmt.Errorf("the row %q of the activity log is damaged: %w", r.ID, err)
	}
	return e, nil
}
