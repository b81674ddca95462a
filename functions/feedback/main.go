// Command feedback takes in what SES says about mails: an address that bounces, or whose owner complains, is sent to no
// more, and the administrators are told.
package main

import (
	"github.com/aws/aws-lambda-go/events"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/metrics"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[events.SQSEvent, events.SQSEventResponse] {
	feedback := s.Feedback()
	return metrics.Batch(s.Meter("feedback"), handlers.Feedback(feedback, s.Log))
}
