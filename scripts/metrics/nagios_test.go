//go:build metrics

package metrics

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// nagios is Nagios Core asking the node's NRPE with the shipped commands, host and services.
type nagios struct{ status string }

func startNagios(t *testing.T, l *lab, n *node) *nagios {
	t.Helper()
	port := startNRPE(t, l, n)
	folder := l.dir(t, "nagios")
	l.dir(t, "nagios/checkresults")
	objects := []string{
		"/etc/nagios4/objects/contacts.cfg", "/etc/nagios4/objects/templates.cfg",
		"/etc/nagios4/objects/timeperiods.cfg",
		"/etc/nagios4/objects/commands.cfg", "/etc/nagios-plugins/config/ping.cfg",
		l.adapt(t, "nagios/commands.cfg", "commands.cfg", "$HOSTADDRESS$", "$HOSTADDRESS$ -p "+port),
		l.adapt(t, "nagios/nodes.cfg", "nodes.cfg", "10.0.30.5", "127.0.0.1"),
	}
	main := ""
	for _, file := range objects {
		main += "cfg_file=" + file + "\n"
	}
	resources := l.write(t, "nagios/resource.cfg", "$USER1$=/usr/lib/nagios/plugins\n")
	// A minute of the shipped files lasts a second here; nobody is told of anything.
	main += fmt.Sprintf("resource_file=%[2]s\nlog_file=%[1]s/nagios.log\nobject_cache_file=%[1]s/objects.cache\nprecached_object_file=%[1]s/precache\n"+
		"status_file=%[1]s/status.dat\nstatus_update_interval=1\ncommand_file=%[1]s/nagios.cmd\nquery_socket=%[1]s/nagios.qh\nlock_file=%[1]s/nagios.pid\n"+
		"temp_file=%[1]s/nagios.tmp\ntemp_path=%[1]s\ncheck_result_path=%[1]s/checkresults\nstate_retention_file=%[1]s/retention.dat\n"+
		"interval_length=1\nservice_inter_check_delay_method=s\nmax_service_check_spread=1\ncheck_result_reaper_frequency=1\nexecute_host_checks=0\n"+
		"enable_notifications=0\ncheck_for_updates=0\nuse_syslog=0\n", folder, resources)
	configuration := l.write(t, "nagios/nagios.cfg", main)
	// -v reads everything as Nagios does at its start and exits with what is wrong.
	l.mustRun(t, "nagios4", "-v", configuration)
	l.start(t, "nagios", "nagios4", configuration)
	return &nagios{status: folder + "/status.dat"}
}

// startNRPE starts the node's NRPE and returns its port.
func startNRPE(t *testing.T, l *lab, n *node) string {
	t.Helper()
	instances := l.adapt(t, "nagios/check_wallarm_instances", "check_wallarm_instances")
	shipped := l.adapt(t, "nagios/nrpe-wallarm.cfg", "nrpe-wallarm.cfg",
		"/var/run/wallarm-collectd-unixsock", n.socket,
		"/usr/local/bin/check_wallarm_instances", instances,
		// A prefix that changes nothing in the place of sudo: the test owns the socket.
		"command_prefix=/usr/bin/sudo", "command_prefix=/usr/bin/env")
	port := freePort(t)
	configuration := l.write(t, "nrpe.cfg",
		fmt.Sprintf("server_address=127.0.0.1\nserver_port=%s\npid_file=%s\ncommand_timeout=10\ninclude=%s\n",
			port, l.path("nrpe.pid"), shipped))
	l.start(t, "nrpe", "nrpe", "-c", configuration, "-f")
	return port
}

// service is the name of a metric's service.
func service(m metric) string {
	name := strings.NewReplacer("curl_json-wallarm_nginx/gauge-", "wallarm_nginx_", "wallarm-tarantool/",
		"wallarm_tarantool_").Replace(m.id)
	return strings.ReplaceAll(name, "-", "_")
}

var performance = regexp.MustCompile(`value=(-?[0-9.]+)`)

func (n *nagios) observe() (map[string]observation, error) {
	checks, err := n.checks()
	if err != nil {
		return nil, err
	}
	seen := map[string]observation{}
	for _, m := range catalogue {
		check, found := checks[service(m)]
		if !found {
			return nil, fmt.Errorf("no service %s", service(m))
		}
		if check["has_been_checked"] != "1" {
			continue
		}
		value := performance.FindStringSubmatch(check["performance_data"])
		if value == nil {
			return nil, fmt.Errorf("%s: %s", service(m), check["plugin_output"])
		}
		number, err := strconv.ParseFloat(value[1], 64)
		if err != nil {
			return nil, err
		}
		judged, err := strconv.Atoi(check["current_state"])
		if err != nil {
			return nil, err
		}
		seen[m.id] = observation{value: number, state: [...]state{okay, warning, critical, unknown}[judged],
			short: true}
	}
	if len(checks) != len(catalogue) {
		return nil, fmt.Errorf("Nagios has %d services, the product facts %d metrics", len(checks), len(catalogue))
	}
	return seen, nil
}

// seesSilence reports a service that still looks well although collectd is gone.
func (n *nagios) seesSilence() error {
	checks, err := n.checks()
	for name, check := range checks {
		if check["current_state"] == "0" {
			return fmt.Errorf("%s is okay: %s", name, check["plugin_output"])
		}
	}
	return err
}

// checks are the services of Nagios's status file, by name.
func (n *nagios) checks() (map[string]map[string]string, error) {
	text, err := os.ReadFile(n.status)
	if err != nil {
		return nil, err
	}
	checks := map[string]map[string]string{}
	for _, block := range strings.Split(string(text), "servicestatus {")[1:] {
		block, _, _ = strings.Cut(block, "\n\t}")
		check := map[string]string{}
		for _, line := range strings.Split(block, "\n") {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			check[key] = value
		}
		checks[check["service_description"]] = check
	}
	return checks, nil
}
