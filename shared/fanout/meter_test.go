package fanout_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/metrics"
)

func TestWhatAFanOutMakesIsMetered(t *testing.T) {
	f, m := newFanout(event.System, event.System)
	r := metrics.NewRegistry([]string{"plain"})
	f.Meter = r
	value := func(of *metrics.Metric) float64 {
		sum := 0.0
		for _, family := range r.Gather(t.Context()) {
			for _, s := range family.Series {
				if family.Metric == of {
					require.NotEqual(t, metrics.Other, s.Values[0])
					sum += s.Value
				}
			}
		}
		return sum
	}
	m.known["42/known"] = true
	batch := []delivery.Entry{
		entry(event.CreateUser, "1", "42", newUser), entry(event.CreateUser, "2", "42", newUser),
		entry(event.CreateUser, "known", "42", newUser), entry(event.CreateUser, "2", "42", newUser),
		entry("made_up", "bad", "42", "{}"),
	}
	_, err := f.Process(t.Context(), batch)
	require.NoError(t, err)
	require.Equal(t, 2.0, value(metrics.Accepted))
	require.Equal(t, 2.0, value(metrics.Repeated))
	require.Equal(t, 1.0, value(metrics.Rejected))
	require.Equal(t, 2.0, value(metrics.FannedOut), "one for each integration")
}
