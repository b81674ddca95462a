// Command fanout takes events from the events queue and makes deliveries of them.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"tocsin/functions/stack"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws"
)

func main() {
	s, err := stack.Open(context.Background(), os.Getenv)
	if err != nil {
		stack.Fail(err)
	}
	fanout := &delivery.Fanout{Integrations: s.Reading(), Systems: s.Systems, Log: s.Deliveries(), Logger: s.Log}
	if err := s.Check(); err != nil {
		stack.Fail(err)
	}
	lambda.Start(aws.FanoutHandler(fanout, s.Log))
}
