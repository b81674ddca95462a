// Package erasure exports and erases tenants on the stack's tables and dead-letter queues, in parts of some megabytes,
// so that a function can end between any two of them. The other queues empty by themselves: what is in them names rows
// that are gone, and is dropped. An event that was on its way is accepted; the next pass finds it.
package erasure

import (
	"slices"
	"strings"

	"tocsin/shared/engine/aws/accounts"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/table"
)

// Tables are the names of all tables of the stack.
type Tables struct {
	Integrations, Triggers, People, Reports, Accounts, Outbox, Batches, Deliveries, Intakes, Events, EventLog,
	DeadLetters, Counters, Paces, DailyTotals, Activity string
}

// kind is a table, and how its rows name their tenants.
type kind struct {
	name string // of the count, and of the file of an export
	at   string // the table
	key  []string
	// A row is the tenant's whose attribute is the tenant, or begins with it and a space, or that owns reports. A table
	// whose first key is the tenant is queried, the others are read as a whole: each row once in an erasure.
	is, begins string
	owns       func(tenant string, row table.Item) (bool, error)
	// queried: only rows under the tenant's key are its rows.
	queried bool
	// before are the keys of other rows, which are removed before a row; in the table that is named.
	before func(row table.Item) (at string, keys []table.Item, err error)
	// shared are rows whose key may come to be another tenant's meanwhile: they are removed if they are as they were.
	shared bool
}

// kinds are all tables in the order in which they are removed: first what people set, from which more would come, then
// deliveries and events, what refers to others before these; the activity log at the end.
func (t Tables) kinds() []kind {
	owned := []string{"tenant", "id"}
	return []kind{
		{name: "integrations", at: t.Integrations, key: owned, owns: settingOf, shared: true},
		{name: "triggers", at: t.Triggers, key: owned, owns: settingOf, shared: true},
		{name: "people", at: t.People, key: owned, is: "tenant", queried: true},
		{name: "reports", at: t.Reports, key: owned, is: "tenant", queried: true},
		{name: "accounts", at: t.Accounts, key: []string{"pk", "sk"}, owns: accountOf, before: t.findAccount},
		{name: "outbox", at: t.Outbox, key: []string{"shard", "id"}, owns: markerOf},
		{name: "batches", at: t.Batches, key: []string{"batch"}, is: "tenant"},
		{name: "deliveries", at: t.Deliveries, key: []string{"lane", "id"}, begins: "lane"},
		{name: "intakes", at: t.Intakes, key: []string{"intake"}, begins: "intake"},
		{name: "events", at: t.Events, key: []string{"event"}, begins: "event", owns: eventOf},
		{name: "event_log", at: t.EventLog, key: owned, is: "tenant", queried: true},
		{name: "dead_letters", at: t.DeadLetters, key: owned, is: "tenant", queried: true, before: t.deadParts},
		{name: "counters", at: t.Counters, key: []string{"window", "bucket"}, begins: "window"},
		{name: "paces", at: t.Paces, key: []string{"lane", "part"}, begins: "lane"},
		{name: "daily_totals", at: t.DailyTotals, key: owned, is: "tenant", queried: true},
		{name: "activity", at: t.Activity, key: []string{"month", "id"}, begins: "month"},
	}
}

func settingOf(tenant string, row table.Item) (bool, error) {
	owner, err := settings.OwnerOf(row)
	return owner == tenant, err
}

func accountOf(tenant string, row table.Item) (bool, error) {
	owners, _, err := accounts.OwnersOf(row)
	return slices.Contains(owners, tenant), err
}

func (t Tables) findAccount(row table.Item) (at string, keys []table.Item, err error) {
	_, keys, err = accounts.OwnersOf(row)
	return t.Accounts, keys, err
}

// markerOf: markers name their tenant, windows are in the shard of a lane.
func markerOf(tenant string, row table.Item) (bool, error) {
	return table.TextOf(row, "tenant") == tenant ||
		strings.HasPrefix(table.TextOf(row, "shard"), "span "+tenant+" "), nil
}

// eventOf: parts of dead letters are in the table of events, where their keys begin as those of a tenant "dead".
func eventOf(tenant string, row table.Item) (bool, error) {
	_, claimed := row["since"]
	_, kept := row["kind"]
	return tenant != "dead" || claimed || kept, nil
}

// deadParts are the rows in which the detail of a dead letter goes on.
func (t Tables) deadParts(row table.Item) (at string, keys []table.Item, err error) {
	for n := 1; n <= int(table.NumberOf(row, "parts")); n++ {
		keys = append(keys, table.Item{"event": table.Text(table.PartKey("dead "+table.TextOf(row, "id"), n))})
	}
	return t.Events, keys, nil
}
