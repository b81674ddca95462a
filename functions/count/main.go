// Command count counts what was accepted: what the events of committed intakes mean to the triggers of their tenant,
// and what they add to the record for reports. Its queue hands it the intakes of a tenant in their order: see package
// counting.
package main

import (
	"github.com/aws/aws-lambda-go/events"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/metrics"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[events.SQSEvent, events.SQSEventResponse] {
	queue, again := s.CountingQueue(), s.Visibility("TOCSIN_QUEUE_COUNTING")
	queue.DeadLetters = s.Need("TOCSIN_QUEUE_COUNTING_DEAD_LETTERS")
	return metrics.Batch(s.Meter("count"), counts.Handler(s.Counter(), queue, again, s.Log))
}
