// Command report makes reports. A schedule has it look for those that are due, of which it enqueues a job for each
// recipient; the queue of jobs has it make them and publish their events, which become deliveries as any others do.
package main

import (
	"encoding/json"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/report/pdf"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[json.RawMessage, aws.ReportAnswer] {
	reports := s.Reporter(s.Receivers(s.Reading(), nil), pdf.Renderer{})
	return metrics.Of(s.Meter("report"), aws.ReportHandler(reports, s.Log))
}
