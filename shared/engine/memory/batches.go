package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/worker"
)

// Load returns the deliveries of a message batch in the order of its ids.
func (d *Deliveries) Load(_ context.Context, b worker.MessageBatch) (out []delivery.Delivery, err error) {
	defer d.e.lock()()
	k := key{b.Tenant, b.Integration}
	d.e.closeWindows(k, d.e.now())
	for _, id := range b.IDs {
		if v, ok := d.e.deliveries[k][id]; ok {
			out = append(out, stored(v))
		}
	}
	return out, nil
}

// Claim moves pending deliveries into a retry batch, all that are given at once.
func (d *Deliveries) Claim(_ context.Context, batch string, deliveries []delivery.Delivery) (claimed int,
	rest []delivery.Delivery, err error) {
	defer d.e.lock()()
	b := worker.Batch{}
	for _, v := range deliveries {
		k := key{v.Tenant, v.Integration}
		was := d.e.deliveries[k][v.ID]
		if was.State != delivery.Pending {
			continue
		}
		now := stored(v)
		now.Events = was.Events
		d.e.deliveries[k][v.ID] = now
		b.Tenant, b.Integration, b.IDs = v.Tenant, v.Integration, append(b.IDs, v.ID)
	}
	if len(b.IDs) > 0 {
		d.e.batches[batch] = b
	}
	return len(b.IDs), nil, nil
}

// Batch returns a retry batch.
func (d *Deliveries) Batch(_ context.Context, id string) (worker.Batch, error) {
	defer d.e.lock()()
	b, ok := d.e.batches[id]
	if !ok {
		return b, fmt.Errorf("retry batch %s: %w", id, delivery.ErrNotFound)
	}
	b.IDs = slices.Clone(b.IDs)
	return b, nil
}

// Forget removes a retry batch, as a restore of an older state does.
func (d *Deliveries) Forget(batch string) {
	defer d.e.lock()()
	delete(d.e.batches, batch)
}

// TakeOver notes which execution works at a batch.
func (d *Deliveries) TakeOver(_ context.Context, batch, execution string) error {
	defer d.e.lock()()
	b, ok := d.e.batches[batch]
	if !ok {
		return fmt.Errorf("take over retry batch %s: %w", batch, delivery.ErrNotFound)
	}
	b.Execution = execution
	d.e.batches[batch] = b
	return nil
}

// Enqueue keeps message batches for Queued.
func (d *Deliveries) Enqueue(_ context.Context, list []worker.MessageBatch, _ time.Duration) error {
	defer d.e.lock()()
	d.e.queue = append(d.e.queue, list...)
	return nil
}

// Queued takes the message batches that were handed out again, whatever their delay.
func (d *Deliveries) Queued() []worker.MessageBatch {
	defer d.e.lock()()
	out := d.e.queue
	d.e.queue = nil
	return out
}
