package accounts

import (
	"context"
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
	"tocsin/shared/token"
)

// Tokens keeps API tokens (token.Store). A token has a row that is found by the secret's digest: a call costs one read
// of it. Two more rows find it: in the list of its tenant, and in the order of what expires.
type Tokens struct {
	DB       *dynamodb.Client
	Table    string
	Activity string // the table of the activity log
}

var _ token.Store = (*Tokens)(nil)

// Keys of the rows.
const (
	tokenPrefix    = "token "
	ofTenantPrefix = "tokens of "
	expiringKey    = "tokens that expire"
)

// tokenRow is the row of an API token.
//
//tocsin:table AccountsTable
type tokenRow struct {
	table.First
	PK       string `dynamodbav:"pk"`   // tokenPrefix and the digest of the secret in hexadecimal
	SK       string `dynamodbav:"sk"`   // alone
	Body     []byte `dynamodbav:"body"` // JSON of token.Token, without its last use
	Revision int64  `dynamodbav:"revision"`
	Used     int64  `dynamodbav:"used"`              // the last use, Unix nanoseconds; 0 = never
	Expires  int64  `dynamodbav:"expires,omitempty"` // epoch seconds
}

// findTokenRow finds an API token.
//
//tocsin:table AccountsTable
type findTokenRow struct {
	table.First
	PK      string `dynamodbav:"pk"`                // ofTenantPrefix and the tenant; expiringKey
	SK      string `dynamodbav:"sk"`                // tokenPrefix and the id; when it expires, and the id
	Digest  string `dynamodbav:"digest"`            // of the secret in hexadecimal
	Expires int64  `dynamodbav:"expires,omitempty"` // epoch seconds
}

func tokenKey(digest string) table.Item { return key(tokenPrefix+digest, alone) }

// forget is the TTL of a token's rows, 0 for none. It is never before the time.
func forget(t token.Token) int64 {
	if at := t.Forget(); !at.IsZero() {
		return at.Unix() + 1
	}
	return 0
}

// listed is the row of the tenant's list.
func listed(t token.Token) findTokenRow {
	return findTokenRow{PK: ofTenantPrefix + t.Tenant, SK: tokenPrefix + t.ID, Digest: hex.EncodeToString(t.Digest),
		Expires: forget(t)}
}

// expiring is the row in the order of what expires.
func expiring(t token.Token) findTokenRow {
	return findTokenRow{PK: expiringKey, SK: table.Nanos(table.UnixNano(t.ExpiresAt)) + " " + t.ID,
		Digest: hex.EncodeToString(t.Digest), Expires: forget(t)}
}

func (s *Tokens) put(row table.Row) (types.TransactWriteItem, error) {
	item, err := table.Marshal(row)
	return types.TransactWriteItem{Put: &types.Put{TableName: &s.Table, Item: item}}, err
}

func body(t token.Token) ([]byte, error) {
	t.LastUsedAt = time.Time{}
	return json.Marshal(t)
}

// Create adds a token, with the entries of it.
func (s *Tokens) Create(ctx context.Context, t token.Token, entries ...activity.Entry) error {
	raw, err := body(t)
	if err != nil {
		return err
	}
	rows := []table.Row{tokenRow{PK: tokenPrefix + hex.EncodeToString(t.Digest), SK: alone, Body: raw,
		Revision: t.Revision, Used: table.UnixNano(t.LastUsedAt), Expires: forget(t)}, listed(t)}
	if !t.ExpiresAt.IsZero() {
		rows = append(rows, expiring(t))
	}
	writes, err := activitylog.PutAll(s.Activity, entries)
	if err != nil {
		return err
	}
	for _, row := range rows {
		w, err := s.put(row)
		if err != nil {
			return err
		}
		writes = append(writes, w)
	}
	if _, err := table.Transact(ctx, s.DB, writes, ""); err != nil {
		return fmt.Errorf("keep API token %s of tenant %s: %w", t.ID, t.Tenant, err)
	}
	return nil
}

// Save replaces a token, but for its last use, with the entries of it.
func (s *Tokens) Save(ctx context.Context, t token.Token, entries ...activity.Entry) error {
	raw, err := body(t)
	if err != nil {
		return err
	}
	list, err := s.put(listed(t))
	if err != nil {
		return err
	}
	change, values := "SET body = :b, revision = :r", table.Item{":b": table.Blob(raw),
		":r": table.Number(t.Revision), ":before": table.Number(t.Revision - 1)}
	if at := forget(t); at != 0 {
		change += ", expires = :e"
		values[":e"] = table.Number(at)
	}
	writes, err := activitylog.PutAll(s.Activity, entries)
	if err != nil {
		return err
	}
	writes = append(writes, types.TransactWriteItem{Update: &types.Update{
		TableName: &s.Table, Key: tokenKey(hex.EncodeToString(t.Digest)), UpdateExpression: &change,
		ConditionExpression: awssdk.String("revision = :before"), ExpressionAttributeValues: values,
	}}, list)
	if t.Quiet() && !t.ExpiresAt.IsZero() {
		row := expiring(t)
		writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.Table,
			Key: key(row.PK, row.SK)}})
	}
	unmet, err := table.Transact(ctx, s.DB, writes, "")
	if err == nil && len(unmet) > 0 {
		err = token.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save API token %s of tenant %s: %w", t.ID, t.Tenant, err)
	}
	return nil
}

func (r tokenRow) token() (t token.Token, err error) {
	if err = json.Unmarshal(r.Body, &t); err != nil {
		return t, fmt.Errorf("the row of an API token is damaged: %w", err)
	}
	t.LastUsedAt = table.Instant(r.Used)
	return t, nil
}

func (s *Tokens) byDigest(ctx context.Context, digest string) (t token.Token, err error) {
	row, found, err := table.Get[tokenRow](ctx, s.DB, s.Table, tokenKey(digest))
	switch {
	case err == nil && !found:
		err = token.ErrNotFound
	case err == nil:
		t, err = row.token()
	}
	if err != nil {
		return t, fmt.Errorf("read an API token: %w", err)
	}
	return t, nil
}

// ByDigest finds the token of a digest.
func (s *Tokens) ByDigest(ctx context.Context, digest []byte) (token.Token, error) {
	return s.byDigest(ctx, hex.EncodeToString(digest))
}

// Get reads one token.
func (s *Tokens) Get(ctx context.Context, tenant, id string) (token.Token, error) {
	row, found, err := table.Get[findTokenRow](ctx, s.DB, s.Table, key(ofTenantPrefix+tenant, tokenPrefix+id))
	if err == nil && !found {
		err = token.ErrNotFound
	}
	if err != nil {
		return token.Token{}, fmt.Errorf("find API token %s of tenant %s: %w", id, tenant, err)
	}
	return s.byDigest(ctx, row.Digest)
}

// found reads the tokens of a query's rows, in their order, until there are as many as asked for. A row whose token has
// gone (TTL takes them one by one) is passed over.
func (s *Tokens) found(ctx context.Context, in *dynamodb.QueryInput, limit int) (out []token.Token, err error) {
	in.TableName, in.ConsistentRead, in.Limit = &s.Table, awssdk.Bool(true), awssdk.Int32(int32(min(limit, 100)))
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() && len(out) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		finders, err := table.UnmarshalAll[findTokenRow](page.Items)
		if err != nil {
			return nil, err
		}
		more, err := s.all(ctx, finders)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out[:min(limit, len(out))], nil
}

// all reads the tokens of rows that find them.
func (s *Tokens) all(ctx context.Context, finders []findTokenRow) (out []token.Token, err error) {
	keys := make([]table.Item, len(finders))
	for n, f := range finders {
		keys[n] = tokenKey(f.Digest)
	}
	items, err := table.GetAll(ctx, s.DB, s.Table, keys, true)
	if err != nil {
		return nil, err
	}
	rows, err := table.UnmarshalAll[tokenRow](items)
	if err != nil {
		return nil, err
	}
	for _, f := range finders {
		n := slices.IndexFunc(rows, func(r tokenRow) bool { return strings.TrimPrefix(r.PK, tokenPrefix) == f.Digest })
		if n < 0 {
			continue
		}
		t, err := rows[n].token()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// List reads a page of a tenant's tokens.
func (s *Tokens) List(ctx context.Context, tenant, before string, limit int) ([]token.Token, error) {
	condition, values := "pk = :pk", table.Item{":pk": table.Text(ofTenantPrefix + tenant)}
	if before != "" {
		condition += " AND sk < :before"
		values[":before"] = table.Text(tokenPrefix + before)
	}
	out, err := s.found(ctx, &dynamodb.QueryInput{KeyConditionExpression: &condition,
		ExpressionAttributeValues: values, ScanIndexForward: awssdk.Bool(false)}, limit)
	if err != nil {
		return nil, fmt.Errorf("list the API tokens of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Used notes a use.
func (s *Tokens) Used(ctx context.Context, t token.Token, at time.Time) error {
	_, err := s.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.Table, Key: tokenKey(hex.EncodeToString(t.Digest)),
		UpdateExpression:          awssdk.String("SET used = :at"),
		ConditionExpression:       awssdk.String("used < :at"), // false where there is no row
		ExpressionAttributeValues: table.Item{":at": table.Number(table.UnixNano(at))},
	})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return nil
	}
	return err
}

// Expiring reads the tokens whose people are to be told.
func (s *Tokens) Expiring(ctx context.Context, until time.Time, limit int) ([]token.Token, error) {
	out, err := s.found(ctx, &dynamodb.QueryInput{
		KeyConditionExpression: awssdk.String("pk = :pk AND sk < :until"),
		ExpressionAttributeValues: table.Item{":pk": table.Text(expiringKey),
			":until": table.Text(table.Nanos(table.UnixNano(until)) + "!")}, // the byte after the space
	}, limit)
	if err != nil {
		return nil, fmt.Errorf("list the API tokens that expire: %w", err)
	}
	return out, nil
}
