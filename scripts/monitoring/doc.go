// Package monitoring judges infra/monitoring and /metrics with the real programs: promtool reads the rules, tries each
// alert and reads what a running Tocsin answers; a Prometheus scrapes it, once as native histograms and once as
// OpenMetrics, and answers each expression of the dashboard and the alerts. The dashboard is held to the schema that
// Grafana's own library has.
//
// The tests need the build tag monitoring; `make test-monitoring` installs Debian's prometheus and starts them.
package monitoring
