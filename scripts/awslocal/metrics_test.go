//go:build awslocal

package awslocal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// journal keeps what functions write.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

// lines are those that hold metrics.
func (j *journal) lines() (out [][]byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range bytes.Split(j.all.Bytes(), []byte("\n")) {
		if bytes.Contains(line, []byte(`"_aws"`)) {
			out = append(out, bytes.Clone(line))
		}
	}
	return out
}

func TestTheFunctionsCountInTheEmbeddedMetricFormat(t *testing.T) {
	to := receive(t, always(200))
	written := &journal{}
	r := deploy(t, []*receiver{to}, func(o *awslocal.Options) {
		o.Log, o.Env = written, map[string]string{"TOCSIN_WORK_METRICS": "systems"}
	})
	r.webhook(to, 1)
	r.publish(20)
	r.put([]types.PutEventsRequestEntry{r.entry("new_hits", `{"version":9,"tenant":"42"}`)})
	_, err := r.Functions["Retry"].Invoke(t.Context(), []byte(`{"relay":true}`))
	require.NoError(t, err)
	of := func(dimension, value, metric string) (total float64) {
		for _, line := range written.lines() {
			var m map[string]any
			require.NoError(t, json.Unmarshal(line, &m), string(line))
			if v, ok := m[metric].(float64); ok && m[dimension] == value {
				total += v
			}
		}
		return total
	}
	sum := func(function, metric string) float64 { return of("Function", function, metric) }
	r.eventually("all is counted", func() bool {
		return sum("fanout", "Processed") >= 21 && sum("fanout", "Rejected") == 1 && sum("deliver", "Processed") > 0
	})
	require.Equal(t, 1.0, sum("retry", "Swept"))
	require.Positive(t, sum("api", "Processed"))
	require.Less(t, sum("fanout", "Late"), 60.0)
	require.Equal(t, 21.0, sum("fanout", "tocsin_events_accepted_total"), "those, and that the integration was made")
	require.Equal(t, 1.0, sum("fanout", "tocsin_events_rejected_total"))
	require.Equal(t, 20.0, sum("fanout", "tocsin_deliveries_created_total"))
	r.eventually("all attempts are counted", func() bool { return sum("deliver", "tocsin_attempts_total") == 20 })
	require.Equal(t, 20.0, sum("deliver", "tocsin_deliveries_delivered_total"))
	require.Equal(t, 20.0, of("system", "web_hooks", "tocsin_attempts_total"))
	require.Zero(t, sum("deliver", "tocsin_attempts_failed_total"))

	lines := written.lines()
	judge := exec.CommandContext(t.Context(),
		filepath.Join(os.Getenv(awslocal.ModulesVariable), "venv", "bin", "python"), "emf.py")
	judge.Stdin = bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n'))
	out, err := judge.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
	for _, line := range lines {
		require.Less(t, len(line), 4<<10, "bytes of a line") // two histograms of a hundred values, and the names
		for _, secret := range []string{"Acme", "shop.example.com", "hit-", "127.0.0.1", "203.0.113.7"} {
			require.NotContains(t, string(line), secret)
		}
		var m map[string]any
		require.NoError(t, json.Unmarshal(line, &m))
		if function, ok := m["Function"].(string); ok {
			require.True(t, slices.Contains(awslocal.Names, strings.ToUpper(function[:1])+function[1:]))
		} else {
			require.Equal(t, "web_hooks", m["system"])
		}
	}
}
