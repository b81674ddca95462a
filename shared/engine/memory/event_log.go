package memory

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
)

// Arrived lists accepted events in the order of their arrival.
func (d *Deliveries) Arrived(_ context.Context, tenant string, from, to time.Time, after string,
	limit int) (out []fanout.Accepted, next string, err error) {
	defer d.e.lock()()
	first := 0
	if after != "" {
		if first, err = strconv.Atoi(after); err != nil {
			return nil, "", fmt.Errorf("the place %q is not of this engine: %w", after, err)
		}
	}
	for n, a := range d.e.accepted[min(first, len(d.e.accepted)):] {
		if a.Event.Tenant != tenant || a.At.Before(from) || !a.At.Before(to) {
			continue
		}
		out = append(out, fanout.Accepted{Event: a.Event, Entry: a.Entry})
		if len(out) == limit {
			return out, strconv.Itoa(first + n + 1), nil
		}
	}
	return out, "", nil
}

// Carried looks for the events in an integration's deliveries.
func (d *Deliveries) Carried(_ context.Context, tenant, integration string, events []fanout.Accepted) ([]bool, error) {
	defer d.e.lock()()
	carried := map[key]bool{}
	for _, v := range d.e.deliveries[key{tenant, integration}] {
		for _, e := range v.Events {
			carried[key{e.Tenant, e.ID}] = true
		}
	}
	for _, m := range d.e.merged[key{tenant, integration}] {
		for _, e := range m.Was.Events {
			carried[key{e.Tenant, e.ID}] = true
		}
	}
	out := make([]bool, len(events))
	for n, a := range events {
		out[n] = carried[key{a.Event.Tenant, a.Event.ID}]
	}
	return out, nil
}

// Recover keeps deliveries whose ids are new.
func (d *Deliveries) Recover(_ context.Context, deliveries []delivery.Delivery, _ []fanout.Accepted) (made int,
	err error) {
	defer d.e.lock()()
	for _, v := range deliveries {
		if d.e.insert(v) {
			made++
		}
	}
	return made, nil
}
