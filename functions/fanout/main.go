// Command fanout takes events from the events queue and makes deliveries of them.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tocsin/functions/stack"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/report"
	"tocsin/shared/trigger"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[events.SQSEvent, events.SQSEventResponse] {
	triggers := s.Triggers()
	fanout := &delivery.Fanout{
		Integrations: s.Receivers(s.Reading(), nil), Systems: s.Systems, Log: s.Recording(triggers), Logger: s.Log,
		Recorder: &report.Recorder{Zones: s.Reports(), Now: time.Now},
		Triggers: &trigger.Evaluator{Store: triggers, Now: time.Now, Log: s.Log}, Items: aws.BatchItems,
	}
	if people := s.Profiles(); people != nil {
		fanout.People = people
	}
	again := s.Visibility("TOCSIN_QUEUE_EVENTS", "TOCSIN_QUEUE_UNKNOWN_EVENTS")
	return metrics.Batch(s.Meter("fanout"), aws.FanoutHandler(fanout, again, s.Log))
}
