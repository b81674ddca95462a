package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/health"
)

// settleLimit is how many deliveries one write of outcomes takes.
const settleLimit = 512

// settle writes a Pool's outcomes, as many at once as are there, until the channel closes.
func (p *Pool) settle(ctx context.Context) {
	batch := make([]outcome, 0, settleLimit)
	for o := range p.outcomes {
		batch = append(batch[:0], o)
		for more := true; more && len(batch) < settleLimit; {
			select {
			case o, more = <-p.outcomes:
				if more {
					batch = append(batch, o)
				}
			default:
				more = false
			}
		}
		p.write(ctx, batch)
	}
}

// write records one batch of outcomes and what follows from them.
func (p *Pool) write(ctx context.Context, batch []outcome) {
	whole := context.WithoutCancel(ctx) // what was sent is written though the program stops
	deliveries := make([]delivery.Delivery, 0, len(batch))
	retrying := false
	for n := range batch {
		o := &batch[n]
		if o.barrier == nil {
			p.persist(ctx, "make the fallback of a delivery", func() error {
				return fallBack(whole, p.fallbacks, o.of, &o.after.Delivery)
			})
			deliveries = append(deliveries, o.after.Delivery)
			retrying = retrying || o.after.State == delivery.Retrying
			if !o.after.Kept { // else nothing was decided
				p.sender.Tell(p.logger, o.after.Delivery)
			}
		}
	}
	var counts []health.Count
	p.persist(ctx, "weigh attempts", func() (err error) {
		counts, err = p.counting.weigh(whole, batch)
		return err
	})
	var writes sync.WaitGroup // side by side: an engine that groups writes makes them one
	if len(counts) > 0 {
		writes.Go(func() {
			p.persist(ctx, "count attempts", func() error { return p.counting.add(whole, counts) })
		})
	}
	if len(deliveries) > 0 {
		p.persist(ctx, "write the outcome of deliveries", func() error {
			return settle(whole, p.writer, p.logger, deliveries)
		})
	}
	writes.Wait()
	meter(whole, p.meter, batch)
	p.Wake(fallenLanes(deliveries)...)
	if len(counts) > 0 {
		p.persist(ctx, "look after failing integrations", func() error { return p.judge(whole, counts) })
	}
	for _, o := range batch {
		if o.barrier != nil {
			close(o.barrier)
		}
	}
	if retrying {
		p.look()
	}
}

// judge ends what waits for the integrations that the monitor disables.
func (p *Pool) judge(ctx context.Context, counts []health.Count) error {
	disabled, err := p.counting.judge(ctx, counts)
	for _, c := range counts {
		if slices.Contains(disabled, c.Integration) {
			p.Recheck(c.Tenant, c.Integration)
		}
	}
	return err
}

// persistLimit is how often a write is tried again once the Pool is to stop. What is not written then is sent again
// after the next start.
const persistLimit = 3

// persist repeats a write that fails (a full disk): the deliveries were sent, and forgetting that would send them
// again. Meanwhile nothing new is sent, because the outcomes have no room.
func (p *Pool) persist(ctx context.Context, what string, write func() error) {
	for stopping := 0; ; {
		err := write()
		if err == nil {
			return
		}
		p.logger.Error(what+": trying again", "error", err.Error())
		if ctx.Err() != nil {
			if stopping++; stopping == persistLimit {
				return
			}
		}
		time.Sleep(pause)
	}
}
