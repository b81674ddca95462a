package worker_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/worker"
)

// loads notes how many deliveries are loaded at once.
type loads struct {
	*batches
	sizes []int
}

func (l *loads) Load(ctx context.Context, b worker.MessageBatch) ([]delivery.Delivery, error) {
	l.sizes = append(l.sizes, len(b.IDs))
	return l.batches.Load(ctx, b)
}

func TestWhatAnEngineTakesAtOnceIsNotExceeded(t *testing.T) {
	for name, c := range map[string]struct {
		capacity worker.Capacity
		sizes    []int
	}{
		"an engine with a limit":   {worker.Capacity{Deliveries: 99}, []int{99, 99, 52}},
		"an engine that takes any": {worker.Capacity{}, []int{250}},
		"an engine with much room": {worker.Capacity{Deliveries: 1000}, []int{250}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sender(t, func(context.Context, destination.Request) (destination.Response, error) {
				return status(200)
			})
			store := &loads{batches: s.batches}
			s.BatchStore, s.Capacity = store, c.capacity
			var batches []worker.MessageBatch
			var ids []string
			for n := range 250 {
				ids = append(ids, fmt.Sprintf("d%03d", n))
			}
			batches = append(batches, s.pending(ids[:150]...), s.pending(ids[150:]...))
			s.deliver(batches...)
			require.Equal(t, c.sizes, store.sizes)
			require.Equal(t, 250, s.batches.count(delivery.Delivered))
		})
	}
}
