package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"

	"tocsin/shared/trace"
	"tocsin/shared/version"
)

// tracer is what the variables of OpenTelemetry ask for; nil when they ask for nothing.
func tracer(getenv func(string) string, log *slog.Logger) (*trace.Tracer, error) {
	c, err := trace.FromEnvironment(getenv, "tocsin", trace.Attribute{Name: "service.version",
		Value: version.Read().Number})
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	if c == nil {
		return nil, nil
	}
	to := ""
	if u, err := url.Parse(c.Endpoint); err == nil {
		to = u.Host // a path can hold a key
	}
	log.Info("traces are sent", "to", to, "ratio", c.Ratio)
	return trace.New(c, trace.NewClient(), log), nil
}

// traces sends what is recorded until stop is called, and then what is left.
func (p *program) traces(ctx context.Context) (stop func()) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.tracer.Run(ctx)
	}()
	return func() {
		end()
		<-done
	}
}
