package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/oklog/ulid/v2"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/trigger"
)

// Tables names the tables of Deliveries.
type Tables struct {
	Deliveries  string // keys: lane, id; index `trouble`
	Events      string // key: event
	Batches     string // key: batch
	DeadLetters string // keys: tenant, id; index `day`
	Journal     string // keys: tenant, id
}

// Indexes of the tables. Both are sparse or small; both lag behind their table by milliseconds.
const (
	troubleIndex = "trouble" // deliveries that are retrying or dead, by integration and state
	dayIndex     = "day"     // dead letters by the day of their arrival
)

// Deliveries keeps events, deliveries and their log (delivery.Log), and is the shelf of a delivery.Sender.
type Deliveries struct {
	DB     *dynamodb.Client
	SQS    *sqs.Client
	Tables Tables
	Queue  string // the URL of the deliveries queue
	Now    func() time.Time
	// Record is where Accept adds up what it accepts; nil = it must be given nothing to add.
	Record *Record
	// Triggers is needed by fan-out only, as Record is. Commands are kept in its table.
	Triggers *Triggers
	// Bus is where dead letters are sent again; nil where none are.
	Bus Forwarder
	// Keep is how long events, deliveries and dead letters are kept; 0 = 30 days.
	Keep time.Duration
}

// Forwarder puts entries on the bus as they are.
type Forwarder interface {
	Forward(ctx context.Context, e delivery.Entry) error
}

var (
	_ delivery.Log   = (*Deliveries)(nil)
	_ delivery.Shelf = (*Deliveries)(nil)
)

func (d *Deliveries) keep() time.Duration {
	if d.Keep > 0 {
		return d.Keep
	}
	return 30 * 24 * time.Hour
}

func (d *Deliveries) expires() int64 { return d.Now().Add(d.keep()).Unix() }

func laneKey(tenant, integration string) string { return tenant + " " + integration }

func deliveryKey(tenant, integration, id string) item {
	return item{"lane": text(laneKey(tenant, integration)), "id": text(id)}
}

// write is a delivery's row. The index of troubled deliveries holds those that a person looks for: healthy ones
// never cost a write there.
func (d *Deliveries) write(v delivery.Delivery, expires int64) (item, error) {
	row := deliveryKey(v.Tenant, v.Integration, v.ID)
	row["state"], row["count"], row["expires"] = text(string(v.State)), number(v.Count), number(expires)
	kinds := make([]string, len(v.Kinds))
	for n, k := range v.Kinds {
		kinds[n] = string(k)
	}
	row["kinds"] = texts(kinds)
	keys := make([]string, len(v.Events))
	for n, e := range v.Events {
		keys[n] = e.ID
	}
	row["events"] = texts(keys)
	if !v.Due.IsZero() && v.State == delivery.Pending {
		row["size"] = number(delivery.Size(v.Events))
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
func (d *Deliveries) changes(v delivery.Delivery) (item, error) {
	c := item{"state": text(string(v.State)), "due": nil, "failures": nil, "reason": nil, "batch": nil, "attempts": nil, "parts": nil, "trouble": nil}
	if !v.Due.IsZero() {
		c["due"] = number(v.Due.UnixNano())
	}
	if v.Failures > 0 {
		c["failures"] = number(v.Failures)
	}
	if v.Reason != "" {
		c["reason"] = text(v.Reason)
	}
	if v.Batch != "" {
		c["batch"] = text(v.Batch)
	}
	if v.State == delivery.Retrying || v.State == delivery.Dead {
		c["trouble"] = text(troubleKey(v.Tenant, v.Integration, v.State))
	}
	if len(v.Attempts) > 0 {
		raw, err := packed(v.Attempts)
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
	return c, nil
}

// packed is a value as compressed JSON.
func packed(v any) (types.AttributeValue, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if raw, err = deflate(raw); err != nil {
		return nil, err
	}
	return blob(raw), nil
}

// unpack is the reverse of packed; an attribute that is not there leaves v.
func unpack(row item, name string, v any) error {
	stored := blobOf(row, name)
	if stored == nil {
		return nil
	}
	raw, err := inflate(stored)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

func troubleKey(tenant, integration string, s delivery.State) string {
	return laneKey(tenant, integration) + " " + string(s)
}

// read is the reverse of write, without the events.
func read(row item) (delivery.Delivery, error) {
	tenant, integration, _ := strings.Cut(textOf(row, "lane"), " ")
	v := delivery.Delivery{
		ID: textOf(row, "id"), Tenant: tenant, Integration: integration, State: delivery.State(textOf(row, "state")),
		Failures: int(numberOf(row, "failures")), Reason: textOf(row, "reason"), Batch: textOf(row, "batch"), Count: int(numberOf(row, "count")),
	}
	v.CreatedAt = madeAt(v.ID)
	if due := numberOf(row, "due"); due != 0 {
		v.Due = time.Unix(0, due).UTC()
	}
	for _, k := range textsOf(row, "kinds") {
		v.Kinds = append(v.Kinds, event.Kind(k))
	}
	if err := errors.Join(unpack(row, "attempts", &v.Attempts), unpack(row, "parts", &v.Parts)); err != nil {
		return v, fmt.Errorf("the attempts of delivery %s are damaged: %w", v.ID, err)
	}
	return v, nil
}

// madeAt is the time that a delivery's id begins with.
func madeAt(id string) time.Time {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(u.Time())).UTC()
}

// firstID sorts before every id of the time or later.
func firstID(at time.Time) string {
	if at.IsZero() || at.UnixMilli() <= 0 {
		return firstOfAll
	}
	var u ulid.ULID
	if u.SetTime(uint64(at.UnixMilli())) != nil {
		return lastOfAll
	}
	return u.String()
}

// No id sorts before the one or after the other.
const firstOfAll, lastOfAll = "0", "~"

// Accept writes the outcome of one fan-out: deliveries, then events, then the messages that make the deliveries
// start. What comes again after it broke off is found by Known and taken up here.
func (d *Deliveries) Accept(ctx context.Context, in delivery.Intake) error {
	if err := d.reject(ctx, in.Rejected); err != nil {
		return err
	}
	for _, c := range in.Commands { // before their events, by whose rows a repeat is known
		if err := d.Triggers.Commands().put(ctx, c, d.expires()); err != nil {
			return fmt.Errorf("keep command %s of tenant %s: %w", c.ID, c.Tenant, err)
		}
	}
	ready, err := d.shelve(ctx, in.Deliveries)
	if err != nil {
		return fmt.Errorf("write %d deliveries: %w", len(in.Deliveries), err)
	}
	if err := d.record(ctx, in); err != nil {
		return fmt.Errorf("write %d events: %w", len(in.Accepted), err)
	}
	broken, err := d.brokenOff(ctx, in.Repeated)
	if err != nil {
		return fmt.Errorf("look after %d events that came again: %w", len(in.Repeated), err)
	}
	return d.Enqueue(ctx, parcels(append(ready, broken...)), 0)
}

// shelve writes the rows of new deliveries and returns those that are to be sent.
func (d *Deliveries) shelve(ctx context.Context, deliveries []delivery.Delivery) ([]delivery.Delivery, error) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	keys := make([]item, len(deliveries))
	for n, v := range deliveries {
		keys[n] = deliveryKey(v.Tenant, v.Integration, v.ID)
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Deliveries, keys, true, "lane", "id", "state")
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, r := range rows {
		states[textOf(r, "lane")+" "+textOf(r, "id")] = textOf(r, "state")
	}
	var ready []delivery.Delivery
	var writes []tableWrite
	expires := d.expires()
	for _, v := range deliveries {
		state, exists := states[laneKey(v.Tenant, v.Integration)+" "+v.ID]
		if exists && state != string(delivery.Pending) {
			continue
		}
		ready = append(ready, v)
		if exists {
			continue
		}
		row, err := d.write(v, expires)
		if err != nil {
			return nil, err
		}
		writes = append(writes, tableWrite{d.Tables.Deliveries, row})
	}
	return ready, putAll(ctx, d.DB, writes)
}

// record writes the rows of accepted events, each with the deliveries that it went into. Those of a tenant for whom there
// is something to record, or whose triggers counted or fired, are written together with that: see Record.
func (d *Deliveries) record(ctx context.Context, in delivery.Intake) error {
	into := map[string][]string{}
	for _, v := range in.Deliveries {
		for _, e := range v.Events {
			k := eventKey(e.Tenant, e.ID)
			into[k] = append(into[k], v.Integration+" "+v.ID)
		}
	}
	parts := map[string]*share{}
	of := func(tenant string) *share {
		if parts[tenant] == nil {
			parts[tenant] = &share{}
		}
		return parts[tenant]
	}
	for _, r := range in.Records {
		of(r.Tenant).records = append(of(r.Tenant).records, r)
	}
	for _, st := range in.Triggers.States {
		of(st.Tenant).states = append(of(st.Tenant).states, st)
	}
	for _, e := range in.Triggers.Publish {
		of(e.Tenant).publish = append(of(e.Tenant).publish, e)
	}
	expires := d.expires()
	journal, err := d.note(in.Accepted, expires)
	if err != nil {
		return err
	}
	var writes []tableWrite
	for tenant, row := range journal {
		if parts[tenant] != nil {
			parts[tenant].journal = row
		} else {
			writes = append(writes, tableWrite{d.Tables.Journal, row})
		}
	}
	for _, a := range in.Accepted {
		raw, err := a.Event.Encode()
		if err != nil {
			return fmt.Errorf("encode event %s: %w", a.Event.ID, err)
		}
		key := eventKey(a.Event.Tenant, a.Event.ID)
		row := item{"event": text(key), "kind": text(string(a.Event.Kind)), "receipt": text(a.Entry.Receipt), "expires": number(expires)}
		if went := into[key]; len(went) > 0 {
			row["deliveries"] = texts(went)
		}
		inRow := partSize
		tenant := parts[a.Event.Tenant]
		if tenant != nil {
			inRow = countedInRow
		}
		rest, err := d.row(key, row, raw, inRow, expires)
		if err != nil {
			return fmt.Errorf("event %s: %w", a.Event.ID, err)
		}
		writes = append(writes, rest...) // before the row that names them
		if tenant != nil {
			tenant.rows = append(tenant.rows, row)
		} else {
			writes = append(writes, tableWrite{d.Tables.Events, row})
		}
	}
	if err := putAll(ctx, d.DB, writes); err != nil {
		return err
	}
	for _, tenant := range slices.Sorted(maps.Keys(parts)) {
		if len(parts[tenant].rows) == 0 {
			return fmt.Errorf("there is something to record of tenant %s, and no event", tenant)
		}
		if err := d.count(ctx, tenant, *parts[tenant]); err != nil {
			return err
		}
	}
	return nil
}

// share is what a batch means to one tenant beside deliveries.
type share struct {
	rows    []item // its events
	journal item
	records []report.Record
	states  []trigger.State
	publish []event.Event
}

// brokenOff finds the deliveries of events whose very message came again (it has the same receipt) and that wait for
// their first request: perhaps their own message was never sent.
func (d *Deliveries) brokenOff(ctx context.Context, repeated []delivery.Accepted) ([]delivery.Delivery, error) {
	receipts := map[string]string{}
	var keys []item
	for _, a := range repeated {
		if a.Entry.Receipt == "" {
			continue
		}
		k := eventKey(a.Event.Tenant, a.Event.ID)
		if _, ok := receipts[k]; !ok {
			keys = append(keys, item{"event": text(k)})
		}
		receipts[k] = a.Entry.Receipt
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Events, keys, true, "event", "receipt", "deliveries")
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	wanted := map[string]item{}
	for _, r := range rows {
		k := textOf(r, "event")
		if receipts[k] != textOf(r, "receipt") {
			continue // upstream published the event again: that is all
		}
		tenant, _, _ := strings.Cut(k, " ")
		for _, went := range textsOf(r, "deliveries") {
			integration, id, _ := strings.Cut(went, " ")
			wanted[went] = deliveryKey(tenant, integration, id)
		}
	}
	keys = keys[:0]
	for _, k := range wanted {
		keys = append(keys, k)
	}
	rows, err = getAll(ctx, d.DB, d.Tables.Deliveries, keys, true)
	if err != nil {
		return nil, err
	}
	var out []delivery.Delivery
	for _, r := range rows {
		v, err := read(r)
		if err != nil {
			return nil, err
		}
		if v.State == delivery.Pending {
			out = append(out, v)
		}
	}
	return out, nil
}

// Load reads a parcel.
func (d *Deliveries) Load(ctx context.Context, p delivery.Parcel) ([]delivery.Delivery, error) {
	keys := make([]item, len(p.IDs))
	for n, id := range p.IDs {
		keys[n] = deliveryKey(p.Tenant, p.Integration, id)
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Deliveries, keys, true)
	if err != nil {
		return nil, err
	}
	if spans := d.ripe(rows); len(spans) > 0 {
		if err := d.join(ctx, p, spans); err != nil {
			return nil, err
		}
		if rows, err = getAll(ctx, d.DB, d.Tables.Deliveries, keys, true); err != nil {
			return nil, err
		}
	}
	out, err := d.open(ctx, rows)
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

// open reads rows with their events. Only what is to be sent needs those.
func (d *Deliveries) open(ctx context.Context, rows []item) ([]delivery.Delivery, error) {
	now := d.Now()
	rows = slices.DeleteFunc(rows, func(r item) bool { return expired(r, now) })
	seen := map[string]bool{}
	var keys []string
	for _, r := range rows {
		tenant, _, _ := strings.Cut(textOf(r, "lane"), " ")
		for _, id := range textsOf(r, "events") {
			if k := eventKey(tenant, id); !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	events, err := d.load(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make([]delivery.Delivery, 0, len(rows))
	for _, r := range rows {
		v, err := read(r)
		if err != nil {
			return nil, err
		}
		for _, id := range textsOf(r, "events") {
			if e, ok := events[eventKey(v.Tenant, id)]; ok {
				v.Events = append(v.Events, e)
			}
		}
		out = append(out, v)
	}
	return out, nil
}
