package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"tocsin/shared/httpserver"
	"tocsin/shared/integration"
	"tocsin/shared/metrics"
	"tocsin/shared/version"
)

// tokenLeast is the length of the shortest token for metrics: nobody finds such a one by trying.
const tokenLeast = 16

// checkMetrics refuses a listener that would tell figures to anybody in the network.
func (c *config) checkMetrics() error {
	switch {
	case c.listenMetrics == "" && c.metricsToken != "":
		return errors.New("-metrics-token says nothing without -listen-metrics")
	case c.listenMetrics == "":
		return nil
	case !strings.HasSuffix(c.listenMetrics, ":0") && (c.listenMetrics == c.listen || c.listenMetrics == c.listenBus):
		return errors.New("-listen-metrics must have an address of its own: who may read the metrics is decided apart")
	case c.metricsToken != "" && len(c.metricsToken) < tokenLeast:
		return fmt.Errorf("-metrics-token must have at least %d characters", tokenLeast)
	case c.metricsToken == "" && !httpserver.IsLoopback(c.listenMetrics):
		return fmt.Errorf("-listen-metrics %s can be reached from other machines: give it a -metrics-token "+
			"(TOCSIN_METRICS_TOKEN), which Prometheus sends, or listen on localhost", c.listenMetrics)
	}
	return nil
}

// started is when the program was.
var started = time.Now()

// meter makes what counts; nil when nobody reads it.
func (p *program) meter() metrics.Sink {
	if p.listenMetrics == "" {
		return nil
	}
	p.registry = metrics.NewRegistry(p.systems.Names())
	return p.registry
}

// collect has whoever knows something asked when metrics are read.
func (p *program) collect() {
	if p.registry == nil {
		return
	}
	p.sampler = &metrics.Sampler{Backlog: p.db.Backlog(), Registry: p.registry, System: p.system, Now: time.Now,
		Log: p.log}
	build := version.Read()
	p.registry.Collect(metrics.Process(build.Number, build.Commit, started))
	p.registry.Collect(p.db.Collect)
	p.registry.Collect(p.pool.Collect)
	p.registry.Collect(p.sampler.Collect)
	p.registry.Collect(func(ctx context.Context, g *metrics.Gathering) {
		ready := 0.0
		if p.readiness.Look(ctx).Status == "ready" {
			ready = 1
		}
		g.Set(metrics.Ready, ready)
	})
}

// system is that of a receiver, with the longest time that what goes to it gathers.
func (p *program) system(ctx context.Context, tenant, id string) (name string, window time.Duration, err error) {
	i, err := p.receivers.Get(ctx, tenant, id)
	if errors.Is(err, integration.ErrNotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	s, _, _ := p.systems.Lookup(i.System)
	return i.System, max(s.Batch.Every, i.Grouping.Every()), nil
}

// listensForMetrics opens the listener; nil when there is none.
func (c config) listensForMetrics() (net.Listener, error) {
	if c.listenMetrics == "" {
		return nil, nil
	}
	return httpserver.Listen(c.listenMetrics, "listen-metrics")
}

// metricsServer answers Prometheus; nil when there is no listener.
func (p *program) metricsServer() *http.Server {
	if p.metricsListener == nil {
		return nil
	}
	h := metrics.Handler(p.registry, p.metricsToken)
	if p.metricsToken == "" { // a page of another name must not read what only this machine may
		h = httpserver.Named(h, p.listenMetrics)
	}
	return httpserver.New(h, httpserver.Limits{}, p.log)
}
