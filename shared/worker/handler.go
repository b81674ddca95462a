package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/metrics"
	"tocsin/shared/sending"
	"tocsin/shared/worker/pace"
)

// Handler sends what an engine hands to it in message batches, and makes the retries of those that fail travel in
// batches: an outage costs one execution for a message batch, not for a delivery. It is the distributed counterpart of
// Pool. It holds nothing between calls but opened integrations and what it knows of their paces: a call that breaks off
// is simply made again.
type Handler struct {
	BatchStore BatchStore
	Retries    RetryStarter
	Targets    *sending.TargetCache
	Sender     *sending.Sender
	Monitor    *health.Monitor
	Fallbacks  Fallbacks     // nil: what dies goes nowhere else
	NewID      func() string // of retry batches
	Log        *slog.Logger
	Capacity   Capacity // of the engine
	// PerLane is how many requests to one integration are in flight at once; 0 = 32.
	PerLane int
	// Failing replaces PerLane while the last request failed; 0 = PerLane. It need not be less, as it is in a Pool: a
	// call takes no room from others, and its time is paid for.
	Failing int
	// Budget is how long after its beginning a call still starts requests; what is left then is handed out again.
	// 0 = no limit. With the longest deadline of a request it must stay below the time that the call may take.
	Budget time.Duration
	// Paces are those that all processes share; nil = this process shares them with nobody.
	Paces pace.Store
	Meter metrics.Sink // takes what batches of attempts came to; nil = nobody counts

	once  sync.Once
	paces *pace.Views
}

// limiter is that of a call.
func (h *Handler) limiter(tenant, integration string) *limiter {
	h.once.Do(func() {
		h.paces = pace.NewViews(h.Paces, h.Log, h.Sender.Now)
	})
	most := Limits{PerLane: h.PerLane}.filled().PerLane
	failing := h.Failing
	if failing == 0 {
		failing = most
	}
	return newLimiter(h.paces.Of(tenant, integration), most, failing, h.Sender.Now)
}

// Deliver makes the first attempt at what the message batches name. It returns an error for each of them, nil for those
// that are done with; the others are to be handed in again.
func (h *Handler) Deliver(ctx context.Context, batches []MessageBatch) []error {
	errs := make([]error, len(batches))
	var work sync.WaitGroup
	for _, members := range byLane(batches) {
		work.Go(func() {
			err := h.deliver(ctx, merge(batches, members))
			for _, n := range members {
				errs[n] = err
			}
		})
	}
	work.Wait()
	return errs
}

// byLane groups the places of the message batches by integration.
func byLane(batches []MessageBatch) [][]int {
	at := map[delivery.Lane]int{}
	var out [][]int
	for n, b := range batches {
		l := delivery.Lane{Tenant: b.Tenant, Integration: b.Integration}
		k, ok := at[l]
		if !ok {
			k = len(out)
			at[l] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], n)
	}
	return out
}

// merge makes one message batch of several to the same integration.
func merge(batches []MessageBatch, members []int) MessageBatch {
	whole := MessageBatch{Tenant: batches[members[0]].Tenant, Integration: batches[members[0]].Integration}
	seen := map[string]bool{}
	for _, n := range members {
		for _, id := range batches[n].IDs {
			if !seen[id] {
				seen[id] = true
				whole.IDs = append(whole.IDs, id)
			}
		}
		if since := batches[n].Spared; whole.Spared.IsZero() || !since.IsZero() && since.Before(whole.Spared) {
			whole.Spared = since
		}
	}
	return whole
}

// deliver makes the first attempt at the deliveries of one integration, a part of them at a time.
func (h *Handler) deliver(ctx context.Context, whole MessageBatch) error {
	began := h.Sender.Now()
	limiter := h.limiter(whole.Tenant, whole.Integration)
	for ids := range h.Capacity.cut(whole.IDs) {
		b := MessageBatch{Tenant: whole.Tenant, Integration: whole.Integration, IDs: ids, Spared: whole.Spared}
		if h.late(began) {
			if err := h.BatchStore.Enqueue(ctx, []MessageBatch{b}, 0); err != nil {
				return fmt.Errorf("hand out %d deliveries of integration %s again: %w", len(ids), b.Integration, err)
			}
			continue
		}
		if err := h.first(ctx, limiter, b, began); err != nil {
			return err
		}
	}
	return nil
}

// first makes the first attempt at the deliveries of one message batch.
func (h *Handler) first(ctx context.Context, l *limiter, b MessageBatch, began time.Time) error {
	loaded, err := h.BatchStore.Load(ctx, b)
	if err != nil {
		return fmt.Errorf("load %d deliveries of integration %s: %w", len(b.IDs), b.Integration, err)
	}
	fresh, err := h.resume(ctx, loaded)
	if err == nil {
		fresh, err = h.closed(ctx, b, fresh)
	}
	if err != nil || len(fresh) == 0 {
		return err
	}
	target, ended, err := h.Targets.Target(ctx, b.Tenant, b.Integration)
	if err != nil {
		return err
	}
	if ended.Why != "" {
		return h.end(ctx, fresh, ended)
	}
	if !b.Spared.IsZero() {
		l.consult(ctx)
	}
	out, err := h.attempts(ctx, l, target, fresh, began)
	if err != nil {
		return err
	}
	return errors.Join(h.conclude(ctx, target, out.sent), h.handBack(ctx, b, out))
}

// handBack hands out again what was not sent.
func (h *Handler) handBack(ctx context.Context, b MessageBatch, out batchResult) error {
	if len(out.left) == 0 {
		return nil
	}
	rest := MessageBatch{Tenant: b.Tenant, Integration: b.Integration, IDs: ids(out.left)}
	now := h.Sender.Now()
	if out.limited {
		rest.Spared = b.Spared
		if rest.Spared.IsZero() {
			rest.Spared = now
		}
	}
	return h.BatchStore.Enqueue(ctx, []MessageBatch{rest}, out.after(now, rest.Spared))
}

// resume takes up where an earlier call with the same deliveries broke off: what it claimed is in the hands of its
// retry batch's execution, which exists after this call. The rest is returned.
func (h *Handler) resume(ctx context.Context, loaded []delivery.Delivery) (fresh []delivery.Delivery, err error) {
	started := map[string]bool{}
	for _, d := range loaded {
		switch {
		case d.State == delivery.Pending:
			fresh = append(fresh, d)
		case d.State == delivery.Retrying && !started[d.Batch]:
			started[d.Batch] = true
			if err := h.start(ctx, Round{Batch: d.Batch, Execution: d.Batch, More: true}); err != nil {
				return nil, err
			}
		}
	}
	return fresh, nil
}

// closed returns the deliveries whose batch windows are closed. Their message came too early for the others, which are
// handed out again.
func (h *Handler) closed(ctx context.Context, b MessageBatch, fresh []delivery.Delivery) (closed []delivery.Delivery,
	err error) {
	open := MessageBatch{Tenant: b.Tenant, Integration: b.Integration}
	for _, d := range fresh {
		if d.Due.IsZero() {
			closed = append(closed, d)
			continue
		}
		open.IDs = append(open.IDs, d.ID)
		if d.Due.After(open.Due) {
			open.Due = d.Due
		}
	}
	if len(open.IDs) == 0 {
		return closed, nil
	}
	if err := h.BatchStore.Enqueue(ctx, []MessageBatch{open}, 0); err != nil {
		return nil, fmt.Errorf("put %d deliveries of integration %s back until their batch windows close: %w",
			len(open.IDs), b.Integration, err)
	}
	return closed, nil
}

// end settles deliveries that are not to be sent any more.
func (h *Handler) end(ctx context.Context, deliveries []delivery.Delivery, end sending.End) error {
	outcomes := make([]outcome, len(deliveries))
	dead := make([]delivery.Delivery, len(deliveries))
	for i, d := range deliveries {
		outcomes[i] = killed(d, end)
		if err := fallBack(ctx, h.Fallbacks, end.Of, &outcomes[i].after.Delivery); err != nil {
			return err
		}
		dead[i] = outcomes[i].after.Delivery
	}
	if err := h.settle(ctx, dead); err != nil {
		return err
	}
	meter(ctx, h.Meter, outcomes)
	return h.tally(ctx, outcomes)
}

func (h *Handler) late(began time.Time) bool {
	return h.Budget > 0 && h.Sender.Now().Sub(began) >= h.Budget
}

// conclude writes what became of attempts: first the outcomes, so that nothing is sent again for it; then the counts.
func (h *Handler) conclude(ctx context.Context, target *sending.Target, sent []sending.Outcome) error {
	if len(sent) == 0 {
		return nil
	}
	var settled, failing []delivery.Delivery
	var wrong error
	for _, d := range sent {
		h.Sender.Tell(h.Log, d.Delivery)
		if err := fallBack(ctx, h.Fallbacks, &target.Integration, &d.Delivery); err != nil {
			wrong = errors.Join(wrong, err) // it comes again; the others are written
			continue
		}
		if d.State == delivery.Retrying && d.Batch == "" {
			failing = append(failing, d.Delivery)
		} else {
			settled = append(settled, d.Delivery)
		}
	}
	err := errors.Join(wrong, h.settle(ctx, settled))
	if len(failing) > 0 {
		err = errors.Join(err, h.claim(ctx, failing))
	}
	return errors.Join(err, h.count(ctx, target, sent))
}

func (h *Handler) settle(ctx context.Context, deliveries []delivery.Delivery) error {
	if len(deliveries) == 0 {
		return nil
	}
	if err := settle(ctx, h.BatchStore, h.Log, deliveries); err != nil {
		return fmt.Errorf("write the outcome of %d deliveries of integration %s: %w", len(deliveries),
			deliveries[0].Integration, err)
	}
	return nil
}

// count counts attempts for the health of their integration, and what ended.
func (h *Handler) count(ctx context.Context, target *sending.Target, sent []sending.Outcome) error {
	batch := make([]outcome, len(sent))
	for n, d := range sent {
		batch[n] = outcomeOf(target, d)
	}
	meter(ctx, h.Meter, batch)
	return h.tally(ctx, batch)
}

// tally counts the outcomes of one integration. What can not be counted is not counted later: a call that is made again
// finds the outcomes written.
func (h *Handler) tally(ctx context.Context, batch []outcome) error {
	c := counting{monitor: h.Monitor, now: h.Sender.Now}
	counts, err := c.weigh(ctx, batch)
	if err != nil || len(counts) == 0 {
		return err
	}
	if err := c.add(ctx, counts); err != nil {
		return fmt.Errorf("count %d attempts of integration %s: %w", counts[0].Attempts, counts[0].Integration, err)
	}
	_, err = c.judge(ctx, counts) // its retry batches end at their next round
	return err
}

func ids(deliveries []delivery.Delivery) []string {
	out := make([]string, len(deliveries))
	for i, d := range deliveries {
		out[i] = d.ID
	}
	return out
}
