package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/integration"
	"tocsin/shared/metrics"
)

// counted is what the registry says of a metric, by the labels behind the system; 0 is left out.
func (w *world) counted(m *metrics.Metric) map[string]float64 {
	out := map[string]float64{}
	for _, f := range w.registry.Gather(w.t.Context()) {
		for _, s := range f.Series {
			if f.Metric == m && (s.Value > 0 || s.Count > 0) {
				require.Equal(w.t, "x", s.Values[0], "every figure is of the system")
				out[s.Values[1]] = s.Value + float64(s.Count)
			}
		}
	}
	return out
}

func TestWhatBecomesOfDeliveriesIsMetered(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		answers := []int{503, 429, 401, 404, 302, 0, 200}
		at := 0
		w.answers(func(destination.Request) (int, string) {
			if at < len(answers)-1 {
				at++
				return answers[at-1], "no"
			}
			return 200, ""
		})
		w.send(made("d1", "e"))
		pass(2 * time.Hour)
		require.Equal(w.t, map[string]float64{"": 7}, w.counted(metrics.Attempts))
		require.Equal(w.t, map[string]float64{"": 7}, w.counted(metrics.AttemptTime))
		require.Equal(w.t, map[string]float64{"": 1}, w.counted(metrics.Delivered))
		require.Equal(w.t, map[string]float64{"": 1}, w.counted(metrics.Latency))
		require.Equal(w.t, map[string]float64{metrics.CauseServerError: 1, metrics.CauseRateLimited: 1,
			metrics.CauseUnauthorized: 1, metrics.CauseRefused: 1, metrics.CauseRedirected: 1,
			metrics.CauseNoAnswer: 1}, w.counted(metrics.Failed))
		require.Empty(w.t, w.counted(metrics.Dead))

		w.replay("d1")
		pass(time.Minute)
		require.Equal(w.t, map[string]float64{"": 2}, w.counted(metrics.Delivered))
		require.Equal(w.t, map[string]float64{"": 1}, w.counted(metrics.Latency), "it arrived before")
	})
}

func TestWhatEndsWithoutArrivingIsMetered(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(func(destination.Request) (int, string) { return 500, "no" })
		w.send(made("d1", "e"))
		pass(4 * time.Hour)
		require.Equal(w.t, map[string]float64{metrics.EndedTries: 1}, w.counted(metrics.Dead))
		require.Equal(w.t, map[string]float64{"": 17}, w.counted(metrics.Attempts))

		i, err := w.integrations.Get(t.Context(), "42", "i")
		require.NoError(w.t, err)
		i.Off = &integration.Off{By: integration.ByPerson}
		i.Revision++
		w.integrations.set(i)
		for n := range 3 {
			w.send(made(fmt.Sprintf("off%d", n), "e"))
		}
		pass(time.Minute)
		require.Equal(w.t, map[string]float64{metrics.EndedTries: 1, metrics.EndedOff: 3}, w.counted(metrics.Dead))
		require.Equal(w.t, map[string]float64{"": 17}, w.counted(metrics.Attempts), "none was made at these")
	})
}

func TestAMailServersCodesAreItsOwn(t *testing.T) {
	both(t, letters{}, partsParameters{Addresses: []string{"a@x"}}, func(w *world) {
		at := 0
		w.answers(func(destination.Request) (int, string) {
			at++
			return []int{451, 550}[min(at, 2)-1], "rcpt no"
		})
		w.send(made("d1", "e"))
		pass(2 * time.Hour)
		require.Equal(w.t, map[string]float64{metrics.CauseServerError: 1, metrics.CauseRefused: 1},
			w.counted(metrics.Failed))
		require.Equal(w.t, map[string]float64{metrics.EndedTries: 1}, w.counted(metrics.Dead))
	})
}

// TestAFaultOfTheDeploymentIsMeteredApart: it was counted as a receiver that gives no answer.
func TestAFaultOfTheDeploymentIsMeteredApart(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.receiver.mu.Lock()
		w.receiver.err = &egress.Failure{Kind: egress.ByProxy, Reason: "407", Ours: true}
		w.receiver.mu.Unlock()
		w.send(made("d1", "e"))
		pass(2 * time.Minute)
		failed := w.counted(metrics.Failed)
		require.NotZero(w.t, failed[metrics.CauseDeployment])
		require.Len(w.t, failed, 1)
	})
}
