package intakes

import (
	"context"
	"errors"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// Event finds an accepted event by its key, and the deliveries that its intake put it in. Error:
// deliverylog.ErrNoEvent.
func (t *Store) Event(ctx context.Context, tenant, id string) (a fanout.Accepted, in []delivery.Delivery, err error) {
	key := table.Item{"event": table.Text(EventKey(tenant, id))}
	claim, found, err := table.Get[claimRow](ctx, t.DB, t.Tables.Events, key)
	switch {
	case err != nil:
		return a, nil, err
	case !found || claim.Expires <= t.Now().Unix():
		return a, nil, deliverylog.ErrNoEvent
	case claim.Intake == "":
		return t.eventOfVersion1(ctx, tenant, id)
	}
	p, err := t.pack(ctx, tenant, claim.Intake)
	if errors.Is(err, delivery.ErrNotFound) {
		err = deliverylog.ErrNoEvent // its intake was not committed: the event comes again
	}
	if err != nil {
		return a, nil, err
	}
	place := slices.IndexFunc(p.Events, func(e packedEvent) bool { return e.ID == id })
	if place < 0 {
		return a, nil, deliverylog.ErrNoEvent
	}
	e := p.Events[place]
	decoded, err := e.decode()
	if err != nil {
		return a, nil, err
	}
	for _, one := range p.Deliveries {
		if slices.Contains(one.Events, place) {
			in = append(in, delivery.Delivery{ID: one.ID, Tenant: tenant, Integration: one.Integration})
		}
	}
	return fanout.Accepted{Event: decoded, Intake: claim.Intake, Entry: delivery.Entry{DetailType: e.Kind,
		At: time.Unix(0, e.At).UTC()}}, in, nil
}

// eventOfVersion1 is one that is in its own row, which does not say when it came: it happened a moment before.
func (t *Store) eventOfVersion1(ctx context.Context, tenant, id string) (a fanout.Accepted, in []delivery.Delivery,
	err error) {
	var s Sources
	s.Add(tenant, []string{id}, nil)
	events, err := t.Load(ctx, s)
	if err != nil {
		return a, nil, err
	}
	e, ok := events[EventKey(tenant, id)]
	if !ok {
		return a, nil, deliverylog.ErrNoEvent
	}
	return fanout.Accepted{Event: e, Entry: delivery.Entry{DetailType: string(e.Kind), At: e.Time.UTC()}}, nil, nil
}
