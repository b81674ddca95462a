// Package people keeps people's own notifications and the suppression list of mail addresses.
package people

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
)

// Store is profile.Store on a table with the keys `tenant` and `id`, which Suppressions shares. A change is written in
// one transaction with the person's rows of the schedule.
type Store struct {
	DB       *dynamodb.Client
	Table    string
	Schedule string // the table of Reports
	Activity string // the table of the activity log; "" where nothing that a person does is saved
}

// Suppressions is mail.SuppressionList on the table of Store.
type Suppressions struct {
	DB       *dynamodb.Client
	Table    string
	Activity string // the table of the activity log; "" where no address is allowed again
}

var (
	_ profile.Store        = (*Store)(nil)
	_ mail.SuppressionList = (*Suppressions)(nil)
)

// personRow is the row of a person.
//
//tocsin:table PeopleTable
type personRow struct {
	table.First
	Tenant   string `dynamodbav:"tenant"`
	ID       string `dynamodbav:"id"`   // personPrefix and the person's id
	Body     []byte `dynamodbav:"body"` // JSON of profile.Profile
	Revision int64  `dynamodbav:"revision"`
}

func (r personRow) profile() (v profile.Profile, err error) {
	if err = json.Unmarshal(r.Body, &v); err != nil {
		err = fmt.Errorf("the row %q of tenant %s is damaged: %w", r.ID, r.Tenant, err)
	}
	return v, err
}

// suppressionRow is the row of an address that nothing is sent to.
//
//tocsin:table PeopleTable
type suppressionRow struct {
	table.First
	Tenant string `dynamodbav:"tenant"`
	ID     string `dynamodbav:"id"`   // see suppressionID
	Body   []byte `dynamodbav:"body"` // JSON of mail.Suppression
}

func (r suppressionRow) suppression() (v mail.Suppression, err error) {
	if err = json.Unmarshal(r.Body, &v); err != nil {
		err = fmt.Errorf("the row %q of tenant %s is damaged: %w", r.ID, r.Tenant, err)
	}
	return v, err
}

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
	row, found, err := table.Get[personRow](ctx, p.DB, p.Table, table.TenantKey(tenant, personPrefix+id))
	switch {
	case err == nil && !found:
		err = profile.ErrNotFound
	case err == nil:
		v, err = row.profile()
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
	found, err := table.GetAll(ctx, p.DB, p.Table, wanted, true)
	if err != nil {
		return nil, fmt.Errorf("read %d people: %w", len(keys), err)
	}
	rows, err := table.UnmarshalAll[personRow](found)
	out := make([]profile.Profile, len(rows))
	for n := 0; err == nil && n < len(rows); n++ {
		out[n], err = rows[n].profile()
	}
	return out, err
}

// Save writes one person and the subscriptions.
func (p *Store) Save(ctx context.Context, v profile.Profile, entries ...activity.Entry) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	row, err := table.Marshal(personRow{Tenant: v.Tenant, ID: personPrefix + v.ID, Body: body, Revision: v.Revision})
	if err != nil {
		return err
	}
	put := &types.Put{TableName: &p.Table, Item: row, ConditionExpression: awssdk.String("attribute_not_exists(id)")}
	if v.Revision > 1 {
		put.ConditionExpression = awssdk.String("revision = :before")
		put.ExpressionAttributeValues = table.Item{":before": table.Number(v.Revision - 1)}
	}
	writes, err := activitylog.PutAll(p.Activity, entries)
	if err != nil {
		return err
	}
	writes = append(writes, types.TransactWriteItem{Put: put})
	unmet, err := table.Transact(ctx, p.DB, append(writes,
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
		rows, err := table.UnmarshalAll[personRow](page.Items)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			v, err := row.profile()
			if err != nil {
				return nil, err
			}
			if out = append(out, v); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}

func suppressionID(address, integration string) string {
	return suppressionPrefix + address + suppressionSplit + integration
}

// Suppress adds one.
func (b *Suppressions) Suppress(ctx context.Context, v mail.Suppression) (added bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	row, err := table.Marshal(suppressionRow{Tenant: v.Tenant, ID: suppressionID(v.Address, v.Integration), Body: body})
	if err != nil {
		return false, err
	}
	entry, err := activitylog.Put(b.Activity, v.Entry())
	if err != nil {
		return false, err
	}
	unmet, err := table.Transact(ctx, b.DB, []types.TransactWriteItem{{Put: &types.Put{TableName: &b.Table, Item: row,
		ConditionExpression: awssdk.String("attribute_not_exists(id)")}}, entry}, "")
	if err != nil {
		return false, fmt.Errorf("suppress an address of tenant %s: %w", v.Tenant, err)
	}
	return len(unmet) == 0, nil
}

// Blocked looks for a suppression that holds; that of the tenant goes before that of the integration.
func (b *Suppressions) Blocked(ctx context.Context, tenant, integration, address string) (v mail.Suppression,
	ok bool, err error) {
	keys := []table.Item{table.TenantKey(tenant, suppressionID(address, ""))}
	if integration != "" {
		keys = append(keys, table.TenantKey(tenant, suppressionID(address, integration)))
	}
	found, err := table.GetAll(ctx, b.DB, b.Table, keys, true)
	var rows []suppressionRow
	if err == nil {
		rows, err = table.UnmarshalAll[suppressionRow](found)
	}
	if err == nil && len(rows) > 0 {
		first := slices.MinFunc(rows, func(a, b suppressionRow) int { return strings.Compare(a.ID, b.ID) })
		v, err = first.suppression()
		ok = err == nil
	}
	if err != nil {
		return v, false, fmt.Errorf("look for a suppression of tenant %s: %w", tenant, err)
	}
	return v, ok, nil
}

// List reads a page of suppressions: all of an address are on one page.
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
			return nil, fmt.Errorf("list the suppressed addresses of tenant %s: %w", tenant, err)
		}
		rows, err := table.UnmarshalAll[suppressionRow](page.Items)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if address, _, _ := strings.Cut(row.ID, suppressionSplit); address != last {
				if addresses++; addresses > limit {
					return out, nil
				}
				last = address
			}
			v, err := row.suppression()
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// Allow removes the suppressions of an address.
func (b *Suppressions) Allow(ctx context.Context, tenant, address string, e activity.Entry) error {
	if err := b.allow(ctx, tenant, address, e); err != nil {
		return fmt.Errorf("allow an address of tenant %s: %w", tenant, err)
	}
	return nil
}

// allow removes the suppressions in one transaction with the entry; those of an address that has left more integrations
// than one holds, in further ones. One that somebody else removed meanwhile has it look again.
func (b *Suppressions) allow(ctx context.Context, tenant, address string, e activity.Entry) error {
	writes, err := activitylog.PutAll(b.Activity, []activity.Entry{e})
	if err != nil {
		return err
	}
	for {
		keys, err := b.suppressionsOf(ctx, tenant, address)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, key := range keys[:min(len(keys), table.TransactLimit-1)] {
			writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{TableName: &b.Table, Key: key,
				ConditionExpression: awssdk.String("attribute_exists(id)")}})
		}
		unmet, err := table.Transact(ctx, b.DB, writes, "")
		if err != nil {
			return err
		}
		if writes = writes[:1]; len(unmet) == 0 {
			writes = nil // the entry is written
		}
	}
}

func (b *Suppressions) suppressionsOf(ctx context.Context, tenant, address string) (keys []table.Item, err error) {
	prefix := suppressionPrefix + address
	pages := dynamodb.NewQueryPaginator(b.DB,
		table.TenantRange(b.Table, tenant, prefix+suppressionSplit, prefix+afterSuppressionSplit))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range page.Items {
			keys = append(keys, table.TenantKey(tenant, table.TextOf(row, "id")))
		}
	}
	return keys, nil
}
