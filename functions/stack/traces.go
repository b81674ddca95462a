package stack

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/trace"
)

// flushTime bounds how long a call waits for the receiver of traces, once it is done with everything else: that time is
// paid for.
const flushTime = 2 * time.Second

// traces reads what the variables of OpenTelemetry ask for.
func (s *Stack) traces(getenv func(string) string) error {
	c, err := trace.FromEnvironment(getenv, "tocsin",
		trace.Attribute{Name: "faas.name", Value: getenv("AWS_LAMBDA_FUNCTION_NAME")},
		trace.Attribute{Name: "cloud.provider", Value: "aws"},
		trace.Attribute{Name: "cloud.region", Value: getenv("AWS_REGION")})
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	if c != nil {
		c.Timeout = min(c.Timeout, flushTime)
	}
	s.tracer = trace.New(c, trace.NewClient(), s.Log)
	return nil
}

// Tracer records spans; nil where nothing is traced.
func (s *Stack) Tracer() *trace.Tracer { return s.tracer }

// flush sends what a call recorded: between two calls a function stands still.
func (s *Stack) flush(ctx context.Context) {
	if s.tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	s.tracer.Flush(ctx)
}
