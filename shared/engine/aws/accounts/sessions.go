// Package accounts keeps what lets people and programs in, in a table of its own with the keys `pk` and `sk`.
package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/session"
)

// Sessions keeps who is signed in (session.Store), and what was used that is good once (session.Once). A session has a
// row that is found by its cookie, one that is found by its person, so that all of a person can be ended, and one for
// each name by which the identity provider can end it. All expire by TTL, which may take days: that a session has ended
// is its service's to see.
type Sessions struct {
	DB    *dynamodb.Client
	Table string
}

var (
	_ session.Store = (*Sessions)(nil)
	_ session.Once  = (*Sessions)(nil)
)

// Prefixes of the keys.
const (
	sessionPrefix = "session "
	personPrefix  = "person "
	logoutPrefix  = "logout "
	oncePrefix    = "once "
	// alone is the second key of a partition with one row.
	alone = "-"
)

// sessionRow is the row of a session.
//
//tocsin:table AccountsTable
type sessionRow struct {
	table.First
	PK      string `dynamodbav:"pk"`       // sessionPrefix and the digest of the cookie's id
	SK      string `dynamodbav:"sk"`       // alone
	Body    []byte `dynamodbav:"body"`     // JSON of session.Session
	IdleEnd int64  `dynamodbav:"idle_end"` // Unix nanoseconds
	Expires int64  `dynamodbav:"expires"`  // epoch seconds
}

// ofPersonRow finds a session of a person, or one that the identity provider names.
//
//tocsin:table AccountsTable
type ofPersonRow struct {
	table.First
	PK      string `dynamodbav:"pk"`      // personPrefix, tenant, session.PersonOf; logoutPrefix, Session.Logouts
	SK      string `dynamodbav:"sk"`      // sessionPrefix and the digest of the cookie's id
	Expires int64  `dynamodbav:"expires"` // epoch seconds
}

// onceRow notes what was used that is good once.
//
//tocsin:table AccountsTable
type onceRow struct {
	table.First
	PK      string `dynamodbav:"pk"`      // oncePrefix and the digest of what was used
	SK      string `dynamodbav:"sk"`      // alone
	Expires int64  `dynamodbav:"expires"` // epoch seconds
}

func key(pk, sk string) table.Item { return table.Item{"pk": table.Text(pk), "sk": table.Text(sk)} }

func sessionKey(digest string) table.Item { return key(sessionPrefix+digest, alone) }

// personKey is unique: what is between is in no address, and in no subject that is read as a line.
func personKey(tenant, person string) string { return personPrefix + tenant + "\n" + person }

// findersOf are the keys of the rows that find a session.
func findersOf(v session.Session) []string {
	keys := []string{personKey(v.Tenant, v.Person())}
	for _, logout := range v.Logouts() {
		keys = append(keys, logoutPrefix+logout)
	}
	return keys
}

// Create keeps a session.
func (s *Sessions) Create(ctx context.Context, v session.Session) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	expires := v.End.Unix() + 1 // never before its end
	row, err := table.Marshal(sessionRow{PK: sessionPrefix + v.Digest, SK: alone, Body: body,
		IdleEnd: table.UnixNano(v.IdleEnd), Expires: expires})
	if err != nil {
		return err
	}
	writes := []types.TransactWriteItem{{Put: &types.Put{TableName: &s.Table, Item: row}}}
	for _, pk := range findersOf(v) {
		of, err := table.Marshal(ofPersonRow{PK: pk, SK: sessionPrefix + v.Digest, Expires: expires})
		if err != nil {
			return err
		}
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.Table, Item: of}})
	}
	_, err = table.Transact(ctx, s.DB, writes, "")
	return err
}

// Get reads a session.
func (s *Sessions) Get(ctx context.Context, digest string) (v session.Session, err error) {
	row, found, err := table.Get[sessionRow](ctx, s.DB, s.Table, sessionKey(digest))
	switch {
	case err != nil:
		return v, err
	case !found:
		return v, session.ErrNotFound
	}
	if err := json.Unmarshal(row.Body, &v); err != nil {
		return v, fmt.Errorf("the row of a session is damaged: %w", err)
	}
	v.IdleEnd = table.Instant(row.IdleEnd)
	return v, nil
}

// Extend moves the idle end of a session on.
func (s *Sessions) Extend(ctx context.Context, digest string, idleEnd time.Time) error {
	_, err := s.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.Table, Key: sessionKey(digest), UpdateExpression: awssdk.String("SET idle_end = :end"),
		ConditionExpression:       awssdk.String("idle_end < :end"), // false where there is no row
		ExpressionAttributeValues: table.Item{":end": table.Number(table.UnixNano(idleEnd))},
	})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return nil
	}
	return err
}

// Delete ends a session. The rows that find it are of no use without it, and go after it.
func (s *Sessions) Delete(ctx context.Context, digest string) error {
	out, err := s.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.Table, Key: sessionKey(digest),
		ReturnValues: types.ReturnValueAllOld})
	if err != nil || len(out.Attributes) == 0 {
		return err
	}
	var v session.Session
	if err := json.Unmarshal(table.BlobOf(out.Attributes, "body"), &v); err != nil {
		return fmt.Errorf("the row of a session is damaged: %w", err)
	}
	for _, pk := range findersOf(v) {
		if _, err := s.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.Table,
			Key: key(pk, sessionPrefix+digest)}); err != nil {
			return err
		}
	}
	return nil
}

// DeleteOf ends all sessions of a person: first the sessions, then what finds them, so that one that fails in between
// is finished when it is called again.
func (s *Sessions) DeleteOf(ctx context.Context, tenant, person string) (n int, err error) {
	err = s.each(ctx, personKey(tenant, person), func(rows []table.Item) error {
		n += len(rows)
		return nil
	})
	return n, err
}

// DeleteBy ends all that the identity provider names, in the order of DeleteOf.
func (s *Sessions) DeleteBy(ctx context.Context, logout string) (ended []session.Session, err error) {
	err = s.each(ctx, logoutPrefix+logout, func(keys []table.Item) error {
		rows, err := table.GetAll(ctx, s.DB, s.Table, keys, true)
		if err != nil {
			return err
		}
		for _, row := range rows {
			var v session.Session
			if err := json.Unmarshal(table.BlobOf(row, "body"), &v); err != nil {
				return fmt.Errorf("the row of a session is damaged: %w", err)
			}
			ended = append(ended, v)
		}
		return nil
	})
	return ended, err
}

// each ends the sessions that are found below a key, and calls with their keys before.
func (s *Sessions) each(ctx context.Context, pk string, call func(sessions []table.Item) error) error {
	in := &dynamodb.QueryInput{TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression: awssdk.String("pk = :pk AND begins_with(sk, :sk)"),
		ExpressionAttributeValues: table.Item{":pk": table.Text(pk),
			":sk": table.Text(sessionPrefix)}}
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var sessions, finders []table.Item
		for _, row := range page.Items {
			sk := table.TextOf(row, "sk")
			sessions = append(sessions, key(sk, alone))
			finders = append(finders, key(table.TextOf(row, "pk"), sk))
		}
		if err := call(sessions); err != nil {
			return err
		}
		if err := table.RemoveAll(ctx, s.DB, s.Table, sessions); err != nil {
			return err
		}
		if err := table.RemoveAll(ctx, s.DB, s.Table, finders); err != nil {
			return err
		}
	}
	return nil
}

// Use notes that something was used which is good once, and reports whether this was the first time.
func (s *Sessions) Use(ctx context.Context, digest string, until time.Time) (first bool, err error) {
	row, err := table.Marshal(onceRow{PK: oncePrefix + digest, SK: alone, Expires: until.Unix() + 1})
	if err != nil {
		return false, err
	}
	there, err := table.PutNew(ctx, s.DB, s.Table, "pk", row)
	return err == nil && there == nil, err
}
