package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/integration"
)

func TestAGrouping(t *testing.T) {
	for text, want := range map[integration.Grouping]struct {
		every time.Duration
		upTo  int
	}{
		"50/5m": {5 * time.Minute, 50}, "2/1m": {time.Minute, 2}, "1000/10m": {10 * time.Minute, 1000},
		"": {}, "1/5m": {}, "1001/5m": {}, "500/60m": {time.Hour, 500}, "50/61m": {}, "50/0m": {},
		"050/5m": {}, "50/5": {},
		"50/5m ": {},
		"50/5h":  {}, "-2/5m": {}, "2.5/5m": {}, "9999999999999999999999/5m": {}, "50/05m": {},
	} {
		require.Equal(t, want.every, text.Every(), text)
		require.Equal(t, want.upTo, text.UpTo(), text)
	}
}
