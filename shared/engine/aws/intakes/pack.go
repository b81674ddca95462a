package intakes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trace"
)

// pack is what the row of an intake holds.
type pack struct {
	Events     []packedEvent    `json:"e"`
	Deliveries []packedDelivery `json:"d,omitempty"`
}

type packedEvent struct {
	ID     string          `json:"i"`
	Kind   string          `json:"k"`
	At     int64           `json:"a"` // when the bus took it, Unix nanoseconds
	Detail json.RawMessage `json:"d"`
	Trace  trace.Parent    `json:"p,omitempty"`
}

type packedDelivery struct {
	ID          string `json:"i"`
	Integration string `json:"t"`
	Due         int64  `json:"u,omitempty"` // Unix nanoseconds, of one that waits for its window
	Events      []int  `json:"e"`           // places in the pack
	Digest      string `json:"g,omitempty"`

	Held *delivery.Held `json:"h,omitempty"`
	From *delivery.From `json:"f,omitempty"`
}

func packOf(m Intake) (p pack, err error) {
	place := make(map[string]int, len(m.Events))
	for n, a := range m.Events {
		place[a.Event.ID] = n
		detail, err := a.Event.Encode()
		if err != nil {
			return p, fmt.Errorf("encode event %s: %w", a.Event.ID, err)
		}
		p.Events = append(p.Events, packedEvent{a.Event.ID, string(a.Event.Kind), a.Entry.At.UnixNano(), detail,
			a.Event.Trace})
	}
	for _, v := range m.Deliveries {
		one := packedDelivery{ID: v.ID, Integration: v.Integration, Digest: v.Digest, Held: v.Held,
			From: v.From}
		if !v.Due.IsZero() {
			one.Due = v.Due.UnixNano()
		}
		for _, e := range v.Events {
			n, ok := place[e.ID]
			if !ok {
				return p, fmt.Errorf("delivery %s carries event %s, which is not of its intake", v.ID, e.ID)
			}
			one.Events = append(one.Events, n)
		}
		p.Deliveries = append(p.Deliveries, one)
	}
	return p, nil
}

// encode writes `<`, `>` and `&` as they are: see event.Event.Encode.
func (p pack) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return table.Deflate(b.Bytes())
}

func (e packedEvent) decode() (event.Event, error) {
	out, err := event.Decode(e.Kind, e.Detail)
	if err != nil {
		return out, fmt.Errorf("event %s: %w", e.ID, err)
	}
	out.Trace = e.Trace
	return out, nil
}

// accepted are the events of a pack as they came in.
func (p pack) accepted(intake string) ([]fanout.Accepted, error) {
	out := make([]fanout.Accepted, len(p.Events))
	for n, e := range p.Events {
		decoded, err := e.decode()
		if err != nil {
			return nil, err
		}
		out[n] = fanout.Accepted{Event: decoded, Intake: intake, Entry: delivery.Entry{DetailType: e.Kind,
			At: time.Unix(0, e.At).UTC()}}
	}
	return out, nil
}

// deliveries are those of a pack, as fan-out made them. events are those of the pack.
func (p pack) deliveries(tenant string, events []fanout.Accepted) ([]delivery.Delivery, error) {
	out := make([]delivery.Delivery, len(p.Deliveries))
	for n, one := range p.Deliveries {
		v := delivery.Delivery{ID: one.ID, Tenant: tenant, Integration: one.Integration, State: delivery.Pending,
			CreatedAt: table.MadeAt(one.ID), Due: table.Instant(one.Due), Count: len(one.Events), Digest: one.Digest,
			Held: one.Held, From: one.From}
		for _, k := range one.Events {
			if k < 0 || k >= len(events) {
				return nil, fmt.Errorf("delivery %s carries an event that its intake does not have", one.ID)
			}
			e := events[k].Event
			v.Events = append(v.Events, e)
			if !slices.Contains(v.Kinds, e.Kind) {
				v.Kinds = append(v.Kinds, e.Kind)
			}
		}
		out[n] = v
	}
	return out, nil
}

// packs reads committed intakes by their intakeIDs. Those that were aborted or are kept no longer are missing in the
// answer.
func (t *Store) packs(ctx context.Context, ids []string) (map[string]pack, error) {
	out := make(map[string]pack, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	keys := make([]table.Item, len(ids))
	for n, id := range ids {
		keys[n] = table.Item{"intake": table.Text(id)}
	}
	found, err := table.GetAll(ctx, t.DB, t.Tables.Intakes, keys, true)
	if err != nil {
		return nil, fmt.Errorf("read %d intakes: %w", len(ids), err)
	}
	now := t.Now()
	for _, i := range found {
		if table.Expired(i, now) {
			continue
		}
		row, err := table.Unmarshal[intakeRow](i)
		if err == nil && !row.Aborted {
			out[row.Intake], err = t.unpack(ctx, row)
		}
		if err != nil {
			return nil, fmt.Errorf("intake %q: %w", table.TextOf(i, "intake"), err)
		}
	}
	return out, nil
}

func (t *Store) unpack(ctx context.Context, row intakeRow) (p pack, err error) {
	body := row.Body
	if row.Parts > 0 {
		rest, err := t.readParts(ctx, t.Tables.Intakes, "intake", "body", row.Intake, row.Parts)
		if err != nil {
			return p, err
		}
		body = slices.Concat(body, rest)
	}
	raw, err := table.Inflate(body)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(raw, &p)
}

// Committed reads a committed intake. Error: delivery.ErrNotFound when it was aborted or is kept no longer.
func (t *Store) Committed(ctx context.Context, tenant, intake string) (m Intake, err error) {
	p, err := t.pack(ctx, tenant, intake)
	if err != nil {
		return m, err
	}
	m.Tenant, m.ID = tenant, intake
	if m.Events, err = p.accepted(intake); err != nil {
		return m, err
	}
	m.Deliveries, err = p.deliveries(tenant, m.Events)
	return m, err
}

// Accepted reads the events of a committed intake, in their order. Error: delivery.ErrNotFound when it was aborted or
// is kept no longer.
func (t *Store) Accepted(ctx context.Context, tenant, intake string) ([]fanout.Accepted, error) {
	p, err := t.pack(ctx, tenant, intake)
	if err != nil {
		return nil, err
	}
	return p.accepted(intake)
}

func (t *Store) pack(ctx context.Context, tenant, intake string) (pack, error) {
	found, err := t.packs(ctx, []string{ID(tenant, intake)})
	if err != nil {
		return pack{}, err
	}
	p, ok := found[ID(tenant, intake)]
	if !ok {
		return pack{}, fmt.Errorf("intake %s of tenant %s: %w", intake, tenant, delivery.ErrNotFound)
	}
	return p, nil
}
