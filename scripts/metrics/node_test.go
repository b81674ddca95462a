//go:build metrics

package metrics

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// nodeHost is the node's name in the shipped files.
const nodeHost = "node.example.local"

// node stands for a filtering node: it serves the status page that NGINX would, and hands collectd the values that the
// postanalytics module's own plugin would. collectd and its configuration are the real ones.
type node struct {
	socket   string
	collectd *process

	mu        sync.Mutex
	condition condition
	sums      map[string]int64 // of the metrics that grow, by type instance
}

// targets are the ports that the node sends to.
type targets struct{ influxdb, graphite string }

func startNode(t *testing.T, l *lab, to targets) *node {
	t.Helper()
	n := &node{socket: l.path("collectd.sock"), sums: map[string]int64{}}
	page := n.serveStatus(t)
	configuration := []string{
		l.adapt(t, "node/nginx-wallarm.conf", "nginx-wallarm.conf", "http://127.0.0.8/wallarm-status", page),
		l.adapt(t, "node/unixsock.conf", "unixsock.conf", "/var/run/wallarm-collectd-unixsock", n.socket,
			// Only root may give a socket to the group root.
			`SocketGroup "root"`, fmt.Sprintf("SocketGroup %q", l.group)),
		l.adapt(t, "influxdb/export-to-influxdb.conf", "export-to-influxdb.conf", `"10.0.30.30" "25826"`,
			`"127.0.0.1" "`+to.influxdb+`"`),
		l.adapt(t, "graphite/export-to-graphite.conf", "export-to-graphite.conf", `"10.0.30.30"`, `"127.0.0.1"`,
			`"2003"`, `"`+to.graphite+`"`),
	}
	main := fmt.Sprintf("Hostname %q\nFQDNLookup false\nInterval 1\nBaseDir %q\nPIDFile %q\nTypesDB "+
		"\"/usr/share/collectd/types.db\"\n"+
		"LoadPlugin logfile\n<Plugin logfile>\n  LogLevel info\n  File STDOUT\n</Plugin>\n",
		nodeHost, l.folder, l.path("collectd.pid"))
	for _, file := range configuration {
		main += fmt.Sprintf("Include %q\n", file)
	}
	n.collectd = l.start(t, "collectd", "collectd", "-f", "-C", l.write(t, "collectd.conf", main))
	n.feedPostanalytics(t)
	return n
}

// set changes the node's condition.
func (n *node) set(c condition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.condition = c
}

// serveStatus serves /wallarm-status on the node's own loopback address and returns its URL.
func (n *node) serveStatus(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.8:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /wallarm-status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(n.status()) // who asks may be stopped meanwhile
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String() + "/wallarm-status"
}

// status is the page of the statistics service: the keys of the product facts, those without a metric among them.
func (n *node) status() map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	page := map[string]any{
		"requests": 2084, "attacks": 16, "blocked": 4, "time_detect": 0,
		"stalled_workers_count": 0, "stalled_workers": []any{},
	}
	for _, m := range catalogue {
		plugin, _, _, key := m.names()
		if plugin != "curl_json" {
			continue
		}
		within := page
		if group, rest, nested := strings.Cut(key, "-"); nested {
			if page[group] == nil {
				page[group] = map[string]any{}
			}
			within, key = page[group].(map[string]any), rest
		}
		within[key] = int64(m.value(n.condition))
	}
	page["lom_id"], page["lom_apply_time"] = page["custom_ruleset_id"], page["custom_ruleset_apply_time"]
	return page
}

// feedPostanalytics dispatches the module's values once a second over collectd's socket.
func (n *node) feedPostanalytics(t *testing.T) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-ended })
	go func() {
		defer close(ended)
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for {
			select {
			case <-done:
				return
			case <-every.C:
				if err := n.dispatch(); err != nil {
					t.Log("postanalytics:", err)
				}
			}
		}
	}()
}

// dispatch hands collectd one value of each metric of postanalytics.
func (n *node) dispatch() error {
	connection, err := net.DialTimeout("unix", n.socket, wait)
	if err != nil {
		return nil // collectd does not listen yet, or was stopped: what does not arrive is seen at the receivers
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	answers := bufio.NewReader(connection)
	for id, value := range n.postanalytics() {
		fmt.Fprintf(connection, "PUTVAL %q interval=1 N:%d\n", nodeHost+"/"+id, value)
		answer, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(answer, "0 ") {
			return fmt.Errorf("PUTVAL %s: %s", id, answer)
		}
	}
	return nil
}

// postanalytics is what the module reports, a second after it was last asked.
func (n *node) postanalytics() map[string]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	values := map[string]int64{}
	for _, m := range catalogue {
		plugin, _, kind, name := m.names()
		if plugin != "wallarm" {
			continue
		}
		values[m.id] = int64(m.value(n.condition))
		if m.grows {
			if kind == "gauge" {
				n.sums[name] += values[m.id]
			}
			values[m.id] = n.sums[name]
		}
	}
	return values
}
