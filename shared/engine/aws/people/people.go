// Package people keeps people's own notifications and the suppression list of mail addresses.
package people

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
)

// Store is profile.Store on a table with the keys `tenant` and `id`, which Blocks shares. A change is written in one
// transaction with the person's rows of the schedule.
type Store struct {
	DB       *dynamodb.Client
	Table    string
	Schedule string // the table of Reports
}

// Suppressions is mail.Blocks on the table of People.
type Suppressions struct {
	DB    *dynamodb.Client
	Table string
}

var (
	_ profile.Store        = (*Store)(nil)
	_ mail.SuppressionList = (*Suppressions)(nil)
)

// Prefixes of ids in the table. The byte after a prefix's last sorts after all that begins with it.
const (
	personPrefix, personsEnd           = "p ", "p!"
	suppressionPrefix, suppressionsEnd = "b ", "b!"
	// suppressionSplit stands between the address and the integration of a block's id: no address has it, and it sorts
	// before all that an address can have, so that all blocks of an address stand together.
	suppressionSplit, afterSuppressionSplit = "\n", "\v"
)

// Get reads one person.
func (p *Store) Get(ctx context.Context, tenant, id string) (v profile.Profile, err error) {
	found, err := p.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &p.Table,
		Key:            table.TenantKey(tenant, personPrefix+id),
		ConsistentRead: awssdk.Bool(true)})
	switch {
	case err == nil && found.Item == nil:
		err = profile.ErrNotFound
	case err == nil:
		err = json.Unmarshal(table.BlobOf(found.Item, "body"), &v)
	}
	if err != nil {
		return v, fmt.Errorf("read person %s of tenant %s: %w", id, tenant, err)
	}
	return v, nil
}

// Several reads people, 100 a call.
func (p *Store) Several(ctx context.Context, keys []profile.Key) ([]profile.Profile, error) {
	wanted := make([]table.Item, len(keys))
	for n, k := range keys {
		wanted[n] = table.TenantKey(k.Tenant, personPrefix+k.ID)
	}
	rows, err := table.GetAll(ctx, p.DB, p.Table, wanted, true)
	if err != nil {
		return nil, fmt.Errorf("read %d people: %w", len(keys), err)
	}
	out := make([]profile.Profile, len(rows))
	for n, row := range rows {
		if err := json.Unmarshal(table.BlobOf(row, "body"), &out[n]); err != nil {
			return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", table.TextOf(row, "id"),
				table.TextOf(row, "tenant"),
				err)
		}
	}
	return out, nil
}

// Save writes one person and the subscriptions.
func (p *Store) Save(ctx context.Context, v profile.Profile) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	row := table.TenantKey(v.Tenant, personPrefix+v.ID)
	row["body"], row["revision"] = table.Blob(body), table.Number(v.Revision)
	put := &types.Put{TableName: &p.Table, Item: row, ConditionExpression: awssdk.String("attribute_not_exists(id)")}
	if v.Revision > 1 {
		put.ConditionExpression, put.ExpressionAttributeValues = awssdk.String("revision = :before"),
			table.Item{":before": table.Number(v.Revision - 1)}
	}
	unmet, err := table.Transact(ctx, p.DB, append([]types.TransactWriteItem{{Put: put}},
		reports.Subscribe(p.Schedule, v.Tenant, v.ID, v.UpdatedAt, v.Told().Reports())...), "")
	if err == nil && len(unmet) > 0 {
		err = profile.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("save person %s of tenant %s: %w", v.ID, v.Tenant, err)
	}
	return nil
}

// Delete forgets one person.
func (p *Store) Delete(ctx context.Context, tenant, id string) error {
	writes := append([]types.TransactWriteItem{
		{Delete: &types.Delete{TableName: &p.Table, Key: table.TenantKey(tenant, personPrefix+id)}},
	}, reports.Subscribe(p.Schedule, tenant, id, time.Time{}, nil)...)
	if _, err := table.Transact(ctx, p.DB, writes, ""); err != nil {
		return fmt.Errorf("forget person %s of tenant %s: %w", id, tenant, err)
	}
	return nil
}

// List reads a page of people.
func (p *Store) List(ctx context.Context, tenant, after string, limit int) (out []profile.Profile, err error) {
	first := personPrefix
	if after != "" {
		first += after + "\x00" // the next text there can be
	}
	in := table.TenantRange(p.Table, tenant, first, personsEnd)
	in.Limit = awssdk.Int32(int32(min(limit, 1000)))
	pages := dynamodb.NewQueryPaginator(p.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the people of tenant %s: %w", tenant, err)
		}
		for _, row := range page.Items {
			var v profile.Profile
			if err := json.Unmarshal(table.BlobOf(row, "body"), &v); err != nil {
				return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", table.TextOf(row, "id"), tenant, err)
			}
			if out = append(out, v); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}

func suppressionKey(tenant, address, integration string) table.Item {
	return table.TenantKey(tenant, suppressionPrefix+address+suppressionSplit+integration)
}

// Block adds one.
func (b *Suppressions) Suppress(ctx context.Context, v mail.Suppression) (added bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	row := suppressionKey(v.Tenant, v.Address, v.Integration)
	row["body"] = table.Blob(body)
	unmet, err := table.Transact(ctx, b.DB,
		[]types.TransactWriteItem{{Put: &types.Put{TableName: &b.Table, Item: row,
			ConditionExpression: awssdk.String("attribute_not_exists(id)")}}}, "")
	if err != nil {
		return false, fmt.Errorf("block an address of tenant %s: %w", v.Tenant, err)
	}
	return len(unmet) == 0, nil
}

// Blocked looks for a block that holds; that of the tenant goes before that of the integration.
func (b *Suppressions) Blocked(ctx context.Context, tenant, integration, address string) (v mail.Suppression,
	ok bool, err error) {
	keys := []table.Item{suppressionKey(tenant, address, "")}
	if integration != "" {
		keys = append(keys, suppressionKey(tenant, address, integration))
	}
	rows, err := table.GetAll(ctx, b.DB, b.Table, keys, true)
	if err == nil && len(rows) > 0 {
		first := rows[0]
		if len(rows) > 1 && table.TextOf(rows[1], "id") < table.TextOf(first, "id") {
			first = rows[1]
		}
		ok, err = true, json.Unmarshal(table.BlobOf(first, "body"), &v)
	}
	if err != nil {
		return v, false, fmt.Errorf("look for a block of tenant %s: %w", tenant, err)
	}
	return v, ok, nil
}

// List reads a page of blocks: all of an address are on one page.
func (b *Suppressions) List(ctx context.Context, tenant, after string, limit int) (out []mail.Suppression,
	err error) {
	first := suppressionPrefix
	if after != "" {
		first += after + afterSuppressionSplit
	}
	addresses, last := 0, ""
	pages := dynamodb.NewQueryPaginator(b.DB, table.TenantRange(b.Table, tenant, first, suppressionsEnd))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the blocked addresses of tenant %s: %w", tenant, err)
		}
		for _, row := range page.Items {
			if address, _, _ := strings.Cut(table.TextOf(row, "id"), suppressionSplit); address != last {
				if addresses++; addresses > limit {
					return out, nil
				}
				last = address
			}
			var v mail.Suppression
			if err := json.Unmarshal(table.BlobOf(row, "body"), &v); err != nil {
				return nil, fmt.Errorf("the row %q of tenant %s is damaged: %w", table.TextOf(row, "id"), tenant, err)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// Allow removes the blocks of an address.
func (b *Suppressions) Allow(ctx context.Context, tenant, address string) error {
	if err := b.allow(ctx, tenant, address); err != nil {
		return fmt.Errorf("allow an address of tenant %s: %w", tenant, err)
	}
	return nil
}

func (b *Suppressions) allow(ctx context.Context, tenant, address string) error {
	pages := dynamodb.NewQueryPaginator(b.DB,
		table.TenantRange(b.Table, tenant, suppressionPrefix+address+suppressionSplit, suppressionPrefix+address+
			afterSuppressionSplit))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var keys []table.Item
		for _, row := range page.Items {
			keys = append(keys, table.TenantKey(tenant, table.TextOf(row, "id")))
		}
		if err := table.RemoveAll(ctx, b.DB, b.Table, keys); err != nil {
			return err
		}
	}
	return nil
}
