package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
)

// claim puts first failures into a retry batch and starts it; into several where they do not fit into one.
func (h *Handler) claim(ctx context.Context, failing []delivery.Delivery) error {
	for len(failing) > 0 {
		batch, integration := h.NewID(), failing[0].Integration
		for i := range failing {
			failing[i].Batch = batch
		}
		n, rest, err := h.BatchStore.Claim(ctx, batch, failing)
		if err != nil {
			return fmt.Errorf("claim %d deliveries of integration %s for their retries: %w", len(failing), integration,
				err)
		}
		if n > 0 { // else another call with the same deliveries was faster
			first := next(Round{Batch: batch, Execution: batch}, failing[:len(failing)-len(rest)])
			if err := h.start(ctx, first); err != nil {
				return err
			}
		}
		failing = rest
	}
	return nil
}

func (h *Handler) start(ctx context.Context, first Round) error {
	if err := h.Retries.Start(ctx, first); err != nil {
		return fmt.Errorf("start the retries of batch %s as %s: %w", first.Batch, first.Execution, err)
	}
	return nil
}

// Retry is one round of a retry batch. With Round 0 it only says how long the first wait is; then each round makes one
// attempt at every member that still waits and says how long the next wait is. It may be called again with the same
// Round after an error: members whose attempt was written are not sent twice.
func (h *Handler) Retry(ctx context.Context, r Round) (Round, error) {
	began := h.Sender.Now()
	end := Round{Batch: r.Batch, Execution: r.Execution, Round: r.Round}
	b, err := h.BatchStore.Batch(ctx, r.Batch)
	if err != nil {
		return r, fmt.Errorf("read retry batch %s: %w", r.Batch, err)
	}
	if cmp.Or(r.Execution, r.Batch) != cmp.Or(b.Execution, r.Batch) {
		h.Log.Info("an execution ends: another has taken its batch over", "batch", r.Batch, "execution", r.Execution,
			"other", b.Execution)
		return end, nil
	}
	waiting, err := h.waiting(ctx, r.Batch, b.MessageBatch)
	if err != nil || len(waiting) == 0 {
		return end, err
	}
	target, ended, err := h.Targets.Target(ctx, b.Tenant, b.Integration)
	if err != nil {
		return r, err
	}
	if ended.Why != "" {
		return end, h.end(ctx, waiting, ended)
	}
	if r.Round == 0 {
		return next(end, waiting), nil
	}
	return h.again(ctx, r, target, waiting, began)
}

// waiting loads the members of a batch that still wait in it.
func (h *Handler) waiting(ctx context.Context, batch string, b MessageBatch) ([]delivery.Delivery, error) {
	loaded, err := h.BatchStore.Load(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("load retry batch %s of integration %s: %w", batch, b.Integration, err)
	}
	return slices.DeleteFunc(loaded, func(d delivery.Delivery) bool {
		return d.State != delivery.Retrying || d.Batch != batch
	}), nil
}

// again makes one attempt at every member whose round it is.
func (h *Handler) again(ctx context.Context, r Round, target *sending.Target, waiting []delivery.Delivery,
	began time.Time) (Round, error) {
	var due, after []delivery.Delivery
	for _, d := range waiting {
		if d.Failures <= r.Round {
			due = append(due, d)
		} else {
			after = append(after, d) // sent by a call with the same Round that broke off later
		}
	}
	limiter := h.limiter(target.Integration.Tenant, target.Integration.ID)
	if r.Spared > 0 || slices.ContainsFunc(due, delivery.Delivery.Spares) {
		limiter.consult(ctx)
	}
	if len(due) > 1 && !slices.ContainsFunc(due, func(d delivery.Delivery) bool { return !d.Unanswered() }) {
		limiter.expectSilence()
	}
	out, err := h.attempts(ctx, limiter, target, due, began)
	if err != nil {
		return r, err
	}
	if err := h.conclude(ctx, target, out.sent); err != nil {
		return r, err
	}
	if len(out.left) > 0 {
		return h.sameRound(r, out), nil
	}
	for _, d := range out.sent {
		if d.State == delivery.Retrying {
			after = append(after, d.Delivery)
		}
	}
	return next(Round{Batch: r.Batch, Execution: r.Execution}, after), nil
}

// sameRound is the round once more, for those whose request could not begin.
func (h *Handler) sameRound(r Round, out batchResult) Round {
	rest := Round{Batch: r.Batch, Execution: r.Execution, Round: r.Round, More: true}
	now := h.Sender.Now()
	if out.limited {
		rest.Spared = cmp.Or(r.Spared, now.Unix())
	}
	rest.Seconds = seconds(out.after(now, time.Unix(cmp.Or(rest.Spared, now.Unix()), 0)))
	return rest
}

// next is the round of a batch after this one, with the wait before it: as long as the most patient of its members was
// told to wait.
func next(r Round, waiting []delivery.Delivery) Round {
	r = Round{Batch: r.Batch, Execution: r.Execution, More: len(waiting) > 0}
	for _, d := range waiting {
		if r.Round == 0 || d.Failures < r.Round {
			r.Round = d.Failures
		}
		r.Seconds = max(r.Seconds, seconds(d.Planned()))
	}
	return r
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Resume takes a batch up again whose retries broke off, by a new execution whose name ends with what is unique to the
// reason, such as the id of a message: the names of others stay used up. An execution that is still at work ends at its
// next round.
func (h *Handler) Resume(ctx context.Context, batch, reason string) error {
	name := batch + "-" + reason
	switch err := h.BatchStore.TakeOver(ctx, batch, name); {
	case errors.Is(err, delivery.ErrNotFound):
		h.Log.Warn("a retry batch that is to be taken up again is kept no more", "batch", batch)
		return nil
	case err != nil:
		return fmt.Errorf("take over the retries of batch %s as %s: %w", batch, name, err)
	}
	return h.start(ctx, Round{Batch: batch, Execution: name, More: true})
}
