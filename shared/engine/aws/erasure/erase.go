package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/erasure"
)

// Store exports and erases tenants.
type Store struct {
	DB     *dynamodb.Client
	Tables Tables
	// SQS and DeadLetters are the queues of what failed, by their names; none where a function only exports.
	SQS         *sqs.Client
	DeadLetters map[string]string // URLs
	Now         func() time.Time
	Log         *slog.Logger
}

var (
	_ erasure.Store  = (*Store)(nil)
	_ erasure.Source = (*Store)(nil)
)

// place is where a pass goes on: in a table after a key, or in a queue.
type place struct {
	Table string                       `json:"t,omitempty"`
	Key   map[string]map[string]string `json:"k,omitempty"` // as DynamoDB writes it
	Queue string                       `json:"q,omitempty"`
}

func (p place) write() string {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // it is texts alone
	}
	return string(raw)
}

func readPlace(text string) (p place, err error) {
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("this is no place among the tables: %w", err)
	}
	return p, nil
}

// among is where the place's table stands among all; the first one where it names none.
func (p place) among(all []kind) (n int, err error) {
	if p.Table == "" {
		return 0, nil
	}
	if n = slices.IndexFunc(all, func(k kind) bool { return k.name == p.Table }); n < 0 {
		return 0, fmt.Errorf("there is no table %s", p.Table)
	}
	return n, nil
}

func (p place) start() table.Item {
	if len(p.Key) == 0 {
		return nil
	}
	out := table.Item{}
	for name, v := range p.Key {
		if n, ok := v["N"]; ok {
			out[name] = &types.AttributeValueMemberN{Value: n}
			continue
		}
		out[name] = table.Text(v["S"])
	}
	return out
}

func after(k kind, key table.Item) place {
	p := place{Table: k.name, Key: map[string]map[string]string{}}
	for name, v := range key {
		switch v := v.(type) {
		case *types.AttributeValueMemberN:
			p.Key[name] = map[string]string{"N": v.Value}
		case *types.AttributeValueMemberS:
			p.Key[name] = map[string]string{"S": v.Value}
		}
	}
	return p
}

// next is where a pass goes on after a table, "" = nowhere.
func (s *Store) next(all []kind, n int) string {
	if n+1 < len(all) {
		return place{Table: all[n+1].name}.write()
	}
	return ""
}

// pagesAtOnce are read of a table in one part, a megabyte each (DynamoDB, "Scan": a page).
const pagesAtOnce = 8

// Erase removes what is found in some pages of one table, or the messages of one queue. The queues come first: their
// messages can be sent again.
func (s *Store) Erase(ctx context.Context, tenant, from string) (rows erasure.Counts, next string, err error) {
	at, err := readPlace(from)
	if err != nil {
		return nil, "", err
	}
	all := s.Tables.kinds()
	if at.Table == "" {
		return s.eraseQueue(ctx, tenant, at, all)
	}
	n, err := at.among(all)
	if err != nil {
		return nil, "", err
	}
	k, rows := all[n], erasure.Counts{}
	start := at.start()
	for range pagesAtOnce {
		items, last, err := s.read(ctx, k, tenant, start)
		if err == nil {
			err = s.remove(ctx, k, items, rows)
		}
		if err != nil {
			return rows, "", fmt.Errorf("erase rows of the table of %s: %w", k.name, err)
		}
		if start = last; last == nil {
			return rows, s.next(all, n), nil
		}
	}
	return rows, after(k, start).write(), nil
}

// eraseQueue goes through one of the queues, in the order of their names.
func (s *Store) eraseQueue(ctx context.Context, tenant string, at place, all []kind) (erasure.Counts, string, error) {
	names := slices.Sorted(maps.Keys(s.DeadLetters))
	n := 0
	if at.Queue != "" {
		n, _ = slices.BinarySearch(names, at.Queue)
	}
	if n >= len(names) {
		return nil, place{Table: all[0].name}.write(), nil
	}
	removed, err := s.drop(ctx, tenant, names[n])
	if err != nil {
		return nil, "", fmt.Errorf("look for messages of the tenant in the queue %s: %w", names[n], err)
	}
	next := place{Table: all[0].name}
	if n+1 < len(names) {
		next = place{Queue: names[n+1]}
	}
	return erasure.Counts{"messages of " + names[n]: removed}, next.write(), nil
}

// read reads a page of a table, and hands over the rows that are the tenant's.
func (s *Store) read(ctx context.Context, k kind, tenant string, start table.Item) (items []table.Item,
	last table.Item, err error) {
	names, values := map[string]string{}, table.Item{}
	condition := ""
	switch {
	case k.is != "":
		condition = "#a = :t"
		names["#a"], values[":t"] = k.is, table.Text(tenant)
	case k.begins != "":
		condition = "begins_with(#a, :t)"
		names["#a"], values[":t"] = k.begins, table.Text(tenant+" ")
	}
	if k.queried {
		page, err := s.DB.Query(ctx, &dynamodb.QueryInput{TableName: &k.at, ConsistentRead: awssdk.Bool(true),
			KeyConditionExpression: &condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
			ExclusiveStartKey: start})
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.LastEvaluatedKey, nil
	}
	in := &dynamodb.ScanInput{TableName: &k.at, ConsistentRead: awssdk.Bool(true), ExclusiveStartKey: start}
	if condition != "" {
		in.FilterExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = &condition, names, values
	}
	page, err := s.DB.Scan(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range page.Items {
		if k.owns != nil {
			mine, err := k.owns(tenant, row)
			if err != nil {
				return nil, nil, err
			}
			if !mine {
				continue
			}
		}
		items = append(items, row)
	}
	return items, page.LastEvaluatedKey, nil
}

func (k kind) keyOf(row table.Item) table.Item {
	key := table.Item{}
	for _, name := range k.key {
		key[name] = row[name]
	}
	return key
}

// remove removes rows, what they name before them. Each part can be done again: what is removed in other tables is
// found by the row, which goes last.
func (s *Store) remove(ctx context.Context, k kind, rows []table.Item, counts erasure.Counts) error {
	var keys []table.Item
	for _, row := range rows {
		if k.before != nil {
			at, others, err := k.before(row)
			if err == nil {
				err = table.RemoveAll(ctx, s.DB, at, others)
			}
			if err != nil {
				return err
			}
			counts[k.name+" (found by others)"] += len(others)
		}
		if k.shared && strings.HasPrefix(table.TextOf(row, k.key[0]), " ") {
			if err := s.removeAsItWas(ctx, k, row); err != nil {
				return err
			}
			counts[k.name]++
			continue
		}
		keys = append(keys, k.keyOf(row))
	}
	if err := table.RemoveAll(ctx, s.DB, k.at, keys); err != nil {
		return err
	}
	counts[k.name] += len(keys)
	return nil
}

// removeAsItWas removes a row unless another tenant has its key by now.
func (s *Store) removeAsItWas(ctx context.Context, k kind, row table.Item) error {
	names, values, condition := map[string]string{"#id": "id"}, table.Item{":id": row["id"]}, "#id = :id"
	if owner, ok := row["owner"]; ok {
		condition += " AND #o = :o"
		names["#o"], values[":o"] = "owner", owner
	}
	_, err := s.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &k.at, Key: k.keyOf(row),
		ConditionExpression: &condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return nil
	}
	return err
}
