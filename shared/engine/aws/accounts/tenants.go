package accounts

import (
	"context"
	"encoding/json"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/tenant"
)

// Tenants keeps which tenants are linked (tenant.Store).
type Tenants struct {
	DB       *dynamodb.Client
	Table    string
	Activity string // the table of the activity log
}

var _ tenant.Store = (*Tenants)(nil)

// Keys of the rows.
const (
	linkedPrefix = "linked to "
	tenantPrefix = "tenant "
)

// linkRow is the row of a linked tenant.
//
//tocsin:table AccountsTable
type linkRow struct {
	table.First
	PK   string `dynamodbav:"pk"`   // linkedPrefix and the technical tenant
	SK   string `dynamodbav:"sk"`   // tenantPrefix and the linked one
	Body []byte `dynamodbav:"body"` // JSON of tenant.Link
}

func linkKey(technical, linked string) table.Item {
	return key(linkedPrefix+technical, tenantPrefix+linked)
}

func (r linkRow) link() (l tenant.Link, err error) {
	if err = json.Unmarshal(r.Body, &l); err != nil {
		err = fmt.Errorf("the row of the link %q of %q is damaged: %w", r.SK, r.PK, err)
	}
	return l, err
}

// Link adds or replaces a link, with the entries of it.
func (s *Tenants) Link(ctx context.Context, l tenant.Link, entries ...activity.Entry) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	row, err := table.Marshal(linkRow{PK: linkedPrefix + l.Technical, SK: tenantPrefix + l.Tenant, Body: raw})
	if err != nil {
		return err
	}
	_, err = s.write(ctx, entries, types.TransactWriteItem{Put: &types.Put{TableName: &s.Table, Item: row}})
	if err != nil {
		return fmt.Errorf("link tenant %s to %s: %w", l.Tenant, l.Technical, err)
	}
	return nil
}

// write makes a change of a link and the entries of it in one transaction.
func (s *Tenants) write(ctx context.Context, entries []activity.Entry, change types.TransactWriteItem) (unmet []int,
	err error) {
	writes, err := activitylog.PutAll(s.Activity, entries)
	if err != nil {
		return nil, err
	}
	return table.Transact(ctx, s.DB, append(writes, change), "")
}

// Unlink removes a link, with the entries of it.
func (s *Tenants) Unlink(ctx context.Context, technical, linked string, entries ...activity.Entry) error {
	unmet, err := s.write(ctx, entries, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.Table,
		Key: linkKey(technical, linked), ConditionExpression: awssdk.String("attribute_exists(pk)")}})
	if err == nil && len(unmet) > 0 {
		err = tenant.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("unlink tenant %s from %s: %w", linked, technical, err)
	}
	return nil
}

// Get reads one link.
func (s *Tenants) Get(ctx context.Context, technical, linked string) (l tenant.Link, err error) {
	row, found, err := table.Get[linkRow](ctx, s.DB, s.Table, linkKey(technical, linked))
	switch {
	case err == nil && !found:
		err = tenant.ErrNotFound
	case err == nil:
		l, err = row.link()
	}
	if err != nil {
		return l, fmt.Errorf("read the link of tenant %s to %s: %w", linked, technical, err)
	}
	return l, nil
}

// List reads a page of links.
func (s *Tenants) List(ctx context.Context, technical, after string, limit int) (out []tenant.Link, err error) {
	in := &dynamodb.QueryInput{TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		Limit:                  awssdk.Int32(int32(min(limit, 1000))),
		KeyConditionExpression: awssdk.String("pk = :pk AND sk > :after"),
		ExpressionAttributeValues: table.Item{":pk": table.Text(linkedPrefix + technical),
			":after": table.Text(tenantPrefix + after)},
	}
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the tenants that are linked to %s: %w", technical, err)
		}
		rows, err := table.UnmarshalAll[linkRow](page.Items)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			l, err := row.link()
			if err != nil {
				return nil, err
			}
			if out = append(out, l); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}
