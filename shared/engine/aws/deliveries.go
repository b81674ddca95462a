package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/oklog/ulid/v2"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/worker"
)

// Tables names the tables of Deliveries.
type Tables struct {
	Deliveries  string // keys: lane, id; index `trouble`
	Events      string // key: event
	Intakes     string // key: intake
	Outbox      string // keys: shard, id
	Batches     string // key: batch
	DeadLetters string // keys: tenant, id; indexes `shard`, `day`
	Journal     string // keys: tenant, id
}

// Indexes of the tables. They are sparse or small, and lag behind their table by milliseconds.
const (
	troubleIndex = "trouble" // deliveries that are retrying or dead, by integration and state
	shardIndex   = "shard"   // keys of dead letters by the day of their arrival, in deadShards partitions a day
	dayIndex     = "day"     // dead letters of version 1 by the day of their arrival
)

// Deliveries keeps events, deliveries and their log , and is the shelf of a sending.Sender.
type Deliveries struct {
	DB     *dynamodb.Client
	SQS    *sqs.Client
	Tables Tables
	Queue  string // the URL of the deliveries queue
	Now    func() time.Time
	// Commands is needed where intakes are finished, by fan-out and by the sweeper.
	Commands *Commands
	// Bus is where dead letters are sent again; nil where none are.
	Bus Forwarder
	// Counting is told of what was accepted, where intakes are finished; nil = nothing is counted.
	Counting Counting
	// Marks is needed by the sweeper: what was not counted gets its message again. nil = that is not looked after.
	Marks Marks
	Log   *slog.Logger // nil = nothing is logged
	// Keep is how long events, deliveries and dead letters are kept; 0 = 30 days.
	Keep time.Duration
}

// Forwarder puts entries on the bus as they are.
type Forwarder interface {
	Forward(ctx context.Context, e delivery.Entry) error
}

var (
	_ fanout.Store      = (*Deliveries)(nil)
	_ worker.BatchStore = (*Deliveries)(nil)
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

// write is a delivery's row. It names its events and the intakes that hold them; rows of version 1 name no intake, and
// their events are looked up one by one. The index of troubled deliveries holds those that a person looks for: healthy
// ones never cost a write there.
func (d *Deliveries) write(v delivery.Delivery, intakes []string, expires int64) (item, error) {
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
	row["events"], row["intakes"], row["v"] = texts(keys), texts(intakes), number(2)
	if !v.Due.IsZero() && v.State == delivery.Pending {
		row["size"], row["span"] = number(delivery.Size(v.Events)), number(v.Due.UnixNano())
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
	c := item{"state": text(string(v.State)), "due": nil, "failures": nil, "reason": nil, "batch": nil, "attempts": nil,
		"parts": nil, "trouble": nil}
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
	return c, nil
}

// packed is a value as compressed JSON.
func packed(v any) (*types.AttributeValueMemberB, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if raw, err = deflate(raw); err != nil {
		return nil, err
	}
	return &types.AttributeValueMemberB{Value: raw}, nil
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
	if err := known(row, "a delivery", deliveryVersion); err != nil {
		return delivery.Delivery{}, fmt.Errorf("delivery %s: %w", textOf(row, "id"), err)
	}
	tenant, integration, _ := strings.Cut(textOf(row, "lane"), " ")
	v := delivery.Delivery{
		ID: textOf(row, "id"), Tenant: tenant, Integration: integration, State: delivery.State(textOf(row, "state")),
		Failures: int(numberOf(row, "failures")), Reason: textOf(row, "reason"), Batch: textOf(row, "batch"),
		Count: int(numberOf(row, "count")),
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

// Load reads a parcel. One that names a span (see spanID) is opened first.
func (d *Deliveries) Load(ctx context.Context, p worker.MessageBatch) ([]delivery.Delivery, error) {
	p, err := d.openSpans(ctx, p)
	if err != nil {
		return nil, err
	}
	keys := make([]item, len(p.IDs))
	for n, id := range p.IDs {
		keys[n] = deliveryKey(p.Tenant, p.Integration, id)
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Deliveries, keys, true)
	if err != nil {
		return nil, err
	}
	if spans := d.ripe(rows); len(spans) > 0 { // rows of version 1: each has a message of its own
		if err := d.join(ctx, p.Tenant, p.Integration, spans); err != nil {
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

// open reads rows with their events, each event once. Only what is to be sent needs those.
func (d *Deliveries) open(ctx context.Context, rows []item) ([]delivery.Delivery, error) {
	now := d.Now()
	rows = slices.DeleteFunc(rows, func(r item) bool { return expired(r, now) })
	var sources sources
	for _, r := range rows {
		tenant, _, _ := strings.Cut(textOf(r, "lane"), " ")
		sources.add(tenant, textsOf(r, "events"), textsOf(r, "intakes"))
	}
	events, err := d.load(ctx, sources)
	if err != nil {
		return nil, err
	}
	out := make([]delivery.Delivery, 0, len(rows))
	for _, r := range rows {
		v, err := read(r)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, id := range textsOf(r, "events") {
			if e, ok := events[eventKey(v.Tenant, id)]; ok && !seen[id] {
				seen[id] = true
				v.Events = append(v.Events, e)
			}
		}
		out = append(out, v)
	}
	return out, nil
}
