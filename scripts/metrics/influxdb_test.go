//go:build metrics

package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// influxDB is an InfluxDB 1.x with the shipped collectd input.
type influxDB struct{ url string }

func startInfluxDB(t *testing.T, l *lab, port string) *influxDB {
	t.Helper()
	input := l.adapt(t, "influxdb/collectd-input.conf", "collectd-input.conf", `":25826"`, `"127.0.0.1:`+port+`"`)
	shipped, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	http, folder := freePort(t), l.dir(t, "influxdb")
	configuration := fmt.Sprintf("reporting-disabled = true\nbind-address = \"127.0.0.1:%s\"\n[meta]\n  dir = "+
		"\"%[2]s/meta\"\n"+
		"[data]\n  dir = \"%[2]s/data\"\n  query-log-enabled = false\n  wal-dir = \"%[2]s/wal\"\n[monitor]\n  "+
		"store-enabled = false\n[http]\n  bind-address = \"127.0.0.1:%[3]s\"\n  log-enabled = false\n",
		freePort(t), folder, http)
	l.start(t, "influxdb", "influxd", "-config", l.write(t, "influxdb.conf", configuration+string(shipped)))
	db := &influxDB{url: "http://127.0.0.1:" + http}
	l.eventually(t, 2*wait, func() error {
		_, err := db.query("CREATE DATABASE collectd")
		return err
	})
	return db
}

// series is one series of an answer of InfluxDB.
type series struct {
	Name   string            `json:"name"`
	Tags   map[string]string `json:"tags"`
	Values [][]float64       `json:"values"` // time, value
}

func (db *influxDB) query(q string) ([]series, error) {
	answer, err := http.PostForm(db.url+"/query", url.Values{"db": {"collectd"}, "epoch": {"s"}, "q": {q}})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var body struct {
		Results []struct {
			Series []series `json:"series"`
			Error  string   `json:"error"`
		} `json:"results"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return nil, fmt.Errorf("InfluxDB answered %s: %w", answer.Status, err)
	}
	if len(body.Results) != 1 || body.Results[0].Error != "" {
		return nil, fmt.Errorf("InfluxDB answered %s: %+v", answer.Status, body.Results)
	}
	return body.Results[0].Series, nil
}

// seesOldNames checks the metrics that only nodes before the custom rule set have.
func (db *influxDB) seesOldNames() error {
	seen, err := db.observe()
	if err != nil {
		return err
	}
	for old, now := range map[string]string{"gauge-lom_id": "gauge-custom_ruleset_id",
		"gauge-lom_apply_time": "gauge-custom_ruleset_apply_time"} {
		if o, found := seen["curl_json-wallarm_nginx/"+old]; !found || o != seen["curl_json-wallarm_nginx/"+now] {
			return fmt.Errorf("%s is %v (found: %t), %s is %v", old, o.value, found, now,
				seen["curl_json-wallarm_nginx/"+now].value)
		}
	}
	return nil
}

func (db *influxDB) observe() (map[string]observation, error) {
	found, err := db.query(
		fmt.Sprintf(
			`SELECT last("value") FROM /_value$/ WHERE "host" = '%s' GROUP BY "instance", "type", "type_instance"`,
			nodeHost))
	if err != nil {
		return nil, err
	}
	seen := map[string]observation{}
	for _, s := range found {
		id := strings.TrimSuffix(s.Name, "_value") + "-" + s.Tags["instance"] + "/" + s.Tags["type"] + "-" +
			s.Tags["type_instance"]
		seen[id] = observation{value: s.Values[0][1]}
	}
	return seen, nil
}
