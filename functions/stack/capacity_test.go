package stack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/deliveries"
)

func TestTheWorkerIsToldWhatTheEngineTakesAtOnce(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	s, err := Open(t.Context(), func(string) string { return "" })
	require.NoError(t, err)
	require.NoError(t, s.give(secretValues{}))
	require.Equal(t, deliveries.Capacity, s.BatchHandler(s.Integrations(), time.Minute).Capacity)
	require.NotZero(t, deliveries.Capacity.Deliveries)
}
