//go:build metrics

package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// zabbix is a Zabbix server with its database and its API, which polls the node's agent as the shipped template says.
type zabbix struct {
	api, token, host string
	client           http.Client
}

func startZabbix(t *testing.T, l *lab, n *node) *zabbix {
	t.Helper()
	agent := startAgent(t, l, n)
	database := startDatabase(t, l)
	l.start(t, "zabbix-server", "zabbix_server", "-f", "-c", l.write(t, "zabbix_server.conf", fmt.Sprintf(
		"LogType=console\nListenIP=127.0.0.1\nListenPort=%s\nPidFile=%s\nSocketDir=%s\nDBHost=%s\nDBName=zabbix\nDBUser=zabbix\n"+
			"CacheUpdateFrequency=1\nStartPollers=2\nStartDBSyncers=1\nStartPingers=0\nStartDiscoverers=0\nStartHTTPPollers=0\nStartTrappers=1\n",
		freePort(t), l.path("zabbix_server.pid"), l.folder, database)))
	z := &zabbix{api: startFrontend(t, l, database), client: http.Client{Timeout: time.Minute}}
	l.eventually(t, 2*wait, func() error {
		return z.call("user.login", map[string]any{"username": "Admin", "password": "zabbix"}, &z.token)
	})
	z.importTemplate(t)
	z.addHost(t, agent)
	return z
}

// startAgent starts the node's agent and returns its port.
func startAgent(t *testing.T, l *lab, n *node) string {
	t.Helper()
	shipped := l.adapt(t, "zabbix/wallarm.conf", "wallarm.conf",
		"/var/run/wallarm-collectd-unixsock", n.socket,
		// The test owns the socket.
		"sudo /usr/bin/collectd-nagios", "/usr/bin/collectd-nagios")
	port := freePort(t)
	l.start(t, "zabbix-agent", "zabbix_agentd", "-f", "-c", l.write(t, "zabbix_agentd.conf", fmt.Sprintf(
		"LogType=console\nPidFile=%s\nListenIP=127.0.0.1\nListenPort=%s\nServer=127.0.0.1\nHostname=%s\nInclude=%s\n",
		l.path("zabbix_agentd.pid"), port, nodeHost, shipped)))
	return port
}

// startDatabase starts PostgreSQL with Zabbix's schema and returns the folder of its socket.
func startDatabase(t *testing.T, l *lab) string {
	t.Helper()
	programs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(programs) == 0 {
		t.Fatalf("PostgreSQL is not installed: %v", err)
	}
	bin, data := programs[len(programs)-1], l.path("postgres")
	l.mustRun(t, bin+"/initdb", "--pgdata="+data, "--username=zabbix", "--auth=trust", "--encoding=UTF8",
		"--locale=C.UTF-8", "--no-sync")
	l.start(t, "postgres", bin+"/postgres", "-D", data, "-c", "listen_addresses=", "-c", "unix_socket_directories="+
		l.folder,
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	l.eventually(t, 2*wait, func() error {
		_, err := l.run("createdb", "--host="+l.folder, "--username=zabbix", "zabbix")
		return err
	})
	load := fmt.Sprintf("cd /usr/share/zabbix-server-pgsql && { zcat schema.sql.gz images.sql.gz data.sql.gz; "+
		// The server watches itself through an agent on its standard port: not here.
		"echo \"UPDATE hosts SET status=1 WHERE host='Zabbix server';\"; } | "+
		"psql --host=%s --username=zabbix --quiet --single-transaction --set=ON_ERROR_STOP=1 --output=/dev/null zabbix",
		l.folder)
	l.mustRun(t, "bash", "-o", "pipefail", "-c", load)
	return l.folder
}

// startFrontend starts Zabbix's web part, which has its API, and returns the API's URL.
func startFrontend(t *testing.T, l *lab, database string) string {
	t.Helper()
	folder := l.path("frontend")
	l.mustRun(t, "cp", "-r", "/usr/share/zabbix", folder)
	configuration := l.write(t, "zabbix.conf.php",
		fmt.Sprintf("<?php\n$DB['TYPE'] = 'POSTGRESQL';\n$DB['SERVER'] = '%s';\n$DB['PORT'] = '0';\n"+
			"$DB['DATABASE'] = 'zabbix';\n$DB['USER'] = 'zabbix';\n$DB['PASSWORD'] = '';\n$DB['SCHEMA'] = "+
			"'';\n$DB['ENCRYPTION'] = false;\n$DB['DOUBLE_IEEE754'] = true;\n", database))
	// Debian's frontend reads its configuration from one place under /etc: the copy reads it from the lab.
	file := "frontend/include/classes/core/CConfigFile.php"
	source, err := os.ReadFile(l.path(file))
	if err != nil {
		t.Fatal(err)
	}
	fixed := "'/etc/zabbix/zabbix.conf.php'"
	if !bytes.Contains(source, []byte(fixed)) {
		t.Fatalf("%s does not name %s: Debian's frontend has changed", file, fixed)
	}
	l.write(t, file, strings.ReplaceAll(string(source), fixed, "'"+configuration+"'"))
	port := freePort(t)
	l.start(t, "zabbix-frontend", "php", "-S", "127.0.0.1:"+port, "-t", folder, "-d", "memory_limit=512M", "-d",
		"max_execution_time=300", "-d", "display_errors=stderr")
	return "http://127.0.0.1:" + port + "/api_jsonrpc.php"
}

// call calls the API.
func (z *zabbix) call(method string, parameters, result any) error {
	request := map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
	if z.token != "" {
		request["auth"] = z.token
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	answer, err := z.client.Post(z.api, "application/json-rpc", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var envelope struct {
		Result json.RawMessage
		Error  *struct{ Message, Data string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("%s: Zabbix answered %s: %w", method, answer.Status, err)
	}
	if envelope.Error != nil {
		return fmt.Errorf("%s: %s %s", method, envelope.Error.Message, envelope.Error.Data)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(envelope.Result, result)
}

func (z *zabbix) mustCall(t *testing.T, method string, parameters, result any) {
	t.Helper()
	if err := z.call(method, parameters, result); err != nil {
		t.Fatal(err)
	}
}

func (z *zabbix) importTemplate(t *testing.T) {
	t.Helper()
	template, err := os.ReadFile(filepath.Join(configurations, "zabbix/template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	create := map[string]any{"createMissing": true, "updateExisting": true}
	z.mustCall(t, "configuration.import", map[string]any{
		"format": "yaml",
		"source": string(template),
		"rules":  map[string]any{"groups": create, "templates": create, "items": create, "triggers": create},
	}, nil)
}

// addHost adds the node with the template, read every two seconds instead of every minute.
func (z *zabbix) addHost(t *testing.T, agentPort string) {
	t.Helper()
	var templates []struct{ TemplateID string }
	z.mustCall(t, "template.get", map[string]any{"filter": map[string]any{"host": "Wallarm node"}}, &templates)
	if len(templates) != 1 {
		t.Fatalf("%d templates were imported", len(templates))
	}
	var groups struct{ GroupIDs []string }
	z.mustCall(t, "hostgroup.create", map[string]any{"name": "Wallarm nodes"}, &groups)
	var hosts struct{ HostIDs []string }
	z.mustCall(t, "host.create", map[string]any{
		"host":      nodeHost,
		"groups":    []any{map[string]any{"groupid": groups.GroupIDs[0]}},
		"templates": []any{map[string]any{"templateid": templates[0].TemplateID}},
		"interfaces": []any{map[string]any{"type": 1, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "",
			"port": agentPort}},
		"macros": []any{
			map[string]any{"macro": "{$WALLARM.INTERVAL}", "value": "2s"},
			map[string]any{"macro": "{$WALLARM.NODATA}", "value": "30s"},
		},
	}, &hosts)
	z.host = hosts.HostIDs[0]
}

// key is the item key of a metric.
func key(m metric) string {
	return strings.NewReplacer("curl_json-", "", "/", "-").Replace(m.id)
}

func (z *zabbix) observe() (map[string]observation, error) {
	var items []struct {
		Key       string `json:"key_"`
		LastValue string
		LastClock string
		Error     string
	}
	if err := z.call("item.get", map[string]any{"hostids": z.host,
		"output": []string{"key_", "lastvalue", "lastclock", "error"}}, &items); err != nil {
		return nil, err
	}
	if len(items) != len(catalogue) {
		return nil, fmt.Errorf("the template has %d items, the product facts %d metrics", len(items), len(catalogue))
	}
	problems, err := z.problems()
	if err != nil {
		return nil, err
	}
	seen := map[string]observation{}
	for _, m := range catalogue {
		for _, item := range items {
			if item.Key != key(m) || item.LastClock == "0" {
				continue
			}
			value, err := strconv.ParseFloat(item.LastValue, 64)
			if err != nil || item.Error != "" {
				return nil, fmt.Errorf("%s: %q %s", item.Key, item.LastValue, item.Error)
			}
			judged := okay
			if problem, found := problems[m.id]; found {
				judged = problem
			}
			seen[m.id] = observation{value: value, state: judged, short: true}
		}
	}
	return seen, nil
}

// seesSilence reports that the trigger for a node without metrics has not fired.
func (z *zabbix) seesSilence() error {
	const watched = "curl_json-wallarm_nginx/gauge-abnormal"
	problems, err := z.problems()
	if err == nil && problems[watched] != critical {
		return fmt.Errorf("%s is judged %q although collectd is gone", watched, problems[watched])
	}
	return err
}

// problems is the worst that the triggers say of each metric; a trigger names its metric in a tag.
func (z *zabbix) problems() (map[string]state, error) {
	var triggers []struct {
		Description string
		Priority    string
		Tags        []struct{ Tag, Value string }
	}
	err := z.call("trigger.get", map[string]any{
		"hostids": z.host, "filter": map[string]any{"value": 1}, "output": []string{"description", "priority"},
		"selectTags": "extend",
		"sortfield":  "priority", "sortorder": "ASC",
	}, &triggers)
	problems := map[string]state{}
	for _, trigger := range triggers {
		for _, tag := range trigger.Tags {
			if tag.Tag == "metric" {
				problems[tag.Value] = map[string]state{"2": warning, "4": critical}[trigger.Priority]
			}
		}
	}
	return problems, err
}
