// Command deliver makes the first attempt at deliveries of the deliveries queue, and takes up retries again that broke
// off.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/aws/metrics"
)

// budget leaves the longest request (180 s: 60 to connect, 60 for the head of the answer, 60 for the rest) its time before
// the function's timeout of 300 s.
const budget = time.Minute

func main() {
	s, err := stack.Open(context.Background(), os.Getenv)
	if err != nil {
		stack.Fail(err)
	}
	sender := s.Sender(s.Integrations(), budget)
	again := s.Visibility("TOCSIN_QUEUE_DELIVERIES", "TOCSIN_QUEUE_RETRIES")
	if err := s.Check(); err != nil {
		stack.Fail(err)
	}
	lambda.Start(metrics.Batch(s.Meter("deliver"), aws.DeliverHandler(sender, again, s.Log)))
}
