//go:build metrics

package metrics

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// graphite is Graphite's receiver carbon-cache with the shipped schemas; what it stored is read with Graphite's own
// tools.
type graphite struct{ lab *lab }

func startGraphite(t *testing.T, l *lab, port string) *graphite {
	t.Helper()
	folder := l.dir(t, "carbon")
	l.adapt(t, "graphite/storage-schemas.conf", "carbon/storage-schemas.conf")
	l.adapt(t, "graphite/storage-aggregation.conf", "carbon/storage-aggregation.conf")
	configuration := l.write(t, "carbon/carbon.conf", fmt.Sprintf("[cache]\nSTORAGE_DIR = %[1]s\nLOCAL_DATA_DIR = "+
		"%[1]s/whisper\nCONF_DIR = %[1]s\nLOG_DIR = %[1]s\nPID_DIR = %[1]s\n"+
		"LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = %[2]s\nPICKLE_RECEIVER_INTERFACE = "+
		"127.0.0.1\nPICKLE_RECEIVER_PORT = %[3]s\n"+
		"CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = %[4]s\nENABLE_LOGROTATION = "+
		"False\nMAX_CREATES_PER_MINUTE = inf\n",
		folder, port, freePort(t), freePort(t)))
	l.start(t, "carbon", "carbon-cache", "--config="+configuration, "--pidfile="+folder+"/carbon.pid", "--logdir="+
		folder, "--nodaemon", "start")
	l.eventually(t, 2*wait, func() error {
		connection, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			connection.Close()
		}
		return err
	})
	return &graphite{lab: l}
}

// file is where Graphite keeps a metric: with SeparateInstances every part of the identifier is a level of its own.
func (g *graphite) file(m metric) string {
	plugin, instance, kind, typeInstance := m.names()
	host := strings.ReplaceAll(nodeHost, ".", "_")
	return g.lab.path("carbon/whisper/" + strings.Join([]string{host, plugin, instance, kind, typeInstance}, "/") +
		".wsp")
}

func (g *graphite) observe() (map[string]observation, error) {
	seen := map[string]observation{}
	for _, m := range catalogue {
		if _, err := os.Stat(g.file(m)); err != nil {
			continue
		}
		text, err := g.lab.run("whisper-fetch", "--json", "--drop=nulls",
			fmt.Sprintf("--from=%d", time.Now().Add(-time.Minute).Unix()), g.file(m))
		if err != nil {
			return nil, err
		}
		var stored struct{ Values []*float64 }
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			return nil, fmt.Errorf("whisper-fetch printed %q: %w", text, err)
		}
		for _, v := range stored.Values {
			if v != nil {
				seen[m.id] = observation{value: *v}
			}
		}
	}
	return seen, nil
}

// keepsWhatIsWorst checks that a metric is stored with the shipped retention and aggregation.
func (g *graphite) keepsWhatIsWorst(t *testing.T) {
	for id, method := range map[string]string{
		"curl_json-wallarm_nginx/gauge-requests_lost":           "max",
		"curl_json-wallarm_nginx/gauge-proton_instances-total":  "min",
		"curl_json-wallarm_nginx/gauge-proton_instances-failed": "max",
		"wallarm-tarantool/gauge-timeframe_size":                "min",
		"wallarm-tarantool/derive-export_drops":                 "max",
	} {
		text, err := g.lab.run("whisper-info", "--json", g.file(metric{id: id}))
		if err != nil {
			t.Fatal(err)
		}
		var info struct {
			AggregationMethod string
			MaxRetention      int
			Archives          []struct{ SecondsPerPoint int }
		}
		if err := json.Unmarshal([]byte(text), &info); err != nil {
			t.Fatalf("whisper-info printed %q: %v", text, err)
		}
		if info.AggregationMethod != method || info.MaxRetention != 2*365*24*3600 ||
			info.Archives[0].SecondsPerPoint != 10 {
			t.Errorf("%s is stored as %+v instead of by %s, 10 s a point and two years", id, info, method)
		}
	}
}
