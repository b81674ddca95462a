// Command report makes reports, and tells people of API tokens that expire. A schedule has it look for both; a report
// that is due becomes a job for each recipient. The queue of jobs has it make them and publish their events, which
// become deliveries as any others do.
package main

import (
	"encoding/json"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/report/pdf"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[json.RawMessage, reports.Answer] {
	service := s.Reporter(s.Receivers(s.Reading(), nil), pdf.Renderer{})
	return metrics.Of(s.Meter("report"), reports.Handler(service, s.TokenNotices(), s.Log))
}
