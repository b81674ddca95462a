// Package settings keeps what tenants set up: integrations, triggers with their states and commands. A change and its
// event are written in one transaction: see EventOutbox.
package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/activity"
	"tocsin/shared/cache"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/report/calendar"
	"tocsin/shared/trigger"
	"tocsin/shared/wording"
)

// fresh is how long the enabled integrations of a tenant are answered from memory (integration.Store allows a second).
const fresh = 900 * time.Millisecond

// Integrations is integration.Store on a table with the keys `tenant` and `id`. A change, its event
// and its entry of the activity log are written in one transaction: see EventOutbox.
type Integrations struct {
	DB        *dynamodb.Client
	Table     string
	Schedule  string // the table of Reports; a change of an integration changes its rows there
	Activity  string // the table of the activity log
	Triggers  string // the table of Triggers, for DeleteUnused
	Publisher event.Publisher
	Now       func() time.Time
	Log       *slog.Logger

	enabled cache.Aging[string, []integration.Integration] // by tenant
}

var _ integration.Store = (*Integrations)(nil)

// Create stores an integration.
func (s *Integrations) Create(ctx context.Context, i integration.Integration, r activity.Record) error {
	put, err := s.put(i, 0)
	if err != nil {
		return err
	}
	put.ConditionExpression = awssdk.String("attribute_not_exists(id)")
	will := i.Outline()
	return s.change(ctx, i.Tenant, i.ID, types.TransactWriteItem{Put: put}, r, slices.Concat(s.bindings(i),
		s.subscribe(i), s.numbers().row(i.Tenant, i.ID, i.Number), s.counted(i.Tenant, nil, &will))...)
}

// Update replaces an integration. The whole row is written, so it asks that the mark, the number and the joins are
// still those that it writes: what came or went meanwhile is read again.
func (s *Integrations) Update(ctx context.Context, i integration.Integration, r activity.Record) error {
	for {
		stored, joined, err := s.read(ctx, i.Tenant, i.ID)
		if err != nil {
			return err
		}
		if stored.Revision != i.Revision-1 {
			return fmt.Errorf("integration %s: %w", i.ID, integration.ErrConflict)
		}
		i.Failing, i.Number = nil, stored.Number
		if i.Enabled() && i.Window == stored.Window {
			i.Failing = stored.Failing
		}
		put, err := s.put(i, joined)
		if err != nil {
			return err
		}
		put.ExpressionAttributeValues = table.Item{":before": table.Number(i.Revision - 1)}
		put.ConditionExpression = awssdk.String("revision = :before AND " + there("failing", stored.Failing != nil) +
			" AND " + there("#number", stored.Number != 0) + " AND " + asJoined(joined, put.ExpressionAttributeValues))
		put.ExpressionAttributeNames = map[string]string{"#number": "number"}
		was, will := stored.Outline(), i.Outline()
		err = s.change(ctx, i.Tenant, i.ID, types.TransactWriteItem{Put: put}, r,
			slices.Concat(s.bindings(i), s.subscribe(i), s.counted(i.Tenant, &was, &will))...)
		if !errors.Is(err, integration.ErrConflict) {
			return err
		}
	}
}

// there is the condition that an attribute is there, or is not.
func there(attribute string, is bool) string {
	if is {
		return "attribute_exists(" + attribute + ")"
	}
	return "attribute_not_exists(" + attribute + ")"
}

// asJoined is the condition that no trigger has joined since.
func asJoined(joined int64, values table.Item) string {
	if joined == 0 {
		return "attribute_not_exists(joined)"
	}
	values[":joined"] = table.Number(joined)
	return "joined = :joined"
}

// join is the write of a trigger that begins to notify an integration: the integration must be there, and counts it. A
// count that was read before the triggers were tells whether those are all still. Nothing counts down: a trigger that
// notifies it no more can only make a deletion look again.
func join(integrations, tenant, id string) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &integrations, Key: table.TenantKey(tenant, id), UpdateExpression: awssdk.String("ADD joined :one"),
		ConditionExpression:       awssdk.String("attribute_exists(id)"),
		ExpressionAttributeValues: table.Item{":one": table.Number(1)},
	}}
}

// Mark sets or takes away the mark of a failing integration.
func (s *Integrations) Mark(ctx context.Context, tenant, id string, window int64, f *integration.Failing,
	r activity.Record) error {
	update := &types.Update{
		TableName: &s.Table, Key: table.TenantKey(tenant, id),
		UpdateExpression: awssdk.String("REMOVE failing"),
		ConditionExpression: awssdk.String(
			"#window = :window AND attribute_not_exists(#off) AND attribute_exists(failing)"),
		ExpressionAttributeNames:  map[string]string{"#window": "window", "#off": "off"},
		ExpressionAttributeValues: table.Item{":window": table.Number(window)},
	}
	if f != nil {
		body, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode the mark of integration %s: %w", id, err)
		}
		update.UpdateExpression = awssdk.String("SET failing = :f")
		update.ConditionExpression = awssdk.String(
			"#window = :window AND attribute_not_exists(#off) AND attribute_not_exists(failing)")
		update.ExpressionAttributeValues[":f"] = table.Text(string(body))
	}
	// Marked finds it by a row of its own. One whose mark went in another way stays until Marked finds that.
	row, err := table.Marshal(pointerRow{Tenant: failingRows, ID: tenant + " " + id})
	if err != nil {
		return err
	}
	also := types.TransactWriteItem{Put: &types.Put{TableName: &s.Table, Item: row}}
	if f == nil {
		also = types.TransactWriteItem{Delete: &types.Delete{TableName: &s.Table, Key: row}}
	}
	was, will := integration.Outline{State: integration.StateOK}, integration.Outline{State: integration.StateFailing}
	if f == nil {
		was, will = will, was
	}
	err = s.change(ctx, tenant, id, types.TransactWriteItem{Update: update}, r,
		append(s.counted(tenant, &was, &will), also)...)
	if errors.Is(err, integration.ErrNotFound) {
		return fmt.Errorf("mark integration %s: %w", id, integration.ErrConflict)
	}
	return err
}

// failingRows is the partition of the failing integrations of all tenants. Like the outbox it can be no tenant's.
const failingRows = " failing"

// Marked lists the failing ones.
func (s *Integrations) Marked(ctx context.Context) ([]integration.Integration, error) {
	var out []integration.Integration
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{
		TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t"),
		ExpressionAttributeValues: table.Item{":t": table.Text(failingRows)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the failing integrations: %w", err)
		}
		for _, row := range page.Items {
			tenant, id, _ := strings.Cut(table.TextOf(row, "id"), " ")
			i, err := s.Get(ctx, tenant, id)
			switch {
			case err == nil && i.Failing != nil:
				out = append(out, i)
			case err == nil || errors.Is(err, integration.ErrNotFound):
				// A mark that comes between the two calls has its card and its end with the next request all the same.
				if _, err := s.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.Table,
					Key: table.Item{"tenant": row["tenant"], "id": row["id"]}}); err != nil {
					return nil, fmt.Errorf("forget that integration %s was failing: %w", id, err)
				}
			default:
				return nil, err
			}
		}
	}
	return out, nil
}

// Delete removes an integration.
func (s *Integrations) Delete(ctx context.Context, tenant, id string, revision int64, r activity.Record) error {
	for {
		stored, err := s.Get(ctx, tenant, id)
		if err != nil {
			return err
		}
		if stored.Revision != revision {
			return fmt.Errorf("integration %s: %w", id, integration.ErrConflict)
		}
		err = s.remove(ctx, stored, "", table.Item{}, r)
		if !errors.Is(err, integration.ErrConflict) {
			return err
		}
	}
}

// DeleteUnused does so unless a trigger notifies it. It reads how often triggers joined before it reads the triggers,
// and deletes on the condition that this is still so; else it looks again.
func (s *Integrations) DeleteUnused(ctx context.Context, tenant, id string, revision int64, r activity.Record) error {
	triggers := &Triggers{DB: s.DB, Table: s.Triggers}
	for {
		stored, joined, err := s.read(ctx, tenant, id)
		if err != nil {
			return err
		}
		if stored.Revision != revision {
			return fmt.Errorf("integration %s: %w", id, integration.ErrConflict)
		}
		list, _, err := triggers.List(ctx, tenant)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(t trigger.Trigger) bool { return slices.Contains(t.Notifies(), id) }) {
			return fmt.Errorf("integration %s: %w", id, integration.ErrUsed)
		}
		values := table.Item{}
		err = s.remove(ctx, stored, " AND "+asJoined(joined, values), values, r)
		if !errors.Is(err, integration.ErrConflict) {
			return err
		}
	}
}

// remove deletes an integration if it is as it was read, and fulfils a further condition on these values.
func (s *Integrations) remove(ctx context.Context, i integration.Integration, also string, values table.Item,
	r activity.Record) error {
	values[":before"] = table.Number(i.Revision)
	was := i.Outline()
	return s.change(ctx, i.Tenant, i.ID, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.Table,
		Key: table.TenantKey(i.Tenant, i.ID), ExpressionAttributeValues: values,
		ConditionExpression: awssdk.String("revision = :before AND " + there("failing", i.Failing != nil) + also),
	}}, r, slices.Concat(reports.Subscribe(s.Schedule, i.Tenant, i.ID, time.Time{}, nil),
		s.numbers().unlist(i.Number), s.counted(i.Tenant, &was, nil))...)
}

// change writes a change with its record and what else belongs to it, then publishes the event.
func (s *Integrations) change(ctx context.Context, tenant, id string, write types.TransactWriteItem,
	r activity.Record, also ...types.TransactWriteItem) error {
	notes, err := s.EventOutbox().WriteRecord(r)
	if err != nil {
		return err
	}
	unmet, err := table.Transact(ctx, s.DB, append(append([]types.TransactWriteItem{write}, notes...), also...), "")
	s.forget(tenant)
	switch {
	case err != nil:
		return fmt.Errorf("write integration %s: %w", id, err)
	case len(unmet) > 0 && write.Put != nil && write.Put.ExpressionAttributeValues == nil:
		return fmt.Errorf("integration %s exists: %w", id, integration.ErrConflict)
	case len(unmet) > 0:
		return s.refused(ctx, tenant, id)
	}
	s.EventOutbox().Publish(ctx, []event.Event{r.Event})
	return nil
}

// refused tells why a condition on the revision did not hold.
func (s *Integrations) refused(ctx context.Context, tenant, id string) error {
	if _, err := s.Get(ctx, tenant, id); err != nil {
		return err
	}
	return fmt.Errorf("integration %s: %w", id, integration.ErrConflict)
}

// EventOutbox are those of the table.
func (s *Integrations) EventOutbox() EventOutbox {
	return EventOutbox{DB: s.DB, Table: s.Table, Activity: s.Activity, Publisher: s.Publisher, Now: s.Now, Log: s.Log}
}

// Relay publishes what was left behind: see EventOutbox.
func (s *Integrations) Relay(ctx context.Context) (int, error) { return s.EventOutbox().Relay(ctx) }

// Get reads one integration.
func (s *Integrations) Get(ctx context.Context, tenant, id string) (integration.Integration, error) {
	i, _, err := s.read(ctx, tenant, id)
	return i, err
}

// read reads one integration, and how often triggers joined it.
func (s *Integrations) read(ctx context.Context, tenant, id string) (i integration.Integration, joined int64,
	err error) {
	out, err := s.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.Table, Key: table.TenantKey(tenant, id),
		ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return i, 0, fmt.Errorf("read integration %s: %w", id, err)
	}
	if out.Item == nil {
		return i, 0, fmt.Errorf("integration %s: %w", id, integration.ErrNotFound)
	}
	i, err = readIntegration(out.Item)
	return i, table.NumberOf(out.Item, "joined"), err
}

// Several reads integrations, 100 a call.
func (s *Integrations) Several(ctx context.Context, keys []integration.Key) ([]integration.Integration, error) {
	wanted := make([]table.Item, len(keys))
	for n, k := range keys {
		wanted[n] = table.TenantKey(k.Tenant, k.ID)
	}
	rows, err := table.GetAll(ctx, s.DB, s.Table, wanted, true)
	if err != nil {
		return nil, fmt.Errorf("read %d integrations: %w", len(keys), err)
	}
	out := make([]integration.Integration, len(rows))
	for n, row := range rows {
		if out[n], err = readIntegration(row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// List reads a page.
func (s *Integrations) List(ctx context.Context, tenant, after string, limit int) ([]integration.Integration, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.Table, ConsistentRead: awssdk.Bool(true), Limit: awssdk.Int32(int32(min(limit, 1000))),
		KeyConditionExpression:    awssdk.String("tenant = :t"),
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant)},
	}
	if after != "" {
		in.KeyConditionExpression = awssdk.String("tenant = :t AND id > :after")
		in.ExpressionAttributeValues[":after"] = table.Text(after)
	}
	return s.query(ctx, in, limit)
}

// boundTo is the partition of the integrations that have a binding. Like the outbox it can be no tenant's.
func boundTo(system, binding string) string { return " bound " + system + " " + binding }

// bindings are the rows by which Bound finds the integration. One whose integration has the binding no more, or is
// gone, stays until Bound finds that.
func (s *Integrations) bindings(i integration.Integration) []types.TransactWriteItem {
	var out []types.TransactWriteItem
	for _, b := range i.Bindings {
		row := table.TenantKey(boundTo(i.System, b), i.Tenant+" "+i.ID)
		row["revision"] = table.Number(i.Revision)
		out = append(out, types.TransactWriteItem{Put: &types.Put{TableName: &s.Table, Item: row}})
	}
	return out
}

// subscribe are the writes of the schedule of reports: an enabled integration is in it with each frequency that it has.
func (s *Integrations) subscribe(i integration.Integration) []types.TransactWriteItem {
	frequencies := calendar.FrequenciesOf(func(t event.Type) bool {
		_, ok := i.Subscribed(t)
		return ok && i.Enabled()
	})
	return reports.Subscribe(s.Schedule, i.Tenant, i.ID, i.UpdatedAt, frequencies)
}

// Bound finds integrations by a binding.
func (s *Integrations) Bound(ctx context.Context, system, binding string) ([]integration.Integration, error) {
	var out []integration.Integration
	pages := dynamodb.NewQueryPaginator(s.DB, &dynamodb.QueryInput{
		TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t"),
		ExpressionAttributeValues: table.Item{":t": table.Text(boundTo(system, binding))},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for the integrations of %s that are bound to %s: %w", system, binding, err)
		}
		for _, row := range page.Items {
			tenant, id, _ := strings.Cut(table.TextOf(row, "id"), " ")
			i, err := s.Get(ctx, tenant, id)
			switch {
			case err == nil && slices.Contains(i.Bindings, binding):
				out = append(out, i)
			case err == nil || errors.Is(err, integration.ErrNotFound):
				if err := s.unbind(ctx, row); err != nil {
					return nil, err
				}
			default:
				return nil, err
			}
		}
	}
	return out, nil
}

// unbind removes a row that was left behind, unless the binding was written anew since the row was read.
func (s *Integrations) unbind(ctx context.Context, row table.Item) error {
	_, err := s.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.Table, Key: table.Item{"tenant": row["tenant"], "id": row["id"]},
		ConditionExpression:       awssdk.String("revision = :read"),
		ExpressionAttributeValues: table.Item{":read": row["revision"]},
	})
	var anew *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &anew) {
		return fmt.Errorf("remove a binding that was left behind: %w", err)
	}
	return nil
}

// Enabled lists the enabled integrations, from memory when they were read within the last second.
func (s *Integrations) Enabled(ctx context.Context, tenant string) ([]integration.Integration, error) {
	now := s.Now()
	if known, ok := s.enabled.Get(tenant, now, fresh); ok {
		return known, nil
	}
	list, err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		KeyConditionExpression:    awssdk.String("tenant = :t"),
		FilterExpression:          awssdk.String("attribute_not_exists(#off) OR attribute_exists(fallback)"),
		ExpressionAttributeNames:  map[string]string{"#off": "off"},
		ExpressionAttributeValues: table.Item{":t": table.Text(tenant)},
	}, 0)
	if err != nil {
		return nil, err
	}
	s.enabled.Keep(tenant, list, now, maxTenants)
	return list, nil
}

// maxTenants bounds the tenants whose integrations are kept in memory.
const maxTenants = 1000

func (s *Integrations) forget(tenant string) { s.enabled.Drop(tenant) }

// query reads up to limit integrations, all when it is 0.
func (s *Integrations) query(ctx context.Context, in *dynamodb.QueryInput, limit int) ([]integration.Integration,
	error) {
	var out []integration.Integration
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list integrations: %w", err)
		}
		for _, row := range page.Items {
			i, err := readIntegration(row)
			if err != nil {
				return nil, err
			}
			if out = append(out, i); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, nil
}

// integrationRow is the row of an integration. What is queried has an attribute of its own, and so has what an engineer
// looks for.
//
//tocsin:table IntegrationsTable
type integrationRow struct {
	table.First
	Tenant        string      `dynamodbav:"tenant"`
	ID            string      `dynamodbav:"id"`
	ClientName    string      `dynamodbav:"client_name"`
	System        string      `dynamodbav:"system"`
	Name          string      `dynamodbav:"name"`
	Language      string      `dynamodbav:"language,omitempty"`         // of what people read
	Rate          string      `dynamodbav:"rate,omitempty"`             // such as 10/minute
	Grouping      string      `dynamodbav:"grouping,omitempty"`         // such as 50/5m
	StormGuard    string      `dynamodbav:"storm_guard,omitempty"`      // such as 60/minute, or none
	Fallback      string      `dynamodbav:"fallback,omitempty"`         // the id of another
	Template      string      `dynamodbav:"message_template,omitempty"` // JSON
	Subscriptions string      `dynamodbav:"subscriptions"`              // JSON
	Filters       string      `dynamodbav:"filters,omitempty"`          // JSON
	Hold          string      `dynamodbav:"hold,omitempty"`             // JSON: when what is sent to it waits
	Parameters    string      `dynamodbav:"parameters"`                 // JSON, without secrets
	Sealed        table.Bytes `dynamodbav:"sealed"`                     // the secrets, see package keys
	Bindings      string      `dynamodbav:"bindings,omitempty"`         // JSON
	Revision      int64       `dynamodbav:"revision"`
	Window        int64       `dynamodbav:"window"` // of the counters, new with each time that it is enabled
	CreatedAt     time.Time   `dynamodbav:"created_at"`
	CreatedBy     string      `dynamodbav:"created_by"`
	UpdatedAt     time.Time   `dynamodbav:"updated_at"`
	UpdatedBy     string      `dynamodbav:"updated_by,omitempty"`
	ParametersAt  time.Time   `dynamodbav:"parameters_at,omitempty"` // when these were changed last
	Number        int64       `dynamodbav:"number,omitempty"`        // see numberRow
	Off           string      `dynamodbav:"off,omitempty"`           // JSON: why it is disabled
	Failing       string      `dynamodbav:"failing,omitempty"`       // JSON: since when, and the last answer
	Joined        int64       `dynamodbav:"joined,omitempty"`        // how often triggers began to notify it: see join
}

// pointerRow names an integration by something else than its tenant: that it is failing, or what it is bound to.
//
//tocsin:table IntegrationsTable
type pointerRow struct {
	table.First
	Tenant   string `dynamodbav:"tenant"`             // failingRows, or see boundTo
	ID       string `dynamodbav:"id"`                 // tenant and id
	Revision int64  `dynamodbav:"revision,omitempty"` // of the integration, where it is bound
}

// put is the write of an integration that triggers joined so often.
func (s *Integrations) put(i integration.Integration, joined int64) (*types.Put, error) {
	r := integrationRow{Tenant: i.Tenant, ID: i.ID, ClientName: i.ClientName, System: i.System, Name: i.Name,
		Language: string(i.Language), Rate: string(i.Rate), Grouping: string(i.Grouping),
		StormGuard: string(i.StormGuard),
		Fallback:   i.Fallback,
		Parameters: string(i.Parameters), Sealed: i.Sealed, Revision: i.Revision, Window: i.Window,
		Number: i.Number, CreatedAt: i.CreatedAt, CreatedBy: i.CreatedBy, UpdatedAt: i.UpdatedAt,
		UpdatedBy: i.UpdatedBy, ParametersAt: i.ParametersAt, Joined: joined}
	var wrong []error
	encode := func(into *string, v any) {
		raw, err := json.Marshal(v)
		*into = string(raw)
		wrong = append(wrong, err)
	}
	encode(&r.Subscriptions, i.Subscriptions)
	if len(i.Filters) > 0 {
		encode(&r.Filters, i.Filters)
	}
	if !i.Hold.Zero() {
		encode(&r.Hold, i.Hold)
	}
	if i.MessageTemplate != (messagetemplate.Source{}) {
		encode(&r.Template, i.MessageTemplate)
	}
	if len(i.Bindings) > 0 {
		encode(&r.Bindings, i.Bindings)
	}
	if i.Off != nil {
		encode(&r.Off, i.Off)
	}
	if i.Failing != nil {
		encode(&r.Failing, i.Failing)
	}
	row, err := table.Marshal(r)
	if err = errors.Join(append(wrong, err)...); err != nil {
		return nil, fmt.Errorf("encode integration %s: %w", i.ID, err)
	}
	return &types.Put{TableName: &s.Table, Item: row}, nil
}

func readIntegration(row table.Item) (integration.Integration, error) {
	r, err := table.Unmarshal[integrationRow](row)
	i := integration.Integration{
		Tenant: r.Tenant, ID: r.ID, ClientName: r.ClientName, System: r.System, Name: r.Name,
		Language: wording.Language(r.Language), Rate: integration.Rate(r.Rate),
		Grouping: integration.Grouping(r.Grouping), StormGuard: integration.StormGuard(r.StormGuard),
		Fallback:   r.Fallback,
		Parameters: json.RawMessage(r.Parameters), Sealed: r.Sealed, Revision: r.Revision, Window: r.Window,
		Number: r.Number, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt,
		UpdatedBy: r.UpdatedBy, ParametersAt: r.ParametersAt,
	}
	decode := func(raw string, into any) {
		if raw != "" {
			err = errors.Join(err, json.Unmarshal([]byte(raw), into))
		}
	}
	decode(r.Subscriptions, &i.Subscriptions)
	decode(r.Filters, &i.Filters)
	decode(r.Hold, &i.Hold)
	decode(r.Template, &i.MessageTemplate)
	decode(r.Off, &i.Off)
	decode(r.Failing, &i.Failing)
	decode(r.Bindings, &i.Bindings)
	if err != nil {
		return i, fmt.Errorf("the row of integration %s is damaged: %w", i.ID, err)
	}
	return i, nil
}
