//go:build metrics

package metrics

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// none is the value of a level that a metric does not have.
var none = math.NaN()

// metric is one row of the product facts (integrations.md, 6.3) with values on each side of its thresholds.
type metric struct {
	id                         string // <plugin>[-<instance>]/<type>-<type instance>, as in collectd
	healthy, warning, critical float64
	grows                      bool // the values are growth per second; receivers show a sum or a rate
}

var catalogue = []metric{
	{id: "curl_json-wallarm_nginx/gauge-abnormal", healthy: 1042, warning: 0, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-requests_lost", healthy: 0, warning: 5, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-tnt_errors", healthy: 0, warning: 2, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-api_errors", healthy: 0, warning: 3, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-segfaults", healthy: 0, warning: 1, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-memfaults", healthy: 0, warning: 1, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-softmemfaults", healthy: 0, warning: 1, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-proton_errors", healthy: 0, warning: 1, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-db_id", healthy: 73, warning: none, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-db_apply_time", healthy: 1679588761, warning: none, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-custom_ruleset_id", healthy: 102, warning: none, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-custom_ruleset_apply_time", healthy: 1679588770, warning: none, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-proton_instances-total", healthy: 3, warning: none, critical: 0},
	{id: "curl_json-wallarm_nginx/gauge-proton_instances-success", healthy: 3, warning: 2, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-proton_instances-fallback", healthy: 0, warning: none, critical: none},
	{id: "curl_json-wallarm_nginx/gauge-proton_instances-failed", healthy: 0, warning: 1, critical: none},
	{id: "wallarm-tarantool/counter-last_request_id", healthy: 10, warning: none, critical: none, grows: true},
	{id: "wallarm-tarantool/gauge-last_request_id", healthy: 10, warning: none, critical: none, grows: true},
	{id: "wallarm-tarantool/gauge-export_drops_flag", healthy: 0, warning: 1, critical: none},
	{id: "wallarm-tarantool/gauge-export_drops", healthy: 0, warning: 7, critical: none, grows: true},
	{id: "wallarm-tarantool/derive-export_drops", healthy: 0, warning: 7, critical: none, grows: true},
	{id: "wallarm-tarantool/gauge-export_delay", healthy: 59, warning: 61, critical: 301},
	{id: "wallarm-tarantool/gauge-timeframe_size", healthy: 901, warning: 899, critical: 299},
}

// condition is how well the node does.
type condition int

const (
	healthy condition = iota
	inTrouble
	worse
)

func (c condition) String() string {
	return [...]string{"a healthy node", "a node in trouble", "a node that does worse"}[c]
}

// value is what the node reports in a condition: a metric without a level of its own stays at the one before.
func (m metric) value(c condition) float64 {
	v := m.healthy
	if c >= inTrouble && !math.IsNaN(m.warning) {
		v = m.warning
	}
	if c >= worse && !math.IsNaN(m.critical) {
		v = m.critical
	}
	return v
}

// state is the judgement of a receiver; empty for one that does not judge.
type state string

const (
	okay     state = "okay"
	warning  state = "warning"
	critical state = "critical"
	unknown  state = "unknown"
)

func (m metric) state(c condition) state {
	switch {
	case c >= worse && !math.IsNaN(m.critical):
		return critical
	case c >= inTrouble && !math.IsNaN(m.warning):
		return warning
	}
	return okay
}

// names splits an id as collectd does: at the first dash of the plugin and of the type.
func (m metric) names() (plugin, instance, kind, typeInstance string) {
	left, right, _ := strings.Cut(m.id, "/")
	plugin, instance, _ = strings.Cut(left, "-")
	kind, typeInstance, _ = strings.Cut(right, "-")
	return plugin, instance, kind, typeInstance
}

// observation is what a receiver has of a metric.
type observation struct {
	value float64
	state state
	short bool // the value came over collectd's socket, which gives seven digits
}

// asSeen is a value as the receiver of an observation gets it.
func (o observation) asSeen(value float64) float64 {
	if !o.short {
		return value
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(value, 'e', 6, 64), 64)
	if err != nil {
		panic(err) // it was formatted a line above
	}
	return rounded
}

// matches reports the first way in which a receiver's observations differ from what the node does.
func matches(seen map[string]observation, c condition) error {
	for _, m := range catalogue {
		o, found := seen[m.id]
		want := o.asSeen(m.value(c))
		switch {
		case !found:
			return fmt.Errorf("%s did not arrive", m.id)
		case m.grows && want > 0 && o.value <= 0, !(m.grows && want > 0) && o.value != want:
			return fmt.Errorf("%s is %v, the node reports %v", m.id, o.value, want)
		case o.state != "" && o.state != m.state(c):
			return fmt.Errorf("%s = %v is judged %q instead of %q", m.id, o.value, o.state, m.state(c))
		}
	}
	return nil
}
