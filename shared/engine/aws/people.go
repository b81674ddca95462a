package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/mail"
	"tocsin/shared/profile"
)

// People is profile.Store on a table with the keys `tenant` and `id`, which Blocks shares. A change is written in one
// transaction with the person's rows of the schedule.
type People struct {
	DB       *dynamodb.Client
	Table    string
	Schedule string // the table of Reports
}

// SuppressionList is mail.Blocks on the table of People.
type SuppressionList struct {
	DB    *dynamodb.Client
	Table string
}

var (
	_ profile.Store        = (*People)(nil)
	_ mail.SuppressionList = (*SuppressionList)(nil)
)

// Prefixes of ids in the table. The byte after a prefix's last sorts after all that begins with it.
const (
	personPrefix, personsEnd = "p ", "p!"
	blockPrefix, blocksEnd   = "b ", "b!"
	// blockSplit stands between the address and the integration of a block's id: no address has it, and it sorts before
	// all that an address can have, so that all blocks of an address stand together.
	blockSplit, afterBlockSplit = "\n", "\v"
)

// Get reads one person.
func (p *People) Get(ctx context.Context, tenant, id string) (v profile.Profile, err error) {
	found, err := p.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &p.Table, Key: recordKey(tenant, personPrefix+id),
		ConsistentRead: awssdk.Bool(true)})
	switch {
	case err == nil && found.Item == nil:
		err = profile.ErrNotFound
	case err == nil:
		err = json.Unmarshal(blobOf(found.Item, "body"), &v)
	}
	if err != nil {
		return v, fmt.Errorf("read person %s of tenant %s: %w", id, tenant, err)
	}
	return v, nil
}

// Several reads people, 100 a call.
func (p *People) Several(ctx context.Context, keys []profile.Key) ([]profile.Profile, error) {
	wanted := make([]item, len(keys))
	for n, k := range keys {
		wanted[n] = recordKey(k.Tenant, personPrefix+k.ID)
	}
	rows, err := getAll(ctx, p.DB, p.Table, wanted, true)
	if err != nil {
		return nil, fmt.Errorf("read %d people: %w", len(keys), err)
	}
	out := make([]profile.Profile, len(rows))
	for n, row := range rows {
		if err := json.Unmarshal(blobOf(row, "body"), &out[n]); err != nil {
			return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", textOf(row, "id"), textOf(row, "tenant"),
				err)
		}
	}
	return out, nil
}

// Save writes one person and the subscriptions.
func (p *People) Save(ctx context.Context, v profile.Profile) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	row := recordKey(v.Tenant, personPrefix+v.ID)
	row["body"], row["revision"] = blob(body), number(v.Revision)
	put := &types.Put{TableName: &p.Table, Item: row, ConditionExpression: awssdk.String("attribute_not_exists(id)")}
	if v.Revision > 1 {
		put.ConditionExpression, put.ExpressionAttributeValues = awssdk.String("revision = :before"),
			item{":before": number(v.Revision - 1)}
	}
	unmet, err := transact(ctx, p.DB, append([]types.TransactWriteItem{{Put: put}},
		subscribe(p.Schedule, v.Tenant, v.ID, v.UpdatedAt, v.Told().Reports())...), "")
	if err == nil && len(unmet) > 0 {
		err = profile.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save person %s of tenant %s: %w", v.ID, v.Tenant, err)
	}
	return nil
}

// Delete forgets one person.
func (p *People) Delete(ctx context.Context, tenant, id string) error {
	writes := append([]types.TransactWriteItem{
		{Delete: &types.Delete{TableName: &p.Table, Key: recordKey(tenant, personPrefix+id)}}}, subscribe(p.Schedule,
		tenant, id, time.Time{}, nil)...)
	if _, err := transact(ctx, p.DB, writes, ""); err != nil {
		return fmt.Errorf("forget person %s of tenant %s: %w", id, tenant, err)
	}
	return nil
}

// span queries the ids of a tenant after one and before another.
func span(table, tenant, after, before string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t AND id BETWEEN :after AND :before"),
		ExpressionAttributeValues: item{":t": text(tenant), ":after": text(after), ":before": text(before)},
	}
}

// List reads a page of people.
func (p *People) List(ctx context.Context, tenant, after string, limit int) (out []profile.Profile, err error) {
	first := personPrefix
	if after != "" {
		first += after + "\x00" // the next text there can be
	}
	in := span(p.Table, tenant, first, personsEnd)
	in.Limit = awssdk.Int32(int32(min(limit, 1000)))
	pages := dynamodb.NewQueryPaginator(p.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the people of tenant %s: %w", tenant, err)
		}
		for _, row := range page.Items {
			var v profile.Profile
			if err := json.Unmarshal(blobOf(row, "body"), &v); err != nil {
				return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", textOf(row, "id"), tenant, err)
			}
			if out = append(out, v); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}

func blockKey(tenant, address, integration string) item {
	return recordKey(tenant, blockPrefix+address+blockSplit+integration)
}

// Block adds one.
func (b *SuppressionList) Suppress(ctx context.Context, v mail.Suppression) (added bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	row := blockKey(v.Tenant, v.Address, v.Integration)
	row["body"] = blob(body)
	unmet, err := transact(ctx, b.DB,
		[]types.TransactWriteItem{{Put: &types.Put{TableName: &b.Table, Item: row,
			ConditionExpression: awssdk.String("attribute_not_exists(id)")}}}, "")
	if err != nil {
		return false, fmt.Errorf("block an address of tenant %s: %w", v.Tenant, err)
	}
	return len(unmet) == 0, nil
}

// Blocked looks for a block that holds; that of the tenant goes before that of the integration.
func (b *SuppressionList) Blocked(ctx context.Context, tenant, integration, address string) (v mail.Suppression,
	ok bool, err error) {
	keys := []item{blockKey(tenant, address, "")}
	if integration != "" {
		keys = append(keys, blockKey(tenant, address, integration))
	}
	rows, err := getAll(ctx, b.DB, b.Table, keys, true)
	if err == nil && len(rows) > 0 {
		first := rows[0]
		if len(rows) > 1 && textOf(rows[1], "id") < textOf(first, "id") {
			first = rows[1]
		}
		ok, err = true, json.Unmarshal(blobOf(first, "body"), &v)
	}
	if err != nil {
		return v, false, fmt.Errorf("look for a block of tenant %s: %w", tenant, err)
	}
	return v, ok, nil
}

// List reads a page of blocks: all of an address are on one page.
func (b *SuppressionList) List(ctx context.Context, tenant, after string, limit int) (out []mail.Suppression,
	err error) {
	first := blockPrefix
	if after != "" {
		first += after + afterBlockSplit
	}
	addresses, last := 0, ""
	pages := dynamodb.NewQueryPaginator(b.DB, span(b.Table, tenant, first, blocksEnd))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the blocked addresses of tenant %s: %w", tenant, err)
		}
		for _, row := range page.Items {
			if address, _, _ := strings.Cut(textOf(row, "id"), blockSplit); address != last {
				if addresses++; addresses > limit {
					return out, nil
				}
				last = address
			}
			var v mail.Suppression
			if err := json.Unmarshal(blobOf(row, "body"), &v); err != nil {
				return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", textOf(row, "id"), tenant, err)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// Allow removes the blocks of an address.
func (b *SuppressionList) Allow(ctx context.Context, tenant, address string) error {
	if err := b.allow(ctx, tenant, address); err != nil {
		return fmt.Errorf("allow an address of tenant %s: %w", tenant, err)
	}
	return nil
}

func (b *SuppressionList) allow(ctx context.Context, tenant, address string) error {
	pages := dynamodb.NewQueryPaginator(b.DB,
		span(b.Table, tenant, blockPrefix+address+blockSplit, blockPrefix+address+afterBlockSplit))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var keys []item
		for _, row := range page.Items {
			keys = append(keys, recordKey(tenant, textOf(row, "id")))
		}
		if err := removeAll(ctx, b.DB, b.Table, keys); err != nil {
			return err
		}
	}
	return nil
}
