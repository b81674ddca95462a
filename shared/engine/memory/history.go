package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/integration"
)

var _ integration.Backlog = (*Deliveries)(nil)

// Get returns one delivery with its events.
func (d *Deliveries) Get(_ context.Context, tenant, integration, id string) (delivery.Delivery, error) {
	defer d.e.lock()()
	k := key{tenant, integration}
	v, ok := d.e.deliveries[k][id]
	if m, merged := d.e.merged[k][id]; !ok && merged {
		v, ok = d.e.deliveries[k][m.Into]
	}
	if !ok {
		return v, fmt.Errorf("get delivery %s: %w", id, delivery.ErrNotFound)
	}
	return stored(v), nil
}

// of are an integration's deliveries that are made in a range of time and are in one of the states, oldest first. No
// state is any state.
func (e *Engine) of(k key, from, to time.Time, states ...delivery.State) (out []delivery.Delivery) {
	for _, v := range e.deliveries[k] {
		in := !v.CreatedAt.Before(from) && (to.IsZero() || v.CreatedAt.Before(to))
		if in && (len(states) == 0 || slices.Contains(states, v.State)) {
			out = append(out, stored(v))
		}
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// List returns deliveries without their events, newest first.
func (d *Deliveries) List(_ context.Context, q delivery.Query) ([]delivery.Delivery, error) {
	defer d.e.lock()()
	var out []delivery.Delivery
	for _, v := range slices.Backward(d.e.of(key{q.Tenant, q.Integration}, q.From, q.To, q.States...)) {
		if (q.Before == "" || v.ID < q.Before) && len(out) < q.Limit {
			v.Events = nil
			out = append(out, v)
		}
	}
	return out, nil
}

// Replay begins a new run of ended deliveries.
func (d *Deliveries) Replay(_ context.Context, r delivery.Replay) (count int, after string, err error) {
	defer d.e.lock()()
	k := key{r.Tenant, r.Integration}
	if r.ID != "" {
		v, ok := d.e.deliveries[k][r.ID]
		if !ok {
			return 0, "", fmt.Errorf("replay delivery %s: %w", r.ID, delivery.ErrNotFound)
		}
		if v.State == delivery.Dead || v.State == delivery.Delivered {
			d.e.restart(v)
			count = 1
		}
		return count, "", nil
	}
	states := []delivery.State{delivery.Dead}
	if len(r.States) > 0 {
		states = slices.DeleteFunc(slices.Clone(r.States), func(s delivery.State) bool {
			return s != delivery.Dead && s != delivery.Delivered
		})
	}
	for _, v := range d.e.of(k, r.From, r.To, states...) {
		if v.ID <= r.After {
			continue
		}
		d.e.restart(v)
		if count++; count == r.Limit {
			return count, v.ID, nil
		}
	}
	return count, "", nil
}

func (e *Engine) restart(v delivery.Delivery) {
	v.State, v.Failures, v.Reason, v.Batch = delivery.Pending, 0, "", ""
	e.deliveries[key{v.Tenant, v.Integration}][v.ID] = v
}

// CountWaiting counts what waits for a first request, for its batch window, or for a retry.
func (d *Deliveries) CountWaiting(_ context.Context, tenant, id string, limit int) (w integration.Waiting, err error) {
	defer d.e.lock()()
	for _, v := range d.e.of(key{tenant, id}, time.Time{}, time.Time{}, delivery.Pending, delivery.Retrying) {
		one := integration.Waiting{Count: 1}
		switch waits := v.State == delivery.Pending && !v.Due.IsZero(); {
		case waits && v.Held != nil:
			one = integration.Waiting{Held: 1, HeldUntil: v.Due.UTC()}
		case waits:
			one.Gathering = 1
		case v.State == delivery.Retrying:
			one.Next = v.Due.UTC()
		}
		w.Add(one)
	}
	w.Count, w.Gathering, w.Held = min(limit, w.Count), min(limit, w.Gathering), min(limit, w.Held)
	return w, nil
}

// CountWaitingOf counts for one after the other.
func (d *Deliveries) CountWaitingOf(ctx context.Context, tenant string, integrations []string,
	limit int) ([]integration.Waiting, error) {
	out := make([]integration.Waiting, len(integrations))
	for n, id := range integrations {
		var err error
		if out[n], err = d.CountWaiting(ctx, tenant, id, limit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CountDead counts the dead.
func (d *Deliveries) CountDead(_ context.Context, tenant, id string, from time.Time, limit int) (int, error) {
	defer d.e.lock()()
	return min(limit, len(d.e.of(key{tenant, id}, from, time.Time{}, delivery.Dead))), nil
}

// DeadLetters lists a tenant's rejected entries, newest first.
func (d *Deliveries) DeadLetters(_ context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error) {
	return d.letters(before, limit, func(l delivery.DeadLetter) bool { return l.Tenant == tenant }), nil
}

// AllDeadLetters lists those of all tenants.
func (d *Deliveries) AllDeadLetters(_ context.Context, before string, limit int) ([]delivery.DeadLetter, error) {
	return d.letters(before, limit, func(delivery.DeadLetter) bool { return true }), nil
}

func (d *Deliveries) letters(before string, limit int,
	of func(delivery.DeadLetter) bool) (out []delivery.DeadLetter) {
	defer d.e.lock()()
	last := len(d.e.deadLetters)
	if before != "" {
		n, err := strconv.Atoi(before)
		if err != nil {
			return nil // no id of ours: nothing comes before it
		}
		last = min(last, n-1)
	}
	for _, l := range slices.Backward(d.e.deadLetters[:max(0, last)]) {
		if l.ID != "" && of(l) && len(out) < limit {
			out = append(out, l)
		}
	}
	return out
}

// Resend puts a tenant's rejected entry on the bus anew, once.
func (d *Deliveries) Resend(_ context.Context, tenant, id string, at time.Time) (sent bool, err error) {
	return d.resend(id, at, func(l delivery.DeadLetter) bool { return l.Tenant == tenant })
}

// ResendOfAny does so with one of any tenant.
func (d *Deliveries) ResendOfAny(_ context.Context, id string, at time.Time) (sent bool, err error) {
	return d.resend(id, at, func(delivery.DeadLetter) bool { return true })
}

func (d *Deliveries) resend(id string, at time.Time, of func(delivery.DeadLetter) bool) (sent bool, err error) {
	defer d.e.lock()()
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 || n > len(d.e.deadLetters) || d.e.deadLetters[n-1].ID == "" ||
		!of(d.e.deadLetters[n-1]) {
		return false, fmt.Errorf("send dead letter %q again: %w", id, delivery.ErrNotFound)
	}
	l := &d.e.deadLetters[n-1]
	if !l.ReplayedAt.IsZero() {
		return false, nil
	}
	l.ReplayedAt = at.UTC()
	d.e.put(delivery.Entry{DetailType: l.DetailType, Detail: l.Detail, At: at})
	return true, nil
}

// Put keeps deliveries as they are given, in whatever state: for a test that begins in the middle of things.
func (d *Deliveries) Put(deliveries ...delivery.Delivery) {
	defer d.e.lock()()
	for _, v := range deliveries {
		lane := key{v.Tenant, v.Integration}
		if d.e.deliveries[lane] == nil {
			d.e.deliveries[lane] = map[string]delivery.Delivery{}
		}
		d.e.deliveries[lane][v.ID] = stored(v)
	}
}

// Find returns the delivery of that id, of any integration; the zero value when there is none.
func (d *Deliveries) Find(id string) delivery.Delivery {
	defer d.e.lock()()
	for _, all := range d.e.deliveries {
		if v, ok := all[id]; ok {
			return stored(v)
		}
	}
	return delivery.Delivery{}
}

// Count is how many deliveries of all tenants are in a state.
func (d *Deliveries) Count(s delivery.State) (n int) {
	defer d.e.lock()()
	for _, all := range d.e.deliveries {
		for _, v := range all {
			if v.State == s {
				n++
			}
		}
	}
	return n
}

// All returns every delivery, of all tenants, by their ids.
func (d *Deliveries) All() (out []delivery.Delivery) {
	defer d.e.lock()()
	for lane := range d.e.deliveries {
		out = append(out, d.e.of(lane, time.Time{}, time.Time{})...)
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
