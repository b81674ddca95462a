// Package metrics tests the configurations of docs/node-metrics with the real programs: collectd reads a node's status
// page and sends what it finds to InfluxDB, Graphite, Nagios and Zabbix, all started from Debian's packages as
// unprivileged processes on loopback. Every metric must arrive in each with its value, and Nagios and Zabbix must judge
// it as the product facts do, for a healthy node, a node in trouble and one that is worse.
//
// Zabbix is a whole server with its database and API rather than a proxy: only a server imports a template and judges
// triggers. What the operator changes (addresses, ports, the socket, sudo) is replaced in a copy of each file;
// everything else is tested as shipped.
//
// The tests need the build tag metrics; `make test-metrics` (scripts/test-metrics) installs what they need and starts
// them.
package metrics
