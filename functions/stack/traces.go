package stack

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/engine/aws/keys"
	"tocsin/shared/trace"
)

// flushTime bounds how long a call waits for the receiver of traces, once it is done with everything else: that time is
// paid for.
const flushTime = 2 * time.Second

// traces reads what the variables of OpenTelemetry ask for. headers are those of the function's secret, "" for none: a
// variable would show them.
func (s *Stack) traces(headers string) error {
	getenv := func(name string) string {
		if name == "OTEL_EXPORTER_OTLP_HEADERS" && headers != "" {
			return headers
		}
		return s.env.get(name)
	}
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
	s.tracer = trace.New(c, trace.NewClient(nil), s.Log)
	return nil
}

// readHeaders reads the secret of traces. Where it can not, those in use stay, or spans are sent without headers: no
// event waits for a trace.
func (s *Stack) readHeaders(ctx context.Context, manager keys.Secrets, id string) string {
	headers, err := manager.Current(ctx, id)
	if err != nil {
		s.Log.Error("read the headers of traces: those in use stay", "error", err.Error())
		return s.secrets.traces
	}
	return headers
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
