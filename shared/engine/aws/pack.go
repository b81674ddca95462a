package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
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
}

type packedDelivery struct {
	ID          string `json:"i"`
	Integration string `json:"t"`
	Due         int64  `json:"u,omitempty"` // Unix nanoseconds, of one that gathers
	Events      []int  `json:"e"`           // places in the pack
}

func packOf(s *share) (p pack, err error) {
	place := make(map[string]int, len(s.events))
	for n, a := range s.events {
		place[a.Event.ID] = n
		detail, err := a.Event.Encode()
		if err != nil {
			return p, fmt.Errorf("encode event %s: %w", a.Event.ID, err)
		}
		p.Events = append(p.Events, packedEvent{a.Event.ID, string(a.Event.Kind), a.Entry.At.UnixNano(), detail})
	}
	for _, v := range s.deliveries {
		one := packedDelivery{ID: v.ID, Integration: v.Integration}
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
	return deflate(b.Bytes())
}

func (e packedEvent) decode() (event.Event, error) {
	out, err := event.Decode(e.Kind, e.Detail)
	if err != nil {
		return out, fmt.Errorf("event %s: %w", e.ID, err)
	}
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
			CreatedAt: madeAt(one.ID), Due: instant(one.Due), Count: len(one.Events)}
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
func (d *Deliveries) packs(ctx context.Context, ids []string) (map[string]pack, error) {
	out := make(map[string]pack, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	keys := make([]item, len(ids))
	for n, id := range ids {
		keys[n] = item{"intake": text(id)}
	}
	found, err := getAll(ctx, d.DB, d.Tables.Intakes, keys, true)
	if err != nil {
		return nil, fmt.Errorf("read %d intakes: %w", len(ids), err)
	}
	now := d.Now()
	for _, i := range found {
		if expired(i, now) {
			continue
		}
		row, err := unmarshal[intakeRow](i)
		if err == nil && !row.Aborted {
			out[row.Intake], err = d.unpack(ctx, row)
		}
		if err != nil {
			return nil, fmt.Errorf("intake %q: %w", textOf(i, "intake"), err)
		}
	}
	return out, nil
}

func (d *Deliveries) unpack(ctx context.Context, row intakeRow) (p pack, err error) {
	body := row.Body
	if row.Parts > 0 {
		rest, err := readParts(ctx, d, d.Tables.Intakes, "intake", "body", row.Intake, row.Parts)
		if err != nil {
			return p, err
		}
		body = slices.Concat(body, rest)
	}
	raw, err := inflate(body)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(raw, &p)
}

// Accepted reads the events of a committed intake, in their order. Error: delivery.ErrNotFound when it was aborted or
// is kept no longer.
func (d *Deliveries) Accepted(ctx context.Context, tenant, intake string) ([]fanout.Accepted, error) {
	found, err := d.packs(ctx, []string{intakeID(tenant, intake)})
	if err != nil {
		return nil, err
	}
	p, ok := found[intakeID(tenant, intake)]
	if !ok {
		return nil, fmt.Errorf("intake %s of tenant %s: %w", intake, tenant, delivery.ErrNotFound)
	}
	return p.accepted(intake)
}
