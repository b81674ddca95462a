// Command feedback takes in what SES says about mails: an address that bounces, or whose owner complains, is sent to no
// more, and the administrators are told.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/aws/metrics"
)

func main() {
	s, err := stack.Open(context.Background(), os.Getenv)
	if err != nil {
		stack.Fail(err)
	}
	feedback := s.Feedback()
	if err := s.Check(); err != nil {
		stack.Fail(err)
	}
	lambda.Start(metrics.Batch(s.Meter("feedback"), aws.FeedbackHandler(feedback, s.Log)))
}
