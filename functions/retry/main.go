// Command retry is the task of the retry state machine (retry.asl.json); a schedule makes it publish what was left
// behind.
package main

import (
	"context"
	"errors"
	"time"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/metrics"
)

// budget leaves the longest request (180 s: 60 to connect, 60 for the head of the answer, 60 for the rest) its time
// before the function's timeout of 300 s.
const budget = time.Minute

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[handlers.RetryCall, any] {
	store := s.Integrations()
	handler := s.BatchHandler(store, budget)
	service := s.Service(store)
	outbox, commands := s.Sweeping(), s.CommandNotices()
	relay := func(ctx context.Context) (int, error) {
		finished, swept := outbox.Sweep(ctx)
		count, err := store.Relay(ctx)
		count, err = count+finished, errors.Join(swept, err)
		failing, lost := service.Failing(ctx)
		if lost == nil {
			_, lost = handler.Monitor.Sweep(ctx, failing)
		}
		_, untold := commands.Send(ctx)
		return count, errors.Join(err, lost, untold)
	}
	return metrics.Of(s.Meter("retry"), handlers.Retry(handler,
		handlers.Upkeep{Relay: relay, Sweep: s.Sweeper(handler).Sweep}, s.Log))
}
