// Command deliver makes the first attempt at deliveries of the deliveries queue, and takes up retries again that broke
// off.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/metrics"
)

// budget leaves the longest request (180 s: 60 to connect, 60 for the head of the answer, 60 for the rest) its time
// before the function's timeout of 300 s.
const budget = time.Minute

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[events.SQSEvent, events.SQSEventResponse] {
	handler := s.BatchHandler(s.Integrations(), budget)
	again := s.Visibility("TOCSIN_QUEUE_DELIVERIES", "TOCSIN_QUEUE_RETRIES")
	return metrics.Batch(s.Meter("deliver"), handlers.Deliver(handler, again, s.Log))
}
