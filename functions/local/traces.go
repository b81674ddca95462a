package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"

	"tocsin/shared/egress"
	"tocsin/shared/trace"
	"tocsin/shared/version"
)

// tracer is what the variables of OpenTelemetry ask for; nil when they ask for nothing.
func tracer(getenv func(string) string, proxy *egress.Proxy, log *slog.Logger) (*trace.Tracer, error) {
	c, err := tracing(getenv)
	if err != nil || c == nil {
		return nil, err
	}
	to := ""
	if u, err := url.Parse(c.Endpoint); err == nil {
		to = u.Host // a path can hold a key
	}
	log.Info("traces are sent", "to", to, "ratio", c.Ratio)
	return trace.New(c, trace.NewClient(beyond(proxy)), log), nil
}

// beyond is the way to what may be on this machine or beside it, which a proxy does not reach: a receiver of traces, and
// who hands out the machine's credentials.
func beyond(proxy *egress.Proxy) func(*http.Request) (*url.URL, error) {
	return func(q *http.Request) (*url.URL, error) {
		host := q.URL.Hostname()
		if ip := net.ParseIP(host); host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast()) {
			return nil, nil
		}
		return proxy.For(q)
	}
}

// tracing reads the variables.
func tracing(getenv func(string) string) (*trace.Config, error) {
	c, err := trace.FromEnvironment(getenv, "tocsin", trace.Attribute{Name: "service.version",
		Value: version.Read().Number})
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return c, nil
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
