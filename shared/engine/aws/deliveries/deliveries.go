// Package deliveries keeps deliveries and their history, and hands them to the deliver function by messages of a queue.
//
// A delivery that waits for its batch window to close (delivery.Coalesce) is a row with a due time. The rows of one
// window have one message, which is delayed until the window has closed; opening it merges the rows. See windows.go.
package deliveries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/outbox"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/worker"
)

// batchLimit is how many deliveries travel in one message batch or one retry batch: what a transaction takes beside the
// batch's own record.
const batchLimit = table.TransactLimit - 1

// Capacity is what this engine takes at once.
var Capacity = worker.Capacity{Deliveries: batchLimit}

// troubleIndex holds deliveries that are retrying or dead, by integration and state. It is sparse, and lags behind the
// table by milliseconds.
const troubleIndex = "trouble"

// Store keeps deliveries and their history, and is the batch store of a worker.Handler.
type Store struct {
	table.Set
	SQS   *sqs.Client
	Queue string // the URL of the deliveries queue
	// Holder knows what is held; nil = nothing is when its time has come. Only a store that loads message batches asks.
	Holder delivery.Holder
}

var _ worker.BatchStore = (*Store)(nil)

// Intakes are those that the deliveries load their events from.
func (d *Store) Intakes() *intakes.Store { return &intakes.Store{Set: d.Set} }

// Outbox is where deliveries are marked that must be made ready.
func (d *Store) Outbox() *outbox.Store { return &outbox.Store{Set: d.Set} }

func Key(tenant, integration, id string) table.Item {
	return table.Item{"lane": table.Text(table.LaneKey(tenant, integration)), "id": table.Text(id)}
}

// deliveryRow is the row of a delivery. It is written and read by hand, attribute by attribute, because this is the hot
// path: an attempt changes some attributes and leaves the others as they are. A test holds that to this struct.
//
//tocsin:table DeliveriesTable
type deliveryRow struct {
	Lane     string   `dynamodbav:"lane"` // tenant and integration
	ID       string   `dynamodbav:"id"`
	State    string   `dynamodbav:"state"`
	Count    int      `dynamodbav:"count"` // of its events
	Kinds    []string `dynamodbav:"kinds"`
	Events   []string `dynamodbav:"events"`              // ids
	Intakes  []string `dynamodbav:"intakes"`             // that hold the events; none in version 1
	Size     int      `dynamodbav:"size,omitempty"`      // bytes, of one that waits for its batch window or is held
	Span     int64    `dynamodbav:"span,omitempty"`      // when that window closes, Unix nanoseconds
	Due      int64    `dynamodbav:"due,omitempty"`       // of the next attempt or the window, Unix nanoseconds
	Digest   string   `dynamodbav:"digest,omitempty"`    // why its events are one message; never changes
	Held     string   `dynamodbav:"held,omitempty"`      // JSON of delivery.Held
	Fallback string   `dynamodbav:"fallback,omitempty"`  // JSON of delivery.Fallback: where its events went
	From     string   `dynamodbav:"came_from,omitempty"` // JSON of delivery.From: whose events it has by fallback
	Go       string   `dynamodbav:"go,omitempty"`        // of one that was held: by whom it was let go
	Into     string   `dynamodbav:"into,omitempty"`      // of one that was merged: the delivery that has its events
	Failures int      `dynamodbav:"failures,omitempty"`  // of this run
	Reason   string   `dynamodbav:"reason,omitempty"`
	Batch    string   `dynamodbav:"batch,omitempty"`    // the retry batch
	Attempts []byte   `dynamodbav:"attempts,omitempty"` // JSON, compressed where that is worth it; the newest that fit
	Parts    []byte   `dynamodbav:"parts,omitempty"`    // likewise: what became of each part
	Trouble  string   `dynamodbav:"trouble,omitempty"`  // where it is retrying or dead: lane and state
	Version  int      `dynamodbav:"v"`
	Expires  int64    `dynamodbav:"expires"`
}

func (deliveryRow) Newest() int64 { return deliveryVersion }

// write is a delivery's row. It names its events and the intakes that hold them; rows of version 1 name no intake, and
// their events are looked up one by one. The index of troubled deliveries holds those that a person looks for: healthy
// ones never cost a write there.
func (d *Store) write(v delivery.Delivery, intakes []string, expires int64) (table.Item, error) {
	row := Key(v.Tenant, v.Integration, v.ID)
	row["state"], row["count"], row["expires"] = table.Text(string(v.State)), table.Number(v.Count),
		table.Number(expires)
	kinds := make([]string, len(v.Kinds))
	for n, k := range v.Kinds {
		kinds[n] = string(k)
	}
	row["kinds"] = table.Texts(kinds)
	keys := make([]string, len(v.Events))
	for n, e := range v.Events {
		keys[n] = e.ID
	}
	row["events"], row["intakes"], row["v"] = table.Texts(keys), table.Texts(intakes), table.Number(deliveryVersion)
	if !v.Due.IsZero() && v.State == delivery.Pending {
		row["size"] = table.Number(delivery.Size(v.Events))
		if v.Held == nil {
			row["span"] = table.Number(v.Due.UnixNano())
		}
	}
	if v.Held != nil {
		held, err := heldText(*v.Held)
		if err != nil {
			return nil, err
		}
		row["held"] = held
		row["expires"] = table.Number(expires + int64(delivery.HeldAtMost/time.Second))
	}
	if v.Digest != "" {
		row["digest"] = table.Text(v.Digest)
	}
	if err := addFrom(row, v); err != nil {
		return nil, err
	}
	changes, err := d.changes(v)
	if err != nil {
		return nil, err
	}
	for name, value := range changes {
		if value != nil {
			row[name] = value
		}
	}
	return row, nil
}

// changes are the attributes that an attempt changes; nil removes one.
func (d *Store) changes(v delivery.Delivery) (table.Item, error) {
	c := table.Item{"state": table.Text(string(v.State)), "due": nil, "failures": nil, "reason": nil, "batch": nil,
		"attempts": nil,
		"parts":    nil, "trouble": nil}
	if !v.Due.IsZero() {
		c["due"] = table.Number(v.Due.UnixNano())
	}
	if v.Failures > 0 {
		c["failures"] = table.Number(v.Failures)
	}
	if v.Reason != "" {
		c["reason"] = table.Text(v.Reason)
	}
	if v.Batch != "" {
		c["batch"] = table.Text(v.Batch)
	}
	if v.State == delivery.Retrying || v.State == delivery.Dead {
		c["trouble"] = table.Text(troubleKey(v.Tenant, v.Integration, v.State))
	}
	if len(v.Attempts) > 0 {
		raw, err := packedAttempts(v.Attempts)
		if err != nil {
			return nil, fmt.Errorf("write the attempts of delivery %s: %w", v.ID, err)
		}
		c["attempts"] = raw
	}
	if len(v.Parts) > 0 {
		raw, err := packed(v.Parts)
		if err != nil {
			return nil, fmt.Errorf("write the parts of delivery %s: %w", v.ID, err)
		}
		c["parts"] = raw
	}
	return c, addFallback(c, v)
}

// packed is a value as compressed JSON.
func packed(v any) (*types.AttributeValueMemberB, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if raw, err = table.Deflate(raw); err != nil {
		return nil, err
	}
	return &types.AttributeValueMemberB{Value: raw}, nil
}

// unpack is the reverse of packed; an attribute that is not there leaves v.
func unpack(row table.Item, name string, v any) error {
	stored := table.BlobOf(row, name)
	if stored == nil {
		return nil
	}
	raw, err := table.Inflate(stored)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

func troubleKey(tenant, integration string, s delivery.State) string {
	return table.LaneKey(tenant, integration) + " " + string(s)
}

// ReadRow is the reverse of write, without the events.
func ReadRow(row table.Item) (delivery.Delivery, error) {
	if err := table.KnownVersion(row, "a delivery", deliveryVersion); err != nil {
		return delivery.Delivery{}, fmt.Errorf("delivery %s: %w", table.TextOf(row, "id"), err)
	}
	tenant, integration, _ := strings.Cut(table.TextOf(row, "lane"), " ")
	v := delivery.Delivery{
		ID: table.TextOf(row, "id"), Tenant: tenant, Integration: integration,
		State:    delivery.State(table.TextOf(row, "state")),
		Failures: int(table.NumberOf(row, "failures")), Reason: table.TextOf(row, "reason"),
		Batch: table.TextOf(row, "batch"), Digest: table.TextOf(row, "digest"),
		Count: int(table.NumberOf(row, "count")),
	}
	v.CreatedAt = table.MadeAt(v.ID)
	if due := table.NumberOf(row, "due"); due != 0 {
		v.Due = time.Unix(0, due).UTC()
	}
	for _, k := range table.TextsOf(row, "kinds") {
		v.Kinds = append(v.Kinds, event.Kind(k))
	}
	if held := table.TextOf(row, "held"); held != "" {
		if err := json.Unmarshal([]byte(held), &v.Held); err != nil {
			return v, fmt.Errorf("what holds delivery %s is damaged: %w", v.ID, err)
		}
	}
	if err := readFallback(row, &v); err != nil {
		return v, err
	}
	if err := errors.Join(unpack(row, "attempts", &v.Attempts), unpack(row, "parts", &v.Parts)); err != nil {
		return v, fmt.Errorf("the attempts of delivery %s are damaged: %w", v.ID, err)
	}
	return v, nil
}

// Load reads a message batch. One that names a window (see span) is opened first.
func (d *Store) Load(ctx context.Context, p worker.MessageBatch) ([]delivery.Delivery, error) {
	p, err := d.openWindows(ctx, p)
	if err != nil {
		return nil, err
	}
	keys := make([]table.Item, len(p.IDs))
	for n, id := range p.IDs {
		keys[n] = Key(p.Tenant, p.Integration, id)
	}
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, true)
	if err != nil {
		return nil, err
	}
	if windows := d.closed(rows); len(windows) > 0 { // rows of version 1: each has a message of its own
		if err := d.coalesce(ctx, p.Tenant, p.Integration, windows); err != nil {
			return nil, err
		}
		if rows, err = table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, true); err != nil {
			return nil, err
		}
	}
	out, err := d.open(ctx, slices.DeleteFunc(rows, isHeld)) // their marker brings them
	if err != nil {
		return nil, err
	}
	place := make(map[string]int, len(p.IDs))
	for n, id := range p.IDs {
		place[id] = n
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return place[a.ID] - place[b.ID] })
	return out, nil
}

// open reads rows with their events, each event once. Only what is to be sent needs those.
func (d *Store) open(ctx context.Context, rows []table.Item) ([]delivery.Delivery, error) {
	now := d.Now()
	rows = slices.DeleteFunc(rows, func(r table.Item) bool { return table.Expired(r, now) || merged(r) })
	var sources intakes.Sources
	for _, r := range rows {
		tenant, _, _ := strings.Cut(table.TextOf(r, "lane"), " ")
		sources.Add(tenant, table.TextsOf(r, "events"), table.TextsOf(r, "intakes"))
	}
	events, err := d.Intakes().Load(ctx, sources)
	if err != nil {
		return nil, err
	}
	out := make([]delivery.Delivery, 0, len(rows))
	for _, r := range rows {
		v, err := ReadRow(r)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, id := range table.TextsOf(r, "events") {
			if seen[id] {
				v.Count-- // it came with two that were merged
				continue
			}
			seen[id] = true
			if e, ok := events[intakes.EventKey(v.Tenant, id)]; ok {
				v.Events = append(v.Events, e)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// deliveryVersion is the newest version of the rows of deliveries.
const deliveryVersion = 2
