//go:build metrics

package metrics

import (
	"fmt"
	"testing"
	"time"
)

// receiver is a monitoring system that the node's metrics go to.
type receiver interface {
	observe() (map[string]observation, error)
}

func TestEveryMetricArrivesAndIsJudgedAsTheProductFactsSay(t *testing.T) {
	l := newLab(t)
	to := targets{influxdb: freePort(t), graphite: freePort(t)}
	n := startNode(t, l, to)
	t.Log("collectd runs; starting the receivers")
	carbon := startGraphite(t, l, to.graphite)
	z := startZabbix(t, l, n)
	influx := startInfluxDB(t, l, to.influxdb)
	core := startNagios(t, l, n)
	receivers := []struct {
		name string
		receiver
	}{
		{"InfluxDB", influx},
		{"Graphite", carbon},
		{"Nagios", core},
		{"Zabbix", z},
	}
	for _, c := range []condition{healthy, inTrouble, worse} {
		n.set(c)
		for _, r := range receivers {
			if !t.Run(fmt.Sprintf("%s sees %s", r.name, c), func(t *testing.T) { sees(t, l, r.receiver, c) }) {
				t.FailNow()
			}
		}
	}
	t.Run("InfluxDB sees the old names of the rule set's metrics",
		func(t *testing.T) { l.eventually(t, wait, influx.seesOldNames) })
	t.Run("Graphite keeps what is worst for two years", carbon.keepsWhatIsWorst)
	l.end(n.collectd)
	t.Run("Nagios sees a node without collectd", func(t *testing.T) { l.eventually(t, wait, core.seesSilence) })
	t.Run("Zabbix sees a node without collectd", func(t *testing.T) { l.eventually(t, 2*wait, z.seesSilence) })
}

// wait is how long a change may take to be seen. InfluxDB's input writes every 10 seconds.
const wait = 45 * time.Second

// sees waits until a receiver has every metric as the node reports it, with the right judgement.
func sees(t *testing.T, l *lab, r receiver, c condition) {
	l.eventually(t, wait, func() error {
		seen, err := r.observe()
		if err != nil {
			return err
		}
		return matches(seen, c)
	})
	const shown = "curl_json-wallarm_nginx/gauge-abnormal"
	seen, err := r.observe()
	if err == nil {
		t.Logf("%s = %v %s", shown, seen[shown].value, seen[shown].state)
	}
}

// A sudoers file that does not parse locks everyone out of sudo.
func TestSudoAcceptsTheSudoersFiles(t *testing.T) {
	l := newLab(t)
	for _, target := range []string{"nagios", "zabbix"} {
		if _, err := l.run("visudo", "--check", "--file="+
			l.adapt(t, target+"/sudoers", "sudoers-"+target)); err != nil {
			t.Error(err)
		}
	}
}
