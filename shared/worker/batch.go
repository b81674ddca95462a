package worker

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"tocsin/shared/delivery"
)

// Capacity is what an engine takes at once. The engine declares it, and the roots hand it to a Handler. The zero value
// has no limit.
type Capacity struct {
	// Deliveries is how many of them one message batch or one retry batch holds at most; 0 = as many as come.
	Deliveries int
}

// cut divides ids into message batches.
func (c Capacity) cut(ids []string) iter.Seq[[]string] {
	return slices.Chunk(ids, cmp.Or(c.Deliveries, max(1, len(ids))))
}

// MessageBatch names deliveries of one integration that travel together: in one message of a queue, or in one retry
// batch.
type MessageBatch struct {
	Tenant      string
	Integration string
	IDs         []string
	// Due is when the message batch may be handled: the batch windows of its deliveries are open until then. Zero for
	// at once.
	Due time.Time
	// Spared is since when the message batch waits because its system wants to be spared, or gives no answer. Zero when
	// it does not.
	Spared time.Time
}

// BatchStore is what a Handler needs of its engine.
type BatchStore interface {
	// Load returns the deliveries of a message batch with their events, in the order of its ids, without those that are
	// kept no more. Those whose batch windows have closed are coalesced before, as delivery.Coalesce says.
	Load(ctx context.Context, p MessageBatch) ([]delivery.Delivery, error)
	OutcomeWriter
	// Claim records a retry batch and moves deliveries, as they are after their first failure, from pending into it:
	// both or neither. Those that are not pending any more stay where they are; claimed is the number of the others. It
	// takes as many as the engine can move at once, at least one: rest are to be claimed in another batch.
	Claim(ctx context.Context, batch string, deliveries []delivery.Delivery) (claimed int, rest []delivery.Delivery,
		err error)
	// Batch returns a retry batch. Error: ErrNotFound.
	Batch(ctx context.Context, id string) (Batch, error)
	// TakeOver makes an execution the one that works at a batch. Error: ErrNotFound.
	TakeOver(ctx context.Context, batch, execution string) error
	// Enqueue hands message batches out again, not before the time is over; an engine may bound that to 15 minutes.
	Enqueue(ctx context.Context, batches []MessageBatch, after time.Duration) error
}

// Batch is deliveries of one integration whose retries travel together.
type Batch struct {
	MessageBatch
	// Execution is the name of the execution that took the batch over, "" for the first, which has the batch's id for a
	// name.
	Execution string
}

// RetryStarter works at retry batches, a round at a time.
type RetryStarter interface {
	// Start starts the execution that the first round names; a name that was started before is no error, and starts
	// nothing.
	Start(ctx context.Context, first Round) error
	// Running reports whether the execution of that name is at work.
	Running(ctx context.Context, name string) (bool, error)
}

// Round is one round of a retry batch: what the state machine hands to Retry, and what it gets back.
type Round struct {
	Batch string `json:"batch"`
	// Execution is the name of the execution; "" is the batch's id. A batch that another execution has taken over is
	// left alone.
	Execution string `json:"execution,omitempty"`
	// Round is the number of failures that the members share, 0 before the first answer.
	Round int `json:"round"`
	// Seconds to wait before the next round.
	Seconds int `json:"seconds"`
	// More is false when nothing is left to send.
	More bool `json:"more"`
	// Spared is since when the batch waits because its system wants to be spared, or gives no answer: Unix time, 0 when
	// it does not.
	Spared int64 `json:"spared,omitempty"`
}
