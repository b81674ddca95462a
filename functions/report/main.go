// Command report makes reports. A schedule has it look for those that are due, of which it enqueues a job for each
// recipient; the queue of jobs has it make them and publish their events, which become deliveries as any others do.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/report/pdf"
)

func main() {
	s, err := stack.Open(context.Background(), os.Getenv)
	if err != nil {
		stack.Fail(err)
	}
	store := s.Reading()
	reports := s.Reporter(s.Receivers(store, s.Service(store)), pdf.Renderer{})
	if err := s.Check(); err != nil {
		stack.Fail(err)
	}
	lambda.Start(metrics.Of(s.Meter("report"), aws.ReportHandler(reports, s.Log)))
}
