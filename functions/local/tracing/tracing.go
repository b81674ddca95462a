// Package tracing has the embedded program send traces where the variables of OpenTelemetry say, on the program's own
// way out.
package tracing

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"

	"tocsin/shared/egress"
	"tocsin/shared/trace"
	"tocsin/shared/version"
)

// New is what the variables of OpenTelemetry ask for; nil when they ask for nothing.
func New(getenv func(string) string, proxy *egress.Proxy, log *slog.Logger) (*trace.Tracer, error) {
	c, err := Configured(getenv)
	if err != nil || c == nil {
		return nil, err
	}
	to := ""
	if u, err := url.Parse(c.Endpoint); err == nil {
		to = u.Host // a path can hold a key
	}
	log.Info("traces are sent", "to", to, "ratio", c.Ratio)
	return trace.New(c, trace.NewClient(Beyond(proxy)), log), nil
}

// Beyond is the way to what may be on this machine or beside it, which a proxy does not reach: a receiver of traces,
// and who hands out the machine's credentials.
func Beyond(proxy *egress.Proxy) func(*http.Request) (*url.URL, error) {
	return func(q *http.Request) (*url.URL, error) {
		host := q.URL.Hostname()
		if ip := net.ParseIP(host); host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast()) {
			return nil, nil
		}
		return proxy.For(q)
	}
}

// Configured reads the variables.
func Configured(getenv func(string) string) (*trace.Config, error) {
	c, err := trace.FromEnvironment(getenv, "tocsin", trace.Attribute{Name: "service.version",
		Value: version.Read().Number})
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return c, nil
}
