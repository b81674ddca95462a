// Command fanout takes events from the events queue and makes deliveries of them. What they mean to triggers and
// reports is counted by the function count.
package main

import (
	"github.com/aws/aws-lambda-go/events"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/fanout"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[events.SQSEvent, events.SQSEventResponse] {
	fanout := &fanout.Fanout{Integrations: s.Receivers(s.Reading(), nil), Systems: s.Systems, Store: s.Accepting(),
		Logger: s.Log, Meter: s.Work(), Tracer: s.Tracer(), Holds: s.Holds(), Messages: s.Messages()}
	if people := s.Profiles(); people != nil {
		fanout.People = people
	}
	again := s.Visibility("TOCSIN_QUEUE_EVENTS", "TOCSIN_QUEUE_UNKNOWN_EVENTS")
	return metrics.Batch(s.Meter("fanout"), handlers.Fanout(fanout, again, s.Log))
}
